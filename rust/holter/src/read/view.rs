//! A consistent view of a run: the content of the primary sink, overlaid with the points that are only in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use holter_journal::Step;

use super::committed::Committed;
use super::facts::{SeriesFacts, count_nonfinite};
use super::one_series::OneSeries;
use super::pending::{Pending, merged};
use crate::error::Result;
use crate::pattern;
use crate::points::Columns;
use crate::rollup;

pub(super) const ALL_STEPS: RangeInclusive<Step> = Step::MIN..=Step::MAX;

/// A consistent view of a run.
pub(super) struct View<'a> {
    pub(super) committed: Committed<'a>,
    pub(super) pending: &'a Pending,
    /// The sequence number up to which the primary sink contains the pending points.
    pub(super) cursor: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(committed: Committed<'a>, pending: &'a Pending, cursor: u64) -> Self {
        Self { committed, pending, cursor }
    }

    /// The names that match `pattern`, ascending.
    pub(super) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = self.committed.names()?.into_iter().collect();
        for name in self.pending.names(self.cursor) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().filter(|name| pattern::matches(pattern, name)).collect())
    }

    /// The facts of the series that match `pattern`, by name.
    pub(super) fn facts(&self, pattern: &str) -> Result<Vec<SeriesFacts>> {
        let committed = self.committed.facts()?.into_iter().filter(|facts| pattern::matches(pattern, &facts.name));
        let mut all: BTreeMap<String, SeriesFacts> = committed.map(|facts| (facts.name.clone(), facts)).collect();
        for name in self.pending.names(self.cursor).filter(|name| pattern::matches(pattern, name)) {
            let Some(newer) = self.pending.points(name, self.cursor, &ALL_STEPS) else { continue };
            match all.get_mut(name) {
                Some(facts) => self.add_pending(facts, newer)?,
                None => all.extend(SeriesFacts::of(name, &newer).map(|facts| (name.to_owned(), facts))),
            }
        }
        Ok(all.into_values().collect())
    }

    /// Adds pending points, which may replace committed ones.
    fn add_pending(&self, facts: &mut SeriesFacts, newer: Columns) -> Result<()> {
        let known = facts.first_step..=facts.last_step;
        let replaced: Vec<Step> = newer.steps.iter().copied().filter(|step| known.contains(step)).collect();
        let replaced = self.committed.values_at(&facts.name, &replaced)?;
        facts.count = facts.count.saturating_sub(replaced.len() as u64);
        facts.nonfinite_count = facts.nonfinite_count.saturating_sub(count_nonfinite(&replaced));
        let are_extremes_invalid = facts.extremes().are_lost(&newer.steps, &newer.values);
        facts.add(&newer);
        if are_extremes_invalid {
            let steps = facts.first_step..=facts.last_step;
            let series = OneSeries::new(&self.committed, &facts.name, newer)?;
            facts.set_extremes(rollup::extremes(&series, &steps)?);
        }
        Ok(())
    }

    /// The points of `name` at these steps; `None` if the series does not exist.
    pub(super) fn points(&self, name: &str, steps: &RangeInclusive<Step>) -> Result<Option<Columns>> {
        let older = self.committed.points(name, steps, usize::MAX)?;
        Ok(self.with_pending(older, name, steps, usize::MAX))
    }

    /// Merges `older` with the pending points of `name` at these steps. `limit` is the limit that `older` was read
    /// with.
    pub(super) fn with_pending(
        &self,
        older: Option<Columns>,
        name: &str,
        steps: &RangeInclusive<Step>,
        limit: usize,
    ) -> Option<Columns> {
        let newer = match &older {
            // The primary sink may have more points after the last point of `older`.
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
