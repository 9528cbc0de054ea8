//! The `SQLite` sink: points in a database that a `sqlite3` shell can query during the run.
//!
//! Each batch is one transaction, which also moves the journal's cursor: after a crash the database states which points
//! it has. One connection writes and checkpoints, beside any number of readers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holter_journal::{SeriesId, Step};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connection::{OpenDatabase, SqliteOptions, is_busy};
use super::cursor;
use super::files::wal_path;
use super::insert::Insert;
use super::rewrite_wal;
use super::rollups::{Rollups, Stored};
use super::series_row::SeriesRow;
use crate::error::{Error, Result};
use crate::millis::to_micros;
use crate::rollup;
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;
use crate::store::schema;
use crate::store::sink::{Primary, Sink};

/// The number of rows per call of the visitor of [`Primary::underived`].
const CHUNK_ROWS: usize = 1 << 18;
/// The size of the write-ahead log that triggers a warning. Checkpoints start at a quarter of it.
const MAX_LOG_BYTES: u64 = 256 << 20;
/// How long closing waits for readers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes batches to the tables of [`schema::sql::TABLES`].
pub struct SqliteSink {
    options: SqliteOptions,
    /// `None` after an error that leaves its state in doubt; reopened on the next use.
    connection: Option<OpenDatabase>,
    /// Every series of the database.
    series: Vec<SeriesRow>,
    /// The index in `series` by name.
    index_by_name: HashMap<String, usize>,
    /// The index in `series` by the id in this session.
    index_by_id: Vec<Option<usize>>,
    rollups: Rollups,
    committed: u64,
    /// Whether a write or a sync has failed since the log was last rewritten.
    is_in_doubt: bool,
}

/// Series rows that a transaction changes; applied to the sink once it is committed.
#[derive(Default)]
struct Changes {
    rows: Vec<(usize, SeriesRow)>,
    created: Vec<(SeriesId, String)>,
}

impl SqliteSink {
    /// Opens the database, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`Error::Sqlite`] if it cannot be opened, [`Error::FormatVersion`] if a newer Holter wrote it.
    pub fn open(options: SqliteOptions) -> Result<Self> {
        let mut sink = Self {
            options,
            connection: None,
            series: Vec::new(),
            index_by_name: HashMap::new(),
            index_by_id: Vec::new(),
            rollups: Rollups::default(),
            committed: 0,
            is_in_doubt: false,
        };
        sink.connect()?;
        Ok(sink)
    }

    /// Opens the connection if it is not open, and reads what is committed.
    fn connect(&mut self) -> Result<()> {
        if self.connection.is_some() {
            return Ok(());
        }
        let mut connection = OpenDatabase::open(&self.options)?;
        match rewrite_wal::rewrite(&connection, &self.options.path) {
            // Without an error of our own, the rewrite is only a precaution and must not prevent a resume.
            Err(error) if is_busy(&error) && !self.is_in_doubt => {}
            written => written?,
        }
        self.is_in_doubt = false;
        self.committed = cursor::read(&connection, self.options.journal_id)?;
        self.index_by_id.clear();
        self.rollups.clear();
        let (names, rows): (Vec<String>, Vec<SeriesRow>) = SeriesRow::read_all(&connection)?.into_iter().unzip();
        self.index_by_name = names.into_iter().zip(0..).collect();
        self.series = rows;
        // From here on the writer retries when the database is busy; this code never waits.
        connection.lock_wal(&self.options.path)?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Closes the connection if it is open.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
    }

    /// Runs `action` on the connection. Drops the connection after any error other than a busy database, since the
    /// state after a failed write or sync is known only after reopening.
    fn with_connection<T>(&mut self, action: impl FnOnce(&mut Self, &mut Connection) -> Result<T>) -> Result<T> {
        self.connect()?;
        let Some(mut connection) = self.connection.take() else {
            return Err(Error::damaged(&self.options.path, "it cannot be opened"));
        };
        let result = action(self, &mut connection);
        if result.is_err() {
            // They may include points that were not committed.
            self.rollups.clear();
        }
        match &result {
            Err(error) if !is_busy(error) => {
                drop(connection);
                self.is_in_doubt = true;
            }
            _ => self.connection = Some(connection),
        }
        result
    }

