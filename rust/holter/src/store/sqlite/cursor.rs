//! The cursor in the table `meta`: up to where the journal is committed.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::error::Result;
use crate::store::schema::sql;

/// One past the last committed sequence number of this journal.
pub(super) fn read(connection: &Connection, journal_id: u64) -> Result<u64> {
    let get = |key: &str| {
        connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, i64>(0)).optional()
    };
    let id = get(sql::KEY_JOURNAL_ID)?;
    let cursor = get(sql::KEY_JOURNAL_CURSOR)?;
    Ok(if id == Some(journal_id as i64) { cursor.unwrap_or(0) as u64 } else { 0 })
}

/// Sets the cursor, in the transaction of the points.
pub(super) fn write(transaction: &Transaction<'_>, journal_id: u64, cursor: u64) -> Result<()> {
    let mut replace = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
    replace.execute(params![sql::KEY_JOURNAL_ID, journal_id as i64])?;
    replace.execute(params![sql::KEY_JOURNAL_CURSOR, cursor as i64])?;
    Ok(())
}
