//! Property tests of the store against a map: after any sequence of logs, flushes, closes, reopens and crashes, the
//! files contain exactly the last logged value for each (name, step).
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

/// A run keeps the sinks that store every point; a session may omit the summary.
const ALL: &[&[&str]] = &[&["sqlite", "parquet", "summary"]];
const SUMMARY_IN_SOME_SESSIONS: &[&[&str]] = &[&["sqlite", "parquet", "summary"], &["sqlite", "parquet"]];
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

/// The number of cases from `PROPTEST_CASES`. The default is low because each case opens a run several times.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches any difference between the logged points and the database, its facts, the parts or the summary.
    #[test]
    fn all_sinks_store_what_was_logged(actions in actions()) {
        play(&actions, ALL);
    }

    /// Catches a primary sink that treats the missing summary as a sign that the parts have every point.
    #[test]
    fn sessions_without_a_summary_store_what_was_logged(actions in actions()) {
        play(&actions, SUMMARY_IN_SOME_SESSIONS);
    }

    /// Catches a point that leaves the journal before it is in a part.
    #[test]
    fn parts_as_primary_sink_store_what_was_logged(actions in actions()) {
        play(&actions, PARTS);
    }

    /// Catches differences of a summary that is derived from parts.
    #[test]
    fn summary_derived_from_parts_matches_what_was_logged(actions in actions()) {
        play(&actions, PARTS_AND_SUMMARY);
    }
}

/// Catches a writer that never frees the journal because points with the same (name, step) are deduplicated and never
/// fill a part.
#[test]
fn repeated_step_does_not_block_the_parts() {
    let mut store = Store::new(PARTS[0]);
    let since = Instant::now();
    store.run(&Action::Repeat(0, 7, 20_000), PARTS);
    assert!(since.elapsed() < Duration::from_secs(10));
    assert_eq!(store.session().health().dropped, 0);
    store.session.take().unwrap().close(Status::Finished).unwrap();
    store.check();
}

/// Catches dropped points that are counted twice or never if the process dies at the end of a close or a recovery,
/// before the journal is removed.
#[test]
fn dropped_points_are_counted_once() {
    let mut store = Store::new(ALL[0]);
    store.log(0, 1, 0.5);
    store.session().recorder().count_dropped(7);
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
    store.session().recorder().count_dropped(4);
    let journal = fs::read(dir.journal()).unwrap();
    store.session.take().unwrap().close(Status::Finished).unwrap();
    assert_eq!(dropped(&dir), 11);
    fs::write(dir.journal(), &journal).unwrap();
    recover(&dir).unwrap();
    assert_eq!(dropped(&dir), 11);
    store.check();
}

/// Catches temporary files that are not removed if the run's journal is in another folder, and a journal in the run's
/// folder that is removed although it has points.
#[test]
fn unused_files_are_removed_if_the_journal_is_elsewhere() {
    let mut store = Store::new(ALL[0]);
    store.log(0, 1, 0.5);
    store.session.take().unwrap().close(Status::Finished).unwrap();
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
