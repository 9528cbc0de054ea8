//! The lock of a run: one process at a time writes to it.
//!
//! The process locks the directory itself, and the operating system releases the lock when the process dies.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use holter_journal::ParentOnly;

use crate::error::{Error, Result};
use crate::store::manifest::Manifest;
use crate::store::run_dir::RunDir;

/// How long to wait for a lock that a reader may be testing.
const PATIENCE: Duration = Duration::from_millis(300);

/// Holds the run for this process until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    directory: ParentOnly,
}

impl RunLock {
    /// Locks the run for this process.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process, or another session of this one, writes to it.
    pub fn acquire(dir: &RunDir) -> Result<Self> {
        let path = dir.path();
        let directory = File::open(path).map_err(Error::io("open", path))?;
        let since = Instant::now();
        loop {
            match directory.try_lock() {
                Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { path: path.to_owned(), holder: holder(dir) });
                }
                Err(TryLockError::Error(error)) if !is_unsupported(&error) => {
                    return Err(Error::io("lock", path)(error));
                }
                // Some network file systems do not support such locks: better unlocked than unusable.
                Ok(()) | Err(TryLockError::Error(_)) => break,
            }
        }
        Ok(Self { path: path.to_owned(), directory: ParentOnly::new(directory) })
    }

    /// As [`RunLock::acquire`], for a run that must exist.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`], or as [`RunLock::acquire`].
    pub fn acquire_existing(dir: &RunDir) -> Result<Self> {
        if !dir.exists() {
            return Err(Error::NoRun(dir.path().to_owned()));
        }
        Self::acquire(dir)
    }

    /// Checks that the run's path still leads to the locked folder, and that the folder was not deleted.
    ///
    /// Otherwise writing by the path would write into a run that another process has begun there.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`], with what happened to the directory.
    pub fn check_place(&self) -> Result<()> {
        let Some(locked) = self.directory.file().and_then(|directory| directory.metadata().ok()) else { return Ok(()) };
        if locked.nlink() == 0 {
            return Err(Error::damaged(&self.path, "its folder was deleted while it was recorded"));
        }
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) != (locked.dev(), locked.ino()) => {
                Err(Error::damaged(&self.path, "another folder has taken its place while it was recorded"))
            }
            // A folder that was moved is written to where it is now, as far as its files are open.
            _ => Ok(()),
        }
    }
}

/// Whether a living process writes to the run.
pub(crate) fn is_live(dir: &RunDir) -> bool {
    File::open(dir.path()).is_ok_and(|directory| matches!(directory.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The process that holds the run, according to its manifest, and what to do about it.
fn holder(dir: &RunDir) -> String {
    let manifest = Manifest::read(dir).ok();
    let host = manifest.as_ref().and_then(|manifest| manifest.host.as_deref()).unwrap_or("an unknown host");
    let other = "a run has one writing process; give each process of a distributed run its own rank=";
    match manifest.as_ref().and_then(|manifest| manifest.pid) {
        Some(pid) if pid == std::process::id() => {
            "this process; close the other logger first, or choose another directory".to_owned()
        }
        Some(pid) => format!("process {pid} on {host}; {other}"),
        None => format!("a process on {host}; {other}"),
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOLCK, Errno::BADF, Errno::INVAL];
    error.raw_os_error().is_some_and(|code| codes.iter().any(|errno| errno.raw_os_error() == code))
}
