//! Writes the write-ahead log again, byte for byte, whenever the database is opened.
//!
//! After a sync that failed Linux takes the pages for written, and the next sync succeeds without them. The log then reads
//! well, by us and by whoever comes later, until the power is lost; and the database that it was copied into is a mixture
//! of old pages and new ones. What is written again is synced again. That a process before this one met such an error
//! leaves no trace, so the log of each run that is gone on with is treated so.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::files::wal_path;
use crate::error::{Error, Result};

/// Has the log of the database at `path` be on the disk as it reads. A database that has no log is left alone.
///
/// # Errors
///
/// [`Error::Sqlite`] if the database is busy, [`Error::Io`] if the log cannot be written.
pub(super) fn rewrite(connection: &Connection, path: &Path) -> Result<()> {
    let log = wal_path(path);
    // While this lasts nobody else changes the log; what is read and what is overwritten is the same.
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
