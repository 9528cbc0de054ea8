//! The writer with sinks that fail on command: nothing is lost, duplicated, or reported as written too early.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use holter_journal::{Journal, Point, SeriesId, Step, Timestamp};

use super::{Ending, Outputs, Writer};
use crate::error::{Error, Result};
use crate::record::config::Config;
use crate::record::health::{Health, Monitor, SinkState};
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;
use crate::store::run_dir::RunDir;
use crate::store::run_lock::RunLock;
use crate::store::sink::{Derived, Primary, Sink};
use crate::store::sinks::Sinks;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

/// What a [`MemorySink`] contains, and which of its calls fail.
#[derive(Default)]
struct Store {
    points: BTreeMap<(SeriesId, Step), f64>,
    /// The number of appended points, to detect duplicates.
    appends: usize,
    committed: u64,
    is_derived_up_to: u64,
    failing_appends: usize,
    failing_flushes: usize,
    failing_catch_ups: usize,
    panics: bool,
    is_closed: bool,
}

/// A sink in memory.
#[derive(Clone, Default)]
struct MemorySink(Arc<Mutex<Store>>);

impl MemorySink {
    fn failing(change: impl FnOnce(&mut Store)) -> Self {
        let sink = Self::default();
        change(&mut sink.lock());
        sink
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().expect("no test panics with the lock")
    }

    fn steps(&self) -> Vec<Step> {
        self.lock().points.keys().map(|(_, step)| *step).collect()
    }
}

fn countdown(left: &mut usize) -> Result<()> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(Error::damaged("memory", "failing on command"))
}

impl Sink for MemorySink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn append(&mut self, batch: &Batch, _series: &SeriesTable) -> Result<()> {
        let mut store = self.lock();
        if store.panics {
            drop(store);
            panic!("a bug in a sink");
        }
        countdown(&mut store.failing_appends)?;
        for series in batch.by_series() {
            for (step, value) in series.steps.iter().zip(series.values) {
                store.points.insert((series.series, *step), *value);
                store.appends += 1;
            }
        }
        store.committed = batch.sequences().end;
        Ok(())
    }

    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        countdown(&mut self.lock().failing_flushes)
    }

    fn committed(&self) -> u64 {
        self.lock().committed
    }

    fn close(&mut self, series: &SeriesTable) -> Result<()> {
        self.flush(series)?;
        self.lock().is_closed = true;
        Ok(())
    }
}

impl Primary for MemorySink {
    fn mark_derived(&mut self) -> Result<()> {
        let mut store = self.lock();
        store.is_derived_up_to = store.committed;
        Ok(())
    }

    fn underived(&mut self, visit: &mut dyn FnMut(&Batch, &SeriesTable) -> Result<()>) -> Result<()> {
        let (points, committed) = {
            let store = self.lock();
            let time = Timestamp::from_micros(0);
            let point = |(&(series, step), &value): (&(SeriesId, Step), &f64)| Point { series, step, value, time };
            (store.points.iter().map(point).collect::<Vec<_>>(), store.committed)
        };
        visit(&Batch::new(0..committed, &points), &SeriesTable::default())
    }
}

impl Derived for MemorySink {
    fn catch_up(&mut self, primary: &mut dyn Primary) -> Result<()> {
        countdown(&mut self.lock().failing_catch_ups)?;
        primary.underived(&mut |batch, series| self.append(batch, series))
    }
}

/// A writer over memory sinks, and the journal that feeds it.
struct Rig {
    journal: Journal,
    monitor: Arc<Monitor>,
    writer: Writer,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new(primary: &MemorySink, derived: &[&MemorySink]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let lock = Arc::new(RunLock::acquire(&RunDir::new(dir.path())).expect("a lock"));
        let journal = Journal::in_memory(1024, 7, Timestamp::from_micros(0));
        let mut config = Config::default();
        config.pace.poll_interval = Duration::from_millis(1);
        config.pace.retry_interval = (Duration::from_millis(1), Duration::from_millis(4));
        let derived = derived.iter().map(|&sink| Box::new(sink.clone()) as Box<dyn Derived>).collect();
        let sinks = Sinks { primary: Box::new(primary.clone()), derived };
        let monitor = Arc::new(Monitor::new(sinks.names()));
        let outputs = Outputs { sinks, watcher: None };
        let series = Arc::new(SeriesTable::from_names(["loss".to_owned()]));
        let writer = Writer::start(&journal, &series, &monitor, outputs, &config, lock).expect("a thread");
        Self { journal, monitor, writer, _dir: dir }
    }

