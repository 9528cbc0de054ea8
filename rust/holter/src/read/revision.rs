//! An opaque version token that changes whenever a run has new data.

use std::fmt::Write as _;

use super::journal::{FileIdentity, identity};
use super::run::Reader;
use crate::error::Result;
use crate::store::sqlite::files::wal_path;

impl Reader {
    /// Returns an opaque version token that changes whenever the run has new points or events, or was closed, resumed
    /// or recovered. Takes a few microseconds. Later reads are at least as new as the token.
    ///
    /// The token may change without new data. Tokens have no order.
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::open`]; [`Error::Damaged`](crate::error::Error::Damaged) if the journal is not a valid
    /// journal.
    pub fn revision(&self) -> Result<String> {
        let dir = self.dir();
        // The manifest is replaced at the start and the end of each session and at each update of the configuration.
        let manifest = identity(&dir.manifest());
        let mut revision = String::with_capacity(64);
        put(&mut revision, manifest);
        put(&mut revision, identity(&dir.events()));
        if let Some(end) = self.journal().pin_end(dir, manifest)? {
            let _ = write!(revision, "-{:016x}-{:x}", end.id, end.end);
        } else {
            // Without a journal file, because the run is closed or the journal is in memory, the other files change.
            for file in [dir.database(), wal_path(&dir.database()), dir.parquet()] {
                put(&mut revision, identity(&file).filter(|&(_, length, ..)| length > 0));
            }
        }
        Ok(revision)
    }
}

fn put(revision: &mut String, identity: Option<FileIdentity>) {
    let _ = match identity {
        Some((number, length, secs, nanos)) => write!(revision, ".{number:x}.{length:x}.{secs:x}.{nanos:x}"),
        None => write!(revision, "."),
    };
}
