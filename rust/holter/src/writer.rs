//! The one background thread: drains the journal, groups, writes, retries, shuts down.
//!
//! The writer is the journal's only reader and the sinks' only caller, so neither needs a lock. A
//! failing sink never stops it: the batch is kept, the failure noted, and the next attempt waits. The
//! journal forgets a point only when the truth has it durably.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::config::{Config, Pace};
use crate::error::{Error, Result};
use crate::health::{Monitor, SinkState};
use crate::journal::Journal;
use crate::point::Point;
use crate::series::SeriesTable;
use crate::sink::{Batch, Derived, Truth};

/// Where the writer puts what it drains.
pub struct Sinks {
    /// The one that decides what the journal may forget.
    pub truth: Box<dyn Truth>,
    /// Those made from it.
    pub derived: Vec<Box<dyn Derived>>,
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
    thread: Option<JoinHandle<Ending>>,
    requests: Arc<Requests>,
    journal: Journal,
    monitor: Arc<Monitor>,
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
    ) -> Result<Self> {
        let requests = Arc::new(Requests::default());
        let worker = Worker {
            position: journal.released(),
            journal: journal.clone(),
            series: Arc::clone(series),
            monitor: Arc::clone(monitor),
            requests: Arc::clone(&requests),
            derived: sinks.derived.into_iter().map(|sink| Follower { sink, retry: None }).collect(),
            truth: sinks.truth,
            pace: config.pace,
            max_points: config.max_batch_points(),
            points: Vec::new(),
            census: Census::default(),
            pending: None,
            retry: None,
            last_commit: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("holter-writer".to_owned())
            .spawn(move || worker.run())
            .map_err(Error::io("start", "the writer's thread"))?;
        Ok(Self { thread: Some(thread), requests, journal: journal.clone(), monitor: Arc::clone(monitor) })
    }

    pub(crate) fn thread(&self) -> Option<Thread> {
        self.thread.as_ref().map(|handle| handle.thread().clone())
    }

    /// Waits until everything accepted before this call is durable, for as long as it takes without
    /// a `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if it is not durable in time, or never will be.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        let since = Instant::now();
        let target = self.journal.appended();
        let mut state = self.requests.lock();
        state.flush_until = state.flush_until.max(target);
        self.unpark();
        while state.flushed_until < target && !state.is_over {
            let left = timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                break;
            }
            state = self.requests.wait(state, left.unwrap_or(Duration::from_secs(1)));
        }
        if state.flushed_until >= target {
            return Ok(());
        }
        Err(Error::FlushTimeout {
            waited_secs: since.elapsed().as_secs_f64(),
            pending: self.journal.appended() - self.journal.released(),
            last_error: self.monitor.last_error(),
        })
    }

    /// Ends the thread after it has written everything, or `timeout` after the disk began to refuse.
    pub fn close(&mut self, timeout: Duration) -> Ending {
        self.journal.close();
        self.requests.lock().close_by = Some(Instant::now() + timeout);
        self.unpark();
        self.thread.take().map_or(Ending::Incomplete, |thread| thread.join().unwrap_or(Ending::Incomplete))
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// What others ask of the writer, and its answers.
#[derive(Debug, Default)]
struct Requests {
    state: Mutex<Wishes>,
    answered: Condvar,
}

#[derive(Clone, Debug, Default)]
struct Wishes {
    flush_until: u64,
    flushed_until: u64,
    close_by: Option<Instant>,
    is_over: bool,
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, Wishes>, limit: Duration) -> MutexGuard<'a, Wishes> {
        self.answered.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    fn answer(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.lock());
        self.answered.notify_all();
    }
}

/// A derived sink, and when to try again if it missed something.
struct Follower {
    sink: Box<dyn Derived>,
    retry: Option<Backoff>,
}

/// When to try again: twice as late after each failure.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    at: Instant,
    interval: Duration,
}

impl Backoff {
    fn after(previous: Option<Self>, (first, longest): (Duration, Duration)) -> Self {
        let interval = previous.map_or(first, |previous| (previous.interval * 2).min(longest));
        Self { at: Instant::now() + interval, interval }
    }
}

