//! Rewrites the write-ahead log, byte for byte, whenever the database is opened.
//!
//! After a failed sync, Linux marks the pages as written, and the next sync succeeds without them. The log can then be
//! read until a power failure, after which a database that it was copied into is a mixture of old and new pages. Rewritten
//! pages are synced again. An earlier process that had such an error leaves no trace, so the log of every resumed run is
//! rewritten.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::files::wal_path;
use crate::error::{Error, Result};

/// Writes the log of the database at `path` to the disk as it can be read. Does nothing if there is no log.
///
/// # Errors
///
/// [`Error::Sqlite`] if the database is busy, [`Error::Io`] if the log cannot be written.
pub(super) fn rewrite(connection: &Connection, path: &Path) -> Result<()> {
    let log = wal_path(path);
    // No other connection can change the log during this transaction.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let written = match OpenOptions::new().read(true).write(true).open(&log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(log) => copy_onto_itself(&log),
    };
    connection.execute_batch("ROLLBACK")?;
    written.map_err(Error::io("write", &log))
}

fn copy_onto_itself(file: &File) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 16];
    let mut position = 0;
    loop {
        let count = file.read_at(&mut chunk, position)?;
        if count == 0 {
            break;
        }
        file.write_all_at(&chunk[..count], position)?;
        position += count as u64;
    }
    if position > 0 { file.sync_all() } else { Ok(()) }
}
