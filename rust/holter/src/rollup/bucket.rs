//! Aggregates of the points of one bucket.

use holter_journal::Step;

/// What the points of a bucket come to. There is at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// How many points there are.
    pub count: u64,
    /// How many of them are NaN or infinite.
    pub nonfinite_count: u64,
    /// The smallest finite value; NaN if there is none.
    pub min: f64,
    /// The largest finite value; NaN if there is none.
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

    /// Adds a point whose step is larger than all before.
    pub fn add(&mut self, step: Step, value: f64, time_micros: i64) {
        // One zero and one NaN, as in the database: what was added up as it came is what is read again.
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

    /// Adds all points of `later`, whose steps are larger.
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

    /// Whether some value is finite.
    pub(super) fn has_finite(&self) -> bool {
        self.nonfinite_count < self.count
    }
}