    fn write(&mut self, connection: &mut Connection, batch: &Batch, series: &SeriesTable) -> Result<()> {
        let end = batch.sequences().end;
        if self.committed >= end && end > 0 && batch.sequences().start < end {
            return Ok(()); // A commit that reported an error succeeded nevertheless.
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changes = self.write_points(&transaction, batch, series)?;
        cursor::write(&transaction, self.options.journal_id, end)?;
        transaction.commit()?;
        self.committed = end;
        for (id, name) in changes.created {
            self.index_by_name.insert(name, self.series.len());
            self.note_index(id, self.series.len());
            self.series.push(SeriesRow::default());
        }
        for (index, row) in changes.rows {
            self.series[index] = row;
        }
        Ok(())
    }

    /// Writes the points, the rows of their series, and the rollups.
    fn write_points(&mut self, transaction: &Transaction<'_>, batch: &Batch, series: &SeriesTable) -> Result<Changes> {
        let started_micros = self.options.started.micros();
        let mut changes = Changes::default();
        let mut insert = Insert::prepare(transaction)?;
        let mut update = SeriesRow::prepare_update(transaction)?;
        for points in batch.by_series() {
            let (index, mut row) = if let Some(index) = self.index(points.series, series) {
                (index, self.series[index].clone())
            } else {
                let name = name_of(points.series, series)?;
                transaction.prepare_cached("INSERT INTO series (name) VALUES (?1)")?.execute([&*name])?;
                let row = SeriesRow { id: transaction.last_insert_rowid(), ..SeriesRow::default() };
                changes.created.push((points.series, name.to_string()));
                (self.series.len() + changes.created.len() - 1, row)
            };
            let known = row.first_step.zip(row.last_step);
            let are_extremes_lost = row.add(&points, transaction)?;
            insert.rows(row.id, &points, started_micros)?;
            let stored = Stored { transaction, series_id: row.id, count: row.count, started_micros };
            self.rollups.add(index, &points, known, &stored)?;
            if are_extremes_lost && let Some((first, last)) = row.first_step.zip(row.last_step) {
                row.extremes = rollup::extremes(&stored, &(first..=last))?;
            }
            row.write(&mut update)?;
            changes.rows.push((index, row));
        }
        Ok(changes)
    }

    /// The next rows of a series; `None` at the end.
    fn next_chunk(&self, series: SeriesId, rows: &mut rusqlite::Rows<'_>) -> Result<Option<Batch>> {
        let (mut steps, mut values, mut times_micros) = (Vec::new(), Vec::new(), Vec::new());
        while steps.len() < CHUNK_ROWS
            && let Some(row) = rows.next()?
        {
            steps.push(row.get(0)?);
            values.push(row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN));
            times_micros.push(to_micros(row.get(2)?, self.options.started.micros()));
        }
        if steps.is_empty() {
            return Ok(None);
        }
        Ok(Some(Batch::of_series(self.committed..self.committed, series, steps, values, times_micros)))
    }

    fn index(&mut self, id: SeriesId, series: &SeriesTable) -> Option<usize> {
        if let Some(&Some(index)) = self.index_by_id.get(id.index()) {
            return Some(index);
        }
        let index = *self.index_by_name.get(&*series.name(id)?)?;
        self.note_index(id, index);
        Some(index)
    }

    fn note_index(&mut self, id: SeriesId, index: usize) {
        if self.index_by_id.len() <= id.index() {
            self.index_by_id.resize(id.index() + 1, None);
        }
        self.index_by_id[id.index()] = Some(index);
    }
}

impl Sink for SqliteSink {
    fn name(&self) -> &'static str {
        schema::sink::SQLITE
    }

    fn append(&mut self, batch: &Batch, series: &SeriesTable) -> Result<()> {
        self.with_connection(|sink, connection| sink.write(connection, batch, series))
    }

    /// Only reopens a lost connection: every append ends with a synchronous commit.
    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        self.connect()
    }

    fn committed(&self) -> u64 {
        self.committed
    }

    fn warning(&self) -> Option<String> {
        let bytes = std::fs::metadata(wal_path(&self.options.path)).ok()?.len();
        (bytes > MAX_LOG_BYTES).then(|| {
            format!(
                "the write-ahead log has grown to {} MB because a reader keeps a transaction open; end that transaction \
                 so that the log can be reset",
                bytes >> 20
            )
        })
    }

    fn close(&mut self, _series: &SeriesTable) -> Result<()> {
        self.with_connection(|_, connection| {
            // Retried here instead of in SQLite, which would wait for one reader while the next one starts. What
            // readers keep in the log is left to the next writer.
            let since = Instant::now();
            while connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?
                && since.elapsed() < PATIENCE
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        })?;
        self.disconnect();
        Ok(())
    }
}

impl Drop for SqliteSink {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Primary for SqliteSink {
    fn mark_derived(&mut self) -> Result<()> {
        if self.series.iter().all(|row| row.underived_step.is_none()) {
            return Ok(());
        }
        self.with_connection(|sink, connection| {
            connection.execute("UPDATE series SET underived_step = NULL WHERE underived_step IS NOT NULL", [])?;
            for row in &mut sink.series {
                row.underived_step = None;
            }
            Ok(())
        })
    }

    fn underived(&mut self, visit: &mut dyn FnMut(&Batch, &SeriesTable) -> Result<()>) -> Result<()> {
        let series = SeriesTable::default();
        self.with_connection(|sink, connection| {
            let mut underived: Vec<(&String, i64, Step)> = sink
                .index_by_name
                .iter()
                .filter_map(|(name, &index)| {
                    let row = &sink.series[index];
                    row.underived_step.map(|from| (name, row.id, from))
                })
                .collect();
            underived.sort_unstable();
            let mut select = connection.prepare(
                "SELECT step, value, timestamp_millis FROM points WHERE series_id = ?1 AND step >= ?2 ORDER BY step",
            )?;
            for (name, id, from) in underived {
                let series_id = series.resolve(name, |_, _| Ok(()))?;
                let mut rows = select.query((id, from))?;
                while let Some(batch) = sink.next_chunk(series_id, &mut rows)? {
                    visit(&batch, &series)?;
                }
            }
            Ok(())
        })
    }
}

fn name_of(id: SeriesId, series: &SeriesTable) -> Result<Arc<str>> {
    series.name(id).ok_or_else(|| Error::damaged(schema::file::JOURNAL, format!("series {} has no name", id.index())))
}
