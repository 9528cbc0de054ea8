//! A word that changes whenever there is something new to read in a run.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::Reader;
use crate::error::Result;
use crate::journal::Snapshot;

/// What tells one state of a file from another: its number, its length, its last change.
type FileIdentity = (u64, u64, i64, i64);

/// Where the journal lies according to the manifest of this identity.
#[derive(Debug)]
pub(super) struct JournalPlace {
    manifest: Option<FileIdentity>,
    path: Arc<Path>,
}

/// A journal, and one past the last sequence number that was given out in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalEnd {
    pub(super) id: u64,
    pub(super) end: u64,
}

impl Reader {
    /// A word that is another one whenever the run has got new points or events, was closed, gone on with or
    /// recovered. Costs some microseconds. What is read later is at least as new as it says.
    ///
    /// It may change although there is nothing new, and says nothing of the order of two.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`]; [`Error::Damaged`](crate::error::Error::Damaged) if the journal is no journal.
    pub fn revision(&self) -> Result<String> {
        let dir = &self.inner.dir;
        // The manifest is replaced at each beginning and each end of an attempt, and with its configuration.
        let manifest = identity(&dir.manifest());
        let journal = self.journal_place(manifest)?;
        let mut revision = String::with_capacity(64);
        put(&mut revision, manifest);
        put(&mut revision, identity(&dir.events()));
        if let Some((origin, pending)) = Snapshot::extent(&journal)? {
            let end = pending.map_or(0, |pending| pending.end);
            *self.inner.promised.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(JournalEnd { id: origin.id, end });
            let _ = write!(revision, "-{:016x}-{end:x}", origin.id);
        } else {
            // Closed, or recorded through memory: then the files themselves change.
            let mut log = dir.database().into_os_string();
            log.push("-wal");
            for file in [dir.database(), log.into(), dir.parquet()] {
                put(&mut revision, identity(&file).filter(|&(_, length, ..)| length > 0));
            }
        }
        Ok(revision)
    }

    /// Where the journal lies; the manifest is read only if it is another one than last time.
    fn journal_place(&self, manifest: Option<FileIdentity>) -> Result<Arc<Path>> {
        let mut place = self.inner.journal_place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Some(known) if manifest.is_some() && known.manifest == manifest => Ok(Arc::clone(&known.path)),
            _ => {
                let path: Arc<Path> = self.inner.dir.own_journal_of(&self.manifest()?).into();
                *place = Some(JournalPlace { manifest, path: Arc::clone(&path) });
                Ok(path)
            }
        }
    }
}

fn identity(path: &Path) -> Option<FileIdentity> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

fn put(revision: &mut String, identity: Option<FileIdentity>) {
    let _ = match identity {
        Some((number, length, secs, nanos)) => write!(revision, ".{number:x}.{length:x}.{secs:x}.{nanos:x}"),
        None => write!(revision, "."),
    };
}
