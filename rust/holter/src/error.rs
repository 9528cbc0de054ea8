//! Everything that can go wrong, in one enum.

use std::io;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words that say what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A series name that cannot be one.
    #[error("{0}")]
    InvalidName(String),
    /// More distinct names than an attempt can hold.
    #[error("an attempt has at most 16777216 series; are step numbers part of the names?")]
    TooManySeries,
    /// A setting whose value is out of its range.
    #[error("{0}")]
    InvalidConfig(String),
    /// The run was closed, so nothing can be logged or flushed any more.
    #[error("the run {0} is closed")]
    RunClosed(PathBuf),
    /// A flush that did not end in the time it was given.
    #[error("flush did not end within {waited_secs} s: {pending} points wait for the disk{}", last_error.as_ref().map(|e| format!("; last error: {e}")).unwrap_or_default())]
    FlushTimeout {
        /// How long the caller waited.
        waited_secs: f64,
        /// Points that are in the journal and in no sink yet.
        pending: u64,
        /// What the writer last complained of.
        last_error: Option<String>,
    },
    /// Another process writes to the run.
    #[error("{path} is being written by {holder}; a run has one writing process")]
    Locked {
        /// The run's directory.
        path: PathBuf,
        /// Who holds it, as far as it can be told.
        holder: String,
    },
    /// `resume="never"` and the run is there.
    #[error("{0} already holds a run; pass resume=\"allow\" to go on with it or choose another directory")]
    RunExists(PathBuf),
    /// `resume="must"`, or reading, and there is no run.
    #[error("{0} holds no run (no run.json)")]
    NoRun(PathBuf),
    /// There is no series of that name.
    #[error("no series is named {0:?}")]
    NoSeries(String),
    /// A width that buckets do not have.
    #[error("buckets are 1 or 64 * 8**k steps wide, at most 2**60, got {0}")]
    InvalidWidth(i64),
    /// A run written by a newer Holter.
    #[error("{path} has format version {found}; this Holter reads up to {known}: upgrade it to read the run")]
    FormatVersion {
        /// The file that carries the version.
        path: PathBuf,
        /// The version it carries.
        found: u64,
        /// The newest version this code knows.
        known: u64,
    },
    /// A file that does not hold what it should.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation on a file or directory failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, as in "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The database refused.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Reading or writing a Parquet file failed.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl Error {
    /// Wraps an I/O error with what was tried on which path; made for `map_err`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// A file that does not hold what it should.
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
