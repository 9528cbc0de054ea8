//! Detects code in an untrusted database, which would run when its tables are read or written.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{Error, Result};
use crate::store::schema::sql;

/// Rejects a database in which one of the tables is a view or has a trigger, which may never end.
///
/// # Errors
///
/// [`Error::Damaged`] names it; [`Error::Sqlite`].
pub(crate) fn reject(connection: &Connection, path: &Path) -> Result<()> {
    let found = connection.query_row(sql::PROGRAMS, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    match found.optional()? {
        None => Ok(()),
        Some((kind, name)) => Err(Error::damaged(path, format!("it has a {kind} {name:?} where tables are expected"))),
    }
}
