//! The files that `SQLite` creates beside a database.

use std::path::{Path, PathBuf};

/// The write-ahead log of the database at `path`.
pub(crate) fn wal_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The shared-memory index of the write-ahead log.
pub(crate) fn shm_path(path: &Path) -> PathBuf {
    beside(path, "-shm")
}

/// The rollback journal of the database at `path`.
pub(crate) fn rollback_path(path: &Path) -> PathBuf {
    beside(path, "-journal")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
