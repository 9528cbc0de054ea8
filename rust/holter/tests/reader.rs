//! A reader returns every logged point in every state of a run, compared with a map.
#![allow(clippy::unwrap_used)]

mod reader_support;
mod run_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use holter::error::Error;
use holter::read::{Reader, list_runs, open_rank, ranks};
use holter::record::config::{Config, Pace};
use holter::record::recorder::Outcome;
use holter::record::session::{Session, SessionOptions};
use holter::store::manifest::Status;
use holter::store::recover;
use holter::store::run_dir::RunDir;
use reader_support::{Model, SINKS};
use run_support::{copy, flush_only, open};

fn listing(path: &Path) -> Vec<(PathBuf, u64)> {
    let mut all: Vec<(PathBuf, u64)> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|e| (e.path(), e.metadata().unwrap().len()))
        .collect();
    all.sort();
    all
}

/// Replaces points, and logs new ones.
fn log_again(model: &mut Model, session: &Session) {
    for step in 250..350 {
        model.log(session, "train/loss", step, if step % 2 == 0 { f64::NAN } else { step as f64 });
    }
    model.log(session, "train/loss", 349, -1.0);
    model.log(session, "odd", 0, 3.0);
    model.log(session, "odd", i64::MAX, 4.0);
    model.log(session, "new", 7, 7.0);
}

#[test]
fn points_are_readable_in_every_state_of_a_run() {
    for sinks in SINKS {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("run");
        let session = open(&path, sinks, flush_only());
        let mut model = Model::default();
        model.check(&path, "nothing logged");
        let long_lived = Reader::open(&path).unwrap();
        for step in 0..300 {
            model.log(&session, "train/loss", step, 1.0 / (step + 1) as f64);
            model.log(&session, "ä \"quoted\" 'name'", -step, f64::from(step as i32 % 7));
        }
        for (step, value) in
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, f64::MAX].iter().enumerate()
        {
            model.log(&session, "odd", step as i64, *value);
        }
        model.log(&session, "odd", i64::MAX, f64::NAN);
        model.log(&session, "odd", i64::MIN, 0.5);
        model.check(&path, "in the journal only");
        model.check_with(&long_lived, "in the journal only, long-lived reader");
        let crashed = copy(&path, scratch.path().join("crashed-1"));
        model.check(&crashed, "crashed before a commit");

        session.flush(None).unwrap();
        model.check(&path, "flushed");
        model.check_with(&long_lived, "flushed, long-lived reader");

        log_again(&mut model, &session);
        model.check(&path, "logged again");
        model.check_with(&long_lived, "logged again, long-lived reader");
        assert_eq!(long_lived.status().unwrap(), Status::Running);
        let crashed = copy(&path, scratch.path().join("crashed-2"));
        model.check(&crashed, "crashed");
        let before = listing(&crashed);
        let reader = Reader::open(&crashed).unwrap();
        assert_eq!(reader.status().unwrap(), Status::Crashed);
        assert!(!reader.is_live());
        model.check_with(&reader, "crashed");
        assert_eq!(listing(&crashed), before, "a reader changes no files");
        recover(&RunDir::new(&crashed)).unwrap();
        model.check_with(&reader, "recovered while a reader is open");
        model.check(&crashed, "recovered");

        session.close(Status::Finished).unwrap();
        drop(session);
        let before = listing(&path);
        model.check(&path, "closed");
        model.check_with(&long_lived, "closed, long-lived reader");
        assert_eq!(listing(&path), before, "a reader changes no files");
        assert_eq!(long_lived.status().unwrap(), Status::Finished);

        let session = open(&path, sinks, flush_only());
        model.check_with(&long_lived, "resumed");
        model.log(&session, "train/loss", 10, 10.0);
        model.log(&session, "later", 0, 0.0);
        model.check_with(&long_lived, "resumed and logged again");
        session.flush(None).unwrap();
        model.check_with(&long_lived, "resumed and flushed");
        session.close(Status::Failed).unwrap();
        model.check_with(&long_lived, "closed again");
        assert_eq!(long_lived.status().unwrap(), Status::Failed);
    }
}

