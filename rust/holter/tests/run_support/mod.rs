//! Runs for tests: a run that commits only on a flush, and a copy of a live run that simulates a crash.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use holter::record::config::{Config, Pace, Resume};
use holter::record::session::{Session, SessionOptions};

/// Commit pacing with which the writer commits only on a flush.
pub(crate) fn flush_only() -> Pace {
    Pace {
        points_per_series: 1 << 40,
        min_interval: Duration::from_secs(3600),
        max_interval: Duration::from_secs(3600),
        bytes_per_sec: 1e-9,
        ..Pace::default()
    }
}

#[allow(dead_code)] // not used by every test
pub(crate) fn open(path: &Path, sinks: &[&str], pace: Pace) -> Session {
    let config = Config {
        journal_capacity: 1 << 14,
        sinks: sinks.iter().map(|&name| name.to_owned()).collect(),
        pace,
        ..Config::default()
    };
    Session::open(SessionOptions { path: path.to_owned(), resume: Resume::Allow, config, ..SessionOptions::default() })
        .unwrap()
}

/// Copies a live run, which simulates a crash. Uses another process, because closing the database file in this process
/// would release the locks of its writer.
#[allow(dead_code)] // not used by every test
pub(crate) fn copy(from: &Path, to: PathBuf) -> PathBuf {
    assert!(Command::new("cp").arg("-r").arg(from).arg(&to).status().unwrap().success());
    to
}
