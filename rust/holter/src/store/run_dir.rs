//! The paths of a run's files.

use std::path::{Path, PathBuf};

use crate::store::schema::file;

/// The directory of one run, or of one rank of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run at `path`, which may not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest, `run.json`.
    pub fn manifest(&self) -> PathBuf {
        self.path.join(file::MANIFEST)
    }

    /// The manifest while it is being written.
    pub(crate) fn unfinished_manifest(&self) -> PathBuf {
        self.path.join(format!(".{}.tmp", file::MANIFEST))
    }

    /// The database, `metrics.sqlite`.
    pub fn database(&self) -> PathBuf {
        self.path.join(file::DATABASE)
    }

    /// The directory of Parquet parts.
    pub fn parquet(&self) -> PathBuf {
        self.path.join(file::PARQUET)
    }

    /// The summary, `summary.jsonl`.
    pub fn summary(&self) -> PathBuf {
        self.path.join(file::SUMMARY)
    }

    /// The alerts, `events.jsonl`.
    pub fn events(&self) -> PathBuf {
        self.path.join(file::EVENTS)
    }

    /// The journal, unless the manifest names another path.
    pub fn journal(&self) -> PathBuf {
        self.path.join(file::JOURNAL)
    }

    /// Whether the directory contains a run.
    pub fn exists(&self) -> bool {
        self.manifest().is_file()
    }
}
