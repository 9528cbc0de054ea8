//! The alerts of a session, which any thread can read or wait for.
//!
//! Bounded: the oldest alerts are discarded when there are too many, or when they are too long.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::events::MAX_BYTES;

/// How many of a session's alerts are kept.
pub const MAX_RECENT: usize = 1000;

/// The alerts of a session, shared between threads.
#[derive(Debug, Default)]
pub struct Alerts {
    should_stop: AtomicBool,
    state: Mutex<FeedState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct FeedState {
    recent: VecDeque<String>,
    num_bytes: usize,
    /// The number of all alerts, including discarded ones.
    count: u64,
    has_ended: bool,
}

/// New alerts since an earlier call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertBatch {
    /// The alerts, the oldest first, each as its line in the events file.
    pub lines: Vec<String>,
    /// The number of new alerts that were discarded before this call.
    pub missed: u64,
    /// The number of alerts in the session so far: the `seen` of the next call.
    pub count: u64,
    /// Whether the session is closed, so that no more alerts will follow.
    pub has_ended: bool,
}

impl Alerts {
    /// Whether a rule with `stop` has fired.
    pub fn should_stop(&self) -> bool {
        // ORDERING: relaxed, because the flag publishes no other data.
        self.should_stop.load(Ordering::Relaxed)
    }

    /// The last [`MAX_RECENT`] alerts, the oldest first, each as its line in the events file.
    pub fn recent(&self) -> Vec<String> {
        self.lock().recent.iter().cloned().collect()
    }

    /// The alerts after the first `seen`. If there are none and the session is open, waits for up to `timeout`.
    pub fn wait(&self, seen: u64, timeout: Duration) -> AlertBatch {
        let is_idle = |state: &mut FeedState| state.count <= seen && !state.has_ended;
        let state = self.changed.wait_timeout_while(self.lock(), timeout, is_idle);
        let (state, _) = state.unwrap_or_else(PoisonError::into_inner);
        let num_new = state.count.saturating_sub(seen);
        let num_kept = usize::try_from(num_new).map_or(state.recent.len(), |count| count.min(state.recent.len()));
        AlertBatch {
            lines: state.recent.range(state.recent.len() - num_kept..).cloned().collect(),
            missed: num_new - num_kept as u64,
            count: state.count,
            has_ended: state.has_ended,
        }
    }

    pub(crate) fn add(&self, line: String, stop: bool) {
        let mut state = self.lock();
        state.count += 1;
        state.num_bytes += line.len();
        state.recent.push_back(line);
        while state.recent.len() > MAX_RECENT || state.num_bytes > MAX_BYTES {
            let Some(oldest) = state.recent.pop_front() else { break };
            state.num_bytes -= oldest.len();
        }
        drop(state);
        if stop {
            // ORDERING: as in `should_stop`.
            self.should_stop.store(true, Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    /// Marks the feed as complete.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const SOON: Duration = Duration::ZERO;
    const LATE: Duration = Duration::from_secs(60);

    fn add_all(alerts: &Alerts, lines: impl Iterator<Item = String>) {
        for line in lines {
            alerts.add(line, false);
        }
    }

    #[test]
    fn each_alert_is_returned_once_or_counted_as_missed() {
        let alerts = Alerts::default();
        add_all(&alerts, (0..5).map(|number| number.to_string()));
        let first = alerts.wait(0, SOON);
        assert_eq!((first.lines.len(), first.missed, first.count), (5, 0, 5));
        assert_eq!(alerts.wait(first.count, SOON), AlertBatch { count: 5, ..AlertBatch::default() });
        add_all(&alerts, (5..2005).map(|number| number.to_string()));
        let second = alerts.wait(first.count, SOON);
        assert_eq!((second.lines.len(), second.missed, second.count), (MAX_RECENT, 1000, 2005));
        assert_eq!(second.lines, alerts.recent());
        assert_eq!(second.lines[0], "1005");
    }

    #[test]
    fn long_alerts_are_discarded_beyond_the_size_limit() {
        let alerts = Alerts::default();
        let long = MAX_BYTES / 10;
        add_all(&alerts, (0..50).map(|_| "x".repeat(long)));
        let news = alerts.wait(0, SOON);
        assert_eq!((news.lines.len(), news.missed), (10, 40));
        alerts.add("x".repeat(2 * MAX_BYTES), true);
        assert_eq!(alerts.wait(50, SOON).missed, 1);
        assert!(alerts.should_stop());
    }

    #[test]
    fn alerts_and_the_end_wake_waiting_threads() {
        let alerts = Arc::new(Alerts::default());
        let waiting = Arc::clone(&alerts);
        let thread = thread::spawn(move || {
            let first = waiting.wait(0, LATE);
            (waiting.wait(first.count, LATE), first)
        });
        alerts.add("alert".to_owned(), false);
        while Arc::strong_count(&alerts) > 1 && !thread.is_finished() {
            alerts.end();
        }
        let (second, first) = thread.join().expect("no panic");
        assert_eq!((first.lines, second.lines.len(), second.has_ended), (vec!["alert".to_owned()], 0, true));
    }
}
