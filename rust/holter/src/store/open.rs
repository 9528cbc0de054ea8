//! Opens the sinks of a run by their names.

use crate::error::Result;
use crate::fs::is_remote;
use crate::store::manifest::Manifest;
use crate::store::parquet::{DEFAULT_MAX_PART_AGE, DEFAULT_ROWS_PER_PART, ParquetOptions, ParquetSink, parts};
use crate::store::run_dir::RunDir;
use crate::store::schema::sink;
use crate::store::sink::{Derived, Primary};
use crate::store::sinks::Sinks;
use crate::store::sqlite::{SqliteOptions, SqliteSink};
use crate::store::summary::SummarySink;

/// What the sinks of a run need.
#[derive(Clone, Debug)]
pub(crate) struct SinkOptions<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) manifest: &'a Manifest,
    pub(crate) journal_id: u64,
    /// When Parquet is the primary sink, a part is closed before it would have more points than this: points stay in the
    /// journal until then, so it must be below the journal's capacity.
    pub(crate) primary_rows_per_part: usize,
}

impl SinkOptions<'_> {
    fn has(&self, name: &str) -> bool {
        self.manifest.sinks.iter().any(|sink| sink == name)
    }

    /// Opens the sinks; the database is the primary sink if there is one, else the Parquet parts.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::error::Error::Damaged) if the manifest's sinks are not valid, or an error of a sink.
    pub(crate) fn open(&self) -> Result<Sinks> {
        self.manifest.check_sinks(self.dir)?;
        let mut derived: Vec<Box<dyn Derived>> = Vec::new();
        let primary: Box<dyn Primary> = if self.has(sink::SQLITE) {
            let primary = SqliteSink::open(SqliteOptions {
                path: self.dir.database(),
                journal_id: self.journal_id,
                started: self.manifest.started(),
                is_remote: is_remote(self.dir.path()),
            })?;
            if self.has(sink::PARQUET) {
                derived.push(Box::new(self.open_parquet(DEFAULT_ROWS_PER_PART)?));
            }
            Box::new(primary)
        } else {
            Box::new(self.open_parquet(self.primary_rows_per_part)?)
        };
        if self.has(sink::SUMMARY) {
            derived.push(Box::new(SummarySink::open(&self.dir.summary(), self.manifest.summary_every)?));
        }
        Ok(Sinks { primary, derived })
    }

    fn open_parquet(&self, rows_per_part: usize) -> Result<ParquetSink> {
        let dir = self.dir.parquet();
        let durable = parts::durable_until(&parts::list(&dir)?, self.journal_id);
        ParquetSink::open(ParquetOptions {
            dir,
            run: self.manifest.name.clone(),
            rank: self.manifest.rank as i32,
            journal_id: self.journal_id,
            start_sequence: durable.unwrap_or(0),
            rows_per_part,
            max_part_age: DEFAULT_MAX_PART_AGE,
        })
    }
}
