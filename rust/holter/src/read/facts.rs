//! Facts about a series: counts, range of steps, last value and extremes.

use holter_journal::Step;

use crate::points::{Columns, Extremes};

/// Facts about a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesFacts {
    /// The name.
    pub name: String,
    /// The number of points, at least 1.
    pub count: u64,
    /// The number of values that are NaN or infinite.
    pub nonfinite_count: u64,
    /// The smallest step.
    pub first_step: Step,
    /// The largest step.
    pub last_step: Step,
    /// The value at the largest step.
    pub last_value: f64,
    /// The smallest finite value and the smallest of its steps; `None` if no value is finite.
    pub min: Option<(f64, Step)>,
    /// The largest finite value and the smallest of its steps; `None` if no value is finite.
    pub max: Option<(f64, Step)>,
}

impl SeriesFacts {
    /// The facts of a series with these points; `None` if there are none.
    pub(super) fn of(name: &str, points: &Columns) -> Option<Self> {
        let mut facts = Self {
            name: name.to_owned(),
            count: 0,
            nonfinite_count: 0,
            first_step: *points.steps.first()?,
            last_step: *points.steps.first()?,
            last_value: 0.0,
            min: None,
            max: None,
        };
        facts.add(points);
        Some(facts)
    }

    /// Adds newer points whose steps are not counted yet.
    pub(super) fn add(&mut self, points: &Columns) {
        let (Some(&first), Some(&last)) = (points.steps.first(), points.steps.last()) else { return };
        self.count += points.len() as u64;
        self.nonfinite_count += count_nonfinite(&points.values);
        self.first_step = self.first_step.min(first);
        if last >= self.last_step {
            self.last_step = last;
            self.last_value = points.values[points.len() - 1];
        }
        let mut extremes = self.extremes();
        extremes.add_all(&points.steps, &points.values);
        self.set_extremes(extremes);
    }

    pub(super) fn extremes(&self) -> Extremes {
        Extremes { min: self.min, max: self.max }
    }

    pub(super) fn set_extremes(&mut self, extremes: Extremes) {
        Extremes { min: self.min, max: self.max } = extremes;
    }
}

pub(super) fn count_nonfinite(values: &[f64]) -> u64 {
    values.iter().filter(|value| !value.is_finite()).count() as u64
}
