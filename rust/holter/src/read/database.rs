//! Read-only access to the database, with a new connection for each read.
//!
//! Reads create and change nothing. A connection does not outlive a read: it would prevent the writer from resetting
//! the WAL, and a forked child must not inherit it. Only `SQLite` opens the database file, because closing a file
//! descriptor releases all locks of the process on the file, including the writer's.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::{ErrorCode, SQLITE_READONLY_ROLLBACK};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::facts::SeriesFacts;
use crate::error::{Error, Result};
use crate::fs::is_remote;
use crate::millis::to_micros;
use crate::points::Columns;
use crate::rollup::{self, Level, Row};
use crate::store::run_dir::RunDir;
use crate::store::run_lock::is_live;
use crate::store::schema::{self, sql};
use crate::store::sqlite::files::{rollback_path, wal_path};
use crate::store::sqlite::foreign_schema;
use holter_journal::Step;

/// Maximum attempts for a read if the database is busy or changes during the read.
const ATTEMPTS: u32 = 20;
/// How long an attempt waits for a lock, and the pause between attempts.
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(5);

/// Rows by series id.
type RowsOfSeries = HashMap<i64, Vec<Row>>;

/// One read transaction.
pub(super) struct Database {
    connection: Connection,
    started_micros: i64,
    /// The journal id and the journal cursor of the last commit.
    journal: Option<(u64, u64)>,
    /// Whether the table of rollups exists; cached.
    has_rollups: OnceCell<bool>,
}

/// Calls `action` within a read transaction on the run's database, or with `None` if the database is empty. May call it
/// several times; the last call counts.
pub(super) fn read<T>(dir: &RunDir, mut action: impl FnMut(Option<&Database>) -> Result<T>) -> Result<T> {
    let path = match dir.database().canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => return action(None),
        Err(error) => return Err(Error::io("open", dir.database())(error)),
    };
    for attempt in 1.. {
        let is_last = attempt == ATTEMPTS;
        match read_once(dir, &path, is_last, &mut action) {
            Ok(Some(result)) => return Ok(result),
            Err(error) if is_last || !is_transient(&error) => return Err(with_hint(&path, error)),
            _ => std::thread::sleep(PAUSE),
        }
    }
    unreachable!("the last attempt returns")
}

/// Makes one attempt of [`read`]; `None` if the file changed during the read.
fn read_once<T>(
    dir: &RunDir,
    path: &Path,
    with_locks: bool,
    action: &mut impl FnMut(Option<&Database>) -> Result<T>,
) -> Result<Option<T>> {
    let Some(before) = FileState::of(path)? else { return action(None).map(Some) };
    // Without a WAL or a rollback journal, the file is the complete database. A normal connection would create a WAL
    // and its index; an immutable connection does not, and also works on read-only media. On a network file system the
    // writer uses no WAL and changes the file itself, so a live run needs locks there.
    let is_immutable = before.is_alone && !with_locks && !(is_remote(dir.path()) && is_live(dir));
    let result = Database::open(path, is_immutable).and_then(|database| action(database.as_ref()));
    if is_immutable && FileState::of(path)? != Some(before) {
        return Ok(None);
    }
    result.map(Some)
}

/// Metadata that detects changes of a database file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileState {
    identity: (u64, u64),
    length: u64,
    modified: (i64, i64),
    /// Whether there is neither a WAL nor a rollback journal with content.
    is_alone: bool,
}

impl FileState {
    /// `None` if the file does not exist or is empty.
    fn of(path: &Path) -> Result<Option<Self>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", path)(error)),
        };
        let has_content = |path: PathBuf| fs::metadata(path).is_ok_and(|found| found.len() > 0);
        let state = Self {
            identity: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            is_alone: !has_content(wal_path(path)) && !has_content(rollback_path(path)),
        };
        Ok(Some(state).filter(|state| state.length > 0))
    }
}

impl Database {
    /// Begins a read transaction; `None` if the tables do not exist yet.
    fn open(path: &Path, is_immutable: bool) -> Result<Option<Self>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = if is_immutable {
            Connection::open_with_flags(immutable_uri(path), flags)?
        } else {
            Connection::open_with_flags(path, flags)?
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch("BEGIN")?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? as u64;
        if version > schema::FORMAT_VERSION {
            let (path, known) = (path.to_owned(), schema::FORMAT_VERSION);
            return Err(Error::FormatVersion { path, found: version, known });
        }
        if version == 0 {
            return Ok(None);
        }
        foreign_schema::reject(&connection, path)?;
        let meta = |key: &str| {
            let mut select = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
            select.query_row([key], |row| row.get::<_, i64>(0)).optional()
        };
        let started_micros = meta(sql::KEY_STARTED_MICROS)?.ok_or_else(|| {
            Error::damaged(path, format!("{:?} is missing in the table meta", sql::KEY_STARTED_MICROS))
        })?;
        let journal = meta(sql::KEY_JOURNAL_ID)?.zip(meta(sql::KEY_JOURNAL_CURSOR)?);
        let journal = journal.map(|(id, cursor)| (id as u64, cursor as u64));
        Ok(Some(Self { connection, started_micros, journal, has_rollups: OnceCell::new() }))
    }

