//! The journal for readers: cached, and reread only if it has changed, or after a delay.

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
const QUICK_POINTS: usize = 1 << 14;
/// The minimum age per point before a larger journal is reread: about ten times the cost of reading, so that reading
/// many series in turn does not spend its time on the journal.
const AGE_NANOS_PER_POINT: u64 = 500;
/// The maximum age of a cached journal that has changed.
const MAX_AGE: Duration = Duration::from_millis(500);

/// Identifies the state of a file: its inode, length and modification time.
pub(super) type FileIdentity = (u64, u64, i64, i64);

/// The identity of the file at `path`, if it exists.
pub(super) fn identity(path: &Path) -> Option<FileIdentity> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

/// The journal as last read.
#[derive(Debug, Default)]
pub(super) struct CachedJournal {
    recent: Mutex<Option<Recent>>,
    place: Mutex<Option<Place>>,
    /// The end of the journal that a revision covers: later reads must include it.
    promised: Mutex<Option<JournalEnd>>,
}

#[derive(Debug)]
struct Recent {
    pending: Arc<Pending>,
    /// The path of the journal.
    path: Arc<Path>,
    read_at: Instant,
    max_age: Duration,
}

impl Recent {
    /// Whether the cached points can be used without checking the file.
    fn is_young(&self, promised: Option<JournalEnd>) -> bool {
        self.read_at.elapsed() < self.max_age && promised.is_none_or(|promised| self.pending.includes(promised))
    }
}

/// The path of the journal according to the manifest with this identity.
#[derive(Debug)]
struct Place {
    manifest: Option<FileIdentity>,
    path: Arc<Path>,
}

impl CachedJournal {
    /// The content of the journal, possibly cached, and its path.
    pub(super) fn pending(&self, dir: &RunDir, is_fresh: bool) -> Result<(Arc<Pending>, Arc<Path>)> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = *self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = recent.as_ref().filter(|_| !is_fresh)
            && (recent.is_young(promised) || recent.pending.is_current(&recent.path)?)
        {
            return Ok((Arc::clone(&recent.pending), Arc::clone(&recent.path)));
        }
        let read_at = Instant::now();
        let path: Arc<Path> = Manifest::read(dir)?.readable_journal_path(dir).into();
        // The journal of a dead process does not change, and its counters can be outdated: every slot with a point
        // counts, as in recovery.
        let was_live = is_live(dir);
        let mut pending = Pending::read(&path, if was_live { Records::Pending } else { Records::All })?;
        if !was_live && is_live(dir) {
            pending = Pending::read(&path, Records::Pending)?;
        }
        let pending = Arc::new(pending);
        let max_age = match pending.len() {
            quick if quick < QUICK_POINTS => Duration::ZERO,
            slow => Duration::from_nanos(slow as u64 * AGE_NANOS_PER_POINT).min(MAX_AGE),
        };
        *recent = Some(Recent { pending: Arc::clone(&pending), path: Arc::clone(&path), read_at, max_age });
        Ok((pending, path))
    }

    /// The end of the journal, if it exists; later reads include it. `manifest` is the identity of the manifest.
    pub(super) fn promise_end(&self, dir: &RunDir, manifest: Option<FileIdentity>) -> Result<Option<JournalEnd>> {
        let path = self.place(dir, manifest)?;
        let Some((origin, pending)) = Snapshot::extent(&path)? else { return Ok(None) };
        let end = JournalEnd { id: origin.id, end: pending.map_or(0, |pending| pending.end) };
        *self.promised.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        Ok(Some(end))
    }

    /// The path of the journal; reads the manifest only if it has changed.
    fn place(&self, dir: &RunDir, manifest: Option<FileIdentity>) -> Result<Arc<Path>> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Some(known) if manifest.is_some() && known.manifest == manifest => Ok(Arc::clone(&known.path)),
            _ => {
                let path: Arc<Path> = Manifest::read(dir)?.readable_journal_path(dir).into();
                *place = Some(Place { manifest, path: Arc::clone(&path) });
                Ok(path)
            }
        }
    }
}
