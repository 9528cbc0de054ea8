//! Property tests of `downsample` against its definition.

use std::collections::BTreeMap;

use holter::points::Columns;
use holter::read::downsample;
use proptest::collection::vec;
use proptest::prelude::*;

fn columns(values: Vec<f64>) -> Columns {
    let steps = (0..values.len() as i64).map(|i| i * i - 50).collect();
    let times_micros = (0..values.len() as i64).map(|i| i * 1000).collect();
    Columns { steps, values, times_micros }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => -1e3..1e3,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => any::<f64>(),
    ]
}

/// Rows with the bits of the values, so that NaN equals itself.
fn rows(columns: &Columns) -> Vec<(i64, u64, i64)> {
    (0..columns.len()).map(|i| (columns.steps[i], columns.values[i].to_bits(), columns.times_micros[i])).collect()
}

fn extremes(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    (finite().reduce(f64::min), finite().reduce(f64::max))
}

proptest! {
    #[test]
    fn result_is_an_ascending_subset_within_the_limit(values in vec(value(), 0..600), points in 0_usize..300) {
        let all = columns(values);
        let kept = downsample(all.clone(), points);
        prop_assert!(kept.len() <= points.max(5));
        prop_assert!(kept.steps.is_sorted_by(|a, b| a < b));
        let by_step: BTreeMap<i64, (i64, u64, i64)> = rows(&all).into_iter().map(|row| (row.0, row)).collect();
        for row in rows(&kept) {
            prop_assert_eq!(by_step.get(&row.0), Some(&row));
        }
        if all.len() <= points {
            prop_assert_eq!(rows(&kept), rows(&all));
        }
    }

    #[test]
    fn ends_and_extremes_are_kept(values in vec(value(), 1..600), points in 0_usize..300) {
        let all = columns(values);
        let kept = downsample(all.clone(), points);
        prop_assert_eq!(rows(&kept)[0], rows(&all)[0]);
        prop_assert_eq!(rows(&kept).last().copied(), rows(&all).last().copied());
        prop_assert_eq!(extremes(&kept.values), extremes(&all.values));
        let has_nonfinite = |columns: &Columns| columns.values.iter().any(|value| !value.is_finite());
        prop_assert_eq!(has_nonfinite(&kept), has_nonfinite(&all));
    }

    /// Catches a lost spike: a point that is more extreme than the rest of its bucket must be kept.
    #[test]
    fn spike_of_a_single_step_is_kept(at in 0_usize..100_000, points in 5_usize..2000, height in prop_oneof![Just(10.0), Just(-10.0), Just(f64::NAN), Just(f64::INFINITY)]) {
        let mut values: Vec<f64> = (0..100_000).map(|i| f64::from(i % 100) / 100.0).collect();
        values[at] = height;
        let all = columns(values);
        let kept = downsample(all.clone(), points);
        prop_assert!(kept.steps.contains(&all.steps[at]));
        prop_assert!(kept.len() <= points);
    }

    #[test]
    fn buckets_have_equal_counts(len in 1_usize..2000, points in 4_usize..400) {
        let all = columns((0..len).map(|i| i as f64).collect());
        let kept = downsample(all, points);
        // The values ascend, so the first and last points of each bucket are its extremes.
        let num_buckets = points / 4;
        if len > points {
            prop_assert!(kept.len() >= num_buckets && kept.len() <= 2 * num_buckets);
            let gaps = kept.values.windows(2).map(|pair| pair[1] - pair[0]);
            prop_assert!(gaps.fold(0.0, f64::max) <= len as f64 / num_buckets as f64);
        }
    }
}
