//! Points in Parquet files: the sink, and the files it writes.

pub mod parts;
mod sink;

pub use sink::{DEFAULT_MAX_PART_AGE, DEFAULT_ROWS_PER_PART, ParquetOptions, ParquetSink};
