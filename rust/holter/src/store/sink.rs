//! Sinks store batches.
//!
//! One thread appends to a sink, in the order of the journal, each point exactly once. The first sink of a run is its
//! [`Primary`] sink: the journal keeps a point until that sink has it durably. The others are [`Derived`] from it, and
//! receive only batches that the primary sink has stored.

use crate::error::Result;
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;

/// A destination for points, such as a database or files.
pub trait Sink: Send {
    /// The name by which users select the sink.
    fn name(&self) -> &'static str;

    /// Appends a batch. After an error, nothing of the batch is stored, and it can be retried.
    ///
    /// # Errors
    ///
    /// Any error of storing the batch, such as a full disk.
    fn append(&mut self, batch: &Batch, series: &SeriesTable) -> Result<()>;

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    ///
    /// Any error of syncing it.
    fn flush(&mut self, series: &SeriesTable) -> Result<()>;

    /// One past the last durable sequence number.
    fn committed(&self) -> u64;

    /// Whether the sink should be flushed without a request.
    fn is_due(&self) -> bool {
        false
    }

    /// A problem to report although the sink works.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Flushes and compacts. Nothing is appended afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`Sink::flush`].
    fn close(&mut self, series: &SeriesTable) -> Result<()>;
}

/// The first of a run's sinks: the journal keeps a point until this one has it durably.
pub trait Primary: Sink {
    /// Records that the derived sinks have everything committed so far durably.
    ///
    /// # Errors
    ///
    /// Any error of recording it.
    fn mark_derived(&mut self) -> Result<()>;

    /// Calls `visit` with every committed point that a derived sink may lack, and possibly others, one series after
    /// the other, with a table of their names.
    ///
    /// # Errors
    ///
    /// An error of `visit`, or of reading the points.
    fn underived(&mut self, visit: &mut dyn FnMut(&Batch, &SeriesTable) -> Result<()>) -> Result<()>;
}

/// A sink that can be rebuilt from the primary sink.
pub trait Derived: Sink {
    /// Adds missing points, after a crash or a failed `append`.
    ///
    /// # Errors
    ///
    /// Any error of reading the primary sink or writing this one; a retry is safe.
    fn catch_up(&mut self, primary: &mut dyn Primary) -> Result<()>;
}
