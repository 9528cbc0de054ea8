//! Malicious run folders: files are not written through symlinks, claimed sizes are checked, and FIFOs do not block.
#![allow(clippy::unwrap_used)]

mod hostile_support;
mod run_support;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use holter::error::Error;
use holter::read::Reader;
use holter::record::config::{Config, Pace, Resume};
use holter::record::session::{Session, SessionOptions};
use holter::store::manifest::{Manifest, Status};
use holter::store::parquet::parts;
use holter::store::recover;
use holter::store::run_dir::RunDir;
use holter_journal::{Records, Snapshot};
use hostile_support::update_checksum;
use run_support::{copy, flush_only, open};
use rusqlite::Connection;
use serde_json::Value;

const ALL: &[&str] = &["sqlite", "parquet", "summary"];
const TIMEOUT: Duration = Duration::from_secs(30);

fn config() -> Config {
    Config {
        journal_capacity: 1 << 10,
        sinks: ALL.iter().map(|&name| name.to_owned()).collect(),
        summary_every: 1,
        close_timeout: Duration::from_millis(300),
        ..Config::default()
    }
}

fn session(path: &Path, rank: u32) -> Result<Session, Error> {
    let options = SessionOptions { path: path.to_owned(), rank, resume: Resume::Allow, ..SessionOptions::default() };
    Session::open(SessionOptions { config: config(), ..options })
}

fn log(session: &Session, step: i64) {
    let id = session.recorder().series("loss").unwrap();
    let _ = session.recorder().record(id, step, 0.5);
}

/// Creates a closed run.
fn closed(path: &Path) -> PathBuf {
    let session = session(path, 0).unwrap();
    (0..100).for_each(|step| log(&session, step));
    session.close(Status::Finished).unwrap();
    path.to_owned()
}

/// A crashed run with some points in the database and others only in the journal.
fn crashed(scratch: &Path) -> PathBuf {
    let path = scratch.join("live");
    let session = open(&path, ALL, flush_only());
    (0..50).for_each(|step| log(&session, step));
    session.flush(None).unwrap();
    (50..100).for_each(|step| log(&session, step));
    copy(&path, scratch.join("crashed"))
}

/// Returns the result of `action`, which must return within [`TIMEOUT`].
fn in_time<T: Send + 'static>(what: &str, action: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(action()));
    receiver.recv_timeout(TIMEOUT).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// The paths and contents of all files below a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Catches a file that is appended to, replaced or truncated through a symlink.
#[test]
fn files_are_not_written_through_symlinks() {
    let names = [
        "run.json",
        ".run.json.tmp",
        "metrics.sqlite",
        "metrics.sqlite-wal",
        "metrics.sqlite-shm",
        "metrics.sqlite-journal",
        "summary.jsonl",
        "journal.holter",
        "journal.holter.tmp",
        "parquet/part-000000.parquet",
        "parquet/part-000001.parquet",
        "parquet/.part-000001.parquet.tmp",
    ];
    for name in names {
        for has_target in [true, false] {
            let what = format!("{name}, {}", if has_target { "to a file" } else { "to nothing" });
            let scratch = tempfile::tempdir().unwrap();
            let outside = scratch.path().join("outside");
            fs::create_dir(&outside).unwrap();
            let run = closed(&scratch.path().join("run"));
            let (link, target) = (run.join(name), outside.join("target"));
            if has_target {
                // The original content, so that the session could resume with it.
                if fs::copy(&link, &target).is_err() {
                    fs::write(&target, "kept").unwrap();
                }
            }
            let before = contents(&outside);
            let _ = fs::remove_file(&link);
            symlink(&target, &link).unwrap();
            if let Ok(session) = session(&run, 0) {
                log(&session, 1000);
                let _ = session.flush(Some(Duration::from_millis(300)));
                let _ = session.close(Status::Finished);
            }
            let _ = recover(&RunDir::new(&run));
            assert!(contents(&outside) == before, "{what}");
        }
    }
}

