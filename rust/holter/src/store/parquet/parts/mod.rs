//! The closed Parquet files of a folder: a reader sees every point of them, whatever was interrupted.
//!
//! A part is written once, under a number that is its own, and never changed. Merging parts writes a
//! new one whose metadata lists the numbers that it replaces; until those are removed, [`list`] leaves
//! them out. So there is no moment, and no crash, at which a point is missing or counts twice.

mod compact;
mod layout;
mod list;
mod merge;
mod name_column;
mod part;
mod read;
mod report;
mod writer;

pub use compact::{CompactLimits, compact, compact_within};
pub(crate) use list::next_number;
pub use list::{clean_up, durable_until, list, with_parts};
pub use merge::{SeriesMerge, for_each_series};
pub use part::Part;
pub use read::{names, read_series, read_step};
pub use report::{PartFacts, report};
pub(crate) use writer::{Effort, Labels, Origin, PartWriter};
