//! A run's directory: the names of its files, its manifest, its lock.
//!
//! One process at a time writes to a run: it holds a lock on the directory itself, which the system
//! lets go of when the process dies. The manifest is replaced in one step, so a reader sees the old or
//! the new one, never half.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files;
use crate::folder;
use crate::journal::fork::ParentOnly;
use crate::point::Timestamp;
use crate::schema::{self, file, manifest};

/// How long a lock is waited for that a reader may be trying out.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);

/// The directory of one run, or of one rank of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// Holds the run for this process until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    directory: ParentOnly,
}

impl RunLock {
    /// Holds if the run's path does not lead to another folder than the one that is locked, and that was not deleted.
    ///
    /// Whoever writes by the path would otherwise write into a run that somebody else has begun there.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] says what happened to the folder.
    pub fn check_place(&self) -> Result<()> {
        let Some(locked) = self.directory.metadata() else { return Ok(()) };
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

impl RunDir {
    /// The run at `path`, which need not exist.
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

    /// The database, `metrics.sqlite`.
    pub fn database(&self) -> PathBuf {
        self.path.join(file::DATABASE)
    }

    /// The folder of Parquet parts.
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

    /// The journal, where the manifest names no other place.
    pub fn journal(&self) -> PathBuf {
        self.path.join(file::JOURNAL)
    }

    /// Where the run's journal is or was: in its directory, or under a name of its own in a local one.
    ///
    /// The manifest's word is taken only for a name that the run's journal would have, so that a manifest
    /// from elsewhere cannot have another file read or removed.
    pub fn journal_of(&self, manifest: &Map<String, Value>) -> PathBuf {
        let id = manifest.get(manifest::ID).and_then(Value::as_str).unwrap_or_default();
        let rank = manifest.get(manifest::RANK).and_then(Value::as_u64).unwrap_or(0);
        manifest
            .get(manifest::JOURNAL)
            .and_then(Value::as_str)
            .map(Path::new)
            .filter(|path| path.file_name().is_some_and(|name| name == local_journal_name(id, rank).as_str()))
            .map_or_else(|| self.journal(), Path::to_owned)
    }

    /// As [`RunDir::journal_of`] for who only reads: another user's file is not the run's journal.
    pub(crate) fn own_journal_of(&self, manifest: &Map<String, Value>) -> PathBuf {
        let journal = self.journal_of(manifest);
        if self.is_foreign(&journal) { self.journal() } else { journal }
    }

    /// Whether another user has put the file at `journal`, outside of the run's directory, where anybody may: it is the run's
    /// only if who wrote the manifest wrote it, or this process's user.
    pub(crate) fn is_foreign(&self, journal: &Path) -> bool {
        let owner = |path: &Path| fs::symlink_metadata(path).ok().map(|found| found.uid());
        let known = [Some(rustix::process::geteuid().as_raw()), owner(&self.manifest())];
        journal != self.journal() && owner(journal).is_some_and(|owner| !known.contains(&Some(owner)))
    }

    /// Whether a run is here.
    pub fn exists(&self) -> bool {
        self.manifest().is_file()
    }

    /// Whether the directory is on a file system that other machines see, or that cannot be trusted
    /// with a shared mapping.
    pub fn is_remote(&self) -> bool {
        const REMOTE: [u32; 13] = [
            0x6969,      // NFS
            0x517B,      // SMB
            0xFF53_4D42, // CIFS
            0xFE53_4D42, // SMB2
            0x0BD0_0BD0, // Lustre
            0x4750_4653, // GPFS
            0x5346_414F, // AFS
            0x00C3_6400, // Ceph
            0x6573_5546, // FUSE
            0x0102_1997, // 9P
            0x1983_0326, // BeeGFS
            0x1803_1977, // WekaFS
            0xAAD7_AAEA, // PanFS
        ];
        rustix::fs::statfs(&self.path).is_ok_and(|found| REMOTE.contains(&(found.f_type as u32)))
    }

    /// Takes the run for this process.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process, or another logger of this one, writes to it.
    pub fn lock(&self) -> Result<RunLock> {
        let directory = File::open(&self.path).map_err(Error::io("open", &self.path))?;
        let since = Instant::now();
        loop {
            match directory.try_lock() {
                Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { path: self.path.clone(), holder: self.holder() });
                }
                Err(TryLockError::Error(error)) if !is_unsupported(&error) => {
                    return Err(Error::io("lock", &self.path)(error));
                }
                // Some network file systems have no such locks: better unguarded than unusable.
                Ok(()) | Err(TryLockError::Error(_)) => break,
            }
        }
        Ok(RunLock { path: self.path.clone(), directory: ParentOnly::new(directory) })
    }