/// Catches a part that is written through a symlink that appeared during the recording.
#[test]
fn parts_are_not_written_through_symlinks_created_later() {
    let scratch = tempfile::tempdir().unwrap();
    let (run, target) = (scratch.path().join("run"), scratch.path().join("target"));
    fs::write(&target, "kept").unwrap();
    let session = session(&run, 0).unwrap();
    log(&session, 0);
    for number in 0..20 {
        symlink(&target, run.join(format!("parquet/.part-{number:06}.parquet.tmp"))).unwrap();
    }
    session.close(Status::Finished).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"kept");
    assert_eq!(parts::list(&run.join("parquet")).unwrap().iter().map(|part| part.rows).sum::<usize>(), 1);
}

#[test]
fn symlink_in_place_of_a_run_folder_is_rejected() {
    for (name, rank) in [("parquet", 0), ("rank-00001", 1)] {
        let scratch = tempfile::tempdir().unwrap();
        let (run, outside) = (scratch.path().join("run"), scratch.path().join("outside"));
        fs::create_dir(&run).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, run.join(name)).unwrap();
        let error = session(&run, rank).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("it is a symbolic link"), "{error}");
        assert!(contents(&outside).is_empty());
    }
}

/// Catches an error for a common setup: `runs` is a symlink to a larger disk.
#[test]
fn runs_below_a_symlink_are_written_and_read() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("disk")).unwrap();
    symlink(scratch.path().join("disk"), scratch.path().join("runs")).unwrap();
    for run in [scratch.path().join("runs/run"), scratch.path().join("runs")] {
        closed(&run);
        assert_eq!(Reader::open(&run).unwrap().series("loss", None, None).unwrap().len(), 100);
        log(&session(&run, 0).unwrap(), 100);
        log(&session(&run, 1).unwrap(), 100);
        assert_eq!(Reader::open(&run).unwrap().series("loss", None, None).unwrap().len(), 101);
    }
}

/// Catches a reader or a recovery that blocks forever on a FIFO.
#[test]
fn fifos_do_not_block() {
    for name in ["run.json", "journal.holter", "events.jsonl", "parquet/part-000000.parquet", "metrics.sqlite"] {
        let scratch = tempfile::tempdir().unwrap();
        let run = crashed(scratch.path());
        let _ = fs::remove_file(run.join(name));
        assert!(Command::new("mkfifo").arg(run.join(name)).status().unwrap().success());
        in_time(name, move || {
            if let Ok(reader) = Reader::open(&run) {
                let _ = (reader.manifest_json(), reader.event_lines(), reader.revision(), reader.all_series(None));
            }
            let _ = parts::list(&run.join("parquet"));
            let _ = recover(&RunDir::new(&run));
        });
    }
}

/// Catches a loop over all slots, or an allocation for all names, that a false journal header requires.
#[test]
fn journal_with_a_false_capacity_is_read_in_time() {
    let scratch = tempfile::tempdir().unwrap();
    let run = crashed(scratch.path());
    let journal = run.join("journal.holter");
    let whole = fs::read(&journal).unwrap();
    for bits in 0..64 {
        let mut bytes = whole.clone();
        bytes[16..24].copy_from_slice(&(1_u64 << bits).to_le_bytes());
        update_checksum(&mut bytes);
        // Counters of a live ring that exceed its end, for `Pending`.
        bytes[128..136].copy_from_slice(&(u64::MAX >> 2).to_le_bytes());
        fs::write(&journal, &bytes).unwrap();
        let path = journal.clone();
        in_time(&format!("2^{bits} slots"), move || {
            for records in [Records::Pending, Records::All] {
                let _ = Snapshot::read(&path, records);
            }
        });
    }
}

#[test]
fn sparse_files_do_not_exhaust_memory() {
    const HUGE: u64 = 1 << 40;
    let scratch = tempfile::tempdir().unwrap();
    let run = crashed(scratch.path());
    let before = Snapshot::read(&run.join("journal.holter"), Records::All).unwrap().unwrap();
    File::options().write(true).open(run.join("journal.holter")).unwrap().set_len(HUGE).unwrap();
    let path = run.join("journal.holter");
    let after = in_time("the journal", move || Snapshot::read(&path, Records::All)).unwrap().unwrap();
    assert_eq!((after.names, after.points.len()), (before.names, before.points.len()));

    File::options().write(true).open(run.join("run.json")).unwrap().set_len(HUGE).unwrap();
    let path = run.clone();
    let error = in_time("the manifest", move || Reader::open(&path).err()).unwrap();
    assert!(error.to_string().contains("more than 67108864 bytes"), "{error}");
}

