//! Paces commits by the number of distinct series that a commit touches.

use std::time::Duration;

use crate::record::config::Pace;

/// Counts the distinct series of the points since the last commit.
#[derive(Debug, Default)]
pub(super) struct CommitPacing {
    /// The round in which each series last had a point.
    seen_in: Vec<u32>,
    round: u32,
    pub(super) distinct: usize,
}

impl CommitPacing {
    /// The bytes that a commit writes per series: one database page.
    const BYTES_PER_SERIES: f64 = 4100.0;

    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1).max(1);
        self.distinct = 0;
    }

    #[inline]
    pub(super) fn count(&mut self, series: usize) {
        if series >= self.seen_in.len() {
            self.seen_in.resize(series + 1, 0);
        }
        if self.seen_in[series] != self.round {
            self.seen_in[series] = self.round;
            self.distinct += 1;
        }
    }

    /// The time between commits that stays within the write budget.
    pub(super) fn commit_interval(&self, pace: &Pace) -> Duration {
        let secs = self.distinct as f64 * Self::BYTES_PER_SERIES / pace.bytes_per_sec;
        Duration::from_secs_f64(secs.clamp(1.0, pace.max_interval.as_secs_f64().max(1.0)))
    }
}
