//! A consistent snapshot of one series: its committed points, overlaid with its pending points.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use holter_journal::Step;

use super::committed::Committed;
use super::database::Database;
use super::pending::merged;
use crate::error::Result;
use crate::points::Columns;
use crate::rollup::{Bucket, Level, Row, Source, cover};
use crate::store::parquet::parts::{self, Part};

/// A snapshot of one series.
pub(super) struct OneSeries<'a> {
    committed: Option<Origin<'a>>,
    /// The points that are only in the journal.
    pending: Columns,
    preloaded: Option<PreloadedRows>,
}

/// All rows of one level that a series has in the window.
struct PreloadedRows {
    level: Level,
    rows: Vec<Row>,
}

/// The source of the committed points of a series.
enum Origin<'a> {
    Database { database: &'a Database, id: i64, count: u64, steps: RangeInclusive<Step> },
    Parts { parts: &'a [Part], name: &'a str },
}

impl<'a> OneSeries<'a> {
    /// Creates a snapshot of the series `name` with these pending points. The series may not exist.
    pub(super) fn new(committed: &Committed<'a>, name: &'a str, pending: Columns) -> Result<Self> {
        let in_parts = names_in_parts(committed)?;
        Self::with_names(committed, &in_parts, name, pending)
    }

    /// Like [`OneSeries::new`], with the names in the parts given.
    pub(super) fn with_names(
        committed: &Committed<'a>,
        in_parts: &BTreeSet<String>,
        name: &'a str,
        pending: Columns,
    ) -> Result<Self> {
        let committed = match *committed {
            Committed::Nothing => None,
            Committed::Database(database) => {
                database.extent(name)?.map(|(id, count, steps)| Origin::Database { database, id, count, steps })
            }
            Committed::Parts(parts) => in_parts.contains(name).then_some(Origin::Parts { parts, name }),
        };
        Ok(Self { committed, pending, preloaded: None })
    }

    /// Whether the series has committed points.
    pub(super) fn is_committed(&self) -> bool {
        self.committed.is_some()
    }

    /// The id in the database.
    pub(super) fn id(&self) -> Option<i64> {
        match &self.committed {
            Some(Origin::Database { id, .. }) => Some(*id),
            _ => None,
        }
    }

    /// Caches all rows of `level` in the window, so that they are not looked up again.
    pub(super) fn preload(&mut self, level: Level, rows: Vec<Row>) {
        self.preloaded = Some(PreloadedRows { level, rows });
    }

    /// The first and the last step with a point in the window; `None` if the window has no points.
    pub(super) fn steps_within(&self, window: &RangeInclusive<Step>) -> Result<Option<RangeInclusive<Step>>> {
        let pending = &self.pending.steps[self.pending_at(window)];
        let committed = match &self.committed {
            Some(Origin::Database { steps, .. }) if is_within(steps, window) => Some(steps.clone()),
            Some(Origin::Database { count, steps, .. }) if is_dense(*count, steps) => overlap(steps, window),
            Some(Origin::Database { database, id, .. }) => database.steps_within(*id, window)?,
            Some(Origin::Parts { .. }) => {
                let mut found: Option<RangeInclusive<Step>> = None;
                self.points(window.clone(), &mut |step, _, _| {
                    found = Some(found.as_ref().map_or(step, |found| *found.start())..=step);
                })?;
                return Ok(found);
            }
            None => None,
        };
        let first = committed.as_ref().map(|steps| *steps.start()).into_iter().chain(pending.first().copied()).min();
        let last = committed.as_ref().map(|steps| *steps.end()).into_iter().chain(pending.last().copied()).max();
        Ok(first.zip(last).map(|(first, last)| first..=last))
    }

    /// Whether there are more than `max` points at these steps.
    pub(super) fn has_more(&self, steps: &RangeInclusive<Step>, max: usize) -> Result<bool> {
        if span(steps) <= max as u128 {
            return Ok(false);
        }
        if let Some(Origin::Database { database, id, count, steps: known }) = &self.committed {
            let (count, num_pending) = (*count as usize, self.pending.len());
            if count.saturating_add(num_pending) <= max || (count > max && is_within(known, steps)) {
                return Ok(count > max);
            }
            let num_committed = if is_dense(count as u64, known) {
                overlap(known, steps).map_or(0, |steps| usize::try_from(span(&steps)).unwrap_or(usize::MAX))
            } else {
                database.count(*id, steps, max.saturating_add(1))?
            };
            if num_committed > max || num_committed + num_pending <= max {
                return Ok(num_committed > max);
            }
        }
        let mut count = 0;
        self.points(steps.clone(), &mut |_, _, _| count += 1)?;
        Ok(count > max)
    }

