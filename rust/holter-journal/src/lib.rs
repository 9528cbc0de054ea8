//! The journal of Holter: a bounded, lock-free ring of points in a mapped file.
//!
//! Training threads append to a [`Journal`] without a lock, a system call or an allocation; the writer
//! thread reads and releases. The file's pages outlive the process, so a point whose append returned
//! survives SIGKILL. A [`Snapshot`] reads the file after a crash or beside a live writer.
//!
//! This crate contains all `unsafe` code of Holter: the mapped memory, the atfork handler
//! ([`fork`]), files that a forked child closes ([`ParentOnly`]) and locks on byte ranges
//! ([`byte_lock`]). It compiles with `--cfg holter_loom` for model checking: then only the
//! in-memory ring remains.
//!
#![cfg_attr(
    not(holter_loom),
    doc = r#"
```
use holter_journal::{Journal, Origin, Point, Records, SeriesId, Snapshot, Timestamp};

let dir = tempfile::tempdir()?;
let path = dir.path().join("journal.holter");
let origin = Origin { id: 7, started: Timestamp::now(), pid: std::process::id() };
let journal = Journal::create(&path, 1024, origin)?;

// A training thread: a name once, then points.
let loss = SeriesId::new(0).expect("0 is a valid index");
journal.append_name(loss, "train/loss")?;
let point = Point { series: loss, step: 1, value: 0.5, time: Timestamp::now() };
journal.append(&point).expect("the ring has room");

// What a crash would leave, or what a reader sees beside the writer.
let snapshot = Snapshot::read(&path, Records::Pending)?.expect("the file exists");
assert_eq!(snapshot.names, ["train/loss"]);
assert_eq!(snapshot.points[0].1.value, 0.5);

// The writer thread: read, store durably elsewhere, release.
let mut points = Vec::new();
let end = journal.read(0, 100, &mut points);
assert_eq!(points.len(), 1);
journal.release(end);
assert!(Snapshot::read(&path, Records::Pending)?.expect("the file exists").points.is_empty());
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]

mod control;
mod point;
mod ring;
mod slot;
mod sync;

#[cfg(not(holter_loom))]
pub mod byte_lock;
#[cfg(not(holter_loom))]
mod error;
#[cfg(not(holter_loom))]
mod file;
#[cfg(not(holter_loom))]
pub mod fork;
#[cfg(not(holter_loom))]
mod format;
#[cfg(not(holter_loom))]
mod names;
#[cfg(not(holter_loom))]
mod parent_only;
#[cfg(not(holter_loom))]
mod snapshot;

#[cfg(not(holter_loom))]
pub use error::{Error, Result};
#[cfg(not(holter_loom))]
pub use file::unfinished_path;
#[cfg(not(holter_loom))]
pub use format::Origin;
#[cfg(not(holter_loom))]
pub use parent_only::ParentOnly;
pub use point::{Point, SeriesId, Step, Timestamp};
pub use ring::{AppendError, Journal};
#[cfg(not(holter_loom))]
pub use snapshot::{Records, Snapshot};
