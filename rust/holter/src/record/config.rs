//! The settings of a session, with their trade-offs. The only file that reads the environment.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::record::alerts::rule::Rule;
use crate::store::schema::sink;
use crate::store::sinks::check_sink_names;

/// What happens to a point when the journal is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The caller waits while the writer makes progress; if it makes none, the point is dropped.
    #[default]
    Block,
    /// The point is dropped without waiting.
    Drop,
}

/// Whether to resume an existing run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Resume a run that did not complete; start a new one next to a completed run, as in `run-1-2`.
    #[default]
    Auto,
    /// The run must not exist.
    Never,
    /// Resume the run if it exists, otherwise start it.
    Allow,
    /// The run must exist.
    Must,
    /// Resume the newest of `run-1`, `run-1-2`, …, even if it is complete, as a job does that its scheduler restarted.
    Newest,
}

/// The settings of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// The capacity of the journal in points, a power of two. A larger journal absorbs longer stalls of the disk, at 32 bytes
    /// of memory and disk per point.
    pub journal_capacity: usize,
    /// What happens when the journal is full.
    pub overflow: Overflow,
    /// The sinks, by the names in [`sink::ALL`]. At least one that keeps every point.
    pub sinks: Vec<String>,
    /// The summary has a line for each step that is a multiple of this.
    pub summary_every: u64,
    /// The alert rules.
    pub alerts: Vec<Rule>,
    /// When the writer commits.
    pub pace: Pace,
    /// How long a full journal may go without progress before points are dropped.
    pub stall_limit: Duration,
    /// How long closing may take while writes fail; points that are not written then stay in the journal.
    pub close_timeout: Duration,
    /// The directory of the journal if the run's directory is on a network file system.
    pub local_dir: PathBuf,
}

/// When the writer commits: by points per series, because a commit touches a database page per series.
///
/// With one point per series and commit, a point costs 13 µs and 8.6 KB of writes; with a hundred, 0.74 µs and 156 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Commit at this many points per series, but not more often than `min_interval`.
    pub points_per_series: usize,
    /// Commit at this many points, or at up to twice as many if that is fewer than `points_per_series`.
    pub max_points: usize,
    /// The shortest time between commits, except for `max_points`, a flush or closing.
    pub min_interval: Duration,
    /// The longest time before a point of a slow run is committed.
    pub max_interval: Duration,
    /// The write budget for early commits; it determines the time between them.
    pub bytes_per_sec: f64,
    /// How often the writer polls the journal.
    pub poll_interval: Duration,
    /// The first and the longest wait before a failed commit is retried.
    pub retry_interval: (Duration, Duration),
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            points_per_series: 100,
            max_points: 1 << 18,
            min_interval: Duration::from_millis(250),
            max_interval: Duration::from_secs(20),
            bytes_per_sec: 1e6,
            poll_interval: Duration::from_millis(20),
            retry_interval: (Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            journal_capacity: 1 << 20,
            overflow: Overflow::default(),
            sinks: sink::ALL.map(str::to_owned).to_vec(),
            summary_every: 100,
            alerts: Vec::new(),
            pace: Pace::default(),
            stall_limit: Duration::from_secs(5),
            close_timeout: Duration::from_secs(10),
            local_dir: std::env::temp_dir(),
        }
    }
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] names the setting, its value and what was expected.
    pub fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidConfig(message));
        if !self.journal_capacity.is_power_of_two() || !(1 << 10..=1 << 30).contains(&self.journal_capacity) {
            return invalid(format!(
                "journal_capacity must be a power of two from 1024 to 2^30, got {}",
                self.journal_capacity
            ));
        }
        if self.summary_every == 0 {
            return invalid("summary_every must be at least 1, got 0".to_owned());
        }
        check_sink_names(&self.sinks)
    }

    /// Whether the sink of this name is enabled.
    pub fn has_sink(&self, name: &str) -> bool {
        self.sinks.iter().any(|sink| sink == name)
    }

    /// The usual maximum of points in a commit. It can double, so a commit never holds more than half the ring.
    pub(crate) fn max_batch_points(&self) -> usize {
        self.pace.max_points.min(self.journal_capacity / 4)
    }
}