    fn append(&self, steps: std::ops::Range<Step>) {
        let series = SeriesId::new(0).expect("a valid id");
        for step in steps {
            let point = Point { series, step, value: step as f64, time: Timestamp::from_micros(0) };
            self.journal.append(&point).expect("the journal has room");
        }
    }

    fn flush(&self, timeout: Duration) -> Result<()> {
        self.writer.flusher().flush(Some(timeout))
    }

    fn health(&self) -> Health {
        self.monitor.health()
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < LONG, "the condition was not met in time");
        std::thread::yield_now();
    }
}

fn all(end: Step) -> Vec<Step> {
    (0..end).collect()
}

#[test]
fn a_failing_primary_is_retried_without_losing_or_repeating_points() {
    let primary = MemorySink::failing(|store| store.failing_appends = 5);
    let rig = Rig::new(&primary, &[]);
    rig.append(0..300);
    rig.flush(LONG).expect("the sixth attempt succeeds");
    assert_eq!(primary.steps(), all(300));
    assert_eq!(primary.lock().appends, 300);
    assert_eq!(rig.journal.released(), 300);
    let health = rig.health();
    assert_eq!((health.retries, health.sinks[0].state), (5, SinkState::Working));
    assert!(health.last_error.is_some_and(|error| error.contains("failing on command")));
    assert_eq!(rig.writer.close(LONG), Ending::Complete);
}

#[test]
fn slots_are_kept_while_the_primary_fails() {
    let primary = MemorySink::failing(|store| store.failing_appends = usize::MAX);
    let rig = Rig::new(&primary, &[]);
    rig.append(0..100);
    assert!(matches!(rig.flush(SHORT), Err(Error::FlushTimeout { pending: 100, last_error: Some(_), .. })));
    assert_eq!((rig.journal.released(), rig.health().sinks[0].state), (0, SinkState::Failing));
    assert!(rig.monitor.is_primary_failing(), "callers must not wait for a full journal");
    let journal = rig.journal.clone();
    assert_eq!(rig.writer.close(SHORT), Ending::Incomplete);
    assert_eq!((journal.appended(), journal.released()), (100, 0), "recovery finds every point");
}

#[test]
fn a_failing_flush_is_retried() {
    let primary = MemorySink::failing(|store| store.failing_flushes = 3);
    let rig = Rig::new(&primary, &[]);
    rig.append(0..10);
    rig.flush(LONG).expect("the fourth flush succeeds");
    assert_eq!(primary.steps(), all(10));
    assert_eq!(rig.writer.close(LONG), Ending::Complete);
}

#[test]
fn a_failing_derived_sink_catches_up_without_delaying_the_others() {
    let (primary, healthy) = (MemorySink::default(), MemorySink::default());
    let failing = MemorySink::failing(|store| (store.failing_appends, store.failing_catch_ups) = (1, 4));
    let rig = Rig::new(&primary, &[&failing, &healthy]);
    rig.append(0..200);
    rig.flush(LONG).expect("the primary works");
    assert_eq!((primary.steps(), healthy.steps()), (all(200), all(200)));
    wait_until(|| failing.steps() == all(200));
    rig.append(200..250);
    assert_eq!(rig.writer.close(LONG), Ending::Complete);
    assert_eq!((failing.steps(), healthy.steps()), (all(250), all(250)));
    assert_eq!(primary.lock().is_derived_up_to, 250);
    assert!(failing.lock().is_closed && healthy.lock().is_closed && primary.lock().is_closed);
}

#[test]
fn a_derived_sink_that_never_recovers_makes_the_end_incomplete() {
    let primary = MemorySink::default();
    let failing = MemorySink::failing(|store| (store.failing_appends, store.failing_catch_ups) = (1, usize::MAX));
    let rig = Rig::new(&primary, &[&failing]);
    rig.append(0..50);
    rig.flush(LONG).expect("the primary works");
    let monitor = Arc::clone(&rig.monitor);
    assert_eq!(rig.writer.close(LONG), Ending::Incomplete);
    assert_eq!((primary.steps(), primary.lock().is_derived_up_to), (all(50), 0));
    assert_eq!(monitor.health().sinks[1].state, SinkState::Behind);
}

#[test]
fn a_panic_in_a_sink_is_reported_and_ends_every_wait() {
    let primary = MemorySink::failing(|store| store.panics = true);
    let rig = Rig::new(&primary, &[]);
    rig.append(0..10);
    assert!(matches!(rig.flush(LONG), Err(Error::FlushTimeout { pending: 10, .. })));
    assert!(rig.writer.flusher().has_ended() && rig.monitor.is_primary_failing());
    assert!(rig.health().last_error.is_some_and(|error| error.contains("please report it")));
    assert_eq!(rig.writer.close(SHORT), Ending::Incomplete);
}
