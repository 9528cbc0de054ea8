//! Rollups: aggregates of the points of a series in buckets of steps.
//!
//! The grid of buckets is the same for all series: a bucket of width `w` starts at a multiple of `w`. Widths are 64 steps
//! and then eight times the previous width, so eight buckets of one [`Level`] form exactly one of the next. A *block* is
//! eight adjacent buckets of a level, which are stored together as a *row*.
//!
//! Rows are a cache of the points. A reader uses the rows that exist, and replaces missing ones by finer rows and
//! finally by the points: see `cover`.

mod bucket;
mod cover;
mod extremes;
mod level;
mod row;

pub use self::bucket::Bucket;
pub(crate) use self::cover::{Row, Source, cover, has_rows};
pub(crate) use self::extremes::extremes;
pub use self::level::Level;
pub(crate) use self::row::{decode, encode, is_worthwhile};
