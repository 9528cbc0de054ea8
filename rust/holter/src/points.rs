//! The points of one series as columns, and the one place that says which of two equal steps wins.

use std::ops::Range;

use holter_journal::Step;

/// The points of one series, or of a stretch of it: columns of equal length.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Columns {
    /// Strictly ascending, unless said otherwise.
    pub steps: Vec<Step>,
    /// NaN and infinities as they were logged.
    pub values: Vec<f64>,
    /// Microseconds since the Unix epoch.
    pub times_micros: Vec<i64>,
}

impl Columns {
    /// How many points there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Appends one point.
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

    /// Forgets all points but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }

    /// Forgets the first `count` points.
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.steps.drain(..count);
        self.values.drain(..count);
        self.times_micros.drain(..count);
    }

    /// Sorts by step; of equal steps the one that was appended last stays.
    pub(crate) fn order(&mut self) {
        if self.steps.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        // Stable, so that of equal steps the last appended comes last.
        order.sort_by_key(|&i| self.steps[i]);
        let unordered = std::mem::take(self);
        for same in order.chunk_by(|&a, &b| unordered.steps[a] == unordered.steps[b]) {
            if let Some(&last) = same.last() {
                self.push(unordered.steps[last], unordered.values[last], unordered.times_micros[last]);
            }
        }
    }

    /// Forgets all points but the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.steps.truncate(len);
        self.values.truncate(len);
        self.times_micros.truncate(len);
    }
}
