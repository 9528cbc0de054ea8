//! The content of a run's primary sink: the database or the Parquet parts.

use std::ops::RangeInclusive;

use holter_journal::Step;

use super::database::Database;
use super::facts::SeriesFacts;
use crate::error::Result;
use crate::points::Columns;
use crate::store::parquet::parts::{self, Part};

/// The content of the primary sink.
#[derive(Clone, Copy)]
pub(super) enum Committed<'a> {
    Nothing,
    Database(&'a Database),
    Parts(&'a [Part]),
}

impl Committed<'_> {
    pub(super) fn names(&self) -> Result<Vec<String>> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Database(database) => database.names(),
            Self::Parts(parts) => Ok(parts::names(parts)?.into_iter().collect()),
        }
    }

    pub(super) fn facts(&self) -> Result<Vec<SeriesFacts>> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Database(database) => database.facts(),
            Self::Parts(parts) => {
                let mut all: Vec<SeriesFacts> = Vec::new();
                // A long series is split into several consecutive stretches.
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

    /// The first `limit` points of `name` at these steps; parts may return more. `None` if the series does not exist.
    pub(super) fn points(&self, name: &str, steps: &RangeInclusive<Step>, limit: usize) -> Result<Option<Columns>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Database(database) => database.points(name, steps, limit),
            Self::Parts(parts) => {
                let found = parts::read_series(parts, name, steps.clone())?;
                if !found.is_empty() || parts::names(parts)?.contains(name) { Ok(Some(found)) } else { Ok(None) }
            }
        }
    }

    /// The values of `name` at those `steps` that have a point.
    pub(super) fn values_at(&self, name: &str, steps: &[Step]) -> Result<Vec<f64>> {
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