#[test]
fn step_ranges_are_half_open() {
    let scratch = tempfile::tempdir().unwrap();
    let session = open(scratch.path(), &["sqlite"], flush_only());
    let mut model = Model::default();
    for step in 0..10 {
        model.log(&session, "a", step, 0.0);
    }
    session.flush(None).unwrap();
    for step in 5..20 {
        model.log(&session, "a", step, 1.0);
    }
    let reader = Reader::open(scratch.path()).unwrap();
    let steps = |start, stop| reader.series("a", start, stop).unwrap().steps;
    assert_eq!(steps(Some(3), Some(7)), [3, 4, 5, 6]);
    assert_eq!(steps(Some(18), None), [18, 19]);
    assert_eq!(steps(None, Some(2)), [0, 1]);
    assert_eq!(steps(Some(7), Some(7)), [0; 0]);
    assert_eq!(steps(Some(9), Some(3)), [0; 0]);
    assert_eq!(steps(None, Some(i64::MIN)), [0; 0]);
    assert_eq!(steps(Some(i64::MAX), None), [0; 0]);
    assert_eq!(reader.series("a", Some(4), Some(6)).unwrap().values, [0.0, 1.0]);
    assert_eq!(reader.downsample("a", 5, Some(3), Some(19)).unwrap().steps, [3, 5, 18]);
    assert!(matches!(reader.series("b", None, None), Err(Error::NoSeries(name)) if name == "b"));
    assert_eq!(reader.names(Some("[!b]")).unwrap(), ["a"]);
    assert_eq!(reader.names(Some("b*")).unwrap(), [""; 0]);
}

/// Reads several batches from the database, the journal, and parts with overlapping steps.
#[test]
fn table_of_many_batches_is_complete() {
    for sinks in SINKS {
        let scratch = tempfile::tempdir().unwrap();
        let session = open(scratch.path(), sinks, Pace::default());
        let mut model = Model::default();
        for step in 0..30_000 {
            for name in ["a", "b", "c", "d", "e", "f", "g"] {
                model.log(&session, name, step, step as f64);
            }
        }
        model.log(&session, "b", 250_000, 0.0);
        session.flush(None).unwrap();
        for step in 15_000..16_000 {
            model.log(&session, "e", step, 0.25);
        }
        session.flush(None).unwrap();
        for step in 20_000..31_000 {
            model.log(&session, "d", step, 0.5);
        }
        let reader = Reader::open(scratch.path()).unwrap();
        model.check_with(&reader, "large");
        let rows: Vec<usize> = reader.table(None).unwrap().map(|batch| batch.unwrap().num_rows()).collect();
        assert!(rows.len() > 1 && rows.iter().all(|&rows| rows <= 100_000), "{rows:?}");
        let some: usize = reader.table(Some("[bdg]")).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(some, ["b", "d", "g"].iter().map(|name| model.0[*name].len()).sum::<usize>());
    }
}

#[test]
fn table_of_long_names_and_short_series_is_complete() {
    for sinks in SINKS {
        let scratch = tempfile::tempdir().unwrap();
        let session = open(scratch.path(), sinks, Pace::default());
        let mut model = Model::default();
        let long = "x".repeat(60_000);
        for step in 0..10_000 {
            model.log(&session, &long, step, 1.0);
        }
        for series in 0..3000 {
            model.log(&session, &format!("short/{series}"), 0, 1.0);
        }
        let reader = Reader::open(scratch.path()).unwrap();
        session.flush(None).unwrap();
        model.check_with(&reader, "flushed");
        let batches = reader.table(Some("x*")).unwrap().map(Result::unwrap);
        let bytes: Vec<usize> = batches.map(|batch| batch.column(2).as_string::<i32>().value_data().len()).collect();
        assert!(bytes.len() > 1 && bytes.iter().all(|&bytes| bytes <= 1 << 28), "{bytes:?}");
    }
}

