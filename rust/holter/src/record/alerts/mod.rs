//! Alerts: rules that the writer evaluates on a run's series, and the feed of alerts they raise.

pub mod feed;
pub mod rule;
pub(crate) mod watcher;

pub use feed::{AlertBatch, Alerts};
pub use rule::{Condition, Level, Rule, parse_rules};
