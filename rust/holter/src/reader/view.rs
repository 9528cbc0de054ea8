//! What a run holds at one moment: what its truth has, and over it what only the journal has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::SeriesFacts;
use super::database::Database;
use super::glob;
use super::pending::{Pending, merged};
use crate::error::Result;
use crate::parts::{self, Columns, Part, SeriesMerge};
use crate::point::Step;

pub(super) const ALL_STEPS: RangeInclusive<Step> = Step::MIN..=Step::MAX;

/// What the truth has.
pub(super) enum Committed<'a> {
    Nothing,
    Database(&'a Database),
    Parts(&'a [Part]),
}

/// A run at one moment.
pub(crate) struct View<'a> {
    pub(super) committed: Committed<'a>,
    pub(super) pending: &'a Pending,
    /// Which of the pending points the truth has.
    pub(super) cursor: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(committed: Committed<'a>, pending: &'a Pending, cursor: u64) -> Self {
        Self { committed, pending, cursor }
    }

    /// The names that match `pattern`, ascending.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = self.committed.names()?.into_iter().collect();
        for name in self.pending.names(self.cursor) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().filter(|name| glob::matches(pattern, name)).collect())
    }

    /// The facts of the series that match `pattern`, by name.
    pub(crate) fn facts(&self, pattern: &str) -> Result<Vec<SeriesFacts>> {
        let committed = self.committed.facts()?.into_iter().filter(|facts| glob::matches(pattern, &facts.name));
        let mut all: BTreeMap<String, SeriesFacts> = committed.map(|facts| (facts.name.clone(), facts)).collect();
        for name in self.pending.names(self.cursor).filter(|name| glob::matches(pattern, name)) {
            let Some(newer) = self.pending.points(name, self.cursor, &ALL_STEPS) else { continue };
            match all.get_mut(name) {
                Some(facts) => {
                    let known = facts.first_step..=facts.last_step;
                    let replaced: Vec<Step> = newer.steps.iter().copied().filter(|s| known.contains(s)).collect();
                    let replaced = self.committed.values_at(name, &replaced)?;
                    facts.count -= replaced.len() as u64;
                    facts.nonfinite_count -= count_nonfinite(&replaced);
                    facts.add(&newer);
                }
                None => all.extend(SeriesFacts::of(name, &newer).map(|facts| (name.to_owned(), facts))),
            }
        }
        Ok(all.into_values().collect())
    }

    /// The points of `name` at these steps, `None` if there is no such series.
    pub(crate) fn points(&self, name: &str, steps: &RangeInclusive<Step>) -> Result<Option<Columns>> {
        let older = self.committed.points(name, steps, usize::MAX)?;
        Ok(self.with_pending(older, name, steps, usize::MAX))
    }

    /// Reads series after series, in the order of their names, the first of them `name`.
    pub(crate) fn in_order(&self, name: &str) -> Result<InOrder<'_>> {
        let merge = match self.committed {
            Committed::Parts(parts) => Some(SeriesMerge::new(parts, name)?),
            _ => None,
        };
        Ok(InOrder { view: self, merge })
    }

    fn with_pending(
        &self,
        older: Option<Columns>,
        name: &str,
        steps: &RangeInclusive<Step>,
        limit: usize,
    ) -> Option<Columns> {
        let newer = match &older {
            // Behind the last of them the truth may have more.
            Some(older) if older.len() >= limit => {
                let last = older.steps.last().copied().unwrap_or(*steps.end());
                self.pending.points(name, self.cursor, &(*steps.start()..=last))
            }
            _ => self.pending.points(name, self.cursor, steps),
        };
        match (older, newer) {
            (Some(older), Some(newer)) => Some(merged(older, newer)),
            (older, newer) => older.or(newer),
        }
    }
}

/// Reads series after series, faster than one by one.
pub(crate) struct InOrder<'a> {
    view: &'a View<'a>,
    /// Where the parts are read, if it is them.
    merge: Option<SeriesMerge<'a>>,
}

impl InOrder<'_> {
    /// The points of `name` from step `start` on. No name may come before one that was asked for before.
    ///
    /// There may be more than `limit`. If there are not fewer, then more may follow them.
    pub(crate) fn points(&mut self, name: &str, start: Step, limit: usize) -> Result<Columns> {
        let steps = start..=Step::MAX;
        let older = match &mut self.merge {
            Some(merge) => {
                let mut all = Columns::default();
                merge.seek(name)?;
                while merge.is_at(name)
                    && let Some((_, stretch)) = merge.next_stretch()?
                {
                    let first = stretch.steps.partition_point(|&step| step < start);
                    all.extend_from(stretch, first..stretch.len());
                }
                Some(all)
            }
            None => self.view.committed.points(name, &steps, limit)?,
        };
        Ok(self.view.with_pending(older, name, &steps, limit).unwrap_or_default())
    }
}

impl Committed<'_> {
    fn names(&self) -> Result<Vec<String>> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Database(database) => database.names(),
            Self::Parts(parts) => Ok(parts::names(parts)?.into_iter().collect()),
        }
    }

    fn facts(&self) -> Result<Vec<SeriesFacts>> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Database(database) => database.facts(),
            Self::Parts(parts) => {
                let mut all: Vec<SeriesFacts> = Vec::new();
                // A long series comes in several stretches, one after the other.
                parts::for_each_series(parts, |name, stretch| {
                    match all.last_mut() {
                        Some(facts) if facts.name == name => facts.add(stretch),
                        _ => all.extend(SeriesFacts::of(name, stretch)),
                    }
                    Ok(())
                })?;
                Ok(all)
            }
        }
    }

    /// As [`InOrder::points`].
    fn points(&self, name: &str, steps: &RangeInclusive<Step>, limit: usize) -> Result<Option<Columns>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Database(database) => database.points(name, steps, limit),
            Self::Parts(parts) => {
                let found = parts::read_series(parts, name, steps.clone())?;
                if !found.is_empty() || parts::names(parts)?.contains(name) { Ok(Some(found)) } else { Ok(None) }
            }
        }
    }

    fn values_at(&self, name: &str, steps: &[Step]) -> Result<Vec<f64>> {
        match (self, steps) {
            (Self::Nothing, _) | (_, []) => Ok(Vec::new()),
            (Self::Database(database), _) => database.values_at(name, steps),
            (Self::Parts(parts), [first, ..]) => {
                let last = steps.last().unwrap_or(first);
                let found = parts::read_series(parts, name, *first..=*last)?;
                let at = |step| found.steps.binary_search(step).ok().map(|i| found.values[i]);
                Ok(steps.iter().filter_map(at).collect())
            }
        }
    }
}

impl SeriesFacts {
    /// The facts of a series with these points, if there are any.
    fn of(name: &str, points: &Columns) -> Option<Self> {
        let mut facts = Self {
            name: name.to_owned(),
            count: 0,
            nonfinite_count: 0,
            first_step: *points.steps.first()?,
            last_step: *points.steps.first()?,
            last_value: 0.0,
        };
        facts.add(points);
        Some(facts)
    }

    /// Adds newer points, of steps that are not counted yet.
    fn add(&mut self, points: &Columns) {
        let (Some(&first), Some(&last)) = (points.steps.first(), points.steps.last()) else { return };
        self.count += points.len() as u64;
        self.nonfinite_count += count_nonfinite(&points.values);
        self.first_step = self.first_step.min(first);
        if last >= self.last_step {
            self.last_step = last;
            self.last_value = points.values[points.len() - 1];
        }
    }
}

fn count_nonfinite(values: &[f64]) -> u64 {
    values.iter().filter(|value| !value.is_finite()).count() as u64
}
