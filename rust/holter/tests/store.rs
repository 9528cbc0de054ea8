//! The whole store against a map: whatever is logged, flushed, closed, opened again or cut off by a crash, its
//! files hold for each (name, step) the value that was logged last, and nothing else.
#![allow(clippy::unwrap_used)]

mod store_support;

use std::fs;
use std::time::{Duration, Instant};

use holter::store::manifest::{Manifest, Status};
use holter::store::recover;
use holter::store::run_dir::RunDir;
use holter_journal::{Journal, Origin, Point, SeriesId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use store_support::{Action, NAMES, Store, play};

/// The sinks that keep every point stay the same for a run, the summary may come and go.
const ALL: &[&[&str]] = &[&["sqlite", "parquet", "summary"]];
const ALL_BUT_THE_SUMMARY_AT_TIMES: &[&[&str]] = &[&["sqlite", "parquet", "summary"], &["sqlite", "parquet"]];
const PARTS: &[&[&str]] = &[&["parquet"]];
const PARTS_AND_SUMMARY: &[&[&str]] = &[&["parquet", "summary"]];

fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![20 => -3_i64..40, 1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX])]
}

fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        10 => any::<f64>().prop_map(|value| if value.is_nan() { f64::NAN } else { value }),
        10 => (-50_i32..50).prop_map(f64::from),
        3 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX]),
    ]
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let name = || 0..NAMES.len();
    vec(
        prop_oneof![
            20 => (name(), steps(), values()).prop_map(|(name, step, value)| Action::Log(name, step, value)),
            10 => (steps(), vec((name(), values()), 0..10)).prop_map(|(step, entries)| Action::LogAll(step, entries)),
            2 => (name(), -20_i64..200, 1_i64..2_500).prop_map(|(name, step, count)| Action::Stretch(name, step, count)),
            1 => (name(), steps(), 1_u32..2_500).prop_map(|(name, step, count)| Action::Repeat(name, step, count)),
            2 => Just(Action::Flush),
            2 => (0_usize..4).prop_map(Action::Reopen),
            2 => (0_usize..4).prop_map(Action::Crash),
            1 => Just(Action::CrashAndRecover),
            2 => Just(Action::CheckFacts),
        ],
        1..60,
    )
}

/// A case opens a run a few times, which takes its time: fewer than usual unless `PROPTEST_CASES` says how many.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches any difference between the database, its facts, the parts, the summary and what was logged.
    #[test]
    fn the_database_and_all_that_follows_from_it(actions in actions()) {
        play(&actions, ALL);
    }

    /// Catches parts that take the absence of the summary for a sign that they have everything.
    #[test]
    fn a_summary_that_comes_and_goes(actions in actions()) {
        play(&actions, ALL_BUT_THE_SUMMARY_AT_TIMES);
    }

    /// Catches a point that is in no part and has left the journal.
    #[test]
    fn parts_alone(actions in actions()) {
        play(&actions, PARTS);
    }

    /// The same with a summary made from parts.
    #[test]
    fn parts_and_a_summary(actions in actions()) {
        play(&actions, PARTS_AND_SUMMARY);
    }
}

/// Catches a writer that never frees the journal because the points, all of one (name, step), are few by the time
/// they would fill a part.
#[test]
fn one_step_logged_for_ever_does_not_stop_the_parts() {
    let mut store = Store::new(PARTS[0]);
    let since = Instant::now();
    store.run(&Action::Repeat(0, 7, 20_000), PARTS);
    assert!(since.elapsed() < Duration::from_secs(10));
    assert_eq!(store.attempt().health().dropped, 0);
    store.attempt.take().unwrap().close(Status::Finished).unwrap();
    store.check();
}

/// Catches points dropped that are counted twice, or not at all, when the process dies at the end of a close or of a
/// recovery, before the journal is gone.
#[test]
fn dropped_points_are_counted_once() {
    let mut store = Store::new(ALL[0]);
    store.log(0, 1, 0.5);
    store.attempt().recorder().count_dropped(7);
    store.crash();
    let dir = RunDir::new(store.dir());
    let journal = fs::read(dir.journal()).unwrap();
    let dropped = |dir: &RunDir| Manifest::read(dir).unwrap().dropped;
    recover(&dir).unwrap();
    assert_eq!(dropped(&dir), 7);
    fs::write(dir.journal(), &journal).unwrap();
    recover(&dir).unwrap();
    assert_eq!(dropped(&dir), 7);
    store.open(ALL[0]);
    store.attempt().recorder().count_dropped(4);
    let journal = fs::read(dir.journal()).unwrap();
    store.attempt.take().unwrap().close(Status::Finished).unwrap();
    assert_eq!(dropped(&dir), 11);
    fs::write(dir.journal(), &journal).unwrap();
    recover(&dir).unwrap();
    assert_eq!(dropped(&dir), 11);
    store.check();
}

/// Catches a file that a process was making when it ended, and that stays because the run's journal lies elsewhere; and a
/// journal there that is removed although it has points.
#[test]
fn what_was_never_used_goes_where_the_journal_lies_elsewhere() {
    let mut store = Store::new(ALL[0]);
    store.log(0, 1, 0.5);
    store.attempt.take().unwrap().close(Status::Finished).unwrap();
    let dir = RunDir::new(store.dir());
    let mut manifest = Manifest::read(&dir).unwrap();
    let local = store.config().local_dir.join(format!("holter-{}-0.journal.holter", manifest.id));
    manifest.journal = Some(local.to_str().unwrap().to_owned());
    manifest.write(&dir).unwrap();
    let unfinished = [".run.json.tmp", "journal.holter.tmp"].map(|name| store.dir().join(name));
    for path in &unfinished {
        fs::write(path, "").unwrap();
    }
    let origin = Origin { id: 7, started: Timestamp::now(), pid: 1 };
    let journal = Journal::create(&dir.journal(), 1 << 10, origin).unwrap();
    recover(&dir).unwrap();
    assert!(!unfinished.iter().any(|path| path.exists()));
    store.check();

    let used = Journal::create(&dir.journal(), 1 << 10, origin).unwrap();
    let series = SeriesId::new(0).unwrap();
    used.append_name(series, NAMES[0]).unwrap();
    used.append(&Point { series, step: 1, value: 0.5, time: origin.started }).unwrap();
    recover(&dir).unwrap();
    assert!(dir.journal().exists());
    drop((journal, used));
}
