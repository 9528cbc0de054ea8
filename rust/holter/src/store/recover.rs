//! Brings a run left by a crash into order: the journal into the sinks, half-written files away.
//!
//! Every step can be repeated: killed at any moment, a recovery is taken up again by the next one. The
//! journal is removed last, when all that it held is durable elsewhere.

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

/// How many points are handed to the sinks at once.
const BATCH_POINTS: usize = 1 << 18;

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Points that were in the journal only.
    pub recovered: u64,
    /// Slots of the journal that hold something else than a point: calls cut off, or damage.
    pub unreadable: u64,
    /// Whether a journal of the run was found.
    pub found_journal: bool,
    /// Whether the attempt had not been closed.
    pub had_crashed: bool,
    /// What is wrong with a journal that could not be read at all, and was put aside, or that lies on
    /// another machine.
    pub damaged_journal: Option<String>,
}

/// Recovers the run and brings its files into their final order. Does nothing to a run in order.
///
/// # Errors
///
/// [`Error::Locked`] if a living process writes to the run; [`Error::NoRun`]; or whatever keeps its
/// files from being read or written.
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

/// What follows the recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing: the files are brought into their final order.
    Close,
    /// A new attempt: compacting can wait for its end.
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
            // The rest of the run is worth going on with; the file stays for whoever can read it.
            let aside = journal_path.with_extension("damaged");
            fs::rename(&journal_path, &aside).map_err(Error::io("rename", &journal_path))?;
            recovery.damaged_journal = Some(format!("{error}; it is at {} now", aside.display()));
            None
        }
        snapshot => snapshot?,
    };
    recovery.found_journal = snapshot.is_some();
    if had_crashed && snapshot.is_none() && journal_path != dir.journal() {
        let place = journal_path.display();
        recovery.damaged_journal.get_or_insert_with(|| {
            let why = if is_foreign { "is another user's" } else { "is not on this machine" };
            format!("the journal of the last attempt {why} ({place}): what only it had is missing")
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
    // Before the journal goes, which alone knows how many points were dropped.
    manifest.write(dir)?;
    if snapshot.is_some() {
        fs::remove_file(&journal_path).map_err(Error::io("remove", &journal_path))?;
    }
    Ok(recovery)
}

/// Removes what a process made and was ended before it used it; where it cannot, whoever makes it next does.
fn remove_unused(dir: &RunDir, journal_path: &Path) {
    for unfinished in [journal_path, &dir.journal()].map(unfinished_path) {
        let _ = fs::remove_file(unfinished);
    }
    let _ = fs::remove_file(dir.unfinished_manifest());
    // Points are logged when the manifest names their journal: one that it does not name was to be the next attempt's.
    if journal_path != dir.journal()
        && let Ok(Some(snapshot)) = Snapshot::read(&dir.journal(), Records::All)
        && snapshot.points.is_empty()
        && snapshot.unreadable == 0
    {
        let _ = fs::remove_file(dir.journal());
    }
}

/// Hands the primary sink what it lacks of the journal's points, and returns how many there were.
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
