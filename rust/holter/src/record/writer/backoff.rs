//! When to retry a failed write.

use std::time::{Duration, Instant};

/// The time of the next retry; the interval doubles after each failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) at: Instant,
    interval: Duration,
}

impl Backoff {
    pub(super) fn after(previous: Option<Self>, (first, longest): (Duration, Duration)) -> Self {
        let interval = previous.map_or(first, |previous| (previous.interval * 2).min(longest));
        Self { at: Instant::now() + interval, interval }
    }
}
