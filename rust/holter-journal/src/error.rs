//! Errors of a journal's file.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a journal's file could not be created, extended or read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file was written by a newer version of Holter.
    FormatVersion {
        /// The journal's file.
        path: PathBuf,
        /// The version that the file has.
        found: u64,
        /// The newest version that this code reads.
        known: u64,
    },
    /// The file is not a valid journal.
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation on the file failed.
    Io {
        /// The action, as in "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an I/O error with the action and the path; for `map_err`.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    pub(crate) fn damaged(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.as_ref().to_owned(), reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatVersion { path, found, known } => {
                write!(
                    f,
                    "{} has format version {found}, and this version of Holter supports up to {known}",
                    path.display()
                )
            }
            Self::Damaged { path, reason } => write!(f, "{} is damaged: {reason}", path.display()),
            Self::Io { action, path, source } => write!(f, "{action} {}: {source}", path.display()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
