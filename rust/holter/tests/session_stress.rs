//! Several threads log to a session with a tiny journal: every accepted point is stored once, in the order of its
//! thread, and every other point is counted as dropped.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use holter::record::config::{Config, Overflow, Pace};
use holter::record::recorder::Outcome;
use holter::record::session::{Session, SessionOptions};
use holter::store::manifest::Status;
use holter::store::parquet::parts;
use holter_journal::SeriesId;
use rusqlite::Connection;
use tempfile::TempDir;

const THREADS: usize = 4;
/// The points of one call of `record_all`.
const ROW: usize = 7;

/// A session whose writer polls often or rarely, so that the journal is empty or full.
fn open(path: &Path, sinks: &[&str], overflow: Overflow, poll_interval: Duration) -> Session {
    let config = Config {
        journal_capacity: 1 << 10,
        overflow,
        sinks: sinks.iter().map(|&name| name.to_owned()).collect(),
        pace: Pace { poll_interval, ..Pace::default() },
        ..Config::default()
    };
    Session::open(SessionOptions { path: path.to_owned(), config, ..SessionOptions::default() }).unwrap()
}

fn ids(session: &Session, thread: usize) -> Vec<SeriesId> {
    (0..ROW).map(|index| session.recorder().series(&format!("thread-{thread}/{index}")).unwrap()).collect()
}

/// Every stored value by name and step.
fn stored(path: &Path, sinks: &[&str]) -> BTreeMap<(String, i64), f64> {
    if !sinks.contains(&"sqlite") {
        return from_parts(path);
    }
    let connection = Connection::open(path.join("metrics.sqlite")).unwrap();
    let mut select = connection.prepare("SELECT name, step, value FROM metrics").unwrap();
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn from_parts(path: &Path) -> BTreeMap<(String, i64), f64> {
    let mut found = BTreeMap::new();
    parts::for_each_series(&parts::list(&path.join("parquet")).unwrap(), |name, columns| {
        found.extend(columns.steps.iter().zip(&columns.values).map(|(&step, &value)| ((name.to_owned(), step), value)));
        Ok(())
    })
    .unwrap();
    found
}

/// Logs `steps` steps from each of several threads, point by point and row by row, and returns the accepted points of
/// each thread.
fn log(session: &Session, steps: i64) -> Vec<Vec<(String, i64, f64)>> {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    let ids = ids(session, thread);
                    let name = |index: usize| format!("thread-{thread}/{index}");
                    let mut accepted = Vec::new();
                    start.wait();
                    for step in 0..steps {
                        let value = (thread as i64 * steps + step) as f64;
                        if step % 2 == 0 {
                            match session.recorder().record(ids[0], step, value) {
                                Outcome::Accepted => accepted.push((name(0), step, value)),
                                Outcome::Dropped => {}
                                other => panic!("{other:?}"),
                            }
                        } else {
                            let row: Vec<_> = ids.iter().map(|&id| (id, value)).collect();
                            match session.recorder().record_all(step, &row) {
                                Outcome::Accepted => accepted.extend((0..ROW).map(|index| (name(index), step, value))),
                                Outcome::Dropped => {}
                                other => panic!("{other:?}"),
                            }
                        }
                    }
                    accepted
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn check(sinks: &[&str], overflow: Overflow, poll_interval: Duration, steps: i64) -> u64 {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("run");
    let session = open(&path, sinks, overflow, poll_interval);
    let accepted = log(&session, steps);
    session.close(Status::Finished).unwrap();
    let health = session.health();
    let offered = THREADS as u64 * (steps as u64 / 2) * (1 + ROW as u64);
    let num_accepted = accepted.iter().map(Vec::len).sum::<usize>() as u64;
    assert_eq!((health.accepted, health.accepted + health.dropped), (num_accepted, offered));
    assert_eq!(health.written, health.accepted);
    let expected: BTreeMap<_, _> =
        accepted.into_iter().flatten().map(|(name, step, value)| ((name, step), value)).collect();
    assert_eq!(expected.len() as u64, num_accepted);
    assert!(stored(&path, sinks) == expected, "the stored points differ from the accepted points");
    if sinks.contains(&"parquet") {
        assert!(from_parts(&path) == expected, "the points in the parts differ from the accepted points");
    }
    health.dropped
}

/// Catches a point that is lost or duplicated while producers wait for room, for any polling interval.
#[test]
fn every_point_is_stored_once() {
    for sinks in [&["sqlite", "parquet", "summary"][..], &["sqlite"], &["parquet"], &["parquet", "summary"]] {
        for poll_millis in [0, 1, 20] {
            let dropped = check(sinks, Overflow::Block, Duration::from_millis(poll_millis), 4_000);
            assert_eq!(dropped, 0, "dropped points although the writer made progress");
        }
    }
}

/// Catches dropped points that are not counted, and stored points that are counted as dropped.
#[test]
fn dropped_points_are_counted() {
    let mut dropped = 0;
    for sinks in [&["sqlite", "parquet", "summary"][..], &["parquet"]] {
        for poll_millis in [0, 20, 100] {
            dropped += check(sinks, Overflow::Drop, Duration::from_millis(poll_millis), 4_000);
        }
    }
    assert!(dropped > 0, "no points were dropped, so the test checked nothing");
}

/// Catches a step that is logged again by the same thread but keeps its first value: the points of a thread stay in
/// order.
#[test]
fn points_of_a_thread_stay_in_order() {
    for sinks in [&["sqlite", "parquet"][..], &["parquet"]] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("run");
        let session = open(&path, sinks, Overflow::Block, Duration::from_millis(1));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let ids = ids(&session, thread);
                let session = &session;
                scope.spawn(move || {
                    for number in 0..5_000_i64 {
                        assert_eq!(session.recorder().record(ids[0], number % 50, number as f64), Outcome::Accepted);
                    }
                });
            }
        });
        session.close(Status::Finished).unwrap();
        let expected = (0..THREADS)
            .flat_map(|thread| (0..50).map(move |step| ((format!("thread-{thread}/0"), step), (4_950 + step) as f64)));
        let expected: BTreeMap<_, _> = expected.collect();
        assert_eq!(stored(&path, sinks), expected);
        assert_eq!(from_parts(&path), expected);
    }
}

