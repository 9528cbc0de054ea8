//! The core of Holter: records the metrics of a training run with low overhead, preserves them if the process dies, and
//! reads them back.
//!
//! A [`Session`](record::Session) opens a run. Its [`Recorder`](record::Recorder) accepts points from any
//! thread and appends them to the [`Journal`](holter_journal::Journal), a bounded ring in a mapped file: no
//! lock, no I/O, no allocation. One [writer](record::writer) thread drains the ring into the
//! [sinks](store::sink): the first, a database or Parquet files, is the [primary](store::sink::Primary), the
//! others are [derived](store::sink::Derived) from what it has committed. The ring reuses a slot only after that.
//!
//! - A point that was accepted survives SIGKILL: it is in the file, and [recovery](store::recover()) moves it
//!   to the sinks. A flushed point survives a power failure.
//! - If the ring is full, callers wait while the writer makes progress; otherwise the point is dropped. Both
//!   are counted in the [health](record::health::Health), as are the errors of the sinks.
//! - A [`Reader`](read::Reader) reads the run at any time, including the points in the ring, without blocking the
//!   writer.
//!
//! ```
//! use holter::read::Reader;
//! use holter::record::{Outcome, Session, SessionOptions};
//! use holter::store::Status;
//!
//! # let scratch = tempfile::tempdir()?;
//! # let path = scratch.path().join("run-1");
//! let session = Session::open(SessionOptions { path: path.clone(), ..SessionOptions::default() })?;
//! let loss = session.recorder().series("train/loss")?;
//! for step in 0..100 {
//!     assert_eq!(session.recorder().record(loss, step, 1.0 / (step + 1) as f64), Outcome::Accepted);
//! }
//!
//! let reader = Reader::open(&path)?; // also from another process
//! assert_eq!(reader.series("train/loss", None, None)?.len(), 100);
//!
//! session.close(Status::Finished)?;
//! assert_eq!(reader.status()?, Status::Finished);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | Module | What it does |
//! |---|---|
//! | [`record`] | records runs: the recorder runs on the training threads, [`record::writer`] on its own thread |
//! | [`store`] | the files of a run: manifest, database, Parquet parts, summary, events, recovery |
//! | [`read`] | reads live and closed runs |
//! | [`rollup`] | aggregates of a series in buckets of steps |
//! | [`event_files`] | reads and writes TensorBoard event files |

#![forbid(unsafe_code)]

pub mod error;
pub mod event_files;
mod fs;
mod millis;
pub mod pattern;
pub mod points;
pub mod read;
pub mod record;
pub mod rollup;
pub mod series_table;
pub mod store;

pub use error::{Error, Result};
pub use holter_journal::{Point, SeriesId, Step, Timestamp};
pub use points::Columns;
