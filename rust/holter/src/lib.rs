//! The core of Holter: takes a training run's points without holding the training up, keeps them through
//! the death of the process, and gives them back.
//!
//! An [`Attempt`](attempt::Attempt) opens a run. Its [`Recorder`](recorder::Recorder) takes points from any
//! thread and appends them to the [`Journal`](journal::Journal), a bounded ring in a mapped file: no lock,
//! no I/O, no allocation. One [`Writer`](writer::Writer) thread drains the ring into the
//! [sinks](sink): the first, a database or Parquet files, is the [truth](sink::Truth), the others are
//! [derived](sink::Derived) from what it has committed. The ring forgets a point only then.
//!
//! - A point that was taken survives SIGKILL: it is in the file, and [recovery](recover) puts it into the
//!   sinks. What a flush returned for survives the loss of power.
//! - A full ring is waited for while the writer makes progress, and else the point is dropped. Both are
//!   counted in the [health](health::Health), as is whatever a sink complains of.
//! - A [`Reader`](reader::Reader) sees the run at any time, the ring included, and blocks nobody.
//!
//! What lies on the disk is named in [`schema`] and specified in `docs/on-disk-format.md`.

#[cfg(not(holter_loom))]
pub mod alert;
#[cfg(not(holter_loom))]
pub mod attempt;
#[cfg(not(holter_loom))]
pub mod config;
#[cfg(not(holter_loom))]
pub mod downsample;
pub mod error;
#[cfg(not(holter_loom))]
pub mod event_files;
#[cfg(not(holter_loom))]
mod files;
#[cfg(not(holter_loom))]
mod folder;
#[cfg(not(holter_loom))]
pub mod health;
pub mod journal;
#[cfg(not(holter_loom))]
mod lines;
#[cfg(not(holter_loom))]
pub mod parts;
pub mod point;
#[cfg(not(holter_loom))]
mod programs;
#[cfg(not(holter_loom))]
pub mod reader;
#[cfg(not(holter_loom))]
pub mod recorder;
#[cfg(not(holter_loom))]
pub mod recover;
#[cfg(not(holter_loom))]
pub mod rollup;
#[cfg(not(holter_loom))]
pub mod run_dir;
#[cfg(not(holter_loom))]
pub mod schema;
pub mod series;
#[cfg(not(holter_loom))]
pub mod sink;
mod sync;
#[cfg(not(holter_loom))]
pub mod table;
#[cfg(not(holter_loom))]
pub mod writer;
