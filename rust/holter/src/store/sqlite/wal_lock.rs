//! Keeps the write-ahead log from being taken away from under the writer.
//!
//! The locks of `SQLite` belong to the process, not to the open file: when anybody in the process closes the
//! database, be it through another copy of `SQLite` such as that of Python's `sqlite3`, the system lets go of
//! the writer's locks as well. Who closes then, or a reader elsewhere, takes itself for the last one and
//! deletes the log, and what the writer commits from there on goes into a deleted file. The locks held here
//! belong to open files of our own. They are those of one more reader: they keep nobody from reading or
//! writing, only from believing to be alone.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use holter_journal::{ParentOnly, byte_lock};

use super::files::shm_path;

/// The bytes of the database that every connection locks as long as it is open (its `SHARED_FIRST`).
const DATABASE_RANGE: Range<u64> = 0x4000_0002..0x4000_0200;
/// The byte of the log's index that every process locks as long as it uses it (`UNIX_SHM_DMS`).
const INDEX_RANGE: Range<u64> = 128..129;

/// Held as long as the connection, and released after it.
pub(super) struct WalLock {
    database: Option<ParentOnly>,
    index: Option<ParentOnly>,
}

impl WalLock {
    /// Protects the log of the open database at `path`. Where the system has no such locks there is no protection.
    pub(super) fn new(path: &Path) -> Self {
        let locked = |path: &Path, range: Range<u64>| {
            let file = ParentOnly::new(File::open(path).ok()?);
            if let Some(file) = file.file() {
                let _ = byte_lock::lock_shared(file, range);
            }
            // Kept in either case: to close it now would release the connection's locks.
            Some(file)
        };
        Self { database: locked(path, DATABASE_RANGE), index: locked(&shm_path(path), INDEX_RANGE) }
    }

    /// Releases the locks, so that the connection can delete the log when it is closed.
    pub(super) fn release(&self) {
        for (file, range) in [(&self.database, DATABASE_RANGE), (&self.index, INDEX_RANGE)] {
            if let Some(file) = file.as_ref().and_then(ParentOnly::file) {
                let _ = byte_lock::unlock(file, range);
            }
        }
    }
}