/// Catches a name that is lost or truncated because it crosses the end of a chunk.
#[test]
fn names_can_cross_chunk_boundaries() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let session = open(&run, ALL, Pace::default());
    let names: Vec<String> = (0..40).map(|number| format!("{number}/") + &"x".repeat(60_000 + number)).collect();
    for name in &names {
        session.recorder().series(name).unwrap();
    }
    let found = Snapshot::read(&run.join("journal.holter"), Records::All).unwrap().unwrap().names;
    assert!(found == names);
}

#[test]
fn manifest_over_the_size_limit_is_not_written() {
    let scratch = tempfile::tempdir().unwrap();
    let run = closed(&scratch.path().join("run"));
    let before = fs::read(run.join("run.json")).unwrap();
    let session = session(&run, 0).unwrap();
    let config = [("notes".to_owned(), Value::from("x".repeat(64 << 20)))].into_iter().collect();
    let error = session.update_config(&config).unwrap_err();
    assert!(error.to_string().contains("at most 67108864 bytes"), "{error}");
    drop(session);
    assert!(before.len() < 1 << 20 && Reader::open(&run).is_ok());
}

/// Catches an endless view in place of a table, and a trigger that changes written data.
#[test]
fn database_with_views_or_triggers_is_rejected() {
    let endless = "WITH RECURSIVE e(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM e)";
    let view = format!(
        "DROP VIEW metrics; ALTER TABLE points RENAME TO kept; CREATE VIEW Points AS {endless}
        SELECT n AS series_id, n AS step, 1.0 AS value, 0 AS timestamp_millis FROM e;"
    );
    let trigger = "CREATE TRIGGER t AFTER INSERT ON points BEGIN DELETE FROM points; END;".to_owned();
    for (sql, name) in [(view, "Points"), (trigger, "\"t\"")] {
        let scratch = tempfile::tempdir().unwrap();
        let run = closed(&scratch.path().join("run"));
        Connection::open(run.join("metrics.sqlite")).unwrap().execute_batch(&sql).unwrap();
        let path = run.clone();
        let read =
            in_time(name, move || Reader::open(&path).unwrap().series("loss", None, None).map(|found| found.len()));
        for error in [read.unwrap_err(), session(&run, 0).map(drop).unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains(name) && text.contains("where tables are expected"), "{text}");
        }
    }
}

/// Catches a reader that accepts a local journal of another user of the machine.
#[test]
fn journal_of_another_user_is_ignored() {
    let scratch = tempfile::tempdir().unwrap();
    let run = crashed(scratch.path());
    if fs::metadata(&run).unwrap().uid() != 0 {
        return; // Only root can change the owner of a file.
    }
    let dir = RunDir::new(&run);
    let mut manifest = Manifest::read(&dir).unwrap();
    let local = scratch.path().join(format!("holter-{}-0.journal.holter", manifest.id));
    fs::rename(run.join("journal.holter"), &local).unwrap();
    manifest.journal = Some(local.to_str().unwrap().to_owned());
    manifest.write(&dir).unwrap();
    let num_points = || Reader::open(&run).unwrap().series("loss", None, None).unwrap().len();
    assert_eq!(num_points(), 100, "the user's own journal is read");
    chown(&local, Some(12_345), None).unwrap();
    assert_eq!(num_points(), 50);
    let recovery = recover(&dir).unwrap();
    assert!(!recovery.found_journal);
    assert!(recovery.damaged_journal.unwrap().contains("is another user's"));
    assert!(File::open(&local).unwrap().read_at(&mut [0; 8], 0).is_ok(), "the journal is not removed");
}
