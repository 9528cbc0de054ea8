//! All errors of the core, in one enum.

use std::io;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the core. Messages state what is wrong and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An invalid series name.
    #[error("{0}")]
    InvalidName(String),
    /// More distinct names than a session can hold.
    #[error("a run has at most 16777216 series; do names contain step numbers?")]
    TooManySeries,
    /// A setting out of its range.
    #[error("{0}")]
    InvalidConfig(String),
    /// The run is closed, so nothing can be logged or flushed.
    #[error("the run {0} is closed")]
    RunClosed(PathBuf),
    /// A flush that timed out.
    #[error("flush timed out after {waited_secs} s: {pending} points are not on disk yet{}", last_error.as_ref().map(|e| format!("; last error: {e}")).unwrap_or_default())]
    FlushTimeout {
        /// How long the caller waited.
        waited_secs: f64,
        /// Points that are only in the journal.
        pending: u64,
        /// The writer's last error.
        last_error: Option<String>,
    },
    /// This process was forked from the one that opened the session.
    #[error(
        "this process was forked from the one that records (for example, a DataLoader worker), and cannot log; return the \
         value to the main process, or open a logger here with its own rank="
    )]
    Forked,
    /// Another session writes to the run.
    #[error("{path} is being written by {holder}")]
    Locked {
        /// The run's directory.
        path: PathBuf,
        /// The writing process, as far as it is known, and what to do.
        holder: String,
    },
    /// `resume="never"` and the run exists.
    #[error("{0} already contains a run; pass resume=\"allow\" to resume it, or choose another directory")]
    RunExists(PathBuf),
    /// `resume="must"`, or reading, and the run does not exist.
    #[error("{0} does not contain a run (no run.json)")]
    NoRun(PathBuf),
    /// The run has no series of this name.
    #[error("no series is named {0:?}")]
    NoSeries(String),
    /// An unsupported bucket width.
    #[error("a bucket width must be 1 or 64 * 8**k steps, at most 2**60, got {0}")]
    InvalidWidth(i64),
    /// A run written by a newer version of Holter.
    #[error(
        "{path} has format version {found}, and this version of Holter supports up to {known}; upgrade Holter to read the run"
    )]
    FormatVersion {
        /// The file with the version.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest supported version.
        known: u64,
    },
    /// A file with invalid content.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An operation on a file or directory failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// The action, as in "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Reading or writing a Parquet file failed.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl Error {
    /// Wraps an I/O error with the action and the path; for `map_err`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// A file with invalid content.
    pub fn damaged(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.as_ref().to_owned(), reason: reason.into() }
    }
}

impl From<holter_journal::Error> for Error {
    fn from(error: holter_journal::Error) -> Self {
        use holter_journal::Error as Journal;
        match error {
            Journal::FormatVersion { path, found, known } => Self::FormatVersion { path, found, known },
            Journal::Damaged { path, reason } => Self::Damaged { path, reason },
            Journal::Io { action, path, source } => Self::Io { action, path, source },
            other => Self::Io { action: "use", path: PathBuf::new(), source: io::Error::other(other) },
        }
    }
}