/// Reads while a writer at full speed continuously overwrites the ring.
#[test]
fn reader_of_a_live_run_returns_all_accepted_points_without_gaps() {
    for sinks in SINKS {
        let scratch = tempfile::tempdir().unwrap();
        let pace = Pace { points_per_series: 10, min_interval: Duration::from_millis(2), ..Pace::default() };
        let session = open(scratch.path(), sinks, pace);
        let names = ["a", "b", "c"];
        let accepted = Arc::new(AtomicI64::new(0));
        let is_done = Arc::new(AtomicBool::new(false));
        let reader = {
            let (accepted, is_done) = (Arc::clone(&accepted), Arc::clone(&is_done));
            let path = scratch.path().to_owned();
            thread::spawn(move || {
                let long_lived = Reader::open(&path).unwrap();
                let (mut rounds, mut seen) = (0, BTreeMap::new());
                while !is_done.load(Ordering::Acquire) || rounds < 5 {
                    let at_least = accepted.load(Ordering::Acquire);
                    let fresh = Reader::open(&path).unwrap();
                    for (name, reader) in names.iter().flat_map(|name| [(name, &fresh), (name, &long_lived)]) {
                        let found = match reader.series(name, None, None) {
                            Err(Error::NoSeries(_)) if at_least == 0 => continue,
                            found => found.unwrap(),
                        };
                        assert!(found.steps.iter().copied().eq(0..found.len() as i64), "{name} has gaps");
                        assert!(found.values.iter().zip(&found.steps).all(|(v, s)| *v == *s as f64));
                        if std::ptr::eq(reader, &raw const fresh) {
                            assert!(found.len() as i64 >= at_least, "{name}: {} of {at_least}", found.len());
                        } else {
                            let before = seen.insert(*name, found.len()).unwrap_or(0);
                            assert!(found.len() >= before, "{name} shrank from {before} to {}", found.len());
                        }
                    }
                    let facts = fresh.series_facts(Some("a")).unwrap();
                    assert!(facts.iter().all(|facts| facts.count as i64 == facts.last_step + 1));
                    rounds += 1;
                }
                rounds
            })
        };
        let ids = names.map(|name| session.recorder().series(name).unwrap());
        for step in 0..60_000 {
            for id in ids {
                assert_eq!(session.recorder().record(id, step, step as f64), Outcome::Accepted);
            }
            accepted.store(step + 1, Ordering::Release);
        }
        session.close(Status::Finished).unwrap();
        let log = fs::metadata(scratch.path().join("metrics.sqlite-wal"));
        assert!(log.map_or(0, |log| log.len()) == 0, "readers blocked the checkpoint of the WAL");
        is_done.store(true, Ordering::Release);
        assert!(reader.join().unwrap() >= 5);
    }
}

/// Reads while sessions open, log and close as fast as possible.
#[test]
fn reader_works_while_sessions_open_and_close() {
    for sinks in SINKS {
        let scratch = tempfile::tempdir().unwrap();
        open(scratch.path(), sinks, Pace::default()).close(Status::Finished).unwrap();
        let accepted = Arc::new(AtomicI64::new(0));
        let is_done = Arc::new(AtomicBool::new(false));
        let reader = {
            let (accepted, is_done) = (Arc::clone(&accepted), Arc::clone(&is_done));
            let reader = Reader::open(scratch.path()).unwrap();
            thread::spawn(move || {
                while !is_done.load(Ordering::Acquire) {
                    let at_least = accepted.load(Ordering::Acquire);
                    match reader.series("a", None, None) {
                        Err(Error::NoSeries(_)) if at_least == 0 => {}
                        found => {
                            let found = found.unwrap();
                            assert!(found.steps.iter().copied().eq(0..found.len() as i64));
                            assert!(found.len() as i64 >= at_least, "{} of {at_least}", found.len());
                            // Each session repeats the last step of the previous session.
                            let at = |i: usize| found.values[i];
                            assert!((0..found.len().saturating_sub(1)).all(|i| at(i) == i as f64 + 0.5));
                        }
                    }
                }
            })
        };
        for step in 0..15 {
            let session = open(scratch.path(), sinks, flush_only());
            let id = session.recorder().series("a").unwrap();
            if step > 0 {
                let _ = session.recorder().record(id, step - 1, (step - 1) as f64 + 0.5);
            }
            let _ = session.recorder().record(id, step, step as f64);
            accepted.store(step + 1, Ordering::Release);
            if step % 3 == 0 {
                session.flush(None).unwrap();
            }
            session.close(Status::Finished).unwrap();
        }
        is_done.store(true, Ordering::Release);
        reader.join().unwrap();
    }
}