    /// The sequence number up to which this journal is committed; `None` if the last commit is of another journal.
    pub(super) fn committed_until(&self, journal_id: u64) -> Option<u64> {
        self.journal.filter(|(id, _)| *id == journal_id).map(|(_, cursor)| cursor)
    }

    /// The names of all series, ascending.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut select = self.connection.prepare("SELECT name FROM series ORDER BY name")?;
        let names = select.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// The facts of all series, by name.
    pub(super) fn facts(&self) -> Result<Vec<SeriesFacts>> {
        let mut select = self.connection.prepare(
            "SELECT name, count, nonfinite_count, first_step, last_step, last_value,
                    min_value, min_step, max_value, max_step FROM series
             WHERE first_step IS NOT NULL ORDER BY name",
        )?;
        let facts = select.query_map([], |row| {
            let extreme = |index: usize| -> rusqlite::Result<_> {
                Ok(row.get::<_, Option<f64>>(index)?.zip(row.get::<_, Option<Step>>(index + 1)?))
            };
            Ok(SeriesFacts {
                name: row.get(0)?,
                count: row.get::<_, i64>(1)? as u64,
                nonfinite_count: row.get::<_, i64>(2)? as u64,
                first_step: row.get(3)?,
                last_step: row.get(4)?,
                last_value: value(row, 5)?,
                min: extreme(6)?,
                max: extreme(8)?,
            })
        })?;
        Ok(facts.collect::<Result<_, _>>()?)
    }

