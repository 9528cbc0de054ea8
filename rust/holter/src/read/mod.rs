//! Reads runs: while a writer is active, after a close, or after a crash without recovery.
//!
//! [`Reader`] reads one run. Each read combines the content of the primary sink (`committed`: the database or the
//! Parquet parts) with the points that are only in the journal (`pending`) into a consistent `view`.

mod arrow;
mod buckets;
mod committed;
mod database;
mod downsample;
mod facts;
mod journal;
mod list;
mod one_series;
mod pending;
mod ranks;
mod revision;
mod run;
mod scan;
mod view;

pub use arrow::Table;
pub use buckets::{Names, SeriesBuckets};
pub use downsample::downsample;
pub use facts::SeriesFacts;
pub use list::{Runs, list_runs};
pub use ranks::{open_rank, ranks};
pub use run::Reader;
