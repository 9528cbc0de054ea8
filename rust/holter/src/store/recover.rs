//! Repairs a run after a crash: moves the points in the journal to the sinks, and removes unfinished files.
//!
//! Every step can be repeated, so a recovery that is killed at any moment can be run again. The journal is removed last,
//! when all its points are durable elsewhere.

use std::fs;
use std::path::Path;

use holter_journal::{Point, Records, Snapshot, unfinished_path};

use crate::error::{Error, Result};
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;
use crate::store::manifest::{Manifest, Status, is_foreign};
use crate::store::open::SinkOptions;
use crate::store::parquet::DEFAULT_ROWS_PER_PART;
use crate::store::run_dir::RunDir;
use crate::store::run_lock::RunLock;
use crate::store::sinks::Sinks;

/// The number of points per batch.
const BATCH_POINTS: usize = 1 << 18;

/// The result of a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The number of points that were only in the journal.
    pub recovered: u64,
    /// The number of slots of the journal with unfinished points or damage.
    pub unreadable: u64,
    /// Whether a journal was found.
    pub found_journal: bool,
    /// Whether the newest attempt was not closed.
    pub had_crashed: bool,
    /// Why a journal could not be used: it is damaged and was renamed, or it is on another machine.
    pub damaged_journal: Option<String>,
}

/// Recovers a run and compacts its files. Does nothing to a run that was closed.
///
/// # Errors
///
/// [`Error::Locked`] if a process writes to the run; [`Error::NoRun`]; or any error of reading or writing its files.
///
/// ```
/// use holter::record::{Session, SessionOptions};
/// use holter::store::{RunDir, recover};
///
/// # let scratch = tempfile::tempdir()?;
/// # let path = scratch.path().join("run-1");
/// drop(Session::open(SessionOptions { path: path.clone(), ..SessionOptions::default() })?);
/// let recovery = recover(&RunDir::new(&path))?;
/// assert_eq!(recovery.recovered, 0, "the run was closed, so there is nothing to recover");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(dir: &RunDir) -> Result<Recovery> {
    let lock = RunLock::acquire_existing(dir)?;
    recover_locked(dir, &lock, Purpose::Close)
}

/// What happens after the recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing: the sinks are closed, which compacts them.
    Close,
    /// A new attempt, which compacts at its end.
    Resume,
}

pub(crate) fn recover_locked(dir: &RunDir, _lock: &RunLock, purpose: Purpose) -> Result<Recovery> {
    let mut manifest = Manifest::read(dir)?;
    let journal_path = manifest.journal_path(dir);
    remove_unused(dir, &journal_path);
    let had_crashed = manifest.status == Status::Running;
    let mut recovery = Recovery { had_crashed, ..Recovery::default() };
    let is_foreign = is_foreign(dir, &journal_path);
    let found = if is_foreign { Ok(None) } else { Snapshot::read(&journal_path, Records::All) };
    let snapshot = match found {
        Err(error @ holter_journal::Error::Damaged { .. }) => {
            // The run can be resumed without it. The file is kept for analysis.
            let renamed = journal_path.with_extension("damaged");
            fs::rename(&journal_path, &renamed).map_err(Error::io("rename", &journal_path))?;
            recovery.damaged_journal = Some(format!("{error}; it was renamed to {}", renamed.display()));
            None
        }
        snapshot => snapshot?,
    };
    recovery.found_journal = snapshot.is_some();
    if had_crashed && snapshot.is_none() && journal_path != dir.journal() {
        let place = journal_path.display();
        recovery.damaged_journal.get_or_insert_with(|| {
            let why = if is_foreign { "is another user's" } else { "is not on this machine" };
            format!("the journal of the last attempt {why} ({place}), so points that only it had are missing")
        });
    }
    if !had_crashed && snapshot.is_none() {
        return Ok(recovery);
    }
    let mut sinks = SinkOptions {
        dir,
        manifest: &manifest,
        journal_id: snapshot.as_ref().map_or(0, |snapshot| snapshot.origin.id),
        primary_rows_per_part: DEFAULT_ROWS_PER_PART,
    }
    .open()?;
    let mut last_time = None;
    if let Some(snapshot) = &snapshot {
        recovery.unreadable = snapshot.unreadable;
        recovery.recovered = replay(snapshot, &mut sinks)?;
        last_time = snapshot.points.iter().map(|(_, point)| point.time).max();
        manifest.note_dropped(snapshot.dropped);
    }
    bring_up_to_date(&mut sinks, purpose)?;
    drop(sinks);
    if had_crashed {
        manifest.end_attempt(Status::Crashed, last_time);
    }
    // Before the removal of the journal, which has the number of dropped points.
    manifest.write(dir)?;
    if snapshot.is_some() {
        fs::remove_file(&journal_path).map_err(Error::io("remove", &journal_path))?;
    }
    Ok(recovery)
}

/// Removes files that a process created and never used. Errors are ignored: the next writer replaces such files.
fn remove_unused(dir: &RunDir, journal_path: &Path) {
    for unfinished in [journal_path, &dir.journal()].map(unfinished_path) {
        let _ = fs::remove_file(unfinished);
    }
    let _ = fs::remove_file(dir.unfinished_manifest());
    // A journal that the manifest does not name was created for an attempt that never logged a point.
    if journal_path != dir.journal()
        && let Ok(Some(snapshot)) = Snapshot::read(&dir.journal(), Records::All)
        && snapshot.points.is_empty()
        && snapshot.unreadable == 0
    {
        let _ = fs::remove_file(dir.journal());
    }
}

/// Appends to the primary sink the points that it lacks, and returns their number.
fn replay(snapshot: &Snapshot, sinks: &mut Sinks) -> Result<u64> {
    let series = SeriesTable::from_names(snapshot.names.iter().cloned());
    let primary = sinks.primary.as_mut();
    let first = snapshot.points.partition_point(|(sequence, _)| *sequence < primary.committed());
    let missing = &snapshot.points[first..];
    for chunk in missing.chunks(BATCH_POINTS) {
        let (Some((first, _)), Some((last, _))) = (chunk.first(), chunk.last()) else { continue };
        let points: Vec<Point> = chunk.iter().map(|(_, point)| *point).collect();
        primary.append(&Batch::new(*first..last + 1, &points), &series)?;
    }
    primary.flush(&series)?;
    Ok(missing.len() as u64)
}

fn bring_up_to_date(sinks: &mut Sinks, purpose: Purpose) -> Result<()> {
    let series = SeriesTable::default();
    for derived in &mut sinks.derived {
        derived.catch_up(sinks.primary.as_mut())?;
        match purpose {
            Purpose::Close => derived.close(&series)?,
            Purpose::Resume => derived.flush(&series)?,
        }
    }
    if !sinks.derived.is_empty() {
        sinks.primary.mark_derived()?;
    }
    match purpose {
        Purpose::Close => sinks.primary.close(&series),
        Purpose::Resume => sinks.primary.flush(&series),
    }
}
