//! Answers a window from rows, and from the points where there are none.

use std::ops::RangeInclusive;

use super::bucket::Bucket;
use super::level::Level;
use crate::error::Result;
use holter_journal::Step;

/// As many points are read in the time that looking for a row takes.
const POINTS_PER_LOOK: u64 = 16;

/// A stored row: what all points of a block come to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The first step of the block.
    pub(crate) start: Step,
    /// Its buckets that have a point, ascending.
    pub(crate) buckets: Vec<Bucket>,
}

/// What is stored of one series.
pub(crate) trait Source {
    /// At least as many as there are points.
    fn max_points(&self) -> u64;

    /// The rows of `level` whose blocks have one of these steps, ascending. Rows that cannot be believed are
    /// left out.
    fn rows(&self, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Row>>;

    /// Calls `visit` with step, value and time of each point of these steps, ascending.
    fn points(&self, steps: RangeInclusive<Step>, visit: &mut dyn FnMut(Step, f64, i64)) -> Result<()>;
}

/// The buckets of `level` that have a point with one of `steps`, ascending. Whole buckets: the range is
/// taken to begin and to end with a bucket.
pub(crate) fn cover(source: &impl Source, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Bucket>> {
    let mut target = Target { level, buckets: Vec::new() };
    let steps = level.bucket_start(*steps.start())..=level.bucket_end(*steps.end());
    fill(source, Some(level), steps, &mut target)?;
    Ok(target.buckets)
}

/// Whether to look for rows of `level` at these steps: where blocks are many and points are few there are hardly any,
/// and none is needed.
pub(crate) fn has_rows(source: &impl Source, level: Level, steps: &RangeInclusive<Step>) -> bool {
    level.num_blocks(steps).saturating_mul(POINTS_PER_LOOK) <= source.max_points()
}

/// The buckets found so far.
struct Target {
    level: Level,
    buckets: Vec<Bucket>,
}

impl Target {
    /// The bucket that `step` belongs to, if it has a point already.
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

/// Adds what there is at `steps`: from the rows of `level` and from finer ones between them, or from the
/// points where there is no finer level.
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
