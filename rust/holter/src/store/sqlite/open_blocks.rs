//! Where a series is being written: gathers the points of the blocks that are not over yet.

use std::ops::Range;

use crate::error::Result;
use crate::rollup::{Bucket, Level};
use crate::store::batch::SeriesPoints;
use holter_journal::Step;

/// Late points that are fewer than this for each block they are in leave it to the readers to do without
/// the rows that they spoil: to build those anew would cost more than the points.
const LATE_POINTS_PER_BLOCK: usize = 8;

/// A block that the series has moved past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed<'a> {
    /// Of which level.
    pub(super) level: Level,
    /// Its first step.
    pub(super) start: Step,
    /// Its buckets that have a point. `None` where points of it are stored that were not seen here.
    pub(super) buckets: Option<&'a [Bucket]>,
}

/// The open block of each level, up to the coarsest that has a bucket which is over.
///
/// Bounded: at most eight buckets for each level that the steps span, three levels for 100,000 steps.
#[derive(Clone, Debug)]
pub(super) struct OpenBlocks {
    /// The step that was written last, going upwards.
    position: Option<Step>,
    /// Steps up to this one may be stored without having been seen here.
    unseen_until: Option<Step>,
    /// By level the buckets of the open block; none if the block begins at or before `unseen_until`.
    levels: Vec<Vec<Bucket>>,
}

impl OpenBlocks {
    /// Of a series whose stored points end with step `last`.
    pub(super) fn new(last: Option<Step>) -> Self {
        Self { position: last, unseen_until: last, levels: Vec::new() }
    }

    /// Takes points that are being stored and calls `seal` with the blocks that are over, the finer first.
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
                self.gather(points, next..end);
            }
            self.position = Some(points.steps[end - 1]);
            next = end;
        }
        Ok(())
    }

    /// Goes back to the first of these steps if it is behind the position: a run that goes on from a
    /// checkpoint, or producers that overtake each other. Returns how many points to leave out.
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
    fn gather(&mut self, points: &SeriesPoints<'_>, mut range: Range<usize>) {
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

    /// Seals the blocks that `from` is in and `to` is behind.
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
