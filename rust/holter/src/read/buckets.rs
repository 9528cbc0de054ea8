//! Series in buckets of steps: few numbers for many points, and yet no extreme is lost.
//!
//! From the rollups of the database where there are such, else from the points: a bucket is what its points
//! come to, whichever way. Points that only the journal has are in it; a row that one of them belongs to
//! is left out.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use super::committed::Committed;
use super::database::Database;
use super::pending::merged;
use super::run::Reader;
use super::view::{ALL_STEPS, View};
use crate::error::{Error, Result};
use crate::points::Columns;
use crate::rollup::{Bucket, Level, Row, Source, cover, has_rows};
use crate::store::parquet::parts::{self, Part};
use holter_journal::Step;

/// Which series to read.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// These, in this order.
    Exact(&'a [String]),
    /// Those that match this pattern, in the order of their names.
    Matching(&'a str),
}

/// One series in buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesBuckets {
    /// The series' name.
    pub name: String,
    /// The buckets that have a point, ascending.
    pub buckets: Vec<Bucket>,
}

/// What is wanted of each series.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    /// Steps from the first of these to the last; `None` if there is no step between them.
    window: Option<&'a RangeInclusive<Step>>,
    /// Buckets of this many steps; `None` for the narrowest of which there are not many more than `max_buckets`.
    width: Option<i64>,
    max_buckets: usize,
}

impl Reader {
    /// Series in buckets of one width, which is returned with them: those that cover one of the steps
    /// `start <= step < stop`, and have a point.
    ///
    /// A width is 1, where each point is a bucket, or that of a [`Level`]. With `None` it is 1 if no series
    /// has more than `max_buckets` points at these steps, else the smallest of which it takes at most `max_buckets` to
    /// get from the first of all their points there to the last. Buckets wider than 1 are whole: those at the ends
    /// have the points beyond `start` and `stop` as well.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`] if no series has one of the exact names, [`Error::InvalidWidth`], or as
    /// [`Reader::names`].
    pub fn buckets(
        &self,
        names: Names<'_>,
        width: Option<i64>,
        max_buckets: usize,
        start: Option<Step>,
        stop: Option<Step>,
    ) -> Result<(i64, Vec<SeriesBuckets>)> {
        if let Some(width) = width.filter(|&width| width != 1 && Level::of_width(width).is_none()) {
            return Err(Error::InvalidWidth(width));
        }
        let start = start.unwrap_or(Step::MIN);
        let window = match stop {
            Some(stop) => stop.checked_sub(1).map(|last| start..=last),
            None => Some(start..=Step::MAX),
        };
        let window = window.filter(|window| !window.is_empty());
        self.view(|view| view.buckets(names, Wanted { window: window.as_ref(), width, max_buckets }))
    }
}

impl View<'_> {
    fn buckets(&self, names: Names<'_>, wanted: Wanted<'_>) -> Result<(i64, Vec<SeriesBuckets>)> {
        let names = match names {
            Names::Exact(names) => names.to_vec(),
            Names::Matching(pattern) => self.names(pattern)?,
        };
        let mut all: Vec<OneSeries<'_>> = self.each(&names)?;
        let Some(window) = wanted.window else {
            let none = |name| SeriesBuckets { name, buckets: Vec::new() };
            return Ok((wanted.width.unwrap_or(1), names.into_iter().map(none).collect()));
        };
        let width = wanted.width.map_or_else(|| narrowest(&all, window, wanted.max_buckets), Ok)?;
        if let (Committed::Database(database), Some(level)) = (&self.committed, Level::of_width(width)) {
            read_ahead(&mut all, database, level, window)?;
        }
        let buckets: Vec<_> = all.iter().map(|series| series.buckets(width, window)).collect::<Result<_>>()?;
        let found = names.into_iter().zip(buckets).map(|(name, buckets)| SeriesBuckets { name, buckets });
        Ok((width, found.collect()))
    }

    /// What there is of each of these series.
    fn each<'a>(&'a self, names: &'a [String]) -> Result<Vec<OneSeries<'a>>> {
        let in_parts = match self.committed {
            Committed::Parts(parts) => parts::names(parts)?,
            _ => BTreeSet::new(),
        };
        let find = |name: &'a String| {
            let pending = self.pending.points(name, self.cursor, &ALL_STEPS);
            let committed = match self.committed {
                Committed::Nothing => None,
                Committed::Database(database) => {
                    database.extent(name)?.map(|(id, count, steps)| Origin::Database { database, id, count, steps })
                }
                Committed::Parts(parts) => in_parts.contains(name).then_some(Origin::Parts { parts, name }),
            };
            if pending.is_none() && committed.is_none() {
                return Err(Error::NoSeries(name.clone()));
            }
            Ok(OneSeries { committed, pending: pending.unwrap_or_default(), ahead: None })
        };
        names.iter().map(find).collect()
    }
}

