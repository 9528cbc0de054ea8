//! The background thread: drains the journal, groups points, commits, retries, and shuts down.
//!
//! The writer is the only reader of the journal and the only caller of the sinks, so neither needs a lock. A failing sink
//! never stops it: it keeps the batch, records the error, and retries later. A slot of the journal is released only after the
//! primary sink has committed its point.

mod backoff;
mod commit_pacing;
mod requests;
mod worker;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::record::config::Config;
use crate::record::health::{Monitor, SinkState};
use crate::series_table::SeriesTable;
use crate::store::run_lock::RunLock;
use holter_journal::Journal;
use requests::Requests;
use worker::Worker;

pub use worker::Ending;
pub(crate) use worker::Outputs;

/// The handle of the writer's thread.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<Ending>,
    flusher: Flusher,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the thread cannot be created.
    pub(crate) fn start(
        journal: &Journal,
        series: &Arc<SeriesTable>,
        monitor: &Arc<Monitor>,
        outputs: Outputs,
        config: &Config,
        lock: Arc<RunLock>,
    ) -> Result<Self> {
        let requests = Arc::new(Requests::default());
        let place = Arc::downgrade(&lock);
        let worker = Worker::new(journal, series, monitor, &requests, outputs, config, lock);
        let (monitor, journal) = (Arc::clone(monitor), journal.clone());
        let flusher_monitor = Arc::clone(&monitor);
        let flusher_requests = Arc::clone(&requests);
        let thread = thread::Builder::new()
            .name("holter-writer".to_owned())
            .spawn(move || {
                panic::catch_unwind(AssertUnwindSafe(|| worker.run())).unwrap_or_else(|_| {
                    // A bug in the writer: from here on, points are dropped and counted.
                    monitor.note_error(
                        0,
                        SinkState::Failing,
                        "the writer panicked, which is a bug in Holter; please report it",
                    );
                    monitor.set_primary_failing(true);
                    requests.update(|pending| pending.has_ended = true);
                    Ending::Incomplete
                })
            })
            .map_err(Error::io("start", "the writer's thread"))?;
        let handle = thread.thread().clone();
        let flusher =
            Flusher { requests: flusher_requests, journal, monitor: flusher_monitor, thread: handle, lock: place };
        Ok(Self { thread, flusher })
    }

    /// The handle to wait for the writer.
    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// Ends the thread after it has written everything, or after `timeout` if writes fail.
    pub fn close(self, timeout: Duration) -> Ending {
        self.flusher.journal.close();
        self.flusher.requests.lock().close_by = Some(Instant::now() + timeout);
        self.flusher.thread.unpark();
        self.thread.join().unwrap_or(Ending::Incomplete)
    }
}

/// Waits for the writer, from any thread.
#[derive(Clone, Debug)]
pub struct Flusher {
    requests: Arc<Requests>,
    journal: Journal,
    monitor: Arc<Monitor>,
    thread: Thread,
    /// Weak, so that the lock is released when the writer ends.
    lock: Weak<RunLock>,
}

impl Flusher {
    pub(crate) fn thread(&self) -> &Thread {
        &self.thread
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.requests.lock().has_ended
    }

    /// Waits until everything accepted before this call is durable, without limit if `timeout` is `None`.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if it is not durable in time, or the writer has ended; [`Error::Damaged`] if the run's directory
    /// was deleted or replaced.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        let since = Instant::now();
        let target = self.journal.appended();
        let mut pending = self.requests.lock();
        pending.flush_until = pending.flush_until.max(target);
        self.thread.unpark();
        while pending.flushed_until < target && !pending.has_ended && !pending.is_displaced {
            let left = timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                break;
            }
            pending = self.requests.wait(pending, left.unwrap_or(Duration::from_secs(1)));
        }
        if pending.flushed_until >= target {
            return Ok(());
        }
        drop(pending);
        if let Some(lock) = self.lock.upgrade() {
            lock.check_place()?;
        }
        Err(Error::FlushTimeout {
            waited_secs: since.elapsed().as_secs_f64(),
            pending: self.journal.appended() - self.journal.released(),
            last_error: self.monitor.last_error(),
        })
    }
}

#[cfg(test)]
mod tests;
