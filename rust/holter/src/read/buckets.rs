//! Series aggregated in buckets of steps, which keep the extremes.
//!
//! Buckets come from the rollups of the database if they exist, and from the points otherwise, with the same result.
//! Points in the journal are included: a rollup row that overlaps such a point is not used.

use std::ops::RangeInclusive;

use holter_journal::Step;

use super::committed::Committed;
use super::database::Database;
use super::one_series::{OneSeries, names_in_parts, span};
use super::run::Reader;
use super::view::{ALL_STEPS, View};
use crate::error::{Error, Result};
use crate::rollup::{Bucket, Level, has_rows};

/// Which series to read.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// These series, in this order.
    Exact(&'a [String]),
    /// The series that match this pattern, in the order of their names.
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

/// Which buckets to read.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    /// The range of steps; `None` if it is empty.
    window: Option<&'a RangeInclusive<Step>>,
    /// The width in steps; `None` for the narrowest width that gives about `max_buckets` buckets.
    width: Option<i64>,
    max_buckets: usize,
}

impl Reader {
    /// Reads series in buckets of equal width. Returns the width and the buckets that overlap `start <= step < stop`
    /// and have a point.
    ///
    /// The width is 1, where each point is a bucket, or the width of a [`Level`]. With `None` it is 1 if no series
    /// has more than `max_buckets` points at these steps, and otherwise the smallest width at which `max_buckets`
    /// buckets span the steps from the first to the last of all these points. Buckets wider than 1 are complete: the
    /// outermost buckets include points before `start` and after `stop`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`] if an exact name does not exist, [`Error::InvalidWidth`], or the errors of
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
        self.view(|view| view.buckets(names, Request { window: window.as_ref(), width, max_buckets }))
    }
}

impl View<'_> {
    fn buckets(&self, names: Names<'_>, request: Request<'_>) -> Result<(i64, Vec<SeriesBuckets>)> {
        let names = match names {
            Names::Exact(names) => names.to_vec(),
            Names::Matching(pattern) => self.names(pattern)?,
        };
        let mut all: Vec<OneSeries<'_>> = self.each(&names)?;
        let Some(window) = request.window else {
            let empty = |name| SeriesBuckets { name, buckets: Vec::new() };
            return Ok((request.width.unwrap_or(1), names.into_iter().map(empty).collect()));
        };
        let width = request.width.map_or_else(|| narrowest(&all, window, request.max_buckets), Ok)?;
        if let (Committed::Database(database), Some(level)) = (&self.committed, Level::of_width(width)) {
            preload(&mut all, database, level, window)?;
        }
        let buckets: Vec<_> = all.iter().map(|series| series.buckets(width, window)).collect::<Result<_>>()?;
        let found = names.into_iter().zip(buckets).map(|(name, buckets)| SeriesBuckets { name, buckets });
        Ok((width, found.collect()))
    }

    /// These series. Each must exist.
    fn each<'a>(&'a self, names: &'a [String]) -> Result<Vec<OneSeries<'a>>> {
        let in_parts = names_in_parts(&self.committed)?;
        let find = |name: &'a String| {
            let pending = self.pending.points(name, self.cursor, &ALL_STEPS);
            let is_pending = pending.is_some();
            let series = OneSeries::with_names(&self.committed, &in_parts, name, pending.unwrap_or_default())?;
            if is_pending || series.is_committed() { Ok(series) } else { Err(Error::NoSeries(name.clone())) }
        };
        names.iter().map(find).collect()
    }
}

/// The default width of [`Reader::buckets`].
fn narrowest(all: &[OneSeries<'_>], window: &RangeInclusive<Step>, max_buckets: usize) -> Result<i64> {
    let mut is_many = false;
    let mut steps: Option<RangeInclusive<Step>> = None;
    for series in all {
        let Some(own) = series.steps_within(window)? else { continue };
        is_many = is_many || series.has_more(&own, max_buckets)?;
        steps = Some(union(steps, own));
    }
    Ok(match steps {
        Some(steps) if is_many => Level::for_span(span(&steps), max_buckets).width(),
        _ => 1,
    })
}

/// Reads the rows of `level` for all series in one scan if they are adjacent in the table, which is several times
/// faster than a lookup of each row.
fn preload(all: &mut [OneSeries<'_>], database: &Database, level: Level, window: &RangeInclusive<Step>) -> Result<()> {
    /// The number of rows that a scan reads in the time of one lookup.
    const ROWS_PER_LOOKUP: u64 = 8;
    let mut ids = Vec::new();
    let mut num_blocks: u64 = 0;
    let mut steps: Option<RangeInclusive<Step>> = None;
    for series in all.iter() {
        let Some(own) = series.whole_buckets(level, window).filter(|own| has_rows(series, level, own)) else {
            continue;
        };
        ids.extend(series.id());
        num_blocks = num_blocks.saturating_add(level.num_blocks(&own));
        steps = Some(union(steps, own));
    }
    let (Some(steps), Some(first), Some(last)) = (steps, ids.iter().min(), ids.iter().max()) else { return Ok(()) };
    let are_adjacent = last.abs_diff(*first) < ROWS_PER_LOOKUP * ids.len() as u64;
    // The steps of the series can also be far apart, with many blocks between them.
    if !are_adjacent || level.num_blocks(&steps) > num_blocks {
        return Ok(());
    }
    let mut found = database.rollups(&ids, level, &steps)?;
    for series in all {
        if let Some(rows) = series.id().and_then(|id| found.remove(&id)) {
            series.preload(level, rows);
        }
    }
    Ok(())
}

/// The range from the first to the last of these steps.
fn union(steps: Option<RangeInclusive<Step>>, others: RangeInclusive<Step>) -> RangeInclusive<Step> {
    match steps {
        Some(steps) => *steps.start().min(others.start())..=*steps.end().max(others.end()),
        None => others,
    }
}
