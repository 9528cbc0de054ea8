//! The whole store against a map: whatever is logged, flushed, closed, opened again or cut off by a crash, its
//! files hold for each (name, step) the value that was logged last, and nothing else.
#![cfg(not(holter_loom))]
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holter::attempt::{Attempt, AttemptOptions};
use holter::config::Config;
use holter::journal::{self, Origin};
use holter::parts;
use holter::point::{Point, SeriesId, Timestamp};
use holter::recorder::Outcome;
use holter::recover::recover;
use holter::run_dir::RunDir;
use proptest::collection::vec;
use proptest::prelude::*;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

const SUMMARY_EVERY: i64 = 5;
const NAMES: [&str; 7] =
    ["loss", "lr", "grad_norm/blocks.0.M_init", "it's \"quoted\"\n;--", "λ/ß", "step", "nonfinite"];
/// The sinks that keep every point stay the same for a run, the summary may come and go.
const ALL: &[&[&str]] = &[&["sqlite", "parquet", "summary"]];
const ALL_BUT_THE_SUMMARY_AT_TIMES: &[&[&str]] = &[&["sqlite", "parquet", "summary"], &["sqlite", "parquet"]];
const PARTS: &[&[&str]] = &[&["parquet"]];
const PARTS_AND_SUMMARY: &[&[&str]] = &[&["parquet", "summary"]];

/// The bits of the value by name and step.
type Model = BTreeMap<(String, i64), u64>;

#[derive(Clone, Debug)]
enum Action {
    /// One point.
    Log(usize, i64, f64),
    /// All points of a step in one call.
    LogAll(i64, Vec<(usize, f64)>),
    /// Many consecutive steps of one series: more than the journal has room for at once.
    Stretch(usize, i64, i64),
    /// One (name, step) again and again: more often than the journal has room for at once.
    Repeat(usize, i64, u32),
    Flush,
    /// The run is closed and opened again, perhaps with other sinks.
    Reopen(usize),
    /// The process dies, and the run is opened again, perhaps with other sinks.
    Crash(usize),
    /// The process dies, the run is recovered, and opened again.
    CrashAndRecover,
}

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
        ],
        1..60,
    )
}

struct Store {
    root: TempDir,
    number: usize,
    sinks: Vec<String>,
    /// Whether the summary was always among them: it is not made up for the time without.
    has_full_summary: bool,
    attempt: Option<Attempt>,
    ids: BTreeMap<usize, SeriesId>,
    model: Model,
}

impl Store {
    fn new(sinks: &[&str]) -> Self {
        let mut store = Self {
            root: TempDir::new().unwrap(),
            number: 0,
            sinks: Vec::new(),
            has_full_summary: true,
            attempt: None,
            ids: BTreeMap::new(),
            model: Model::new(),
        };
        store.open(sinks);
        store
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(self.number.to_string())
    }

    fn config(&self) -> Config {
        Config {
            journal_capacity: 1 << 10,
            sinks: self.sinks.clone(),
            summary_every: SUMMARY_EVERY as u64,
            ..Config::default()
        }
    }

    fn open(&mut self, sinks: &[&str]) {
        self.sinks = sinks.iter().map(|&name| name.to_owned()).collect();
        self.has_full_summary &= sinks.contains(&"summary");
        self.ids.clear();
        let options = AttemptOptions { path: self.dir(), config: self.config(), ..AttemptOptions::default() };
        self.attempt = Some(Attempt::open(options).unwrap());
    }

    fn attempt(&self) -> &Attempt {
        self.attempt.as_ref().unwrap()
    }

    fn id(&mut self, name: usize) -> SeriesId {
        if let Some(&id) = self.ids.get(&name) {
            return id;
        }
        let id = self.attempt().recorder().series(NAMES[name]).unwrap();
        self.ids.insert(name, id);
        id
    }

    fn log(&mut self, name: usize, step: i64, value: f64) {
        let id = self.id(name);
        assert_eq!(self.attempt().recorder().record(id, step, value), Outcome::Taken, "{:?}", self.attempt().health());
        self.model.insert((NAMES[name].to_owned(), step), value.to_bits());
    }

