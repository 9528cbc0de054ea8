//! The Parquet sink: writes closed files only.
//!
//! Points wait in memory until there are enough for a file. They stay in the journal until then, so a crash loses nothing:
//! recovery appends them again, starting at [`Sink::committed`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::fs::durable_dir;
use crate::fs::reject_symlink;
use crate::points::Columns;
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;
use crate::store::parquet::parts::{self, Effort, Labels, Origin, PartWriter};
use crate::store::schema::{file, sink};
use crate::store::sink::{Derived, Primary, Sink};
use holter_journal::SeriesId;

/// The number of points that completes a part, unless it becomes too old first.
pub const DEFAULT_ROWS_PER_PART: usize = 1 << 20;
/// The maximum time that points wait for their part.
pub const DEFAULT_MAX_PART_AGE: Duration = Duration::from_secs(15 * 60);

/// Options of a [`ParquetSink`].
#[derive(Debug, Clone)]
pub struct ParquetOptions {
    /// The directory of the parts; created if it does not exist.
    pub dir: PathBuf,
    /// The run's name, in every row.
    pub run: String,
    /// The rank, in every row.
    pub rank: i32,
    /// The id of the journal of the points.
    pub journal_id: u64,
    /// One past the last sequence number of that journal that is in a part.
    pub start_sequence: u64,
    /// The maximum number of points in a part.
    pub rows_per_part: usize,
    /// The maximum time that a point waits for its part.
    pub max_part_age: Duration,
}

impl ParquetOptions {
    /// The default sizes, for rank 0 and a new journal.
    pub fn new(dir: impl Into<PathBuf>, run: impl Into<String>, journal_id: u64) -> Self {
        Self {
            dir: dir.into(),
            run: run.into(),
            rank: 0,
            journal_id,
            start_sequence: 0,
            rows_per_part: DEFAULT_ROWS_PER_PART,
            max_part_age: DEFAULT_MAX_PART_AGE,
        }
    }
}

/// Writes points to the parts in a directory.
#[derive(Debug)]
pub struct ParquetSink {
    options: ParquetOptions,
    labels: Labels,
    /// The points that are not in a part yet, by the index of their series.
    pending: Vec<Option<Pending>>,
    pending_rows: usize,
    /// One past the last sequence number that is pending or in a part.
    taken: u64,
    /// One past the last sequence number that is in a closed part.
    closed: u64,
    /// As `closed`, and the name of the part is durable.
    committed: u64,
    has_unsynced_part: bool,
    oldest: Option<Instant>,
}

/// The points of one series that are not in a part yet, in the order they were appended.
#[derive(Debug)]
struct Pending {
    name: Arc<str>,
    points: Columns,
}

impl ParquetSink {
    /// Opens the directory, creates it if it does not exist, and removes unfinished files of a killed writer.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the directory cannot be written, [`Error::Damaged`] if it is a symbolic link, or if one of several
    /// parts cannot be read.
    pub fn open(options: ParquetOptions) -> Result<Self> {
        reject_symlink(&options.dir)?;
        durable_dir::create(&options.dir)?;
        parts::clean_up(&options.dir)?;
        Ok(Self {
            labels: Labels { run: options.run.clone(), rank: options.rank },
            pending: Vec::new(),
            pending_rows: 0,
            taken: options.start_sequence,
            closed: options.start_sequence,
            committed: options.start_sequence,
            has_unsynced_part: false,
            oldest: None,
            options,
        })
    }

    /// Writes the pending points as a part, and makes it durable.
    fn roll(&mut self) -> Result<()> {
        if self.pending_rows > 0 {
            let mut series: Vec<&mut Pending> = self.pending.iter_mut().flatten().collect();
            series.sort_by(|a, b| a.name.cmp(&b.name));
            let series = series.into_iter().map(|pending| (&*pending.name, &mut pending.points));
            write_part(&self.options, &self.labels, self.closed..self.taken, series)?;
            self.has_unsynced_part = true;
        }
        self.closed = self.taken;
        self.clear_pending();
        self.sync_dir()
    }

    /// Makes the names of the closed parts durable; retried after an error.
    fn sync_dir(&mut self) -> Result<()> {
        if self.has_unsynced_part {
            durable_dir::sync(&self.options.dir)?;
            self.has_unsynced_part = false;
        }
        self.committed = self.closed;
        Ok(())
    }

    /// Ensures that `pending` has an entry for the series.
    fn ensure_pending(&mut self, id: SeriesId, series: &SeriesTable) -> Result<()> {
        let index = id.index();
        if index >= self.pending.len() {
            self.pending.resize_with(index + 1, || None);
        }
        if self.pending[index].is_none() {
            let name = series.name(id);
            let name = name.ok_or_else(|| Error::damaged(file::JOURNAL, format!("series {index} has no name")))?;
            self.pending[index] = Some(Pending { name, points: Columns::default() });
        }
        Ok(())
    }

