//! A run, and a model of its logged points that its files must match.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holter::read::Reader;
use holter::record::config::{Config, Resume};
use holter::record::recorder::Outcome;
use holter::record::session::{Session, SessionOptions};
use holter::store::manifest::Status;
use holter::store::parquet::parts;
use holter::store::recover;
use holter::store::run_dir::RunDir;
use holter_journal::SeriesId;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const SUMMARY_EVERY: i64 = 5;
pub(crate) const NAMES: [&str; 9] = [
    "loss",
    "lr",
    "grad_norm/blocks.0.M_init",
    "it's \"quoted\"\n;--",
    "λ/ß",
    "step",
    "nonfinite",
    "/step",
    "format_version",
];
/// The bits of the value by name and step.
pub(crate) type Model = BTreeMap<(String, i64), u64>;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// One point.
    Log(usize, i64, f64),
    /// All points of a step in one call.
    LogAll(i64, Vec<(usize, f64)>),
    /// Consecutive steps of one series, possibly more than the journal's capacity.
    Stretch(usize, i64, i64),
    /// The same (name, step) repeatedly, possibly more often than the journal's capacity.
    Repeat(usize, i64, u32),
    Flush,
    /// Closes the run and opens it again, possibly with other sinks.
    Reopen(usize),
    /// Simulates a crash and opens the run again, possibly with other sinks.
    Crash(usize),
    /// Simulates a crash, recovers the run, and opens it again.
    CrashAndRecover,
    /// Reads the facts of the live run.
    CheckFacts,
}

pub(crate) struct Store {
    root: TempDir,
    number: usize,
    sinks: Vec<String>,
    /// Whether every session had a summary sink: the summary is not rebuilt for sessions without it.
    has_full_summary: bool,
    pub(crate) session: Option<Session>,
    ids: BTreeMap<usize, SeriesId>,
    model: Model,
}