    fn run(&mut self, action: &Action, choices: &[&[&str]]) {
        match action {
            Action::Log(name, step, value) => self.log(*name, *step, *value),
            Action::LogAll(step, entries) => {
                let resolved: Vec<_> = entries.iter().map(|&(name, value)| (self.id(name), value)).collect();
                assert_eq!(self.attempt().recorder().record_all(*step, &resolved), Outcome::Taken);
                for &(name, value) in entries {
                    self.model.insert((NAMES[name].to_owned(), *step), value.to_bits());
                }
            }
            Action::Stretch(name, first, count) => {
                (*first..first + count).for_each(|step| self.log(*name, step, step as f64 * 0.25));
            }
            Action::Repeat(name, step, count) => (0..*count).for_each(|value| self.log(*name, *step, value.into())),
            Action::Flush => self.attempt().flush(Some(Duration::from_secs(20))).unwrap(),
            Action::Reopen(choice) => {
                self.attempt.take().unwrap().close("finished").unwrap();
                self.open(choices[choice % choices.len()]);
            }
            Action::Crash(choice) => {
                self.crash();
                self.open(choices[choice % choices.len()]);
            }
            Action::CrashAndRecover => {
                self.crash();
                let dir = RunDir::new(self.dir());
                recover(&dir, &self.config()).unwrap();
                assert_eq!(recover(&dir, &self.config()).unwrap(), holter::recover::Recovery::default());
                self.check();
                let sinks = self.sinks.clone();
                self.open(&sinks.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }

    /// Goes on with what a process that died at this moment would leave: a copy of the live directory.
    fn crash(&mut self) {
        let (from, to) = (self.dir(), self.root.path().join((self.number + 1).to_string()));
        fs::create_dir(&to).unwrap();
        // The journal first: what it has let go of by then is in the files that are copied later. The
        // database before its log, which only grows here, and not the index of it, which the next opening makes.
        for name in ["journal.holter", "run.json", "metrics.sqlite", "metrics.sqlite-wal", "summary.jsonl"] {
            if from.join(name).exists() {
                fs::copy(from.join(name), to.join(name)).unwrap();
            }
        }
        copy_parts(&from.join("parquet"), &to.join("parquet"));
        self.attempt = None;
        fs::remove_dir_all(from).unwrap();
        self.number += 1;
    }

    /// Everything, once the run is closed or recovered.
    fn check(&self) {
        assert!(!self.dir().join("journal.holter").exists());
        if self.has_database() {
            self.check_database();
        }
        self.check_parquet();
        if self.has_full_summary {
            self.check_summary();
        }
    }

    fn has_database(&self) -> bool {
        self.sinks.iter().any(|name| name == "sqlite")
    }

    fn check_database(&self) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.dir().join("metrics.sqlite"), flags).unwrap();
        let mut select = connection.prepare("SELECT name, step, value FROM metrics").unwrap();
        let rows: Vec<((String, i64), f64)> = select
            .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, Option<f64>>(2)?.unwrap_or(f64::NAN))))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let count = rows.len();
        let found: Model = rows.into_iter().map(|(key, value)| (key, stored(value))).collect();
        assert_eq!(count, found.len());
        assert_same(
            &found,
            &self.model.iter().map(|(key, bits)| (key.clone(), stored(f64::from_bits(*bits)))).collect(),
        );
        self.check_facts(&connection);
    }

    /// What the table `series` says of the points.
    fn check_facts(&self, connection: &Connection) {
        let names: BTreeSet<&String> = self.model.keys().map(|(name, _)| name).collect();
        let count: i64 = connection.query_row("SELECT count(*) FROM series", [], |row| row.get(0)).unwrap();
        assert_eq!(count, names.len() as i64);
        for name in names {
            let points: Vec<(i64, f64)> = self
                .model
                .range((name.clone(), i64::MIN)..=(name.clone(), i64::MAX))
                .map(|((_, step), bits)| (*step, f64::from_bits(*bits)))
                .collect();
            let nonfinite = points.iter().filter(|(_, value)| !value.is_finite()).count();
            let (first, last) = (points[0], points[points.len() - 1]);
            let expected = (points.len() as i64, nonfinite as i64, first.0, last.0, stored(last.1));
            let found = connection
                .query_row(
                    "SELECT count, nonfinite_count, first_step, last_step, last_value FROM series WHERE name = ?1",
                    [name],
                    |row| {
                        let last_value = row.get::<_, Option<f64>>(4)?.unwrap_or(f64::NAN);
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, stored(last_value)))
                    },
                )
                .unwrap();
            assert_eq!(found, expected, "{name}");
        }
    }

    fn check_parquet(&self) {
        let parts = parts::list(&self.dir().join("parquet")).unwrap();
        let mut found = Model::new();
        parts::for_each_series(&parts, |name, columns| {
            let keys = columns.steps.iter().map(|&step| (name.to_owned(), step));
            found.extend(keys.zip(columns.values.iter().map(|value| value.to_bits())));
            Ok(())
        })
        .unwrap();
        let same = |(key, bits): (&(String, i64), &u64)| {
            // What came to a part by way of the database has lost the sign of zero.
            (key.clone(), if self.has_database() { stored(f64::from_bits(*bits)) } else { *bits })
        };
        assert_same(&found.iter().map(same).collect(), &self.model.iter().map(same).collect());
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        assert_eq!(rows, self.model.len(), "rows for one (name, step) are left in several parts");
    }

    fn check_summary(&self) {
        let text = fs::read_to_string(self.dir().join("summary.jsonl")).unwrap();
        let mut found = Model::new();
        for line in text.lines() {
            let Value::Object(mut line) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
            let step = line.remove("step").unwrap().as_i64().unwrap();
            let nonfinite = line.remove("nonfinite").unwrap_or_default();
            for (key, value) in line {
                let name = if key == "/step" || key == "/nonfinite" { &key[1..] } else { &key };
                let value = value.as_f64().unwrap_or_else(|| match nonfinite[&key].as_str().unwrap() {
                    "nan" => f64::NAN,
                    "inf" => f64::INFINITY,
                    "-inf" => f64::NEG_INFINITY,
                    other => panic!("{other}"),
                });
                found.insert((name.to_owned(), step), stored(value));
            }
        }
        let of_steps = self.model.iter().filter(|((_, step), _)| step % SUMMARY_EVERY == 0);
        // As the JSON parser of this test, which is off by a bit or two, would read it.
        let expected = of_steps.map(|(key, bits)| {
            let value = f64::from_bits(*bits);
            let read = serde_json::to_string(&value).ok().and_then(|text| serde_json::from_str(&text).ok());
            (key.clone(), stored(read.unwrap_or(value)))
        });
        assert_same(&found, &expected.collect());
    }
}