/// The width of [`Reader::buckets`].
fn narrowest(all: &[OneSeries<'_>], window: &RangeInclusive<Step>, max_buckets: usize) -> Result<i64> {
    let mut is_many = false;
    let mut steps: Option<RangeInclusive<Step>> = None;
    for series in all {
        let Some(own) = series.steps_within(window)? else { continue };
        is_many = is_many || series.has_more(&own, max_buckets)?;
        steps = Some(either(steps, own));
    }
    Ok(match steps {
        Some(steps) if is_many => Level::for_span(span(&steps), max_buckets).width(),
        _ => 1,
    })
}

/// Reads the rows of `level` for all series at once where they lie side by side: they are then found in a fraction of
/// the time that it takes to search each.
fn read_ahead(
    all: &mut [OneSeries<'_>],
    database: &Database,
    level: Level,
    window: &RangeInclusive<Step>,
) -> Result<()> {
    /// So many neighbours are passed over in the time that one row is searched.
    const NEIGHBOURS_PER_SEARCH: u64 = 8;
    let mut ids = Vec::new();
    let mut num_blocks: u64 = 0;
    let mut steps: Option<RangeInclusive<Step>> = None;
    for series in all.iter() {
        let Some(own) = series.whole_buckets(level, window).filter(|own| has_rows(series, level, own)) else {
            continue;
        };
        ids.extend(series.id());
        num_blocks = num_blocks.saturating_add(level.num_blocks(&own));
        steps = Some(either(steps, own));
    }
    let (Some(steps), Some(first), Some(last)) = (steps, ids.iter().min(), ids.iter().max()) else { return Ok(()) };
    let are_neighbours = last.abs_diff(*first) < NEIGHBOURS_PER_SEARCH * ids.len() as u64;
    // Series may be far apart in their steps as well, with nothing between them.
    if !are_neighbours || level.num_blocks(&steps) > num_blocks {
        return Ok(());
    }
    let mut found = database.rollups(&ids, level, &steps)?;
    for series in all {
        let rows = series.id().and_then(|id| found.remove(&id));
        series.ahead = rows.map(|rows| Ahead { level, rows });
    }
    Ok(())
}

/// From the first of these steps to the last.
fn either(steps: Option<RangeInclusive<Step>>, others: RangeInclusive<Step>) -> RangeInclusive<Step> {
    match steps {
        Some(steps) => *steps.start().min(others.start())..=*steps.end().max(others.end()),
        None => others,
    }
}

/// How many steps there are.
fn span(steps: &RangeInclusive<Step>) -> u128 {
    (i128::from(*steps.end()) - i128::from(*steps.start()) + 1) as u128
}

/// Whether so many points, the first and the last of which are at the ends of these steps, are one at each of them.
fn is_dense(count: u64, steps: &RangeInclusive<Step>) -> bool {
    span(steps) == u128::from(count)
}

/// The steps that are in both; `None` if there are none.
fn overlap(one: &RangeInclusive<Step>, other: &RangeInclusive<Step>) -> Option<RangeInclusive<Step>> {
    let both = *one.start().max(other.start())..=*one.end().min(other.end());
    (!both.is_empty()).then_some(both)
}

fn is_within(inner: &RangeInclusive<Step>, outer: &RangeInclusive<Step>) -> bool {
    outer.start() <= inner.start() && inner.end() <= outer.end()
}

/// One series as it is at one moment.
struct OneSeries<'a> {
    committed: Option<Origin<'a>>,
    /// Over what is committed: all points that only the journal has.
    pending: Columns,
    ahead: Option<Ahead>,
}

/// All rows of one level that a series has in the window.
struct Ahead {
    level: Level,
    rows: Vec<Row>,
}

/// Where the committed points of a series are.
enum Origin<'a> {
    Database { database: &'a Database, id: i64, count: u64, steps: RangeInclusive<Step> },
    Parts { parts: &'a [Part], name: &'a str },
}

impl OneSeries<'_> {
    /// The first and the last step with a point in the window, `None` if there is none.
    fn steps_within(&self, window: &RangeInclusive<Step>) -> Result<Option<RangeInclusive<Step>>> {
        let pending = &self.pending.steps[self.pending(window)];
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
    fn has_more(&self, steps: &RangeInclusive<Step>, max: usize) -> Result<bool> {
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

    /// The series' id in the database.
    fn id(&self) -> Option<i64> {
        match &self.committed {
            Some(Origin::Database { id, .. }) => Some(*id),
            _ => None,
        }
    }

    /// Those steps of the buckets at the window that there may be points at; `None` if there are none.
    fn whole_buckets(&self, level: Level, window: &RangeInclusive<Step>) -> Option<RangeInclusive<Step>> {
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
    fn buckets(&self, width: i64, window: &RangeInclusive<Step>) -> Result<Vec<Bucket>> {
        if let Some(level) = Level::of_width(width) {
            let steps = self.whole_buckets(level, window);
            return steps.map_or_else(|| Ok(Vec::new()), |steps| cover(self, level, &steps));
        }
        let mut buckets = Vec::new();
        self.points(window.clone(), &mut |step, value, time| buckets.push(Bucket::of(step, value, time)))?;
        Ok(buckets)
    }

    /// The pending points at these steps.
    fn pending(&self, steps: &RangeInclusive<Step>) -> Range<usize> {
        let start = self.pending.steps.partition_point(|step| step < steps.start());
        let end = self.pending.steps.partition_point(|step| step <= steps.end());
        start..end.max(start)
    }
}

impl Source for OneSeries<'_> {
    fn max_points(&self) -> u64 {
        match &self.committed {
            Some(Origin::Database { count, .. }) => count.saturating_add(self.pending.len() as u64),
            _ => 0, // There are no rows to look for.
        }
    }

    fn rows(&self, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Row>> {
        let Some(Origin::Database { database, id, .. }) = &self.committed else { return Ok(Vec::new()) };
        let mut rows = match &self.ahead {
            Some(ahead) if ahead.level == level => {
                let is_within = |row: &&Row| level.block_end(row.start) >= *steps.start() && row.start <= *steps.end();
                ahead.rows.iter().filter(is_within).cloned().collect()
            }
            _ => database.rollups(&[*id], level, steps)?.remove(id).unwrap_or_default(),
        };
        if !self.pending.is_empty() {
            rows.retain(|row| self.pending(&(row.start..=level.block_end(row.start))).is_empty());
        }
        Ok(rows)
    }

    fn points(&self, steps: RangeInclusive<Step>, visit: &mut dyn FnMut(Step, f64, i64)) -> Result<()> {
        let newer = self.pending(&steps);
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