    /// The steps of the complete buckets that overlap the window, limited to the range of the points; `None` if empty.
    pub(super) fn whole_buckets(&self, level: Level, window: &RangeInclusive<Step>) -> Option<RangeInclusive<Step>> {
        let whole = level.bucket_start(*window.start())..=level.bucket_end(*window.end());
        match &self.committed {
            Some(Origin::Database { steps: known, .. }) => {
                let first = self.pending.steps.first().unwrap_or(known.start()).min(known.start());
                let last = self.pending.steps.last().unwrap_or(known.end()).max(known.end());
                overlap(&whole, &(*first..=*last))
            }
            _ => Some(whole),
        }
    }

    /// The buckets of this width with a point in the window.
    pub(super) fn buckets(&self, width: i64, window: &RangeInclusive<Step>) -> Result<Vec<Bucket>> {
        if let Some(level) = Level::of_width(width) {
            let steps = self.whole_buckets(level, window);
            return steps.map_or_else(|| Ok(Vec::new()), |steps| cover(self, level, &steps));
        }
        let mut buckets = Vec::new();
        self.points(window.clone(), &mut |step, value, time| buckets.push(Bucket::of(step, value, time)))?;
        Ok(buckets)
    }

    /// The indices of the pending points at these steps.
    fn pending_at(&self, steps: &RangeInclusive<Step>) -> Range<usize> {
        let start = self.pending.steps.partition_point(|step| step < steps.start());
        let end = self.pending.steps.partition_point(|step| step <= steps.end());
        start..end.max(start)
    }
}

impl Source for OneSeries<'_> {
    fn max_points(&self) -> u64 {
        match &self.committed {
            Some(Origin::Database { count, .. }) => count.saturating_add(self.pending.len() as u64),
            _ => 0, // Without a database there are no rows.
        }
    }

    fn rows(&self, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Row>> {
        let Some(Origin::Database { database, id, .. }) = &self.committed else { return Ok(Vec::new()) };
        let mut rows = match &self.preloaded {
            Some(preloaded) if preloaded.level == level => {
                let is_within = |row: &&Row| level.block_end(row.start) >= *steps.start() && row.start <= *steps.end();
                preloaded.rows.iter().filter(is_within).cloned().collect()
            }
            _ => database.rollups(&[*id], level, steps)?.remove(id).unwrap_or_default(),
        };
        if !self.pending.is_empty() {
            rows.retain(|row| self.pending_at(&(row.start..=level.block_end(row.start))).is_empty());
        }
        Ok(rows)
    }

    fn points(&self, steps: RangeInclusive<Step>, visit: &mut dyn FnMut(Step, f64, i64)) -> Result<()> {
        let newer = self.pending_at(&steps);
        let mut older = Columns::default();
        match &self.committed {
            Some(Origin::Database { database, id, .. }) if newer.is_empty() => {
                return database.visit(*id, &steps, visit);
            }
            Some(Origin::Database { database, id, .. }) => {
                database.visit(*id, &steps, &mut |step, value, time| older.push(step, value, time))?;
            }
            Some(Origin::Parts { parts, name }) => older = parts::read_series(parts, name, steps)?,
            None => {}
        }
        let mut pending = Columns::default();
        pending.extend_from(&self.pending, newer);
        let all = merged(older, pending);
        for i in 0..all.len() {
            visit(all.steps[i], all.values[i], all.times_micros[i]);
        }
        Ok(())
    }
}

/// The names in the parts; empty if the points are not in parts.
pub(super) fn names_in_parts(committed: &Committed<'_>) -> Result<BTreeSet<String>> {
    match committed {
        Committed::Parts(parts) => parts::names(parts),
        _ => Ok(BTreeSet::new()),
    }
}

/// The number of steps in a range.
pub(super) fn span(steps: &RangeInclusive<Step>) -> u128 {
    (i128::from(*steps.end()) - i128::from(*steps.start()) + 1) as u128
}

/// Whether `count` points whose first and last steps are the ends of this range fill it completely.
fn is_dense(count: u64, steps: &RangeInclusive<Step>) -> bool {
    span(steps) == u128::from(count)
}

/// The intersection of two ranges; `None` if it is empty.
fn overlap(one: &RangeInclusive<Step>, other: &RangeInclusive<Step>) -> Option<RangeInclusive<Step>> {
    let both = *one.start().max(other.start())..=*one.end().min(other.end());
    (!both.is_empty()).then_some(both)
}

fn is_within(inner: &RangeInclusive<Step>, outer: &RangeInclusive<Step>) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}
