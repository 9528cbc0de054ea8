//! Aggregates the points of the blocks that a series has not moved past yet.

use std::ops::Range;

use crate::error::Result;
use crate::rollup::{Bucket, Level};
use crate::store::batch::SeriesPoints;
use holter_journal::Step;

/// If late points are fewer than this per block, the rows that they invalidate are not rebuilt, because that would cost
/// more than the points. Readers then read the points.
const LATE_POINTS_PER_BLOCK: usize = 8;

/// A block that the series has moved past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed<'a> {
    /// The level.
    pub(super) level: Level,
    /// The first step.
    pub(super) start: Step,
    /// The buckets that have a point; `None` if the block has stored points that were not aggregated here.
    pub(super) buckets: Option<&'a [Bucket]>,
}

/// The open block of each level, up to the coarsest with a completed bucket.
///
/// The memory is bounded: at most eight buckets per level that the steps span, and three levels for 100,000 steps.
#[derive(Clone, Debug)]
pub(super) struct OpenBlocks {
    /// The last step, while steps ascend.
    position: Option<Step>,
    /// Steps up to this one may be stored without having been aggregated here.
    unseen_until: Option<Step>,
    /// The buckets of the open block of each level; none if the block starts at or before `unseen_until`.
    levels: Vec<Vec<Bucket>>,
}

impl OpenBlocks {
    /// The state of a series whose stored points end at step `last`.
    pub(super) fn new(last: Option<Step>) -> Self {
        Self { position: last, unseen_until: last, levels: Vec::new() }
    }

    /// Adds points that are being stored, and calls `seal` with the completed blocks, finer ones first.
    ///
    /// `last` is the largest step that was stored before.
    pub(super) fn advance(
        &mut self,
        points: &SeriesPoints<'_>,
        last: Option<Step>,
        seal: &mut dyn FnMut(Sealed<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut next = self.turn_back(points.steps, last);
        while let Some(&step) = points.steps.get(next) {
            let bucket_end = Level::FINEST.bucket_end(step);
            let end = next + points.steps[next..].partition_point(|&step| step <= bucket_end);
            if let Some(position) = self.position {
                self.leave(position, step, seal)?;
            }
            if self.has_seen(Level::FINEST, step) {
                self.aggregate(points, next..end);
            }
            self.position = Some(points.steps[end - 1]);
            next = end;
        }
        Ok(())
    }

    /// Moves back to the first of these steps if it is at or before the position: after a resume from a checkpoint, or with
    /// concurrent producers. Returns the number of points to skip.
    fn turn_back(&mut self, steps: &[Step], last: Option<Step>) -> usize {
        let (Some(position), Some(&first)) = (self.position, steps.first()) else { return 0 };
        if first > position {
            return 0;
        }
        self.levels.clear();
        self.unseen_until = last;
        let late = &steps[..steps.partition_point(|&step| step <= position)];
        let blocks = late.chunk_by(|&a, &b| Level::FINEST.block_start(a) == Level::FINEST.block_start(b)).count();
        if blocks > 2 && late.len() < LATE_POINTS_PER_BLOCK * blocks {
            return late.len();
        }
        self.position = Some(first);
        0
    }

    fn has_seen(&self, level: Level, step: Step) -> bool {
        self.unseen_until.is_none_or(|unseen| level.block_start(step) > unseen)
    }

    /// Adds points of one bucket of the finest level.
    fn aggregate(&mut self, points: &SeriesPoints<'_>, mut range: Range<usize>) {
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        let open = &mut self.levels[0];
        let start = Level::FINEST.bucket_start(points.steps[range.start]);
        if open.last().is_none_or(|bucket| bucket.last_step < start)
            && let Some(i) = range.next()
        {
            open.push(Bucket::of(points.steps[i], points.values[i], points.times_micros[i]));
        }
        if let Some(bucket) = open.last_mut() {
            for i in range {
                bucket.add(points.steps[i], points.values[i], points.times_micros[i]);
            }
        }
    }

    /// Seals the blocks that contain `from` and not `to`.
    fn leave(&mut self, from: Step, to: Step, seal: &mut dyn FnMut(Sealed<'_>) -> Result<()>) -> Result<()> {
        for level in Level::all() {
            let start = level.block_start(from);
            if level.block_start(to) == start {
                break;
            }
            if !self.has_seen(level, from) {
                seal(Sealed { level, start, buckets: None })?;
                continue;
            }
            let index = level.number() as usize;
            let buckets = self.levels.get(index).map_or(&[][..], Vec::as_slice);
            seal(Sealed { level, start, buckets: Some(buckets) })?;
            let whole = buckets.iter().copied().reduce(|mut whole, bucket| {
                whole.merge(&bucket);
                whole
            });
            if let Some(open) = self.levels.get_mut(index) {
                open.clear();
            }
            if let (Some(coarser), Some(whole)) = (level.coarser(), whole)
                && self.has_seen(coarser, from)
            {
                let index = coarser.number() as usize;
                self.levels.resize_with(self.levels.len().max(index + 1), Vec::new);
                self.levels[index].push(whole);
            }
        }
        Ok(())
    }
}