#[test]
fn runs_are_listed_in_order_of_creation() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    let make = |below: &str| open(&root.join(below), &["sqlite"], Pace::default()).close(Status::Finished).unwrap();
    make("z");
    make("project/b");
    make("project/deep/c");
    make("project/deep/er/too-deep");
    make("z/inside-a-run");
    make("a");
    make(".hidden");
    record_rank(&root.join("a"), 1).close(Status::Finished).unwrap();
    let headless = root.join("project/deep/headless");
    record_rank(&headless, 12).close(Status::Finished).unwrap();
    record_rank(&headless, 7).close(Status::Finished).unwrap();
    fs::create_dir(headless.join("rank-00002")).unwrap();
    fs::create_dir(headless.join("rank-00003")).unwrap();
    fs::write(headless.join("rank-00003/run.json"), "{").unwrap();
    std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
    fs::create_dir(root.join("broken")).unwrap();
    fs::write(root.join("broken/run.json"), "{").unwrap();
    fs::write(root.join("file"), "").unwrap();
    let found = list_runs(root).unwrap();
    let paths: Vec<&Path> = found.runs.iter().map(|run| run.path().strip_prefix(root).unwrap()).collect();
    let expected = ["z", "project/b", "project/deep/c", "a", "project/deep/headless/rank-00007"];
    assert_eq!(paths, expected.map(Path::new));
    let damaged: Vec<&Path> = found.unreadable.iter().map(|(path, _)| path.strip_prefix(root).unwrap()).collect();
    assert_eq!(damaged, ["broken", "project/deep/headless/rank-00003"].map(Path::new));
    assert!(found.unreadable.iter().all(|(_, error)| matches!(error, Error::Damaged { .. })));
    assert_eq!(list_runs(root.join("z")).unwrap().runs.len(), 1, "a root that is a run is listed");
    assert!(matches!(list_runs(root.join("nowhere")), Err(Error::Io { .. })));
}

fn record_rank(path: &Path, rank: u32) -> Session {
    let config = Config { journal_capacity: 1 << 10, ..Config::default() };
    Session::open(SessionOptions { path: path.to_owned(), rank, config, ..SessionOptions::default() }).unwrap()
}

#[test]
fn each_rank_is_readable() {
    let scratch = tempfile::tempdir().unwrap();
    let mut models = Vec::new();
    for rank in [12, 0, 1] {
        let session = record_rank(scratch.path(), rank);
        let mut model = Model::default();
        model.log(&session, "a", 0, f64::from(rank));
        session.close(Status::Finished).unwrap();
        models.push((rank, model));
    }
    for name in ["rank-00002", "rank-3", "rank-00000", "rank-x"] {
        fs::create_dir(scratch.path().join(name)).unwrap();
    }
    fs::copy(scratch.path().join("run.json"), scratch.path().join("rank-3/run.json")).unwrap();
    fs::copy(scratch.path().join("run.json"), scratch.path().join("rank-00000/run.json")).unwrap();
    assert_eq!(ranks(scratch.path()).unwrap(), [0, 1, 12]);
    for (rank, model) in models {
        let reader = open_rank(scratch.path(), rank).unwrap();
        assert_eq!(reader.rank_number(), rank);
        let values = reader.series("a", None, None).unwrap().values;
        assert_eq!(values, [model.0["a"][&0]]);
    }
    assert!(matches!(open_rank(scratch.path(), 2), Err(Error::NoRun(_))));
    fs::remove_file(scratch.path().join("run.json")).unwrap();
    assert_eq!(ranks(scratch.path()).unwrap(), [1, 12]);
    assert!(matches!(ranks(scratch.path().join("nowhere")), Err(Error::NoRun(_))));
}

#[test]
fn run_is_readable_without_its_database() {
    let scratch = tempfile::tempdir().unwrap();
    let session = open(scratch.path(), &["sqlite", "parquet"], Pace::default());
    let mut model = Model::default();
    for step in 0..100 {
        model.log(&session, "a", step, step as f64);
    }
    session.close(Status::Finished).unwrap();
    fs::remove_file(scratch.path().join("metrics.sqlite")).unwrap();
    model.check(scratch.path(), "without the database");
}

#[test]
fn error_depends_on_why_a_run_cannot_be_opened() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(scratch.path()), Err(Error::NoRun(_))));
    assert!(matches!(Reader::open(scratch.path().join("nowhere")), Err(Error::NoRun(_))));
    fs::write(scratch.path().join("run.json"), r#"{"format_version": 99}"#).unwrap();
    assert!(matches!(Reader::open(scratch.path()), Err(Error::FormatVersion { found: 99, .. })));
    fs::write(scratch.path().join("run.json"), r#"{"format_version": 1}"#).unwrap();
    assert!(matches!(Reader::open(scratch.path()), Err(Error::Damaged { .. })));
}