impl Store {
    pub(crate) fn new(sinks: &[&str]) -> Self {
        let mut store = Self {
            root: TempDir::new().unwrap(),
            number: 0,
            sinks: Vec::new(),
            has_full_summary: true,
            session: None,
            ids: BTreeMap::new(),
            model: Model::new(),
        };
        store.open(sinks);
        store
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join(self.number.to_string())
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            journal_capacity: 1 << 10,
            sinks: self.sinks.clone(),
            summary_every: SUMMARY_EVERY as u64,
            ..Config::default()
        }
    }

    pub(crate) fn open(&mut self, sinks: &[&str]) {
        self.sinks = sinks.iter().map(|&name| name.to_owned()).collect();
        self.has_full_summary &= sinks.contains(&"summary");
        self.ids.clear();
        let config = self.config();
        let options = SessionOptions { path: self.dir(), resume: Resume::Allow, config, ..SessionOptions::default() };
        self.session = Some(Session::open(options).unwrap());
    }

    pub(crate) fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }

    pub(crate) fn id(&mut self, name: usize) -> SeriesId {
        if let Some(&id) = self.ids.get(&name) {
            return id;
        }
        let id = self.session().recorder().series(NAMES[name]).unwrap();
        self.ids.insert(name, id);
        id
    }

    pub(crate) fn log(&mut self, name: usize, step: i64, value: f64) {
        let id = self.id(name);
        assert_eq!(
            self.session().recorder().record(id, step, value),
            Outcome::Accepted,
            "{:?}",
            self.session().health()
        );
        self.model.insert((NAMES[name].to_owned(), step), value.to_bits());
    }

    pub(crate) fn run(&mut self, action: &Action, choices: &[&[&str]]) {
        match action {
            Action::Log(name, step, value) => self.log(*name, *step, *value),
            Action::LogAll(step, entries) => {
                let resolved: Vec<_> = entries.iter().map(|&(name, value)| (self.id(name), value)).collect();
                assert_eq!(self.session().recorder().record_all(*step, &resolved), Outcome::Accepted);
                for &(name, value) in entries {
                    self.model.insert((NAMES[name].to_owned(), *step), value.to_bits());
                }
            }
            Action::Stretch(name, first, count) => {
                (*first..first + count).for_each(|step| self.log(*name, step, step as f64 * 0.25));
            }
            Action::Repeat(name, step, count) => (0..*count).for_each(|value| self.log(*name, *step, value.into())),
            Action::Flush => self.session().flush(Some(Duration::from_secs(20))).unwrap(),
            Action::Reopen(choice) => {
                self.session.take().unwrap().close(Status::Finished).unwrap();
                self.open(choices[choice % choices.len()]);
            }
            Action::Crash(choice) => {
                self.crash();
                self.open(choices[choice % choices.len()]);
            }
            Action::CrashAndRecover => {
                self.crash();
                let dir = RunDir::new(self.dir());
                recover(&dir).unwrap();
                assert_eq!(recover(&dir).unwrap(), holter::store::Recovery::default());
                self.check();
                let sinks = self.sinks.clone();
                self.open(&sinks.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Action::CheckFacts => self.check_reader_facts(),
        }
    }

    /// Continues with a copy of the live directory, which is what a crash at this moment would leave.
    pub(crate) fn crash(&mut self) {
        let (from, to) = (self.dir(), self.root.path().join((self.number + 1).to_string()));
        fs::create_dir(&to).unwrap();
        // The journal first: points that it has released are in the files that are copied later. The database before
        // its WAL, which only grows here. The index of the WAL is not copied; the next connection creates it.
        for name in ["journal.holter", "run.json", "metrics.sqlite", "metrics.sqlite-wal", "summary.jsonl"] {
            if from.join(name).exists() {
                fs::copy(from.join(name), to.join(name)).unwrap();
            }
        }
        copy_parts(&from.join("parquet"), &to.join("parquet"));
        self.session = None;
        fs::remove_dir_all(from).unwrap();
        self.number += 1;
    }

    /// Checks all files of a closed or recovered run.
    pub(crate) fn check(&self) {
        assert!(!self.dir().join("journal.holter").exists());
        if self.has_database() {
            self.check_database();
        }
        self.check_parquet();
        self.check_reader_facts();
        if self.has_full_summary {
            self.check_summary();
        }
    }

    pub(crate) fn has_database(&self) -> bool {
        self.sinks.iter().any(|name| name == "sqlite")
    }

    pub(crate) fn check_database(&self) {
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

    /// Checks the table `series`.
    pub(crate) fn check_facts(&self, connection: &Connection) {
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
            let (found, min, max) = connection
                .query_row(
                    "SELECT count, nonfinite_count, first_step, last_step, last_value,
                            min_value, min_step, max_value, max_step FROM series WHERE name = ?1",
                    [name],
                    |row| {
                        let last_value = row.get::<_, Option<f64>>(4)?.unwrap_or(f64::NAN);
                        let extreme = |index: usize| -> rusqlite::Result<_> {
                            Ok(row.get::<_, Option<f64>>(index)?.zip(row.get::<_, Option<i64>>(index + 1)?))
                        };
                        let facts = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, stored(last_value));
                        Ok((facts, extreme(5)?, extreme(7)?))
                    },
                )
                .unwrap();
            assert_eq!(found, expected, "{name}");
            assert_eq!((min, max), extremes(&points), "{name}");
        }
    }

    /// Checks the facts that a reader returns, in any state of the run.
    pub(crate) fn check_reader_facts(&self) {
        let mut expected: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
        for ((name, step), bits) in &self.model {
            expected.entry(name).or_default().push((*step, f64::from_bits(*bits)));
        }
        let found = Reader::open(self.dir()).unwrap().series_facts(None).unwrap();
        assert!(found.iter().map(|facts| facts.name.as_str()).eq(expected.keys().copied()));
        for (facts, (name, points)) in found.iter().zip(expected) {
            let nonfinite = points.iter().filter(|(_, value)| !value.is_finite()).count();
            let (first, last) = (points[0], points[points.len() - 1]);
            assert_eq!((facts.count, facts.nonfinite_count), (points.len() as u64, nonfinite as u64), "{name}");
            assert_eq!((facts.first_step, facts.last_step), (first.0, last.0), "{name}");
            assert_eq!(stored(facts.last_value), stored(last.1), "{name}");
            assert_eq!((facts.min, facts.max), extremes(&points), "{name}");
        }
    }

    pub(crate) fn check_parquet(&self) {
        let parts = parts::list(&self.dir().join("parquet")).unwrap();
        let mut found = Model::new();
        parts::for_each_series(&parts, |name, columns| {
            let keys = columns.steps.iter().map(|&step| (name.to_owned(), step));
            found.extend(keys.zip(columns.values.iter().map(|value| value.to_bits())));
            Ok(())
        })
        .unwrap();
        let same = |(key, bits): (&(String, i64), &u64)| {
            // The database does not preserve the sign of zero.
            (key.clone(), if self.has_database() { stored(f64::from_bits(*bits)) } else { *bits })
        };
        assert_same(&found.iter().map(same).collect(), &self.model.iter().map(same).collect());
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        assert_eq!(rows, self.model.len(), "several parts have rows for the same (name, step)");
    }

    pub(crate) fn check_summary(&self) {
        let text = fs::read_to_string(self.dir().join("summary.jsonl")).unwrap();
        let mut found = Model::new();
        for (number, line) in text.lines().enumerate() {
            let Value::Object(mut line) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
            assert_eq!(line.keys().next().unwrap(), "step");
            let step = line.remove("step").unwrap().as_i64().unwrap();
            assert_eq!(line.remove("format_version"), (number == 0).then(|| 1.into()));
            let nonfinite = line.remove("nonfinite").unwrap_or_default();
            for (key, value) in line {
                let is_escaped = ["step", "format_version", "nonfinite"].contains(&key.trim_start_matches('/'));
                let name = if is_escaped { key.strip_prefix('/').unwrap() } else { &key };
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
        // Parse with the same JSON parser, whose result can be off by a bit or two.
        let expected = of_steps.map(|(key, bits)| {
            let value = f64::from_bits(*bits);
            let read = serde_json::to_string(&value).ok().and_then(|text| serde_json::from_str(&text).ok());
            (key.clone(), stored(read.unwrap_or(value)))
        });
        assert_same(&found, &expected.collect());
    }
}

/// The bits as stored in the database, with a single zero and a single `NaN`.
pub(crate) fn stored(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// A value and its step.
type Extreme = Option<(f64, i64)>;

/// The smallest and the largest finite value, each with its smallest step.
fn extremes(points: &[(i64, f64)]) -> (Extreme, Extreme) {
    let finite = || points.iter().filter(|(_, value)| value.is_finite()).map(|&(step, value)| (value + 0.0, step));
    let min = finite().min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let max = finite().max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    (min, max)
}

pub(crate) fn assert_same(found: &Model, expected: &Model) {
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

pub(crate) fn copy_parts(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir(to).unwrap();
    for entry in entries {
        let name = entry.unwrap().file_name();
        // An unfinished part may have been renamed since the directory was listed.
        let _ = fs::copy(from.join(&name), to.join(&name));
    }
}

pub(crate) fn play(actions: &[Action], choices: &[&[&str]]) {
    let mut store = Store::new(choices[0]);
    for action in actions {
        store.run(action, choices);
    }
    store.session.take().unwrap().close(Status::Finished).unwrap();
    store.check();
    // Opened with all sinks again, a run has all points in each of them.
    store.open(choices[0]);
    store.session.take().unwrap().close(Status::Finished).unwrap();
    store.check();
}
