//! Cached journal of a run for readers: rereads the points only if the journal has changed and the cache has expired.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holter_journal::{Records, Snapshot};

use super::pending::{JournalEnd, Pending};
use crate::error::Result;
use crate::store::manifest::Manifest;
use crate::store::run_dir::RunDir;
use crate::store::run_lock::is_live;

/// A journal with fewer points is reread whenever it has changed.
const UNCACHED_POINTS: usize = 1 << 14;
/// How long a longer journal stays cached, per point: about ten times the cost of a read, so that reading series after
/// series does not reread the journal for each.
const MAX_AGE_NANOS_PER_POINT: u64 = 500;
/// The longest time that a journal stays cached.
const MAX_AGE: Duration = Duration::from_millis(500);

/// Identifies a state of a file: inode number, length, modification time.
pub(super) type FileIdentity = (u64, u64, i64, i64);

/// The identity of the file at `path`, if it exists.
pub(super) fn identity(path: &Path) -> Option<FileIdentity> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

/// The content of the run's journal at the last read.
#[derive(Debug, Default)]
pub(super) struct CachedJournal {
    recent: Mutex<Option<CachedPending>>,
    location: Mutex<Option<Location>>,
    /// The journal's end at the last revision token; later reads must cover it.
    min_end: Mutex<Option<JournalEnd>>,
}

#[derive(Debug)]
struct CachedPending {
    pending: Arc<Pending>,
    /// Where the journal was.
    path: Arc<Path>,
    read_at: Instant,
    max_age: Duration,
}

impl CachedPending {
    /// Whether the cached content is recent enough and covers `min_end`.
    fn is_valid(&self, min_end: Option<JournalEnd>) -> bool {
        self.read_at.elapsed() < self.max_age && min_end.is_none_or(|min_end| self.pending.covers(min_end))
    }
}

/// The path of the journal according to the manifest with this identity.
#[derive(Debug)]
struct Location {
    manifest: Option<FileIdentity>,
    path: Arc<Path>,
}

impl CachedJournal {
    /// The content of the journal, possibly cached, and its path. `is_fresh` bypasses the cache.
    pub(super) fn pending(&self, dir: &RunDir, is_fresh: bool) -> Result<(Arc<Pending>, Arc<Path>)> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let min_end = *self.min_end.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = recent.as_ref().filter(|_| !is_fresh)
            && (recent.is_valid(min_end) || recent.pending.is_current(&recent.path)?)
        {
            return Ok((Arc::clone(&recent.pending), Arc::clone(&recent.path)));
        }
        let read_at = Instant::now();
        let path: Arc<Path> = Manifest::read(dir)?.readable_journal_path(dir).into();
        // The journal of a dead process no longer changes. Every slot that contains a point counts, regardless of the
        // journal's counters, as in recovery.
        let was_live = is_live(dir);
        let mut pending = Pending::read(&path, if was_live { Records::Pending } else { Records::All })?;
        if !was_live && is_live(dir) {
            pending = Pending::read(&path, Records::Pending)?;
        }
        let pending = Arc::new(pending);
        let max_age = match pending.len() {
            few if few < UNCACHED_POINTS => Duration::ZERO,
            many => Duration::from_nanos(many as u64 * MAX_AGE_NANOS_PER_POINT).min(MAX_AGE),
        };
        *recent = Some(CachedPending { pending: Arc::clone(&pending), path: Arc::clone(&path), read_at, max_age });
        Ok((pending, path))
    }

    /// The journal's end if a journal exists. Later reads cover at least this end. `manifest` is the manifest's
    /// identity.
    pub(super) fn pin_end(&self, dir: &RunDir, manifest: Option<FileIdentity>) -> Result<Option<JournalEnd>> {
        let path = self.location(dir, manifest)?;
        let Some((origin, pending)) = Snapshot::extent(&path)? else { return Ok(None) };
        let end = JournalEnd { id: origin.id, end: pending.map_or(0, |pending| pending.end) };
        *self.min_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        Ok(Some(end))
    }

    /// The path of the journal. Reads the manifest only if it has changed.
    fn location(&self, dir: &RunDir, manifest: Option<FileIdentity>) -> Result<Arc<Path>> {
        let mut location = self.location.lock().unwrap_or_else(PoisonError::into_inner);
        match &*location {
            Some(known) if manifest.is_some() && known.manifest == manifest => Ok(Arc::clone(&known.path)),
            _ => {
                let path: Arc<Path> = Manifest::read(dir)?.readable_journal_path(dir).into();
                *location = Some(Location { manifest, path: Arc::clone(&path) });
                Ok(path)
            }
        }
    }
}
