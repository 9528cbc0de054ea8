//! Reads runs: beside a live writer, after a close, or after a crash that nothing recovered.
//!
//! [`Reader`] reads one run. Each read combines what the primary sink has (`committed`, the database or the Parquet
//! parts) with what only the journal has (`pending`) into a `view` of one moment.

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