    /// The first `limit` points of `name` at these steps.
    pub(super) fn points(&self, name: &str, steps: &RangeInclusive<Step>, limit: usize) -> Result<Option<Columns>> {
        let Some(id) = self.id(name)? else { return Ok(None) };
        let mut select = self.connection.prepare_cached(
            "SELECT step, value, timestamp_millis FROM points
             WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3 ORDER BY step LIMIT ?4",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![id, steps.start(), steps.end(), limit])?;
        let mut found = Columns::default();
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?, value(row, 1)?, to_micros(row.get(2)?, self.started_micros));
        }
        Ok(Some(found))
    }

    /// The values of `name` at those `steps` that have a point.
    pub(super) fn values_at(&self, name: &str, steps: &[Step]) -> Result<Vec<f64>> {
        let Some(id) = self.id(name)? else { return Ok(Vec::new()) };
        let mut select =
            self.connection.prepare_cached("SELECT value FROM points WHERE series_id = ?1 AND step = ?2")?;
        let mut values = Vec::new();
        for step in steps {
            values.extend(select.query_row(params![id, step], |row| value(row, 0)).optional()?);
        }
        Ok(values)
    }

    /// The id of `name`, the number of its points, and its first and last step. The number is limited to what fits in a
    /// file of this size, even if the file contains a larger number.
    pub(super) fn extent(&self, name: &str) -> Result<Option<(i64, u64, RangeInclusive<Step>)>> {
        let mut select =
            self.connection.prepare_cached("SELECT id, count, first_step, last_step FROM series WHERE name = ?1")?;
        let extent = select.query_row([name], |row| {
            let steps = row.get::<_, Option<Step>>(2)?.zip(row.get::<_, Option<Step>>(3)?);
            Ok((row.get(0)?, row.get::<_, i64>(1)?, steps))
        });
        let Some((id, count, Some((first, last)))) = extent.optional()? else { return Ok(None) };
        let count = u64::try_from(count).unwrap_or(0).min(self.max_points()?);
        Ok(Some((id, count, first..=last)))
    }

    /// The first and the last step of the series `id` with a point within `steps`.
    pub(super) fn steps_within(&self, id: i64, steps: &RangeInclusive<Step>) -> Result<Option<RangeInclusive<Step>>> {
        // Two subqueries, because SQLite uses the index for `min` and `max` only if each is alone in a query.
        let mut select = self.connection.prepare_cached(
            "SELECT (SELECT min(step) FROM points WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3),
                    (SELECT max(step) FROM points WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3)",
        )?;
        let (first, last) = select.query_row(params![id, steps.start(), steps.end()], |row| {
            Ok((row.get::<_, Option<Step>>(0)?, row.get::<_, Option<Step>>(1)?))
        })?;
        Ok(first.zip(last).map(|(first, last)| first..=last))
    }

    /// The number of points of the series `id` at these steps, at most `limit`.
    pub(super) fn count(&self, id: i64, steps: &RangeInclusive<Step>, limit: usize) -> Result<usize> {
        let mut select = self.connection.prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM points WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3 LIMIT ?4)",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(select.query_row(params![id, steps.start(), steps.end(), limit], |row| row.get::<_, i64>(0))? as usize)
    }

    /// The rows of `level` that contain these steps, ascending, for each series in `ids`. Omits damaged rows, and
    /// returns no rows if the table does not exist. Scans and skips the series between these ids.
    pub(super) fn rollups(&self, ids: &[i64], level: Level, steps: &RangeInclusive<Step>) -> Result<RowsOfSeries> {
        let mut found: RowsOfSeries = ids.iter().map(|&id| (id, Vec::new())).collect();
        if !self.has_rollups()? {
            return Ok(found);
        }
        let mut select = self.connection.prepare_cached(
            "SELECT series_id, buckets FROM rollups WHERE level = ?1 AND start = ?2 AND series_id BETWEEN ?3 AND ?4",
        )?;
        let (first, last) = (ids.iter().min(), ids.iter().max());
        for start in level.blocks(steps) {
            let mut rows = select.query(params![level.number(), start, first, last])?;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                let Some(found) = found.get_mut(&id) else { continue };
                let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
                let buckets = rollup::decode(id, level, start, bytes, self.started_micros);
                found.extend(buckets.map(|buckets| Row { start, buckets }));
            }
        }
        Ok(found)
    }

    /// Calls `visit` with the step, value and time of each point of the series `id` at these steps, in ascending order.
    pub(super) fn visit(
        &self,
        id: i64,
        steps: &RangeInclusive<Step>,
        visit: &mut dyn FnMut(Step, f64, i64),
    ) -> Result<()> {
        let mut select = self.connection.prepare_cached(
            "SELECT step, value, timestamp_millis FROM points
             WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3 ORDER BY step",
        )?;
        let mut rows = select.query(params![id, steps.start(), steps.end()])?;
        while let Some(row) = rows.next()? {
            visit(row.get(0)?, value(row, 1)?, to_micros(row.get(2)?, self.started_micros));
        }
        Ok(())
    }

    /// The maximum number of points in a file of this size.
    fn max_points(&self) -> Result<u64> {
        const MIN_POINT_BYTES: i64 = 8;
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((pragma("page_count")?.saturating_mul(pragma("page_size")?) / MIN_POINT_BYTES) as u64)
    }

    fn has_rollups(&self) -> Result<bool> {
        if let Some(&known) = self.has_rollups.get() {
            return Ok(known);
        }
        let mut select =
            self.connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
        let found = select.exists([sql::ROLLUPS])?;
        Ok(*self.has_rollups.get_or_init(|| found))
    }

    fn id(&self, name: &str) -> Result<Option<i64>> {
        let mut select = self.connection.prepare_cached("SELECT id FROM series WHERE name = ?1")?;
        Ok(select.query_row([name], |row| row.get(0)).optional()?)
    }
}

/// The database stores NaN as NULL, and only NaN.
fn value(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<f64> {
    Ok(match row.get_ref(index)? {
        ValueRef::Real(value) => value,
        ValueRef::Integer(value) => value as f64,
        _ => f64::NAN,
    })
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?immutable=1"
}

/// Whether a retry of the read may succeed.
fn is_transient(error: &Error) -> bool {
    let Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    matches!(
        failure.code,
        ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::CannotOpen
            | ErrorCode::SchemaChanged
    )
}

/// Adds the file and a hint to the error.
fn with_hint(path: &Path, error: Error) -> Error {
    match error {
        Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
            if failure.extended_code == SQLITE_READONLY_ROLLBACK =>
        {
            Error::damaged(path, "a process died during a commit; recover the run to read it")
        }
        Error::Sqlite(rusqlite::Error::SqliteFailure(failure, message))
            if matches!(failure.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
        {
            Error::damaged(path, message.unwrap_or_else(|| failure.to_string()))
        }
        Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) if failure.code == ErrorCode::CannotOpen => {
            let reason = "its write-ahead log (-wal) needs an index (-shm), which cannot be created in a read-only \
                          directory; copy the run to a writable directory";
            Error::io("open", path)(io::Error::other(reason))
        }
        other => other,
    }
}