    fn clear_pending(&mut self) {
        self.pending.clear();
        self.pending_rows = 0;
        self.oldest = None;
    }
}

impl Sink for ParquetSink {
    fn name(&self) -> &'static str {
        sink::PARQUET
    }

    /// Keeps the points in memory; first closes a part that is due or would become too large.
    fn append(&mut self, batch: &Batch, series: &SeriesTable) -> Result<()> {
        // By sequence numbers, not by rows: a step that is logged again is a single row but occupies several slots of
        // the journal.
        let is_overfull =
            self.taken > self.closed && batch.sequences().end - self.closed > self.options.rows_per_part as u64;
        if is_overfull || self.is_due() || self.has_unsynced_part {
            self.roll()?;
        }
        for points in batch.by_series() {
            self.ensure_pending(points.series, series)?;
        }
        for points in batch.by_series() {
            if let Some(Some(pending)) = self.pending.get_mut(points.series.index()) {
                pending.points.extend(points.steps, points.values, points.times_micros);
                self.pending_rows += points.steps.len();
            }
        }
        self.taken = self.taken.max(batch.sequences().end);
        if self.pending_rows > 0 {
            self.oldest.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Closes a part with all pending points.
    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        self.roll()
    }

    /// Whether the pending points are enough for a part, or too old.
    fn is_due(&self) -> bool {
        self.taken - self.closed >= self.options.rows_per_part as u64
            || self.oldest.is_some_and(|oldest| oldest.elapsed() >= self.options.max_part_age)
    }

    fn committed(&self) -> u64 {
        self.committed
    }

    /// Flushes, and merges the parts.
    fn close(&mut self, _series: &SeriesTable) -> Result<()> {
        self.roll()?;
        parts::compact(&self.options.dir, &self.options.run, self.options.rank)
    }
}

impl Derived for ParquetSink {
    /// Writes parts with all points that may be missing. Points that exist already are stored twice until the parts are
    /// merged; readers of parts return them once.
    fn catch_up(&mut self, primary: &mut dyn Primary) -> Result<()> {
        // The primary sink has all pending points, possibly in another order.
        self.clear_pending();
        self.taken = self.closed;
        let until = primary.committed();
        let (mut missing, mut rows) = (BTreeMap::<Arc<str>, Columns>::new(), 0);
        primary.underived(&mut |batch, series| {
            if rows > 0 && rows + batch.len() > self.options.rows_per_part {
                // With an empty range of sequence numbers, since the remaining points are not written yet.
                let points = missing.iter_mut().map(|(name, points)| (&**name, points));
                write_part(&self.options, &self.labels, self.closed..self.closed, points)?;
                missing.clear();
                rows = 0;
            }
            for points in batch.by_series() {
                let name = series.name(points.series);
                let name = name.ok_or_else(|| Error::damaged(file::DATABASE, "a series has no name"))?;
                missing.entry(name).or_default().extend(points.steps, points.values, points.times_micros);
            }
            rows += batch.len();
            Ok(())
        })?;
        if rows > 0 {
            let points = missing.iter_mut().map(|(name, points)| (&**name, points));
            write_part(&self.options, &self.labels, self.closed..until.max(self.closed), points)?;
        }
        // Also without new sequence numbers, the names of the parts must be durable.
        self.has_unsynced_part = true;
        self.closed = self.closed.max(until);
        self.taken = self.closed;
        self.sync_dir()
    }
}

impl Primary for ParquetSink {
    /// Records nothing, because [`Primary::underived`] visits all points.
    fn mark_derived(&mut self) -> Result<()> {
        Ok(())
    }

    fn underived(&mut self, visit: &mut dyn FnMut(&Batch, &SeriesTable) -> Result<()>) -> Result<()> {
        let parts = parts::list(&self.options.dir)?;
        let names: Vec<String> = parts::names(&parts)?.into_iter().collect();
        let table = SeriesTable::from_names(names.iter().cloned());
        let at = self.committed..self.committed;
        parts::for_each_series(&parts, |name, points| {
            let index = names.binary_search_by(|other| other.as_str().cmp(name));
            let id = index.ok().and_then(SeriesId::new).ok_or(Error::TooManySeries)?;
            let Columns { steps, values, times_micros } = points.clone();
            visit(&Batch::of_series(at.clone(), id, steps, values, times_micros), &table)
        })
    }
}

/// Writes a part with `series`, in the order of their names.
fn write_part<'a>(
    options: &ParquetOptions,
    labels: &Labels,
    sequences: Range<u64>,
    series: impl Iterator<Item = (&'a str, &'a mut Columns)>,
) -> Result<()> {
    let origin = Origin { journal_id: Some(options.journal_id), sequences, ..Origin::default() };
    let number = parts::next_number(&options.dir)?;
    let mut writer = PartWriter::create(&options.dir, number, labels, &origin, Effort::Fast)?;
    for (name, points) in series {
        points.order();
        writer.push(name.as_bytes(), &points.steps, &points.values, &points.times_micros)?;
    }
    writer.close()
}
