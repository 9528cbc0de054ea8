//! Counters of a session: points accepted, written and dropped, retries, and the last error.
//!
//! Counting costs the training thread nothing, because the numbers are the journal's own counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The state of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkState {
    /// It accepts batches.
    #[default]
    Working,
    /// Its last write failed and will be retried.
    Failing,
    /// It missed points, which it will catch up on from the primary sink.
    Behind,
}

impl SinkState {
    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Failing => "failing",
            Self::Behind => "behind",
        }
    }
}

/// The health of one sink.
#[derive(Clone, Debug, Default)]
pub struct SinkHealth {
    /// The sink's name.
    pub name: &'static str,
    /// Its state.
    pub state: SinkState,
    /// How many of this session's points it has.
    pub written: u64,
    /// Its last error, even if it works again.
    pub last_error: Option<String>,
}

/// The counters of a session.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Accepted points: their `log` returned, and they survive the death of the process.
    pub accepted: u64,
    /// Points that the primary sink has committed.
    pub written: u64,
    /// Points that were not accepted because there was no room.
    pub dropped: u64,
    /// How often a caller waited for room.
    pub waits: u64,
    /// How often a write was retried.
    pub retries: u64,
    /// The last error of any sink, even if it works again.
    pub last_error: Option<String>,
    /// Each sink, the primary first.
    pub sinks: Vec<SinkHealth>,
}

/// Where recorder and writer record what [`Health`] reports.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    waits: AtomicU64,
    retries: AtomicU64,
    /// Whether the primary sink is failing: callers then do not wait for a full journal.
    is_failing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_error: Option<String>,
    sinks: Vec<SinkHealth>,
}

impl Monitor {
    pub(crate) fn new(sinks: impl IntoIterator<Item = &'static str>) -> Self {
        let sinks = sinks.into_iter().map(|name| SinkHealth { name, ..SinkHealth::default() }).collect();
        Self { state: Mutex::new(State { last_error: None, sinks }), ..Self::default() }
    }

    pub(crate) fn count_wait(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_primary_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    pub(crate) fn set_primary_failing(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    pub(crate) fn note_working(&self, sink: usize, written: u64) {
        if let Some(health) = self.lock().sinks.get_mut(sink) {
            health.state = SinkState::Working;
            health.written = written;
        }
    }

    pub(crate) fn note_error(&self, sink: usize, state: SinkState, error: &str) {
        let mut all = self.lock();
        if let Some(health) = all.sinks.get_mut(sink) {
            health.state = state;
            health.last_error = Some(error.to_owned());
            all.last_error = Some(format!("{}: {error}", all.sinks[sink].name));
        }
    }

    /// Records an error outside the sinks.
    pub(crate) fn note_other_error(&self, error: &Error) {
        self.lock().last_error = Some(error.to_string());
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    /// The health without the journal's counters.
    pub(crate) fn health(&self) -> Health {
        let state = self.lock();
        Health {
            waits: self.waits.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            last_error: state.last_error.clone(),
            sinks: state.sinks.clone(),
            ..Health::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