struct Worker {
    journal: Journal,
    series: Arc<SeriesTable>,
    monitor: Arc<Monitor>,
    requests: Arc<Requests>,
    truth: Box<dyn Truth>,
    derived: Vec<Follower>,
    pace: Pace,
    max_points: usize,
    /// Where in the journal draining goes on.
    position: u64,
    /// Drained, and not yet in a batch.
    points: Vec<Point>,
    census: Census,
    /// A batch that the truth has refused so far.
    pending: Option<Batch>,
    retry: Option<Backoff>,
    last_commit: Instant,
}

impl Worker {
    fn run(mut self) -> Ending {
        loop {
            let wishes = self.requests.lock().clone();
            let drained = self.drain();
            if self.is_due(&wishes) {
                self.commit();
            }
            self.catch_up(false);
            if wishes.flush_until > wishes.flushed_until {
                self.flush(wishes.flush_until);
            }
            if let Some(close_by) = wishes.close_by {
                let is_drained = self.position == self.journal.appended() && self.held() == 0;
                if is_drained || Instant::now() > close_by {
                    return self.finish(is_drained);
                }
            }
            if drained < self.max_points / 4 {
                thread::park_timeout(self.pause(&wishes));
            }
        }
    }

    /// Takes from the journal what is there, at most a batch.
    fn drain(&mut self) -> usize {
        if self.pending.is_some() {
            return 0;
        }
        let from = self.points.len();
        self.position = self.journal.read(self.position, self.max_points - from, &mut self.points);
        let drained = &self.points[from..];
        if from == 0 && !drained.is_empty() {
            self.census.begin();
        }
        for point in drained {
            self.census.count(point.series.index());
        }
        drained.len()
    }

    fn held(&self) -> usize {
        self.points.len() + self.pending.as_ref().map_or(0, Batch::len)
    }

    fn is_due(&self, wishes: &Wishes) -> bool {
        if let Some(retry) = self.retry {
            return Instant::now() >= retry.at;
        }
        if self.held() == 0 {
            return false;
        }
        let is_asked = wishes.close_by.is_some() || wishes.flush_until > wishes.flushed_until;
        if is_asked || self.points.len() >= self.max_points {
            return true;
        }
        let since = self.last_commit.elapsed();
        let interval = self.census.commit_interval(&self.pace);
        since >= interval
            || (since >= self.pace.min_interval
                && self.points.len() >= self.pace.points_per_series * self.census.distinct)
    }

    fn pause(&self, wishes: &Wishes) -> Duration {
        let is_asked = wishes.close_by.is_some() || wishes.flush_until > wishes.flushed_until;
        if is_asked { self.pace.poll_interval.min(Duration::from_millis(1)) } else { self.pace.poll_interval }
    }

    fn commit(&mut self) {
        let batch = self.pending.take().unwrap_or_else(|| {
            let start = self.position_of_held();
            Batch::new(start..self.position, &self.points)
        });
        self.points.clear();
        if self.retry.is_some() {
            self.monitor.count_retry();
        }
        if let Err(error) = self.truth.append(&batch, &self.series) {
            self.monitor.note_error(0, SinkState::Failing, &error.to_string());
            self.monitor.set_truth_failing(true);
            self.pending = Some(batch);
            self.retry = Some(Backoff::after(self.retry, self.pace.retry_interval));
            return;
        }
        self.retry = None;
        self.last_commit = Instant::now();
        self.release();
        self.pass_on(&batch);
    }

    /// The sequence number of the first point that is drained but in no batch.
    fn position_of_held(&self) -> u64 {
        // What is drained was consecutive, for draining stops at a slot still being filled.
        self.position - self.points.len() as u64
    }

    fn release(&mut self) {
        self.monitor.set_truth_failing(false);
        self.monitor.note_working(0, self.truth.committed());
        self.journal.release(self.truth.committed());
    }

    /// Gives the derived sinks a batch that the truth has.
    fn pass_on(&mut self, batch: &Batch) {
        for (index, follower) in self.derived.iter_mut().enumerate() {
            if follower.retry.is_some() {
                continue;
            }
            match follower.sink.append(batch, &self.series) {
                Ok(()) => self.monitor.note_working(index + 1, follower.sink.committed()),
                Err(error) => {
                    self.monitor.note_error(index + 1, SinkState::Behind, &error.to_string());
                    follower.retry = Some(Backoff::after(None, self.pace.retry_interval));
                }
            }
        }
        self.mark_derived();
    }

