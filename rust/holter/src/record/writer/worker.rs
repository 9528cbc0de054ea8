//! The writer's loop: drain, group, commit, retry, shut down.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::commit_pacing::CommitPacing;
use super::requests::{PendingRequests, Requests};
use crate::error::Error;
use crate::record::alerts::watcher::Watcher;
use crate::record::config::{Config, Pace};
use crate::record::health::{Monitor, SinkState};
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;
use crate::store::run_lock::RunLock;
use crate::store::sink::{Derived, Primary};
use crate::store::sinks::Sinks;
use holter_journal::Journal;
use holter_journal::Point;

/// Whether everything accepted had reached the sinks when the writer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ending {
    /// Everything is in the sinks, and they are closed.
    Complete,
    /// Writes failed for too long: the missing points are still in the journal, for recovery.
    Incomplete,
}

/// Where drained points go.
pub(crate) struct Outputs {
    pub(crate) sinks: Sinks,
    /// Evaluates the rules, if there are any.
    pub(crate) watcher: Option<Watcher>,
}

/// A derived sink, and when it retries if it missed points.
struct Follower {
    sink: Box<dyn Derived>,
    retry: Option<Backoff>,
}

pub(super) struct Worker {
    journal: Journal,
    series: Arc<SeriesTable>,
    monitor: Arc<Monitor>,
    requests: Arc<Requests>,
    primary: Box<dyn Primary>,
    derived: Vec<Follower>,
    /// Evaluates the rules on every point when it is drained, because a commit may be seconds away.
    watcher: Option<Watcher>,
    pace: Pace,
    max_points: usize,
    /// The next position in the journal to drain.
    position: u64,
    /// Up to where the journal's pages are pre-faulted.
    ready: u64,
    /// Points that are drained but not in a batch yet.
    points: Vec<Point>,
    pacing: CommitPacing,
    /// A batch that the primary sink has not accepted yet.
    pending: Option<Batch>,
    retry: Option<Backoff>,
    last_commit: Instant,
    lock: Arc<RunLock>,
    /// Whether the run's directory was deleted or replaced at the last check.
    is_displaced: bool,
}

impl Worker {
    pub(super) fn new(
        journal: &Journal,
        series: &Arc<SeriesTable>,
        monitor: &Arc<Monitor>,
        requests: &Arc<Requests>,
        outputs: Outputs,
        config: &Config,
        lock: Arc<RunLock>,
    ) -> Self {
        let Outputs { sinks, watcher } = outputs;
        Self {
            position: journal.released(),
            ready: journal.appended(),
            journal: journal.clone(),
            series: Arc::clone(series),
            monitor: Arc::clone(monitor),
            requests: Arc::clone(requests),
            derived: sinks.derived.into_iter().map(|sink| Follower { sink, retry: None }).collect(),
            primary: sinks.primary,
            watcher,
            pace: config.pace,
            max_points: config.max_batch_points(),
            points: Vec::new(),
            pacing: CommitPacing::default(),
            pending: None,
            retry: None,
            last_commit: Instant::now(),
            lock,
            is_displaced: false,
        }
    }

    pub(super) fn run(mut self) -> Ending {
        loop {
            let requests = self.requests.lock().clone();
            let drained = self.drain();
            self.ready = self.journal.prefault(self.ready, 2 * drained);
            self.check_place();
            if !self.is_displaced {
                if self.is_due(&requests) {
                    self.commit();
                }
                self.flush_due();
                self.catch_up(false);
                if requests.flush_until > requests.flushed_until {
                    self.flush(requests.flush_until);
                }
            }
            if let Some(close_by) = requests.close_by {
                let is_drained = self.position == self.journal.appended() && self.held() == 0;
                if is_drained || self.is_displaced || Instant::now() > close_by {
                    return self.finish(is_drained);
                }
            }
            if drained < self.max_points / 4 {
                thread::park_timeout(self.pause(&requests));
            }
        }
    }

    /// Checks that the run's directory is still where the sinks write. If not, records the error and stops writing: points stay
    /// in the journal, and are dropped and counted when it is full.
    fn check_place(&mut self) {
        let place = self.lock.check_place();
        if let Err(error) = &place {
            self.monitor.note_error(0, SinkState::Failing, &error.to_string());
            self.monitor.set_primary_failing(true);
        }
        if self.is_displaced != place.is_err() {
            self.is_displaced = place.is_err();
            self.requests.update(|pending| pending.is_displaced = place.is_err());
        }
    }

    /// Drains the journal, up to a batch.
    fn drain(&mut self) -> usize {
        if self.pending.is_some() {
            return 0;
        }
        let from = self.points.len();
        self.position = self.journal.read(self.position, self.limit().saturating_sub(from), &mut self.points);
        let drained = &self.points[from..];
        if from == 0 && !drained.is_empty() {
            self.pacing.begin();
        }
        for point in drained {
            self.pacing.count(point.series.index());
        }
        let num_drained = drained.len();
        if let Some(watcher) = &mut self.watcher {
            watcher.observe(drained, &self.series);
        }
        self.write_alerts(false);
        num_drained
    }

    fn write_alerts(&mut self, is_last: bool) {
        if let Some(watcher) = &mut self.watcher
            && !self.is_displaced
            && let Err(error) = watcher.write(is_last)
        {
            self.monitor.note_other_error(&error);
        }
    }

