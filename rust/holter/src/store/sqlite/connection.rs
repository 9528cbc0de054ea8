//! The writer's connection to the database, which never loses committed points when it is closed.
//!
//! By default, `SQLite` copies the write-ahead log into the database when the last connection is closed, and deletes the
//! log. If it cannot map the index of the log at that moment, as on a full disk, it treats the log as empty: it copies
//! nothing, reports no error, and deletes every commit in the log. Therefore dropping a connection leaves the
//! log as it is, and closing it deletes the log only if it is empty, after a checkpoint.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use super::files::wal_path;
use super::foreign_schema;
use super::wal_lock::WalLock;
use crate::error::{Error, Result};
use crate::store::schema::{self, sql};
use holter_journal::Timestamp;

/// Options of [`SqliteSink::open`](super::SqliteSink::open).
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The file of the database.
    pub path: PathBuf,
    /// The id of the journal of the batches.
    pub journal_id: u64,
    /// The start of the run, the origin of its times.
    pub started: Timestamp,
    /// Whether the file is on a network file system, where a write-ahead log must not be used.
    pub is_remote: bool,
}

/// How long opening waits for readers.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open database. If it is dropped, even before opening is complete, its log stays.
pub(super) struct OpenDatabase {
    connection: Connection,
    /// `None` while the database is being opened, and if it has no log.
    wal_lock: Option<WalLock>,
    log: PathBuf,
}

impl OpenDatabase {
    /// Opens the database, and creates it and its tables if they do not exist. Waits for readers until
    /// [`OpenDatabase::lock_wal`].
    ///
    /// # Errors
    ///
    /// [`Error::Sqlite`] if it cannot be opened; [`Error::FormatVersion`] if a newer Holter wrote it;
    /// [`Error::Damaged`] if it has triggers or views in place of tables. The last two leave it unchanged.
    pub(super) fn open(options: &SqliteOptions) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&resolved(&options.path)?, flags)?;
        // Before the first read, which opens the log.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        if connection.is_readonly("main")? {
            // SQLite opens a read-only file without an error, and fails later with an unclear message.
            let why = "attempt to write a readonly database".to_owned();
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), Some(why)).into());
        }
        let database = Self { connection, wal_lock: None, log: wal_path(&options.path) };
        // A reader that opens the database at the same time locks it while it rebuilds the index of the log.
        database.busy_timeout(PATIENCE)?;
        let version = match database.known_version(&options.path) {
            Ok(version) => version,
            Err(error) => {
                database.close();
                return Err(error);
            }
        };
        let mode = if options.is_remote { "DELETE" } else { "WAL" };
        // If a write of the change fails, SQLite keeps the previous mode and reports no error.
        for _ in 0..2 {
            database.pragma_update(None, "journal_mode", mode)?;
            if database.journal_mode()?.eq_ignore_ascii_case(mode) {
                break;
            }
        }
        // Without a log, a commit removes a file, and only EXTRA syncs that. With a log it is the same as FULL.
        database.pragma_update(None, "synchronous", "EXTRA")?;
        database.pragma_update(None, "mmap_size", 0)?;
        database.pragma_update(None, "wal_autocheckpoint", 16_000)?;
        database.pragma_update(None, "journal_size_limit", 64 << 20)?;
        database.pragma_update(None, "cache_size", -32_768)?;
        if version < schema::FORMAT_VERSION {
            create_schema(&database, options.started)?;
        } else {
            database.execute_batch(sql::ROLLUPS_TABLE)?;
        }
        Ok(database)
    }

    /// Protects the log from deletion by other connections, and stops waiting when the database is busy.
    pub(super) fn lock_wal(&mut self, path: &Path) -> Result<()> {
        self.busy_timeout(Duration::ZERO)?;
        // The mode is queried, because SQLite reports no error if WAL mode is unavailable. Without it, the lock would
        // prevent this connection from committing.
        self.wal_lock = (self.journal_mode()? == "wal").then(|| WalLock::new(path));
        Ok(())
    }

    /// Closes the connection, and deletes the log if it is empty.
    pub(super) fn close(self) {
        if fs::metadata(&self.log).is_ok_and(|log| log.len() == 0) {
            if let Some(lock) = &self.wal_lock {
                lock.release();
            }
            // If this fails, an empty file stays.
            let _ = self.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        }
    }

    /// The format version, 0 in a new database; an error if the database must not be written to.
    fn known_version(&self, path: &Path) -> Result<u64> {
        let version = self.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? as u64;
        if version > schema::FORMAT_VERSION {
            return Err(Error::FormatVersion { path: path.to_owned(), found: version, known: schema::FORMAT_VERSION });
        }
        foreign_schema::reject(self, path)?;
        Ok(version)
    }

    /// The journal mode in lower case.
    fn journal_mode(&self) -> Result<String> {
        Ok(self.pragma_query_value(None, "journal_mode", |row| row.get(0))?)
    }
}

impl Deref for OpenDatabase {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for OpenDatabase {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

fn create_schema(connection: &Connection, started: Timestamp) -> Result<()> {
    let (version, started_micros) = (schema::FORMAT_VERSION, started.micros());
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {tables} {rollups} {view}
         INSERT OR REPLACE INTO meta VALUES ('{version_key}', {version}), ('{started_key}', {started_micros});
         PRAGMA application_id = {application_id}; PRAGMA user_version = {version}; COMMIT;",
        application_id = sql::APPLICATION_ID,
        tables = sql::TABLES,
        rollups = sql::ROLLUPS_TABLE,
        view = sql::view(started_micros),
        version_key = sql::KEY_FORMAT_VERSION,
        started_key = sql::KEY_STARTED_MICROS,
    ))?;
    Ok(())
}

/// The path with the symbolic links of its directory resolved: `NOFOLLOW` is meant for the file only.
fn resolved(path: &Path) -> Result<PathBuf> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let dir = parent.canonicalize().map_err(Error::io("open", parent))?;
    Ok(dir.join(path.file_name().unwrap_or_default()))
}

/// Whether the database is locked by another connection, so that a retry can succeed.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(
        error,
        Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
            if matches!(failure.code, rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}
