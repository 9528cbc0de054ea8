//! Alerts: rules that watch a run's series on the writer's thread, and the feed of what they raised.

pub mod feed;
pub mod rule;
pub(crate) mod watcher;

pub use feed::{AlertBatch, Alerts};
pub use rule::{Condition, Level, Rule, parse_rules};