    /// The most points of a commit: more if there are so many series that each would have few.
    fn limit(&self) -> usize {
        let efficient = self.pace.points_per_series.saturating_mul(self.pacing.distinct);
        efficient.clamp(self.max_points, 2 * self.max_points)
    }

    fn held(&self) -> usize {
        self.points.len() + self.pending.as_ref().map_or(0, Batch::len)
    }

    fn is_due(&self, pending: &PendingRequests) -> bool {
        if let Some(retry) = self.retry {
            return Instant::now() >= retry.at;
        }
        if self.held() == 0 {
            return false;
        }
        if pending.has_waiters() || self.points.len() >= self.limit() {
            return true;
        }
        let since = self.last_commit.elapsed();
        let interval = self.pacing.commit_interval(&self.pace);
        since >= interval
            || (since >= self.pace.min_interval
                && self.points.len() >= self.pace.points_per_series * self.pacing.distinct)
    }

    fn pause(&self, pending: &PendingRequests) -> Duration {
        if pending.has_waiters() {
            self.pace.poll_interval.min(Duration::from_millis(1))
        } else {
            self.pace.poll_interval
        }
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
        if let Err(error) = self.primary.append(&batch, &self.series) {
            self.pending = Some(batch);
            self.primary_failed(&error);
            return;
        }
        self.retry = None;
        self.last_commit = Instant::now();
        self.release();
        if let Some(warning) = self.primary.warning() {
            self.monitor.note_error(0, SinkState::Working, &warning);
        }
        self.append_derived(&batch);
    }

    /// The sequence number of the first drained point that is not in a batch.
    fn position_of_held(&self) -> u64 {
        // Drained points are consecutive, because draining stops at a slot that is still being filled.
        self.position - self.points.len() as u64
    }

    fn release(&mut self) {
        self.monitor.set_primary_failing(false);
        self.monitor.note_working(0, self.primary.committed());
        self.journal.release(self.primary.committed());
    }

    /// Appends a committed batch to the derived sinks.
    fn append_derived(&mut self, batch: &Batch) {
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
    }

    /// Marks the primary's points as derived once all derived sinks have them.
    fn mark_derived(&mut self) {
        let is_level = self
            .derived
            .iter()
            .all(|follower| follower.retry.is_none() && follower.sink.committed() >= self.primary.committed());
        if is_level
            && !self.derived.is_empty()
            && let Err(error) = self.primary.mark_derived()
        {
            // Nothing is lost: after a crash, the derived sinks would receive some points again.
            self.monitor.note_error(0, SinkState::Working, &error.to_string());
        }
    }

    /// Flushes sinks that have buffered points long enough.
    fn flush_due(&mut self) {
        if self.retry.is_none() && self.primary.is_due() {
            match self.primary.flush(&self.series) {
                Ok(()) => self.release(),
                Err(error) => self.primary_failed(&error),
            }
        }
        if self.derived.iter().any(|follower| follower.retry.is_none() && follower.sink.is_due()) {
            // All of them, because only points that all have can be marked.
            self.flush_derived();
            self.mark_derived();
        }
    }

    fn flush_derived(&mut self) {
        for (index, follower) in self.derived.iter_mut().enumerate().filter(|(_, follower)| follower.retry.is_none()) {
            match follower.sink.flush(&self.series) {
                Ok(()) => self.monitor.note_working(index + 1, follower.sink.committed()),
                Err(error) => {
                    self.monitor.note_error(index + 1, SinkState::Behind, &error.to_string());
                    follower.retry = Some(Backoff::after(None, self.pace.retry_interval));
                }
            }
        }
    }

    fn primary_failed(&mut self, error: &Error) {
        self.monitor.note_error(0, SinkState::Failing, &error.to_string());
        self.monitor.set_primary_failing(true);
        self.retry = Some(Backoff::after(self.retry, self.pace.retry_interval));
    }

    /// Lets derived sinks that missed points catch up, when their retry is due or on the last call.
    fn catch_up(&mut self, is_last: bool) {
        let mut has_caught_up = false;
        for (index, follower) in self.derived.iter_mut().enumerate() {
            let Some(retry) = follower.retry else { continue };
            if !is_last && (Instant::now() < retry.at || self.pending.is_some()) {
                continue;
            }
            self.monitor.count_retry();
            match follower.sink.catch_up(self.primary.as_mut()) {
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
            self.flush_derived();
            self.mark_derived();
        }
    }

    fn flush(&mut self, until: u64) {
        if self.position < until || self.held() > 0 || self.retry.is_some_and(|retry| Instant::now() < retry.at) {
            return;
        }
        match self.primary.flush(&self.series) {
            Ok(()) => {
                self.retry = None;
                self.release();
                self.requests.update(|pending| pending.flushed_until = until);
            }
            Err(error) => self.primary_failed(&error),
        }
    }

    /// Closes the sinks: first the derived ones, which catch up from the complete primary.
    fn finish(mut self, is_drained: bool) -> Ending {
        if self.is_displaced {
            self.requests.update(|pending| pending.has_ended = true);
            return Ending::Incomplete;
        }
        self.write_alerts(true);
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
        match self.primary.close(&self.series) {
            Ok(()) => self.release(),
            Err(error) => {
                is_complete = false;
                self.monitor.note_error(0, SinkState::Failing, &error.to_string());
            }
        }
        self.requests.update(|pending| {
            pending.has_ended = true;
            if is_complete {
                pending.flushed_until = u64::MAX;
            }
        });
        if is_complete { Ending::Complete } else { Ending::Incomplete }
    }
}