/// The bits as the database keeps them: there is one zero and one `NaN`.
fn stored(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

fn assert_same(found: &Model, expected: &Model) {
    let show = |bits: Option<&u64>| bits.map(|bits| f64::from_bits(*bits));
    for key in found.keys().chain(expected.keys()) {
        assert_eq!(
            found.get(key),
            expected.get(key),
            "{key:?}: {:?}, {:?}",
            show(found.get(key)),
            show(expected.get(key))
        );
    }
}

fn copy_parts(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir(to).unwrap();
    for entry in entries {
        let name = entry.unwrap().file_name();
        // An unfinished part may be complete and renamed by the time we come to it.
        let _ = fs::copy(from.join(&name), to.join(&name));
    }
}

fn play(actions: &[Action], choices: &[&[&str]]) {
    let mut store = Store::new(choices[0]);
    for action in actions {
        store.run(action, choices);
    }
    store.attempt.take().unwrap().close("finished").unwrap();
    store.check();
    // With all of its sinks again, a run has in all of them what it ever had.
    store.open(choices[0]);
    store.attempt.take().unwrap().close("finished").unwrap();
    store.check();
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
    store.attempt.take().unwrap().close("finished").unwrap();
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
    let dropped = |dir: &RunDir| dir.read_manifest().unwrap()["dropped"].as_u64().unwrap();
    recover(&dir, &store.config()).unwrap();
    assert_eq!(dropped(&dir), 7);
    fs::write(dir.journal(), &journal).unwrap();
    recover(&dir, &store.config()).unwrap();
    assert_eq!(dropped(&dir), 7);
    store.open(ALL[0]);
    store.attempt().recorder().count_dropped(4);
    let journal = fs::read(dir.journal()).unwrap();
    store.attempt.take().unwrap().close("finished").unwrap();
    assert_eq!(dropped(&dir), 11);
    fs::write(dir.journal(), &journal).unwrap();
    recover(&dir, &store.config()).unwrap();
    assert_eq!(dropped(&dir), 11);
    store.check();
}

/// Catches a file that a process was making when it ended, and that stays because the run's journal lies elsewhere; and a
/// journal there that is removed although it has points.
#[test]
fn what_was_never_used_goes_where_the_journal_lies_elsewhere() {
    let mut store = Store::new(ALL[0]);
    store.log(0, 1, 0.5);
    store.attempt.take().unwrap().close("finished").unwrap();
    let dir = RunDir::new(store.dir());
    let mut manifest = dir.read_manifest().unwrap();
    let local = store.config().local_dir.join(format!("holter-{}-0.journal.holter", manifest["id"].as_str().unwrap()));
    manifest.insert("journal".to_owned(), local.to_str().unwrap().into());
    dir.write_manifest(&manifest).unwrap();
    let unfinished = [".run.json.tmp", "journal.holter.tmp"].map(|name| store.dir().join(name));
    for path in &unfinished {
        fs::write(path, "").unwrap();
    }
    let origin = Origin { id: 7, started: Timestamp::now(), pid: 1 };
    let journal = journal::create(&dir.journal(), 1 << 10, origin).unwrap();
    recover(&dir, &store.config()).unwrap();
    assert!(!unfinished.iter().any(|path| path.exists()));
    store.check();

    let used = journal::create(&dir.journal(), 1 << 10, origin).unwrap();
    let series = SeriesId::new(0).unwrap();
    used.append_name(series, NAMES[0]).unwrap();
    used.append(&Point { series, step: 1, value: 0.5, time: origin.started }).unwrap();
    recover(&dir, &store.config()).unwrap();
    assert!(dir.journal().exists());
    drop((journal, used));
}
