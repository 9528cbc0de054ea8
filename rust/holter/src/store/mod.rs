//! The files of a run: their names, their content, and the lock for writing them.
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
//! [`sink`] is the interface between the writer and the places for points. [`recover`](mod@recover) repairs a run after a
//! crash.

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