    /// As [`RunDir::lock`], for a run that must be there.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`], or as [`RunDir::lock`].
    pub fn lock_existing(&self) -> Result<RunLock> {
        if !self.exists() {
            return Err(Error::NoRun(self.path.clone()));
        }
        self.lock()
    }

    /// Whether a living process writes to the run.
    pub fn is_live(&self) -> bool {
        File::open(&self.path)
            .is_ok_and(|directory| matches!(directory.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Reads the manifest.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] if there is none, [`Error::Damaged`] if it is no JSON object,
    /// [`Error::FormatVersion`] if a newer Holter wrote it.
    pub fn read_manifest(&self) -> Result<Map<String, Value>> {
        let path = self.manifest();
        let text = match files::read(&path, manifest::MAX_BYTES) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(Error::NoRun(self.path.clone()));
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(Error::damaged(&path, error.to_string()));
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let manifest: Map<String, Value> =
            serde_json::from_slice(&text).map_err(|error| Error::damaged(&path, error.to_string()))?;
        let version = manifest.get(manifest::FORMAT_VERSION).and_then(Value::as_u64);
        match version {
            Some(found) if found > schema::FORMAT_VERSION => {
                Err(Error::FormatVersion { path, found, known: schema::FORMAT_VERSION })
            }
            Some(_) => Ok(manifest),
            None => Err(Error::damaged(path, "it names no format version")),
        }
    }

    /// The manifest while it is written.
    pub(crate) fn unfinished_manifest(&self) -> PathBuf {
        self.path.join(format!(".{}.tmp", file::MANIFEST))
    }

    /// Replaces the manifest.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written.
    pub fn write_manifest(&self, manifest: &Map<String, Value>) -> Result<()> {
        let path = self.manifest();
        let temporary = self.unfinished_manifest();
        let text = serde_json::to_string_pretty(manifest).map_err(|error| Error::damaged(&path, error.to_string()))?;
        if text.len() as u64 >= manifest::MAX_BYTES {
            let max = manifest::MAX_BYTES;
            return Err(Error::InvalidConfig(format!("a run's facts have at most {max} bytes, got {}", text.len())));
        }
        let write = || {
            let mut file = files::create_anew(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(Error::io("write", &path))?;
        folder::sync(&self.path)
    }

    /// Who holds the run, as its manifest tells.
    fn holder(&self) -> String {
        let manifest = self.read_manifest().unwrap_or_default();
        let host = manifest.get(manifest::HOST).and_then(Value::as_str).unwrap_or("an unknown host");
        match manifest.get(manifest::PID).and_then(Value::as_u64) {
            Some(pid) => format!("process {pid} on {host}"),
            None => format!("a process on {host}"),
        }
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOLCK, Errno::BADF, Errno::INVAL];
    error.raw_os_error().is_some_and(|code| codes.iter().any(|errno| errno.raw_os_error() == code))
}

/// Reads what else a manifest shall say from the text of a JSON object.
///
/// # Errors
///
/// [`Error::InvalidConfig`] if it is no JSON object.
pub fn parse_facts(json: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(json)
        .map_err(|error| Error::InvalidConfig(format!("a run's facts are a JSON object: {error}")))
}

/// The name of a journal that cannot lie in the run's directory.
pub(crate) fn local_journal_name(id: &str, rank: u64) -> String {
    format!("holter-{id}-{rank}.journal.holter")
}

/// The manifest of a run that begins now.
pub(crate) fn new_manifest(id: u64, name: &str, rank: u32, created: Timestamp) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert(manifest::FORMAT_VERSION.to_owned(), schema::FORMAT_VERSION.into());
    map.insert(manifest::ID.to_owned(), format!("{id:016x}").into());
    map.insert(manifest::NAME.to_owned(), name.into());
    map.insert(manifest::RANK.to_owned(), rank.into());
    map.insert(manifest::CREATED.to_owned(), created.to_string().into());
    map.insert(manifest::STARTED_MICROS.to_owned(), created.micros().into());
    map
}
