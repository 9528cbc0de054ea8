//! Fewer points, extremes kept: a spike of one step stays visible at any zoom.

use crate::points::Columns;

/// Of `all`, at most `max(points, 5)` points that look alike.
///
/// If there are no more than `points`, all are returned. Otherwise they are divided, in their order,
/// into buckets of equal count, give or take one, as many as can have four points each, or five where
/// some value is not finite. Of each bucket these points are kept, as they are and in their order:
///
/// * the first and the last,
/// * the one with the smallest and the one with the largest finite value, of equal ones the first,
/// * the first whose value is NaN or infinite.
///
/// Buckets are of equal count and not of equal width in steps, so that one far-off step does not
/// squeeze all others into one bucket. The method without the last rule is known as M4: Jugel et al.,
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
        for i in landmarks(&all.values[start..end]) {
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
fn landmarks(values: &[f64]) -> Vec<usize> {
    let finite = || values.iter().enumerate().filter(|(_, value)| value.is_finite());
    // Of equal ones `min_by` gives the first, `max_by` the last: hence the reversed order.
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
