//! Aggregates of the points of one bucket.

use holter_journal::Step;

/// Aggregates of the points of a bucket, which has at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The number of points.
    pub count: u64,
    /// How many values are NaN or infinite.
    pub nonfinite_count: u64,
    /// The smallest finite value; NaN if no value is finite.
    pub min: f64,
    /// The largest finite value; NaN if no value is finite.
    pub max: f64,
    /// The sum of the finite values.
    pub sum: f64,
    /// The sum of the squares of the finite values.
    pub square_sum: f64,
    /// The value at the largest step.
    pub last: f64,
    /// The largest step.
    pub last_step: Step,
    /// When the point at the largest step was logged, in microseconds since the Unix epoch.
    pub last_time_micros: i64,
}

impl Bucket {
    /// A bucket with one point.
    pub fn of(step: Step, value: f64, time_micros: i64) -> Self {
        let mut bucket = Self {
            count: 0,
            nonfinite_count: 0,
            min: f64::NAN,
            max: f64::NAN,
            sum: 0.0,
            square_sum: 0.0,
            last: value,
            last_step: step,
            last_time_micros: time_micros,
        };
        bucket.add(step, value, time_micros);
        bucket
    }

    /// Adds a point at a larger step.
    pub fn add(&mut self, step: Step, value: f64, time_micros: i64) {
        // With one zero and one NaN, as in the database, so that aggregates do not depend on where the points are from.
        let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
        self.count += 1;
        if value.is_finite() {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            self.sum += value;
            self.square_sum += value * value;
        } else {
            self.nonfinite_count += 1;
        }
        self.last = value;
        self.last_step = step;
        self.last_time_micros = time_micros;
    }

    /// Adds the points of `later`, which are at larger steps.
    pub fn merge(&mut self, later: &Self) {
        self.count += later.count;
        self.nonfinite_count += later.nonfinite_count;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.square_sum += later.square_sum;
        self.last = later.last;
        self.last_step = later.last_step;
        self.last_time_micros = later.last_time_micros;
    }

    /// Whether any value is finite.
    pub(super) fn has_finite(&self) -> bool {
        self.nonfinite_count < self.count
    }
}
