//! Rollups: what the points of a series come to in buckets of steps.
//!
//! The buckets lie on a grid that does not depend on the series: a bucket of width `w` covers the steps from a
//! multiple of `w` on. Widths are 64 steps and each eight times the one before, so eight buckets of one
//! [`Level`] make one of the next, exactly. A *block* is eight neighbouring buckets of a level, and is
//! what is stored at once, as one *row*.
//!
//! Rows are a cache of the points. Whoever reads takes what rows there are and makes up for the others from
//! finer ones and in the end from the points: see `cover`.

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
