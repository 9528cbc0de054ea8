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

/// Options for opening the sinks of a run.
#[derive(Clone, Debug)]
pub(crate) struct SinkOptions<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) manifest: &'a Manifest,
    pub(crate) journal_id: u64,
    /// The maximum number of points in a part if Parquet is the primary sink. Points stay in the journal until the part is
    /// closed, so this must be less than its capacity.
    pub(crate) primary_rows_per_part: usize,
}

impl SinkOptions<'_> {
    fn has(&self, name: &str) -> bool {
        self.manifest.sinks.iter().any(|sink| sink == name)
    }

    /// Opens the sinks. The database is the primary sink if it is one of them, otherwise the Parquet parts are.
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