    /// Tells the truth when the derived sinks have all that it has.
    fn mark_derived(&mut self) {
        let is_level = self
            .derived
            .iter()
            .all(|follower| follower.retry.is_none() && follower.sink.committed() >= self.truth.committed());
        if is_level
            && !self.derived.is_empty()
            && let Err(error) = self.truth.mark_derived()
        {
            // Nothing is lost: after a crash a derived sink would be given again what it has.
            self.monitor.note_error(0, SinkState::Working, &error.to_string());
        }
    }

    /// Gives the derived sinks that missed something another try, when it is time or the last one.
    fn catch_up(&mut self, is_last: bool) {
        let mut has_caught_up = false;
        for (index, follower) in self.derived.iter_mut().enumerate() {
            let Some(retry) = follower.retry else { continue };
            if !is_last && (Instant::now() < retry.at || self.pending.is_some()) {
                continue;
            }
            self.monitor.count_retry();
            match follower.sink.catch_up(self.truth.as_mut()) {
                Ok(()) => {
                    follower.retry = None;
                    has_caught_up = true;
                    self.monitor.note_working(index + 1, follower.sink.committed());
                }
                Err(error) => {
                    self.monitor.note_error(index + 1, SinkState::Behind, &error.to_string());
                    follower.retry = Some(Backoff::after(follower.retry, self.pace.retry_interval));
                }
            }
        }
        if has_caught_up {
            self.mark_derived();
        }
    }

    fn flush(&mut self, until: u64) {
        if self.position < until || self.held() > 0 || self.retry.is_some_and(|retry| Instant::now() < retry.at) {
            return;
        }
        match self.truth.flush(&self.series) {
            Ok(()) => {
                self.retry = None;
                self.release();
                self.requests.answer(|wishes| wishes.flushed_until = until);
            }
            Err(error) => {
                self.monitor.note_error(0, SinkState::Failing, &error.to_string());
                self.retry = Some(Backoff::after(self.retry, self.pace.retry_interval));
            }
        }
    }

    /// Closes the sinks. The derived ones are brought up to date first, from a truth that is complete.
    fn finish(mut self, is_drained: bool) -> Ending {
        self.catch_up(true);
        let mut is_complete = is_drained;
        for (index, follower) in self.derived.iter_mut().enumerate() {
            match follower.sink.close(&self.series) {
                Ok(()) if follower.retry.is_none() => {
                    self.monitor.note_working(index + 1, follower.sink.committed());
                }
                Ok(()) => is_complete = false,
                Err(error) => {
                    is_complete = false;
                    self.monitor.note_error(index + 1, SinkState::Behind, &error.to_string());
                }
            }
        }
        if is_complete {
            self.mark_derived();
        }
        match self.truth.close(&self.series) {
            Ok(()) => self.release(),
            Err(error) => {
                is_complete = false;
                self.monitor.note_error(0, SinkState::Failing, &error.to_string());
            }
        }
        self.requests.answer(|wishes| {
            wishes.is_over = true;
            if is_complete {
                wishes.flushed_until = u64::MAX;
            }
        });
        if is_complete { Ending::Complete } else { Ending::Incomplete }
    }
}

/// How many distinct series the held points belong to.
#[derive(Debug, Default)]
struct Census {
    /// For each series the round in which it was last seen.
    seen_in: Vec<u32>,
    round: u32,
    distinct: usize,
}

impl Census {
    /// What a commit writes for each series that it touches: one page of the database.
    const BYTES_PER_SERIES: f64 = 4100.0;

    fn begin(&mut self) {
        self.round = self.round.wrapping_add(1).max(1);
        self.distinct = 0;
    }

    #[inline]
    fn count(&mut self, series: usize) {
        if series >= self.seen_in.len() {
            self.seen_in.resize(series + 1, 0);
        }
        if self.seen_in[series] != self.round {
            self.seen_in[series] = self.round;
            self.distinct += 1;
        }
    }

    /// The time between commits that keeps to the budget of written bytes.
    fn commit_interval(&self, pace: &Pace) -> Duration {
        let secs = self.distinct as f64 * Self::BYTES_PER_SERIES / pace.bytes_per_sec;
        Duration::from_secs_f64(secs.clamp(1.0, pace.max_interval.as_secs_f64().max(1.0)))
    }
}
