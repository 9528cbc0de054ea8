//! The training threads' side: accepts a point, or counts it as dropped.
//!
//! Accepting a point reads a clock and appends to the journal. It waits only if the journal is full while the writer makes
//! progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::record::config::{Config, Overflow};
use crate::record::health::{Health, Monitor};
use crate::series_table::SeriesTable;
use holter_journal::{AppendError, Journal, fork};
use holter_journal::{Point, SeriesId, Step, Timestamp};

/// The outcome of recording a point, or the points of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Accepted: it survives the death of the process.
    Accepted,
    /// Not accepted, and counted: the journal was full, and waiting was not allowed or timed out.
    Dropped,
    /// Not accepted: the run is closed.
    Closed,
    /// Not accepted: this process was forked from the one that records.
    Forked,
}

/// The journal is full; [`Recorder::record`] then waits or drops the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Accepts points from any thread.
#[derive(Debug)]
pub struct Recorder {
    journal: Journal,
    series: Arc<SeriesTable>,
    monitor: Arc<Monitor>,
    overflow: Overflow,
    stall_limit: Duration,
    /// One more than the released position at which a wait timed out: until it moves on, callers
    /// do not wait for a full journal again. 0 for none.
    stalled_at: AtomicU64,
    generation: u64,
    writer: Thread,
}

impl Recorder {
    pub(crate) fn new(
        journal: Journal,
        series: Arc<SeriesTable>,
        monitor: Arc<Monitor>,
        config: &Config,
        writer: Thread,
    ) -> Self {
        Self {
            journal,
            series,
            monitor,
            overflow: config.overflow,
            stall_limit: config.stall_limit,
            stalled_at: AtomicU64::new(0),
            generation: fork::generation(),
            writer,
        }
    }

    /// The id of the series `name`, which is first added to the journal if it is new.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::error::Error::InvalidName), or an I/O error if a full disk has no room for a new name.
    pub fn series(&self, name: &str) -> Result<SeriesId> {
        self.series.resolve(name, |id, name| Ok(self.journal.append_name(id, name)?))
    }

    /// Records a point if there is room, without waiting.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]; nothing is counted.
    #[inline]
    pub fn try_record(&self, series: SeriesId, step: Step, value: f64) -> Result<Outcome, NoRoom> {
        if self.is_forked() {
            return Ok(Outcome::Forked);
        }
        outcome(self.journal.append(&Point { series, step, value, time: now() }))
    }

    /// Records all `count` points of one step, or none, without waiting.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]; nothing is counted.
    #[inline]
    pub fn try_record_all(
        &self,
        step: Step,
        count: usize,
        mut entry: impl FnMut(usize) -> (SeriesId, f64),
    ) -> Result<Outcome, NoRoom> {
        if self.is_forked() {
            return Ok(Outcome::Forked);
        }
        let time = now();
        let point = |i| {
            let (series, value) = entry(i);
            Point { series, step, value, time }
        };
        outcome(self.journal.append_all(count, point))
    }

    /// Records a point, waiting for room according to [`Overflow`].
    pub fn record(&self, series: SeriesId, step: Step, value: f64) -> Outcome {
        self.record_with_backpressure(1, || self.try_record(series, step, value))
    }

    /// Records all points of one step, waiting for room according to [`Overflow`]. Of more points than
    /// [`Recorder::max_at_once`], some may be accepted and some dropped.
    pub fn record_all(&self, step: Step, entries: &[(SeriesId, f64)]) -> Outcome {
        let mut last = Outcome::Accepted;
        for chunk in entries.chunks(self.max_at_once()) {
            let taken = self
                .record_with_backpressure(chunk.len() as u64, || self.try_record_all(step, chunk.len(), |i| chunk[i]));
            if taken != Outcome::Accepted {
                last = taken;
            }
        }
        last
    }

    fn record_with_backpressure(&self, count: u64, attempt: impl Fn() -> Result<Outcome, NoRoom>) -> Outcome {
        if let Ok(outcome) = attempt() {
            return outcome;
        }
        let mut wait = Wait::new(self);
        loop {
            if self.overflow == Overflow::Drop || self.monitor.is_primary_failing() || !wait.pause() {
                self.journal.count_dropped(count);
                return Outcome::Dropped;
            }
            if let Ok(outcome) = attempt() {
                return outcome;
            }
        }
    }

    /// The step of the newest point in the journal; `None` if there is none, or if it is still being filled.
    pub fn newest_step(&self) -> Option<Step> {
        let last = self.journal.appended().checked_sub(1)?;
        let mut points = Vec::with_capacity(1);
        self.journal.read(last, 1, &mut points);
        points.first().map(|point| point.step)
    }

    /// The most points that [`Recorder::try_record_all`] accepts in one call.
    pub fn max_at_once(&self) -> usize {
        (self.journal.capacity() / 8) as usize
    }

    /// Counts points that were dropped before they reached the journal, such as those of a series whose name had no room.
    pub fn count_dropped(&self, count: u64) {
        self.journal.count_dropped(count);
    }

    /// What happened to the points so far.
    pub fn health(&self) -> Health {
        // In a forked child the monitor may be locked for ever by a thread that was not forked with it.
        let noted = if self.is_forked() { Health::default() } else { self.monitor.health() };
        Health {
            accepted: self.journal.appended(),
            written: self.journal.released(),
            dropped: self.journal.dropped(),
            ..noted
        }
    }

    /// Whether this process was forked from the one that records.
    #[inline]
    pub fn is_forked(&self) -> bool {
        fork::generation() != self.generation
    }
}

/// One caller's wait for room, which lasts as long as slots are released.
struct Wait<'a> {
    recorder: &'a Recorder,
    released: u64,
    since: Instant,
    pause: Duration,
    is_counted: bool,
}

impl<'a> Wait<'a> {
    const MAX_PAUSE: Duration = Duration::from_millis(1);

    fn new(recorder: &'a Recorder) -> Self {
        Self {
            recorder,
            released: recorder.journal.released(),
            since: Instant::now(),
            pause: Duration::from_micros(20),
            is_counted: false,
        }
    }

    /// Sleeps briefly; `false` if nothing was released for so long that the wait has timed out.
    fn pause(&mut self) -> bool {
        let recorder = self.recorder;
        let released = recorder.journal.released();
        if released != self.released {
            self.released = released;
            self.since = Instant::now();
        }
        if recorder.stalled_at.load(Ordering::Relaxed) == released + 1 {
            return false;
        }
        if self.since.elapsed() > recorder.stall_limit {
            recorder.stalled_at.store(released + 1, Ordering::Relaxed);
            return false;
        }
        if !self.is_counted {
            self.is_counted = true;
            recorder.monitor.count_wait();
        }
        recorder.writer.unpark();
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(Self::MAX_PAUSE);
        true
    }
}

#[inline]
fn outcome(appended: Result<(), AppendError>) -> Result<Outcome, NoRoom> {
    match appended {
        Ok(()) => Ok(Outcome::Accepted),
        Err(AppendError::Closed) => Ok(Outcome::Closed),
        Err(AppendError::Full) => Err(NoRoom),
    }
}

/// The coarse clock: its resolution of 1 to 4 ms is below a training step, and it costs a fifth of the precise clock.
#[inline]
fn now() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Timestamp::from_micros(time.tv_sec * 1_000_000 + time.tv_nsec / 1000)
}
