//! The files of a run: what they are called, what they contain, who may write them.
//!
//! | Module | File |
//! |---|---|
//! | [`manifest`], [`facts`] | `run.json` |
//! | [`sqlite`] | `metrics.sqlite` |
//! | [`parquet`] | `parquet/part-*.parquet` |
//! | [`summary`] | `summary.jsonl` |
//! | [`events`] | `events.jsonl` |
//! | [`schema`] | the names in all of them |
//!
//! [`sink`] is what the writer sees of a place for points; [`recover`](mod@recover) brings a run left by a
//! crash into order.

pub mod batch;
pub mod events;
pub mod facts;
pub mod manifest;
pub(crate) mod open;
pub mod parquet;
pub mod recover;
pub mod run_dir;
pub mod run_lock;
pub mod schema;
pub mod sink;
pub mod sinks;
pub mod sqlite;
pub mod summary;
pub(crate) mod time;

pub use facts::Facts;
pub use manifest::{Manifest, Status};
pub use recover::{Recovery, recover};
pub use run_dir::RunDir;
