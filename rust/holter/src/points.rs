//! Points of a series as columns. Defines which of two points at the same step counts, and which values are the
//! extremes.

use std::ops::Range;

use holter_journal::Step;

/// Points of one series: columns of equal length.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Columns {
    /// Strictly ascending, unless documented otherwise.
    pub steps: Vec<Step>,
    /// Values as logged, including NaN and infinities.
    pub values: Vec<f64>,
    /// Microseconds since the Unix epoch.
    pub times_micros: Vec<i64>,
}

impl Columns {
    /// The number of points.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Appends a point.
    pub(crate) fn push(&mut self, step: Step, value: f64, time_micros: i64) {
        self.steps.push(step);
        self.values.push(value);
        self.times_micros.push(time_micros);
    }

    /// Appends columns of equal length.
    pub(crate) fn extend(&mut self, steps: &[Step], values: &[f64], times_micros: &[i64]) {
        self.steps.extend_from_slice(steps);
        self.values.extend_from_slice(values);
        self.times_micros.extend_from_slice(times_micros);
    }

    /// Appends the points `range` of `other`.
    pub(crate) fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        self.extend(&other.steps[range.clone()], &other.values[range.clone()], &other.times_micros[range]);
    }

    /// Removes all points and keeps the allocated memory.
    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }

    /// Removes the first `count` points.
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.steps.drain(..count);
        self.values.drain(..count);
        self.times_micros.drain(..count);
    }

    /// Sorts by step and keeps the last of the points at the same step.
    pub(crate) fn order(&mut self) {
        if self.steps.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        // A stable sort, so that among equal steps the last appended point comes last.
        order.sort_by_key(|&i| self.steps[i]);
        let unordered = std::mem::take(self);
        for same in order.chunk_by(|&a, &b| unordered.steps[a] == unordered.steps[b]) {
            if let Some(&last) = same.last() {
                self.push(unordered.steps[last], unordered.values[last], unordered.times_micros[last]);
            }
        }
    }

    /// Removes all but the first `len` points.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.steps.truncate(len);
        self.values.truncate(len);
        self.times_micros.truncate(len);
    }
}

/// The smallest and the largest finite value, each with its smallest step; `None` if no value is finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extremes {
    pub(crate) min: Option<(f64, Step)>,
    pub(crate) max: Option<(f64, Step)>,
}

impl Extremes {
    /// Adds a point.
    pub(crate) fn add(&mut self, step: Step, value: f64) {
        if !value.is_finite() {
            return;
        }
        let value = value + 0.0; // The database does not store the sign of zero.
        if self.min.is_none_or(|(min, at)| value < min || (value == min && step < at)) {
            self.min = Some((value, step));
        }
        if self.max.is_none_or(|(max, at)| value > max || (value == max && step < at)) {
            self.max = Some((value, step));
        }
    }

    /// Adds points.
    pub(crate) fn add_all(&mut self, steps: &[Step], values: &[f64]) {
        for (&step, &value) in steps.iter().zip(values) {
            self.add(step, value);
        }
    }

    /// Whether one of these points replaces an extreme by a less extreme value, which requires a new search for the
    /// extremes. `steps` must ascend.
    pub(crate) fn are_lost(&self, steps: &[Step], values: &[f64]) -> bool {
        let is_lost = |extreme: Option<(f64, Step)>, is_as_extreme: fn(f64, f64) -> bool| {
            extreme.is_some_and(|(old, step)| {
                let replacement = steps.binary_search(&step).ok().map(|i| values[i]);
                replacement.is_some_and(|new| !new.is_finite() || !is_as_extreme(new, old))
            })
        };
        is_lost(self.min, |new, old| new <= old) || is_lost(self.max, |new, old| new >= old)
    }
}
