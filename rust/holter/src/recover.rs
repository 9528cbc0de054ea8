//! Brings a run left by a crash into order: the journal into the sinks, half-written files away.
//!
//! Every step can be repeated: killed at any moment, a recovery is taken up again by the next one. The
//! journal is removed last, when all that it held is durable elsewhere.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::journal::{self, Records, Snapshot};
use crate::point::{Point, Timestamp};
use crate::run_dir::{RunDir, RunLock};
use crate::schema::manifest;
use crate::series::SeriesTable;
use crate::sink::Batch;
use crate::sink::open::SinkOptions;
use crate::writer::Sinks;

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
pub fn recover(dir: &RunDir, config: &Config) -> Result<Recovery> {
    let lock = dir.lock_existing()?;
    recover_locked(dir, config, &lock, Purpose::Close)
}

/// What follows the recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing: the files are brought into their final order.
    Close,
    /// A new attempt: compacting can wait for its end.
    Resume,
}

pub(crate) fn recover_locked(dir: &RunDir, config: &Config, _lock: &RunLock, purpose: Purpose) -> Result<Recovery> {
    let mut manifest = dir.read_manifest()?;
    let journal_path = dir.journal_of(&manifest);
    remove_unused(dir, &journal_path);
    let had_crashed = manifest.get(manifest::STATUS).and_then(Value::as_str) == Some(manifest::status::RUNNING);
    let mut recovery = Recovery { had_crashed, ..Recovery::default() };
    let is_foreign = dir.is_foreign(&journal_path);
    let found = if is_foreign { Ok(None) } else { Snapshot::read(&journal_path, Records::All) };
    let snapshot = match found {
        Err(error @ Error::Damaged { .. }) => {
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
    let facts = Facts::read(dir, &manifest)?;
    let mut sinks = SinkOptions {
        dir,
        names: &facts.sinks,
        run_name: &facts.name,
        rank: facts.rank,
        started: facts.started,
        summary_every: facts.summary_every,
        journal_id: snapshot.as_ref().map_or(0, |snapshot| snapshot.origin.id),
        journal_capacity: config.journal_capacity,
    }
    .open()?;
    let mut last_time = None;
    if let Some(snapshot) = &snapshot {
        recovery.unreadable = snapshot.unreadable;
        recovery.recovered = replay(snapshot, &mut sinks)?;
        last_time = snapshot.points.iter().map(|(_, point)| point.time).max();
        note_dropped(&mut manifest, snapshot.dropped);
    }
    bring_up_to_date(&mut sinks, purpose)?;
    drop(sinks);
    if had_crashed {
        end_attempt(&mut manifest, manifest::status::CRASHED, last_time);
    }
    // Before the journal goes, which alone knows how many points were dropped.
    dir.write_manifest(&manifest)?;
    if snapshot.is_some() {
        fs::remove_file(&journal_path).map_err(Error::io("remove", &journal_path))?;
    }
    Ok(recovery)
}

/// Removes what a process made and was ended before it used it; where it cannot, whoever makes it next does.
fn remove_unused(dir: &RunDir, journal_path: &Path) {
    for unfinished in [journal_path, &dir.journal()].map(journal::unfinished) {
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

/// Hands the truth what it lacks of the journal's points, and returns how many there were.
fn replay(snapshot: &Snapshot, sinks: &mut Sinks) -> Result<u64> {
    let series = SeriesTable::from_names(snapshot.names.iter().cloned());
    let truth = sinks.truth.as_mut();
    let first = snapshot.points.partition_point(|(sequence, _)| *sequence < truth.committed());
    let missing = &snapshot.points[first..];
    for chunk in missing.chunks(BATCH_POINTS) {
        let (Some((first, _)), Some((last, _))) = (chunk.first(), chunk.last()) else { continue };
        let points: Vec<Point> = chunk.iter().map(|(_, point)| *point).collect();
        truth.append(&Batch::new(*first..last + 1, &points), &series)?;
    }
    truth.flush(&series)?;
    Ok(missing.len() as u64)
}

fn bring_up_to_date(sinks: &mut Sinks, purpose: Purpose) -> Result<()> {
    let series = SeriesTable::default();
    for derived in &mut sinks.derived {
        derived.catch_up(sinks.truth.as_mut())?;
        match purpose {
            Purpose::Close => derived.close(&series)?,
            Purpose::Resume => derived.flush(&series)?,
        }
    }
    if !sinks.derived.is_empty() {
        sinks.truth.mark_derived()?;
    }
    match purpose {
        Purpose::Close => sinks.truth.close(&series),
        Purpose::Resume => sinks.truth.flush(&series),
    }
}

/// What a manifest says of the things that sinks have to know.
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) rank: u32,
    pub(crate) started: Timestamp,
    pub(crate) sinks: Vec<String>,
    pub(crate) summary_every: u64,
}

impl Facts {
    pub(crate) fn read(dir: &RunDir, manifest: &Map<String, Value>) -> Result<Self> {
        let missing = |key: &str| Error::damaged(dir.manifest(), format!("it has no proper {key:?}"));
        let find = |key: &'static str| manifest.get(key).ok_or_else(|| missing(key));
        let config = Config {
            sinks: find(manifest::SINKS)?
                .as_array()
                .ok_or_else(|| missing(manifest::SINKS))?
                .iter()
                .filter_map(|sink| sink.as_str().map(str::to_owned))
                .collect(),
            summary_every: find(manifest::SUMMARY_EVERY)?.as_u64().ok_or_else(|| missing(manifest::SUMMARY_EVERY))?,
            ..Config::default()
        };
        config.check().map_err(|error| Error::damaged(dir.manifest(), error.to_string()))?;
        Ok(Self {
            name: find(manifest::NAME)?.as_str().ok_or_else(|| missing(manifest::NAME))?.to_owned(),
            rank: find(manifest::RANK)?.as_u64().ok_or_else(|| missing(manifest::RANK))? as u32,
            started: find(manifest::STARTED_MICROS)?
                .as_i64()
                .map(Timestamp::from_micros)
                .ok_or_else(|| missing(manifest::STARTED_MICROS))?,
            sinks: config.sinks,
            summary_every: config.summary_every,
        })
    }
}

/// Notes how the last attempt ended, and when.
pub(crate) fn end_attempt(manifest: &mut Map<String, Value>, status: &str, at: Option<Timestamp>) {
    let finished = at.map_or(Value::Null, |time| time.to_string().into());
    if let Some(Value::Array(attempts)) = manifest.get_mut(manifest::ATTEMPTS)
        && let Some(Value::Object(attempt)) = attempts.last_mut()
    {
        attempt.insert(manifest::STATUS.to_owned(), status.into());
        attempt.insert(manifest::FINISHED.to_owned(), finished.clone());
    }
    manifest.insert(manifest::STATUS.to_owned(), status.into());
    manifest.insert(manifest::FINISHED.to_owned(), finished);
}

/// Notes how many points the last attempt dropped, in its own count and in that over all attempts.
///
/// What is noted already is not added again: a crash can come between this and the end of the journal
/// that the number is from.
pub(crate) fn note_dropped(manifest: &mut Map<String, Value>, dropped: u64) {
    let mut more = dropped;
    if let Some(Value::Array(attempts)) = manifest.get_mut(manifest::ATTEMPTS)
        && let Some(Value::Object(attempt)) = attempts.last_mut()
    {
        let noted = attempt.get(manifest::DROPPED).and_then(Value::as_u64).unwrap_or(0);
        more = dropped.saturating_sub(noted);
        attempt.insert(manifest::DROPPED.to_owned(), (noted + more).into());
    }
    let before = manifest.get(manifest::DROPPED).and_then(Value::as_u64).unwrap_or(0);
    manifest.insert(manifest::DROPPED.to_owned(), (before + more).into());
}