/// Catches a flush that returns before its points are committed, while other threads log.
#[test]
fn flush_returns_after_its_points_are_committed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("run");
    let session = open(&path, &["sqlite"], Overflow::Block, Duration::from_millis(20));
    let (is_done, logged) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let id = session.recorder().series("background").unwrap();
            for step in 0.. {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                assert_eq!(session.recorder().record(id, step, 1.0), Outcome::Accepted);
                logged.fetch_add(1, Ordering::Relaxed);
            }
        });
        let id = session.recorder().series("flushed").unwrap();
        for step in 0..40 {
            assert_eq!(session.recorder().record(id, step, 2.0), Outcome::Accepted);
            session.flush(Some(Duration::from_secs(20))).unwrap();
            let connection = Connection::open(path.join("metrics.sqlite")).unwrap();
            let count = "SELECT count(*) FROM metrics WHERE name = 'flushed'";
            let found: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
            assert_eq!(found, step + 1);
        }
        is_done.store(true, Ordering::Relaxed);
    });
    session.close(Status::Finished).unwrap();
    assert_eq!(session.health().accepted, logged.load(Ordering::Relaxed) + 40);
    assert_eq!(stored(&path, &["sqlite"]).len() as u64, session.health().accepted);
}

/// Catches a close that waits for a blocked flush or exceeds its timeout, and callers that wait for a full journal
/// while the primary sink fails.
#[test]
fn failing_primary_does_not_block_close_or_log() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("run");
    let config = Config {
        journal_capacity: 1 << 10,
        sinks: vec!["sqlite".to_owned()],
        close_timeout: Duration::from_millis(700),
        ..Config::default()
    };
    let options = SessionOptions { path: path.clone(), config, ..SessionOptions::default() };
    let session = Session::open(options.clone()).unwrap();
    let id = session.recorder().series("loss").unwrap();
    assert_eq!(session.recorder().record(id, -1, 1.0), Outcome::Accepted);
    session.flush(None).unwrap();
    // A second connection in this process has its own locks, like another process.
    let locker = Connection::open(path.join("metrics.sqlite")).unwrap();
    locker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let since = Instant::now();
    let accepted =
        (0..20_000).filter(|&step| session.recorder().record(id, step, 1.0) == Outcome::Accepted).count() as u64;
    assert!(since.elapsed() < Duration::from_secs(5), "the producer waited for the locked database");
    let health = session.health();
    assert_eq!((health.accepted, health.dropped), (accepted + 1, 20_000 - accepted));
    assert!(health.dropped > 0);
    thread::scope(|scope| {
        let flush = scope.spawn(|| session.flush(None));
        let closing = Instant::now();
        assert!(session.close(Status::Finished).is_err());
        // The timeout, plus five seconds for SQLite's wait for a checkpoint.
        assert!(closing.elapsed() < Duration::from_secs(10), "closing took {:?}", closing.elapsed());
        assert!(flush.join().unwrap().is_err());
    });
    drop(locker);
    let again = Session::open(options).unwrap();
    assert_eq!(again.recovery().recovered, accepted);
    again.close(Status::Finished).unwrap();
    let steps: Vec<i64> = stored(&path, &["sqlite"]).into_keys().map(|(_, step)| step).collect();
    assert_eq!(steps.len() as u64, accepted + 1);
}
