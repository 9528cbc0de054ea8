//! The closed Parquet files in a directory. A reader finds each point exactly once, even after an interruption.
//!
//! A part is written once, under a unique number, and never changed. Merging writes a new part whose metadata lists the
//! numbers that it replaces; until those are removed, [`list`] ignores them. Therefore a point is never missing and never
//! counts twice, even after a crash.

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
