//! Series in buckets of steps: few numbers for many points, and yet no extreme is lost.
//!
//! From the rollups of the database where there are such, else from the points: a bucket is what its points
//! come to, whichever way. Points that only the journal has are in it; a row that one of them belongs to
//! is left out.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use super::Reader;
use super::database::Database;
use super::pending::merged;
use super::view::{ALL_STEPS, Committed, View};
use crate::error::{Error, Result};
use crate::parts::{self, Columns, Part};
use crate::point::Step;
use crate::rollup::{Bucket, Level, Row, Source, cover};

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
    /// Buckets of this many steps; `None` for the finest that are not more than `max_buckets`.
    width: Option<i64>,
    max_buckets: usize,
}

impl Reader {
    /// Series in buckets of one width, which is returned with them: those with a point at
    /// `start <= step < stop`.
    ///
    /// A width is 1, where each point is a bucket, or that of a [`Level`]. With `None` it is 1 if no series
    /// has more than `max_buckets` points there, else the smallest at which all of the steps that the series
    /// have there are at most `max_buckets` widths long. Buckets wider than 1 are whole: those at the ends
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
        let all: Vec<Stored<'_>> = self.stored(&names)?;
        let Some(window) = wanted.window else {
            let none = |name| SeriesBuckets { name, buckets: Vec::new() };
            return Ok((wanted.width.unwrap_or(1), names.into_iter().map(none).collect()));
        };
        let width = wanted.width.map_or_else(|| narrowest(&all, window, wanted.max_buckets), Ok)?;
        let buckets: Vec<_> = all.iter().map(|stored| stored.buckets(width, window)).collect::<Result<_>>()?;
        let series = names.into_iter().zip(buckets);
        Ok((width, series.map(|(name, buckets)| SeriesBuckets { name, buckets }).collect()))
    }

    /// What there is of each of these series.
    fn stored<'a>(&'a self, names: &'a [String]) -> Result<Vec<Stored<'a>>> {
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
            Ok(Stored { committed, pending: pending.unwrap_or_default() })
        };
        names.iter().map(find).collect()
    }
}

/// The width of [`Reader::buckets`].
fn narrowest(all: &[Stored<'_>], window: &RangeInclusive<Step>, max_buckets: usize) -> Result<i64> {
    let mut is_many = false;
    let mut steps: Option<RangeInclusive<Step>> = None;
    for stored in all {
        let Some((own, has_more)) = stored.extent(window, max_buckets)? else { continue };
        is_many |= has_more;
        steps = Some(match steps {
            Some(steps) => *steps.start().min(own.start())..=*steps.end().max(own.end()),
            None => own,
        });
    }
    Ok(match steps {
        Some(steps) if is_many => Level::for_span(span(&steps), max_buckets).width(),
        _ => 1,
    })
}

/// How many steps there are.
fn span(steps: &RangeInclusive<Step>) -> u128 {
    (i128::from(*steps.end()) - i128::from(*steps.start()) + 1) as u128
}

fn common(a: &RangeInclusive<Step>, b: &RangeInclusive<Step>) -> RangeInclusive<Step> {
    *a.start().max(b.start())..=*a.end().min(b.end())
}

/// One series as it is at one moment.
struct Stored<'a> {
    committed: Option<Origin<'a>>,
    /// Over what is committed: all points that only the journal has.
    pending: Columns,
}

/// Where the committed points of a series are.
enum Origin<'a> {
    Database { database: &'a Database, id: i64, count: u64, steps: RangeInclusive<Step> },
    Parts { parts: &'a [Part], name: &'a str },
}

impl Stored<'_> {
    /// Steps within the window that all of the points in it lie between, and whether these are more than
    /// `max`; `None` if there is no point.
    fn extent(&self, window: &RangeInclusive<Step>, max: usize) -> Result<Option<(RangeInclusive<Step>, bool)>> {
        let Some(Origin::Database { database, id, count, steps }) = &self.committed else {
            return self.counted(window, max);
        };
        let known = match (self.pending.steps.first(), self.pending.steps.last()) {
            (Some(first), Some(last)) => *steps.start().min(first)..=*steps.end().max(last),
            _ => steps.clone(),
        };
        let within = common(window, &known);
        if within.is_empty() {
            return Ok(None);
        }
        if span(&within) <= max as u128 || count + self.pending.len() as u64 <= max as u64 {
            return Ok(Some((within, false)));
        }
        if *count > max as u64 && within == known {
            return Ok(Some((within, true)));
        }
        let num_committed = database.count(*id, &within, max.saturating_add(1))?;
        if num_committed > max || num_committed + self.pending.len() <= max {
            return Ok(Some((within, num_committed > max)));
        }
        self.counted(window, max)
    }

    /// As [`Stored::extent`], by reading all points.
    fn counted(&self, window: &RangeInclusive<Step>, max: usize) -> Result<Option<(RangeInclusive<Step>, bool)>> {
        let (mut count, mut steps) = (0, None);
        self.points(window.clone(), &mut |step, _, _| {
            count += 1;
            steps = Some((steps.map_or(step, |(first, _)| first), step));
        })?;
        Ok(steps.map(|(first, last)| (first..=last, count > max)))
    }

    /// The buckets of this width with a point in the window.
    fn buckets(&self, width: i64, window: &RangeInclusive<Step>) -> Result<Vec<Bucket>> {
        if let Some(level) = Level::of_width(width) {
            return cover(self, level, window);
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

impl Source for Stored<'_> {
    fn rows(&self, level: Level, starts: RangeInclusive<Step>) -> Result<Vec<Row>> {
        let Some(Origin::Database { database, id, .. }) = &self.committed else { return Ok(Vec::new()) };
        let mut rows = database.rollups(*id, level, &starts)?;
        if !self.pending.is_empty() {
            rows.retain(|row| self.pending(&(row.start..=level.stretch_end(row.start))).is_empty());
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
