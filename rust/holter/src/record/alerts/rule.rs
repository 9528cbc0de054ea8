//! Alert rules, and their evaluation on a series.
//!
//! A rule has separate state for each series that its pattern matches, so a healthy layer never hides a sick one. It raises
//! one alert when its condition begins, and another only after the condition has ended. Nothing here uses a file or a clock.

use holter_journal::Step;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::store::events::value_text;

pub use crate::store::events::Level;

/// The condition of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Condition {
    /// A value that is NaN or infinite.
    NonFinite,
    /// A finite value further than `sigmas` exponential standard deviations from the exponential mean.
    Spike {
        /// The number of standard deviations.
        sigmas: f64,
        /// The number of points after which a value's weight has halved.
        half_life: f64,
        /// The number of points before the first evaluation.
        warmup: u64,
    },
    /// Values below `threshold` over `steps` steps.
    Below {
        /// The upper bound, exclusive.
        threshold: f64,
        /// The number of steps, from first to last inclusive.
        steps: u64,
    },
    /// Values above `threshold` over `steps` steps.
    Above {
        /// The lower bound, exclusive.
        threshold: f64,
        /// The number of steps, from first to last inclusive.
        steps: u64,
    },
    /// Values no further than `tolerance` from the first of them over `steps` steps.
    Plateau {
        /// The greatest distance.
        tolerance: f64,
        /// The number of steps, from first to last inclusive.
        steps: u64,
    },
}

impl Condition {
    /// The name of the condition's kind.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NonFinite => "non_finite",
            Self::Spike { .. } => "spike",
            Self::Below { .. } => "below",
            Self::Above { .. } => "above",
            Self::Plateau { .. } => "plateau",
        }
    }

    /// Checks the ranges of the parameters; errors state what was expected.
    fn check(&self) -> Result<(), String> {
        let positive = |key: &str, value: f64| {
            if value > 0.0 { Ok(()) } else { Err(format!("{key} must be above 0, got {value}")) }
        };
        match *self {
            Self::NonFinite => Ok(()),
            Self::Spike { sigmas, half_life, warmup } => {
                positive("sigmas", sigmas)?;
                positive("half_life", half_life)?;
                if warmup > 0 { Ok(()) } else { Err("warmup must be 1 or more, got 0".to_owned()) }
            }
            Self::Plateau { tolerance, .. } if tolerance < 0.0 => {
                Err(format!("tolerance must be 0 or more, got {tolerance}"))
            }
            Self::Below { steps, .. } | Self::Above { steps, .. } | Self::Plateau { steps, .. } => {
                if steps > 0 {
                    Ok(())
                } else {
                    Err("steps must be 1 or more, got 0".to_owned())
                }
            }
        }
    }

    pub(super) fn message(&self, value: f64) -> String {
        let now = value_text(value);
        match self {
            Self::NonFinite => format!("the value is {now}"),
            Self::Spike { sigmas, .. } => format!("{now} is more than {sigmas} standard deviations from the mean"),
            Self::Below { threshold, steps: 1 } => format!("below {threshold}, now {now}"),
            Self::Above { threshold, steps: 1 } => format!("above {threshold}, now {now}"),
            Self::Below { threshold, steps } => format!("below {threshold} for {steps} steps, now {now}"),
            Self::Above { threshold, steps } => format!("above {threshold} for {steps} steps, now {now}"),
            Self::Plateau { tolerance, steps } => format!("within {tolerance} for {steps} steps, now {now}"),
        }
    }
}

/// A condition, the series it applies to, and its consequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The pattern of the series' names.
    pub pattern: String,
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
    /// The severity.
    pub level: Level,
    /// Whether the training should stop.
    pub stop: bool,
}

