//! Facts of a series: its count, its steps, its last value.

use holter_journal::Step;

use crate::points::Columns;

/// What there is to know of a series without its points.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesFacts {
    /// Its name.
    pub name: String,
    /// How many points it has; never 0.
    pub count: u64,
    /// How many of them are NaN or infinite.
    pub nonfinite_count: u64,
    /// The smallest step.
    pub first_step: Step,
    /// The largest step.
    pub last_step: Step,
    /// The value at the largest step.
    pub last_value: f64,
}

impl SeriesFacts {
    /// The facts of a series with these points, if there are any.
    pub(super) fn of(name: &str, points: &Columns) -> Option<Self> {
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
    pub(super) fn add(&mut self, points: &Columns) {
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

pub(super) fn count_nonfinite(values: &[f64]) -> u64 {
    values.iter().filter(|value| !value.is_finite()).count() as u64
}
