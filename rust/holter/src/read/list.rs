//! Finds the runs below a directory. Reports unreadable directories and continues.

use std::fs;
use std::path::{Path, PathBuf};

use super::ranks::rank_at;
use super::run::Reader;
use crate::error::{Error, Result};
use crate::store::schema::file;

/// Maximum depth of a run below the directory.
const MAX_DEPTH: usize = 3;

/// What [`list_runs`] found.
#[derive(Debug, Default)]
pub struct Runs {
    /// The lowest rank of each run, the oldest first.
    pub runs: Vec<Reader>,
    /// Directories that contain or may contain a run, and why they cannot be read.
    pub unreadable: Vec<(PathBuf, Error)>,
}

/// Lists the runs at or below `root`, at most three levels deep, oldest first.
///
/// The ranks of a run are not listed separately. A run without rank 0 is represented by its lowest readable rank.
/// Symlinks below `root` are not followed, and hidden directories are skipped.
///
/// # Errors
///
/// [`Error::Io`] if `root` itself cannot be listed.
pub fn list_runs(root: impl AsRef<Path>) -> Result<Runs> {
    let root = root.as_ref();
    fs::read_dir(root).map_err(Error::io("list", root))?;
    let mut found = Runs::default();
    visit(root, 0, &mut found);
    found.runs.sort_by(|a, b| (a.started(), a.path()).cmp(&(b.started(), b.path())));
    found.unreadable.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn visit(directory: &Path, depth: usize, found: &mut Runs) {
    if directory.join(file::MANIFEST).is_file() {
        open(directory, found);
        return;
    }
    if directory.join(file::DATABASE).is_file() {
        // A recording creates the database after the manifest.
        let reason = format!("{} exists but {} is missing: the run was copied in part", file::DATABASE, file::MANIFEST);
        found.unreadable.push((directory.to_owned(), Error::damaged(directory, reason)));
    }
    let below = match subdirectories(directory) {
        Ok(below) => below,
        Err(error) => return found.unreadable.push((directory.to_owned(), error)),
    };
    let (mut ranks, mut others) = (Vec::new(), Vec::new());
    for path in below {
        match rank_at(&path) {
            Some(rank) => ranks.push((rank, path)),
            None => others.push(path),
        }
    }
    ranks.sort_unstable();
    let _ = ranks.iter().any(|(_, path)| open(path, found));
    if depth < MAX_DEPTH {
        for directory in &others {
            visit(directory, depth + 1, found);
        }
    }
}

/// Adds the run in this directory to `found`. Returns whether it can be read.
fn open(directory: &Path, found: &mut Runs) -> bool {
    match Reader::open(directory) {
        Ok(reader) => {
            found.runs.push(reader);
            true
        }
        Err(error) => {
            found.unreadable.push((directory.to_owned(), error));
            false
        }
    }
}

fn subdirectories(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut below = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let entry = entry.map_err(Error::io("list", directory))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // The type of the entry, which is not a directory for a symlink to a directory.
        if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below.push(entry.path());
        }
    }
    Ok(below)
}
