//! The alerts of a session, for any thread to read or to wait for.
//!
//! Bounded: the oldest go when there are too many, or when they are too long.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::events::MAX_BYTES;

/// How many of an attempt's alerts can be asked for.
pub const MAX_RECENT: usize = 1000;

/// What the rules have said in this attempt; any thread may look.
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
    /// Of all alerts, those that are recent no more included.
    count: u64,
    is_over: bool,
}

/// What was said since somebody last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertBatch {
    /// The alerts, the oldest first, each as its line in the events file.
    pub lines: Vec<String>,
    /// How many more there were, which came too fast to be kept.
    pub missed: u64,
    /// How many alerts the attempt has had: what to ask with next.
    pub count: u64,
    /// Whether the attempt is closed, so that there will be no more.
    pub is_over: bool,
}

impl Alerts {
    /// Whether a rule has asked the training to stop.
    pub fn should_stop(&self) -> bool {
        // ORDERING: the flag stands for itself; nobody reads what the writer did before by it.
        self.should_stop.load(Ordering::Relaxed)
    }

    /// The last [`MAX_RECENT`] alerts, the oldest first, each as its line in the events file.
    pub fn recent(&self) -> Vec<String> {
        self.lock().recent.iter().cloned().collect()
    }

    /// What was said after the first `seen` alerts. Waits, for `timeout` at most, as long as that is nothing and
    /// the attempt goes on.
    pub fn wait(&self, seen: u64, timeout: Duration) -> AlertBatch {
        let is_idle = |state: &mut FeedState| state.count <= seen && !state.is_over;
        let state = self.changed.wait_timeout_while(self.lock(), timeout, is_idle);
        let (state, _) = state.unwrap_or_else(PoisonError::into_inner);
        let num_new = state.count.saturating_sub(seen);
        let num_kept = usize::try_from(num_new).map_or(state.recent.len(), |count| count.min(state.recent.len()));
        AlertBatch {
            lines: state.recent.range(state.recent.len() - num_kept..).cloned().collect(),
            missed: num_new - num_kept as u64,
            count: state.count,
            is_over: state.is_over,
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

    /// Says that there will be no more.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
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

    fn say(alerts: &Alerts, lines: impl Iterator<Item = String>) {
        for line in lines {
            alerts.add(line, false);
        }
    }

    #[test]
    fn each_alert_is_news_once_or_is_counted_as_missed() {
        let alerts = Alerts::default();
        say(&alerts, (0..5).map(|number| number.to_string()));
        let first = alerts.wait(0, SOON);
        assert_eq!((first.lines.len(), first.missed, first.count), (5, 0, 5));
        assert_eq!(alerts.wait(first.count, SOON), AlertBatch { count: 5, ..AlertBatch::default() });
        say(&alerts, (5..2005).map(|number| number.to_string()));
        let second = alerts.wait(first.count, SOON);
        assert_eq!((second.lines.len(), second.missed, second.count), (MAX_RECENT, 1000, 2005));
        assert_eq!(second.lines, alerts.recent());
        assert_eq!(second.lines[0], "1005");
    }

    #[test]
    fn long_alerts_are_kept_as_far_as_there_is_room() {
        let alerts = Alerts::default();
        let long = MAX_BYTES / 10;
        say(&alerts, (0..50).map(|_| "x".repeat(long)));
        let news = alerts.wait(0, SOON);
        assert_eq!((news.lines.len(), news.missed), (10, 40));
        alerts.add("x".repeat(2 * MAX_BYTES), true);
        assert_eq!(alerts.wait(50, SOON).missed, 1);
        assert!(alerts.should_stop());
    }

    #[test]
    fn who_waits_is_woken_by_an_alert_and_by_the_end() {
        let alerts = Arc::new(Alerts::default());
        let waiting = Arc::clone(&alerts);
        let thread = thread::spawn(move || {
            let first = waiting.wait(0, LATE);
            (waiting.wait(first.count, LATE), first)
        });
        alerts.add("said".to_owned(), false);
        while Arc::strong_count(&alerts) > 1 && !thread.is_finished() {
            alerts.end();
        }
        let (second, first) = thread.join().expect("no panic");
        assert_eq!((first.lines, second.lines.len(), second.is_over), (vec!["said".to_owned()], 0, true));
    }
}
