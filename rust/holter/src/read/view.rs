//! What a run holds at one moment: what its primary has, and over it what only the journal has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use holter_journal::Step;

use super::committed::Committed;
use super::facts::{SeriesFacts, count_nonfinite};
use super::pending::{Pending, merged};
use crate::error::Result;
use crate::pattern;
use crate::points::Columns;

pub(super) const ALL_STEPS: RangeInclusive<Step> = Step::MIN..=Step::MAX;

/// A run at one moment.
pub(super) struct View<'a> {
    pub(super) committed: Committed<'a>,
    pub(super) pending: &'a Pending,
    /// Which of the pending points the primary sink has.
    pub(super) cursor: u64,
}

impl<'a> View<'a> {
    pub(super) fn new(committed: Committed<'a>, pending: &'a Pending, cursor: u64) -> Self {
        Self { committed, pending, cursor }
    }

    /// The names that match the pattern `wanted`, ascending.
    pub(super) fn names(&self, wanted: &str) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = self.committed.names()?.into_iter().collect();
        for name in self.pending.names(self.cursor) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().filter(|name| pattern::matches(wanted, name)).collect())
    }

    /// The facts of the series that match the pattern `wanted`, by name.
    pub(super) fn facts(&self, wanted: &str) -> Result<Vec<SeriesFacts>> {
        let committed = self.committed.facts()?.into_iter().filter(|facts| pattern::matches(wanted, &facts.name));
        let mut all: BTreeMap<String, SeriesFacts> = committed.map(|facts| (facts.name.clone(), facts)).collect();
        for name in self.pending.names(self.cursor).filter(|name| pattern::matches(wanted, name)) {
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
    pub(super) fn points(&self, name: &str, steps: &RangeInclusive<Step>) -> Result<Option<Columns>> {
        let older = self.committed.points(name, steps, usize::MAX)?;
        Ok(self.with_pending(older, name, steps, usize::MAX))
    }

    pub(super) fn with_pending(
        &self,
        older: Option<Columns>,
        name: &str,
        steps: &RangeInclusive<Step>,
        limit: usize,
    ) -> Option<Columns> {
        let newer = match &older {
            // Behind the last of them the primary sink may have more.
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
