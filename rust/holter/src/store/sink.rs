//! Where the writer puts batches.
//!
//! A sink is fed by one thread, in the order of the journal, and every point exactly once. The first
//! of a run's sinks is its [`Primary`]: the journal keeps a point until that sink has it durably. The
//! others are [`Derived`] from it, and only ever see batches that the primary sink has taken.

use crate::error::Result;
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;

/// A place for points: a database, files, memory.
pub trait Sink: Send {
    /// The name users choose the sink by.
    fn name(&self) -> &'static str;

    /// Takes a batch. After an error nothing of the batch has been taken, and it may be tried again.
    ///
    /// # Errors
    ///
    /// Whatever keeps the batch from being stored, such as a full disk.
    fn append(&mut self, batch: &Batch, series: &SeriesTable) -> Result<()>;

    /// Makes durable everything taken so far.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being durable.
    fn flush(&mut self, series: &SeriesTable) -> Result<()>;

    /// The sequence number up to which everything taken is durable.
    fn committed(&self) -> u64;

    /// Whether it is time for a [`Sink::flush`], although nobody asks for one.
    fn is_due(&self) -> bool {
        false
    }

    /// A problem that users should know of although the sink works.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Flushes and brings files into their final order. Nothing is appended afterwards.
    ///
    /// # Errors
    ///
    /// As [`Sink::flush`].
    fn close(&mut self, series: &SeriesTable) -> Result<()>;
}

/// The first of a run's sinks: the journal keeps a point until this one has it durably.
pub trait Primary: Sink {
    /// Notes that the derived sinks have durably what was committed so far.
    ///
    /// # Errors
    ///
    /// Whatever keeps this from being noted down.
    fn mark_derived(&mut self) -> Result<()>;

    /// Hands over every committed point that a derived sink may lack, and perhaps some that it has,
    /// one series after the other, with a table of their names.
    ///
    /// # Errors
    ///
    /// What `visit` returned, or whatever keeps the points from being read.
    fn underived(&mut self, visit: &mut dyn FnMut(&Batch, &SeriesTable) -> Result<()>) -> Result<()>;
}

/// A sink whose content can be made again from the primary sink.
pub trait Derived: Sink {
    /// Makes up for what was missed: after a crash, or after an `append` that failed.
    ///
    /// # Errors
    ///
    /// Whatever keeps the primary sink from being read or this sink from being written; trying again is safe.
    fn catch_up(&mut self, primary: &mut dyn Primary) -> Result<()>;
}
