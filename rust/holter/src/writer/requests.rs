//! What others ask of the writer, and its answers.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What others ask of the writer, and its answers.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: Mutex<Wishes>,
    answered: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// Everything below this sequence number is to be made durable.
    pub(super) flush_until: u64,
    /// Everything below this sequence number is durable.
    pub(super) flushed_until: u64,
    /// The writer is to end, by then even if the disk refuses.
    pub(super) close_by: Option<Instant>,
    /// The run's folder is gone, so that waiting is in vain.
    pub(super) is_displaced: bool,
    /// The writer has ended.
    pub(super) is_over: bool,
}

impl Wishes {
    /// Whether somebody waits for the writer.
    pub(super) fn is_asked(&self) -> bool {
        self.close_by.is_some() || self.flush_until > self.flushed_until
    }
}

impl Requests {
    pub(super) fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, Wishes>, limit: Duration) -> MutexGuard<'a, Wishes> {
        self.answered.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn answer(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.lock());
        self.answered.notify_all();
    }
}
