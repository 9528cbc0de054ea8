//! The one background thread: drains the journal, groups, writes, retries, shuts down.
//!
//! The writer is the journal's only reader and the sinks' only caller, so neither needs a lock. A
//! failing sink never stops it: the batch is kept, the failure noted, and the next attempt waits. The
//! journal forgets a point only when the truth has it durably.

mod census;
mod requests;
mod worker;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::alert::watch::Watcher;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::health::{Monitor, SinkState};
use crate::journal::Journal;
use crate::run_dir::RunLock;
use crate::series::SeriesTable;
use crate::sink::{Derived, Truth};
use requests::Requests;
use worker::Worker;

/// Where the writer puts what it drains.
pub struct Sinks {
    /// The one that decides what the journal may forget.
    pub truth: Box<dyn Truth>,
    /// Those made from it.
    pub derived: Vec<Box<dyn Derived>>,
    /// What looks at the points on their way, where alerts are wanted.
    pub(crate) watcher: Option<Watcher>,
}

impl Sinks {
    /// The sinks' names, the truth first.
    pub fn names(&self) -> Vec<&'static str> {
        std::iter::once(self.truth.name()).chain(self.derived.iter().map(|sink| sink.name())).collect()
    }
}

/// Whether everything accepted had reached the sinks when the writer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ending {
    /// Everything is in the sinks, and they are closed.
    Complete,
    /// The disk refused for too long: the journal still holds what is missing, for recovery.
    Incomplete,
}

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
    /// [`Error::Io`] if the system gives no thread.
    pub(crate) fn start(
        journal: &Journal,
        series: &Arc<SeriesTable>,
        monitor: &Arc<Monitor>,
        sinks: Sinks,
        config: &Config,
        lock: Arc<RunLock>,
    ) -> Result<Self> {
        let requests = Arc::new(Requests::default());
        let place = Arc::downgrade(&lock);
        let worker = Worker::new(journal, series, monitor, &requests, sinks, config, lock);
        let (monitor, journal) = (Arc::clone(monitor), journal.clone());
        let flusher_monitor = Arc::clone(&monitor);
        let flusher_requests = Arc::clone(&requests);
        let thread = thread::Builder::new()
            .name("holter-writer".to_owned())
            .spawn(move || {
                panic::catch_unwind(AssertUnwindSafe(|| worker.run())).unwrap_or_else(|_| {
                    // A defect of ours must not go unnoticed: points are dropped from here on, and counted.
                    monitor.note_error(0, SinkState::Failing, "the writer has ended by a defect; please report it");
                    monitor.set_truth_failing(true);
                    requests.answer(|wishes| wishes.is_over = true);
                    Ending::Incomplete
                })
            })
            .map_err(Error::io("start", "the writer's thread"))?;
        let handle = thread.thread().clone();
        let flusher =
            Flusher { requests: flusher_requests, journal, monitor: flusher_monitor, thread: handle, lock: place };
        Ok(Self { thread, flusher })
    }

    /// What others wait for the writer with.
    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// Ends the thread after it has written everything, or after `timeout` if the disk refuses.
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
    /// Not kept from being let go of when the writer has ended.
    lock: Weak<RunLock>,
}

impl Flusher {
    pub(crate) fn thread(&self) -> &Thread {
        &self.thread
    }

    pub(crate) fn is_over(&self) -> bool {
        self.requests.lock().is_over
    }

    /// Waits until everything accepted before this call is durable, for as long as it takes without
    /// a `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if it is not durable in time, or never will be; [`Error::Damaged`] if the run's folder was
    /// deleted or replaced.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        let since = Instant::now();
        let target = self.journal.appended();
        let mut wishes = self.requests.lock();
        wishes.flush_until = wishes.flush_until.max(target);
        self.thread.unpark();
        while wishes.flushed_until < target && !wishes.is_over && !wishes.is_displaced {
            let left = timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                break;
            }
            wishes = self.requests.wait(wishes, left.unwrap_or(Duration::from_secs(1)));
        }
        if wishes.flushed_until >= target {
            return Ok(());
        }
        drop(wishes);
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
