//! Computes the buckets of a window from rows, and from points where rows are missing.

use std::ops::RangeInclusive;

use super::bucket::Bucket;
use super::level::Level;
use crate::error::Result;
use holter_journal::Step;

/// How many points can be read in the time of one search for a row.
const POINTS_PER_SEARCH: u64 = 16;

/// A stored row: aggregates of all points of a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The first step of the block.
    pub(crate) start: Step,
    /// The buckets that have a point, ascending.
    pub(crate) buckets: Vec<Bucket>,
}

/// The stored points and rows of one series.
pub(crate) trait Source {
    /// An upper bound of the number of points.
    fn max_points(&self) -> u64;

    /// The valid rows of `level` whose blocks overlap these steps, ascending.
    fn rows(&self, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Row>>;

    /// Calls `visit` with the step, value and time of each point at these steps, ascending.
    fn points(&self, steps: RangeInclusive<Step>, visit: &mut dyn FnMut(Step, f64, i64)) -> Result<()>;
}

/// The buckets of `level` that overlap `steps` and have a point, ascending. They are whole: they include points outside
/// `steps`.
pub(crate) fn cover(source: &impl Source, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Bucket>> {
    let mut target = Target { level, buckets: Vec::new() };
    let steps = level.bucket_start(*steps.start())..=level.bucket_end(*steps.end());
    fill(source, Some(level), steps, &mut target)?;
    Ok(target.buckets)
}

/// Whether to search rows of `level` at these steps. With many blocks and few points there are hardly any rows, and
/// reading the points is faster.
pub(crate) fn has_rows(source: &impl Source, level: Level, steps: &RangeInclusive<Step>) -> bool {
    level.num_blocks(steps).saturating_mul(POINTS_PER_SEARCH) <= source.max_points()
}

/// The buckets found so far.
struct Target {
    level: Level,
    buckets: Vec<Bucket>,
}

impl Target {
    /// The bucket of `step`, if it has a point already.
    fn open(&mut self, step: Step) -> Option<&mut Bucket> {
        let start = self.level.bucket_start(step);
        self.buckets.last_mut().filter(|last| last.last_step >= start)
    }

    fn add(&mut self, step: Step, value: f64, time_micros: i64) {
        match self.open(step) {
            Some(bucket) => bucket.add(step, value, time_micros),
            None => self.buckets.push(Bucket::of(step, value, time_micros)),
        }
    }

    fn merge(&mut self, finer: &Bucket) {
        match self.open(finer.last_step) {
            Some(bucket) => bucket.merge(finer),
            None => self.buckets.push(*finer),
        }
    }
}

/// Adds the points at `steps`: from the rows of `level`, from finer rows between them, and from points where there is no
/// finer level.
fn fill(source: &impl Source, level: Option<Level>, steps: RangeInclusive<Step>, target: &mut Target) -> Result<()> {
    let Some(level) = level.filter(|level| has_rows(source, *level, &steps)) else {
        return source.points(steps, &mut |step, value, time_micros| target.add(step, value, time_micros));
    };
    let mut next = *steps.start();
    for row in source.rows(level, &steps)? {
        if row.start > next {
            fill(source, level.finer(), next..=row.start - 1, target)?;
        }
        for bucket in row.buckets.iter().filter(|bucket| steps.contains(&bucket.last_step)) {
            target.merge(bucket);
        }
        let end = level.block_end(row.start);
        if end >= *steps.end() {
            return Ok(());
        }
        next = end + 1;
    }
    fill(source, level.finer(), next..=*steps.end(), target)
}
