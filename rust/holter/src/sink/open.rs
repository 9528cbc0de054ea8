//! Opens the sinks of a run by their names.

use super::parquet::{DEFAULT_MAX_PART_AGE, DEFAULT_ROWS_PER_PART, ParquetOptions, ParquetSink};
use super::sqlite::{SqliteOptions, SqliteSink};
use super::summary::SummarySink;
use super::{Derived, Truth};
use crate::error::Result;
use crate::parts;
use crate::point::Timestamp;
use crate::run_dir::RunDir;
use crate::schema::sink;
use crate::writer::Sinks;

/// What the sinks of a run have to know.
#[derive(Clone, Debug)]
pub(crate) struct SinkOptions<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) names: &'a [String],
    pub(crate) run_name: &'a str,
    pub(crate) rank: u32,
    pub(crate) started: Timestamp,
    pub(crate) summary_every: u64,
    pub(crate) journal_id: u64,
    pub(crate) journal_capacity: usize,
}

impl SinkOptions<'_> {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|sink| sink == name)
    }

    /// Opens the sinks; the database is the truth where there is one, else the Parquet parts.
    pub(crate) fn open(&self) -> Result<Sinks> {
        let mut derived: Vec<Box<dyn Derived>> = Vec::new();
        let truth: Box<dyn Truth> = if self.has(sink::SQLITE) {
            let truth = SqliteSink::open(SqliteOptions {
                path: self.dir.database(),
                journal_id: self.journal_id,
                started: self.started,
                is_remote: self.dir.is_remote(),
            })?;
            if self.has(sink::PARQUET) {
                derived.push(Box::new(self.open_parquet(DEFAULT_ROWS_PER_PART)?));
            }
            Box::new(truth)
        } else {
            // Points stay in the journal until their part is closed, so parts roll before it is full.
            Box::new(self.open_parquet(self.journal_capacity / 2)?)
        };
        if self.has(sink::SUMMARY) {
            derived.push(Box::new(SummarySink::open(&self.dir.summary(), self.summary_every)?));
        }
        Ok(Sinks { truth, derived, watcher: None })
    }

    fn open_parquet(&self, rows_per_part: usize) -> Result<ParquetSink> {
        let dir = self.dir.parquet();
        let durable = parts::durable_until(&parts::list(&dir)?, self.journal_id);
        ParquetSink::open(ParquetOptions {
            dir,
            run: self.run_name.to_owned(),
            rank: self.rank as i32,
            journal_id: self.journal_id,
            start_sequence: durable.unwrap_or(0),
            rows_per_part,
            max_part_age: DEFAULT_MAX_PART_AGE,
        })
    }
}
