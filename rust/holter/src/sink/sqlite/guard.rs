//! Keeps the write-ahead log from being taken away from under the writer.
//!
//! The locks of `SQLite` belong to the process, not to the open file: when anybody in the process closes the
//! database, be it through another copy of `SQLite` such as that of Python's `sqlite3`, the system lets go of
//! the writer's locks as well. Who closes then, or a reader elsewhere, takes itself for the last one and
//! deletes the log, and what the writer commits from there on goes into a deleted file. The locks held here
//! belong to open files of our own. They are those of one more reader: they keep nobody from reading or
//! writing, only from believing to be alone.

use std::fs::File;
use std::path::Path;

use crate::journal::fork::ParentOnly;

/// The bytes of the database that every connection locks as long as it is open (its `SHARED_FIRST`).
const DATABASE_RANGE: (u64, u64) = (0x4000_0002, 510);
/// The byte of the log's index that every process locks as long as it uses it (`UNIX_SHM_DMS`).
const INDEX_RANGE: (u64, u64) = (128, 1);

/// Held as long as the connection, and let go of after it.
pub(super) struct LogGuard {
    database: Option<ParentOnly>,
    index: Option<ParentOnly>,
}

impl LogGuard {
    /// Guards the log of the open database at `path`. Where the system has no such locks there is no guard.
    pub(super) fn new(path: &Path) -> Self {
        let guarded = |path: &Path, (start, length): (u64, u64)| {
            let file = ParentOnly::new(File::open(path).ok()?);
            // Kept in either case: to close it now would let go of the connection's locks.
            let _ = file.share_range(start, length);
            Some(file)
        };
        let mut index = path.as_os_str().to_owned();
        index.push("-shm");
        Self { database: guarded(path, DATABASE_RANGE), index: guarded(Path::new(&index), INDEX_RANGE) }
    }

    /// Lets go of the locks, so that the connection can delete the log when it is closed.
    pub(super) fn release(&self) {
        for (file, (start, length)) in [(&self.database, DATABASE_RANGE), (&self.index, INDEX_RANGE)] {
            if let Some(file) = file {
                let _ = file.release_range(start, length);
            }
        }
    }
}
