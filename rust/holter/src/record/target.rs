//! Chooses the directory that a session records into, and locks it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{durable_dir, reject_symlink};
use crate::record::config::Resume;
use crate::store::manifest::{Manifest, Status};
use crate::store::run_dir::RunDir;
use crate::store::run_lock::RunLock;
use crate::store::schema::file;

/// A locked directory, new or with a run to resume.
pub(super) struct Target {
    /// The directory of the run.
    pub(super) root: PathBuf,
    /// The directory of the rank, which is `root` for rank 0.
    pub(super) dir: RunDir,
    pub(super) lock: RunLock,
}

impl Target {
    /// Locks the directory at `path`, or with [`Resume::Auto`] the first of `path`, `path-2`, `path-3`, … that has no
    /// completed run.
    ///
    /// # Errors
    ///
    /// [`Error::RunExists`] or [`Error::NoRun`] according to `resume`; [`Error::Locked`]; [`Error::Io`].
    pub(super) fn acquire(path: &Path, rank: u32, resume: Resume) -> Result<Self> {
        let mut number = 1;
        loop {
            let root = sibling(path, number)?;
            let dir = RunDir::new(if rank == 0 { root.clone() } else { root.join(file::rank_dir(rank)) });
            let is_taken = || resume == Resume::Auto && is_complete(&root, &dir);
            if is_taken() {
                number += 1;
                continue;
            }
            check(resume, &dir)?;
            if rank > 0 {
                reject_symlink(dir.path())?;
            }
            durable_dir::create(dir.path())?;
            let lock = RunLock::acquire(&dir)?;
            // Again: another process may have recorded here before we had the lock.
            if is_taken() {
                continue;
            }
            check(resume, &dir)?;
            return Ok(Self { root, dir, lock });
        }
    }
}

fn check(resume: Resume, dir: &RunDir) -> Result<()> {
    match resume {
        Resume::Never if dir.exists() => Err(Error::RunExists(dir.path().to_owned())),
        Resume::Must if !dir.exists() => Err(Error::NoRun(dir.path().to_owned())),
        _ => Ok(()),
    }
}

/// Whether this rank has recorded here, and the run was closed completely, as finished or stopped.
///
/// All ranks follow the status of rank 0, so that they choose the same directory even if one of them crashed.
fn is_complete(root: &Path, dir: &RunDir) -> bool {
    let leader = RunDir::new(root);
    let decisive = if leader.exists() { &leader } else { dir };
    // If closing left a journal behind, its points must still be moved to the sinks.
    let is_complete = |manifest: &Manifest| {
        matches!(manifest.status, Status::Finished | Status::Stopped) && !manifest.journal_path(decisive).exists()
    };
    dir.exists() && Manifest::read(decisive).is_ok_and(|manifest| is_complete(&manifest))
}

/// `runs/run-1` for 1, `runs/run-1-2` for 2, and so on.
fn sibling(path: &Path, number: u64) -> Result<PathBuf> {
    if number == 1 {
        return Ok(path.to_owned());
    }
    let absolute = std::path::absolute(path).map_err(Error::io("find", path))?;
    let mut name: OsString = absolute.file_name().ok_or_else(|| Error::RunExists(path.to_owned()))?.to_owned();
    name.push(format!("-{number}"));
    Ok(match path.file_name() {
        Some(_) => path.with_file_name(name),
        None => absolute.with_file_name(name), // "." and ".."
    })
}
