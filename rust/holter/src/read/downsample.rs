//! Downsampling that keeps the extremes: a spike of a single step stays visible at any zoom.

use crate::points::Columns;

/// Reduces `all` to at most `max(points, 5)` points that have the same shape.
///
/// Returns all points if there are at most `points`. Otherwise divides them, in order, into buckets whose counts differ
/// by at most 1. The number of buckets allows four points per bucket, or five if some value is not finite. Keeps these
/// points of each bucket, unchanged and in order:
///
/// * the first and the last,
/// * the first with the smallest and the first with the largest finite value,
/// * the first whose value is NaN or infinite.
///
/// Buckets have equal counts instead of equal widths in steps, so that a single distant step does not squeeze all other
/// points into one bucket. Without the last rule, the method is known as M4: Jugel et al.,
/// "M4: A Visualization-Oriented Time Series Data Aggregation", PVLDB 7(10), 2014.
///
/// ```
/// use holter::Columns;
/// use holter::read::downsample;
///
/// let mut values = vec![0.0; 1000];
/// values[600] = 9.0; // a spike
/// let all = Columns { steps: (0..1000).collect(), values, times_micros: vec![0; 1000] };
/// let few = downsample(all, 20);
/// assert!(few.len() <= 20);
/// assert!(few.values.contains(&9.0));
/// ```
pub fn downsample(all: Columns, points: usize) -> Columns {
    if all.len() <= points {
        return all;
    }
    let points_per_bucket = if all.values.iter().all(|value| value.is_finite()) { 4 } else { 5 };
    let num_buckets = (points / points_per_bucket).max(1);
    let mut kept = Columns::default();
    for bucket in 0..num_buckets {
        let start = boundary(all.len(), bucket, num_buckets);
        let end = boundary(all.len(), bucket + 1, num_buckets);
        for i in points_to_keep(&all.values[start..end]) {
            kept.extend_from(&all, start + i..start + i + 1);
        }
    }
    kept
}

/// Where bucket number `bucket` begins; the product may exceed 64 bits.
fn boundary(len: usize, bucket: usize, num_buckets: usize) -> usize {
    (len as u128 * bucket as u128 / num_buckets as u128) as usize
}

/// The indices of the points to keep, ascending.
fn points_to_keep(values: &[f64]) -> Vec<usize> {
    let finite = || values.iter().enumerate().filter(|(_, value)| value.is_finite());
    // `min_by` returns the first of equal values, `max_by` the last; hence the reversed comparison.
    let min = finite().min_by(|(_, a), (_, b)| a.total_cmp(b));
    let max = finite().min_by(|(_, a), (_, b)| b.total_cmp(a));
    let nonfinite = values.iter().position(|value| !value.is_finite());
    let mut kept: Vec<usize> = [min, max].into_iter().flatten().map(|(i, _)| i).chain(nonfinite).collect();
    if let Some(last) = values.len().checked_sub(1) {
        kept.extend([0, last]);
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}
