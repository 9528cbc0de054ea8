//! Finds the extremes of a series.

use std::ops::RangeInclusive;

use holter_journal::Step;

use super::bucket::Bucket;
use super::cover::{Source, cover, has_rows};
use super::level::Level;
use crate::error::Result;
use crate::points::Extremes;

/// How many buckets the search starts with.
const FIRST_BUCKETS: usize = 8;

/// The extremes of the points at these steps.
///
/// The search descends from the bucket with the extreme value to finer buckets in it, so that it reads few points where
/// rollups exist.
pub(crate) fn extremes(source: &impl Source, steps: &RangeInclusive<Step>) -> Result<Extremes> {
    let span = (i128::from(*steps.end()) - i128::from(*steps.start()) + 1).max(0) as u128;
    let level = Level::for_span(span, FIRST_BUCKETS);
    if !has_rows(source, level, steps) {
        return among_points(source, steps.clone());
    }
    let min = descend(source, level, steps, |a, b| if b.min < a.min { b } else { a })?;
    let max = descend(source, level, steps, |a, b| if b.max > a.max { b } else { a })?;
    Ok(Extremes { min: min.min, max: max.max })
}

/// The extremes of the finest bucket that `better` selects.
fn descend(
    source: &impl Source,
    level: Level,
    steps: &RangeInclusive<Step>,
    better: fn(Bucket, Bucket) -> Bucket,
) -> Result<Extremes> {
    let mut steps = steps.clone();
    let mut level = Some(level);
    while let Some(current) = level.filter(|level| has_rows(source, *level, &steps)) {
        let buckets = cover(source, current, &steps)?;
        let Some(best) = buckets.into_iter().filter(Bucket::has_finite).reduce(better) else {
            return Ok(Extremes::default());
        };
        steps = current.bucket_start(best.last_step)..=current.bucket_end(best.last_step);
        level = current.finer();
    }
    among_points(source, steps)
}

fn among_points(source: &impl Source, steps: RangeInclusive<Step>) -> Result<Extremes> {
    let mut extremes = Extremes::default();
    source.points(steps, &mut |step, value, _| extremes.add(step, value))?;
    Ok(extremes)
}
