//! Fuzz tests: reading and recovering a run with damaged files returns a result or an error within a time limit,
//! without a panic.
//!
//! Each case applies seeded random mutations to a file of a crashed run. `HOLTER_FUZZ_CASES` sets the number of cases
//! per file, `HOLTER_FUZZ_SEED` the first seed. Inputs that revealed a bug are in `tests/corpus/`, with a folder per
//! file.
#![allow(clippy::unwrap_used)]

mod hostile_support;
mod run_support;

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holter::read::{Names, Reader};
use holter::record::alerts::rule::parse_rules;
use holter::record::config::{Config, Resume};
use holter::record::session::{Session, SessionOptions};
use holter::store::manifest::Status;
use holter::store::parquet::parts;
use holter::store::recover;
use holter::store::run_dir::RunDir;
use hostile_support::update_checksum;
use run_support::{copy, flush_only};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(20);
const FILES: [(&str, &str); 7] = [
    ("journal", "journal.holter"),
    ("manifest", "run.json"),
    ("part", "parquet/part-000000.parquet"),
    ("summary", "summary.jsonl"),
    ("events", "events.jsonl"),
    ("database", "metrics.sqlite"),
    ("log", "metrics.sqlite-wal"),
];
const ALL: &[&str] = &["sqlite", "parquet", "summary"];
/// Edge cases of lengths and offsets.
const EDGES: [u64; 8] = [0, 1, 0x7F, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 62, u64::MAX];

/// Seeded pseudorandom numbers (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as usize % bound.max(1)
    }

    /// A position in the file, often near the start or the end, where the metadata is.
    fn position(&mut self, length: usize) -> usize {
        match self.below(4) {
            0 => self.below(length.min(256)),
            1 => length - 1 - self.below(length.min(2048)),
            _ => self.below(length),
        }
    }

    /// Applies one random mutation.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return bytes.push(self.below(256) as u8);
        }
        let at = self.position(bytes.len());
        let end = (at + 1 + self.below(64)).min(bytes.len());
        match self.below(8) {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.below(256) as u8,
            3 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][self.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&edge[..width]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let again = bytes[at..end].to_vec();
                let to = self.position(bytes.len());
                bytes.splice(to..to, again);
            }
            _ => bytes[at..end].fill(0),
        }
    }
}

/// A crashed run with points in a closed part, in the primary sink and only in the journal, with a summary and an
/// alert.
fn base(scratch: &TempDir, sinks: &[&str]) -> PathBuf {
    let path = scratch.path().join("live");
    let rules = r#"[{"pattern": "*", "rule": "non_finite", "level": "error", "stop": false}]"#;
    let config = Config {
        journal_capacity: 1 << 10,
        sinks: sinks.iter().map(|&name| name.to_owned()).collect(),
        summary_every: 1,
        pace: flush_only(),
        alerts: parse_rules(rules).unwrap(),
        ..Config::default()
    };
    let open = || {
        let config = config.clone();
        let options = SessionOptions { path: path.clone(), resume: Resume::Allow, config, ..SessionOptions::default() };
        Session::open(options).unwrap()
    };
    let log = |session: &Session, steps: std::ops::Range<i64>| {
        for name in ["loss", "grad_norm/layer.0", "ä"] {
            let id = session.recorder().series(name).unwrap();
            for step in steps.clone() {
                let _ = session.recorder().record(id, step, if step == 30 { f64::NAN } else { step as f64 });
            }
        }
    };
    let first = open();
    log(&first, 0..600);
    first.close(Status::Finished).unwrap();
    let second = open();
    log(&second, 600..650);
    second.flush(None).unwrap();
    log(&second, 650..700);
    copy(&path, scratch.path().join("base"))
}

/// Reads everything, recovers the run, and reads again. Ignores the results.
fn read_and_recover(path: &Path) {
    let read = || {
        if let Ok(parts) = parts::list(&path.join("parquet")) {
            let _ = (parts::names(&parts), parts::read_step(&parts, 30));
            let _ = parts::read_series(&parts, "loss", i64::MIN..=i64::MAX);
        }
        let Ok(reader) = Reader::open(path) else { return };
        let _ = (reader.manifest_json(), reader.event_lines(), reader.revision(), reader.status());
        let _ = (reader.names(None), reader.series_facts(None));
        let _ = (reader.all_series(None), reader.buckets(Names::Matching("*"), None, 8, None, None));
        let _ = reader.downsample("loss", 10, Some(i64::MIN), Some(i64::MAX));
    };
    read();
    let _ = recover(&RunDir::new(path));
    read();
}

fn check(base: &Path, name: &str, bytes: &[u8], what: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let run = copy(base, scratch.path().join("run"));
    fs::write(run.join(name), bytes).unwrap();
    let since = Instant::now();
    let end = panic::catch_unwind(AssertUnwindSafe(|| read_and_recover(&run)));
    let took = since.elapsed();
    if end.is_err() || took > TIMEOUT {
        let kept = env::temp_dir().join("holter-fuzz-found");
        fs::write(&kept, bytes).unwrap();
        panic!("{name}, {what}: took {took:?}; the bytes are at {}", kept.display());
    }
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The name of the first part in a run's folder. Its number depends on which parts were merged.
fn first_part(run: &Path) -> String {
    let parts = parts::list(&run.join("parquet")).unwrap();
    parts[0].path.strip_prefix(run).unwrap().to_str().unwrap().to_owned()
}

fn fuzz(folder: &str, sinks: &[&str]) {
    let scratch = tempfile::tempdir().unwrap();
    let base = base(&scratch, sinks);
    let name = match folder {
        "part" => first_part(&base),
        _ => FILES.iter().find(|(known, _)| *known == folder).unwrap().1.to_owned(),
    };
    let name = name.as_str();
    let whole = fs::read(base.join(name)).unwrap();
    let first = number("HOLTER_FUZZ_SEED", 0);
    for seed in first..first + number("HOLTER_FUZZ_CASES", 40) {
        let mut random = Random(seed);
        let mut bytes = whole.clone();
        for _ in 0..=random.below(6) {
            random.mutate(&mut bytes);
        }
        // With an invalid checksum in the header, the rest is not read.
        if folder == "journal" && bytes.len() >= 48 && random.below(2) == 0 {
            update_checksum(&mut bytes);
        }
        check(&base, name, &bytes, &format!("seed {seed}"));
    }
}

#[test]
fn journals() {
    fuzz("journal", ALL);
}

#[test]
fn manifests() {
    fuzz("manifest", ALL);
}

#[test]
fn closed_parts() {
    fuzz("part", ALL);
    fuzz("part", &["parquet"]);
}

#[test]
fn summaries_and_events() {
    fuzz("summary", ALL);
    fuzz("events", ALL);
}

#[test]
fn databases_and_write_ahead_logs() {
    fuzz("database", ALL);
    fuzz("log", ALL);
}

/// Catches a regression of a bug that fuzzing found.
#[test]
fn corpus() {
    let scratch = tempfile::tempdir().unwrap();
    let base = base(&scratch, ALL);
    for (folder, name) in FILES {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
        for entry in fs::read_dir(corpus).into_iter().flatten() {
            let path = entry.unwrap().path();
            check(&base, name, &fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
}
