//! Requests of other threads to the writer, and its progress.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests of other threads to the writer, and its progress.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: Mutex<PendingRequests>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PendingRequests {
    /// Everything below this sequence number must become durable.
    pub(super) flush_until: u64,
    /// Everything below this sequence number is durable.
    pub(super) flushed_until: u64,
    /// The writer must end, at this time even if writes fail.
    pub(super) close_by: Option<Instant>,
    /// The run's directory was deleted or replaced, so a flush cannot succeed.
    pub(super) is_displaced: bool,
    /// The writer has ended.
    pub(super) has_ended: bool,
}

impl PendingRequests {
    /// Whether a flush or a close is waiting for the writer.
    pub(super) fn has_waiters(&self) -> bool {
        self.close_by.is_some() || self.flush_until > self.flushed_until
    }
}

impl Requests {
    pub(super) fn lock(&self) -> MutexGuard<'_, PendingRequests> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, PendingRequests>,
        limit: Duration,
    ) -> MutexGuard<'a, PendingRequests> {
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut PendingRequests)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}