/// Parses rules from a JSON array.
///
/// # Errors
///
/// [`Error::InvalidConfig`] names the invalid rule and what was expected.
///
/// ```
/// use holter::record::alerts::{Condition, parse_rules};
///
/// let json = r#"[{"rule": "above", "threshold": 10.0, "steps": 3, "pattern": "*loss", "level": "warning", "stop": false}]"#;
/// let rules = parse_rules(json)?;
/// assert_eq!(rules[0].condition, Condition::Above { threshold: 10.0, steps: 3 });
/// # Ok::<(), holter::Error>(())
/// ```
pub fn parse_rules(json: &str) -> Result<Vec<Rule>> {
    let rules: Vec<Map<String, Value>> = serde_json::from_str(json)
        .map_err(|error| Error::InvalidConfig(format!("alerts must be an array of JSON objects: {error}")))?;
    let parse = |(index, rule): (usize, Map<String, Value>)| {
        let invalid = |reason: String| Error::InvalidConfig(format!("alert {index}: {reason}"));
        let rule: Rule = serde_json::from_value(rule.into()).map_err(|error| invalid(error.to_string()))?;
        rule.condition.check().map_err(invalid)?;
        Ok(rule)
    };
    rules.into_iter().enumerate().map(parse).collect()
}

/// The state of a condition on one series.
#[derive(Clone, Debug, Default)]
pub struct State {
    is_active: bool,
    /// The first step and value of the range in which a condition with `steps` has held so far.
    stretch: Option<(Step, f64)>,
    count: u64,
    mean: f64,
    variance: f64,
}

impl State {
    /// Evaluates the series' next point; true if the condition begins with it.
    pub fn begins(&mut self, condition: &Condition, step: Step, value: f64) -> bool {
        let holds = match *condition {
            Condition::NonFinite => !value.is_finite(),
            Condition::Spike { sigmas, half_life, warmup } => {
                // A non-finite value has no distance from the mean: it neither ends nor begins a spike.
                if !value.is_finite() {
                    return false;
                }
                self.spikes(value, sigmas, half_life, warmup)
            }
            Condition::Below { threshold, steps } => self.lasts(step, value, steps, |_| value < threshold),
            Condition::Above { threshold, steps } => self.lasts(step, value, steps, |_| value > threshold),
            Condition::Plateau { tolerance, steps } => {
                self.lasts(step, value, steps, |first| (value - first).abs() <= tolerance)
            }
        };
        let begins = holds && !self.is_active;
        self.is_active = holds;
        begins
    }

    /// Whether the values have met the condition for `steps`; `is_within` receives the first value of the range.
    fn lasts(&mut self, step: Step, value: f64, steps: u64, is_within: impl Fn(f64) -> bool) -> bool {
        if !self.stretch.is_some_and(|(_, first)| is_within(first)) {
            // Infinity minus itself is NaN, so a non-finite value is never on a plateau.
            self.stretch = is_within(value).then_some((step, value));
        }
        self.stretch.is_some_and(|(first, _)| step.abs_diff(first) >= steps - 1)
    }

    /// Compares the value with the mean and variance of the previous values, then updates them.
    ///
    /// The moments are plain at first, and exponential as soon as that gives a value more weight. A spike is clamped to the
    /// limit, so that it neither hides the next spike nor prevents adaptation to a new level.
    fn spikes(&mut self, value: f64, sigmas: f64, half_life: f64, warmup: u64) -> bool {
        let limit = sigmas * self.variance.sqrt();
        let distance = value - self.mean;
        // A series that has never varied has no spread.
        let is_spike = self.count >= warmup && limit > 0.0 && distance.abs() > limit;
        let distance = if is_spike { distance.clamp(-limit, limit) } else { distance };
        self.count += 1;
        let weight = (1.0 - (-1.0 / half_life).exp2()).max(1.0 / self.count as f64);
        let change = if self.count == 1 { value } else { weight * distance };
        self.variance = if self.count == 1 { 0.0 } else { (1.0 - weight) * (self.variance + distance * change) };
        self.mean += change;
        if !self.mean.is_finite() || !self.variance.is_finite() {
            // The squares overflowed: start over.
            (self.count, self.mean, self.variance) = (0, 0.0, 0.0);
        }
        is_spike
    }
}
