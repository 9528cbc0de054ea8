//! Prevents other connections from deleting the write-ahead log of the writer.
//!
//! The locks of `SQLite` belong to the process, not to the open file: when another copy of `SQLite` in the process, such
//! as that of Python's `sqlite3`, closes the database, the system releases the writer's locks too. That copy, or a reader
//! in another process, then finds no other connection and deletes the log, and further commits of the writer go to a
//! deleted file. The locks here belong to separate open files. They are the locks of a reader: they prevent neither reading
//! nor writing, only the deletion of the log.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use holter_journal::{ParentOnly, byte_lock};

use super::files::shm_path;

/// The bytes of the database that every open connection locks (`SHARED_FIRST`).
const DATABASE_RANGE: Range<u64> = 0x4000_0002..0x4000_0200;
/// The byte of the index of the log that every process locks while it uses it (`UNIX_SHM_DMS`).
const INDEX_RANGE: Range<u64> = 128..129;

/// Locks that must be released after the connection is closed.
pub(super) struct WalLock {
    database: Option<ParentOnly>,
    index: Option<ParentOnly>,
}

impl WalLock {
    /// Protects the log of the open database at `path`, if the system supports such locks.
    pub(super) fn new(path: &Path) -> Self {
        let locked = |path: &Path, range: Range<u64>| {
            let file = ParentOnly::new(File::open(path).ok()?);
            if let Some(file) = file.file() {
                let _ = byte_lock::lock_shared(file, range);
            }
            // Kept in either case, because closing it would release the locks of the connection.
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
