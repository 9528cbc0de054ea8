//! The manifest, `run.json`: what a run is and how each of its sessions ended.
//!
//! It is replaced in one step, so a reader sees the old or the new manifest, never half of one.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use holter_journal::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::{create_replacing, durable_dir, read_bounded};
use crate::store::facts::{Facts, Object};
use crate::store::run_dir::RunDir;
use crate::store::schema::FORMAT_VERSION;
use crate::store::sinks::check_sink_names;
use crate::store::time::iso_8601;

/// The maximum length of the file.
pub const MAX_BYTES: u64 = 64 << 20;

/// The status of a run or of one of its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "String")]
pub enum Status {
    /// It is being recorded, or its process died and nothing has recovered it.
    Running,
    /// It was closed.
    Finished,
    /// It was closed because of an error.
    Failed,
    /// It was closed because of a signal, and is expected to be resumed.
    Interrupted,
    /// It was closed because an alert stopped it.
    Stopped,
    /// Its process died.
    Crashed,
    /// It ended, with a status of a later version.
    Unknown,
}

impl From<String> for Status {
    fn from(name: String) -> Self {
        Self::from_name(&name).unwrap_or(Self::Unknown)
    }
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Finished, Self::Failed, Self::Interrupted, Self::Stopped, Self::Crashed];

    /// The status as in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::Unknown => "unknown",
        }
    }

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What `run.json` contains.
///
/// ```
/// use holter::record::{Session, SessionOptions};
/// use holter::store::{Manifest, RunDir, Status};
///
/// # let scratch = tempfile::tempdir()?;
/// # let path = scratch.path().join("run-1");
/// let session = Session::open(SessionOptions { path: path.clone(), ..SessionOptions::default() })?;
/// session.close(Status::Failed)?;
/// let manifest = Manifest::read(&RunDir::new(&path))?;
/// assert_eq!((manifest.name.as_str(), manifest.status), ("run-1", Status::Failed));
/// assert_eq!(manifest.attempts.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Unknown keys are kept in `extra`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format_version: u64,
    /// The run's random id, in hexadecimal.
    #[serde(default)]
    pub id: String,
    /// The run's name.
    pub name: String,
    /// The rank.
    pub rank: u32,
    /// When the run began, ISO 8601 UTC.
    #[serde(default)]
    pub created: String,
    /// When the run began, in microseconds since the Unix epoch: the origin of the times in the database.
    pub started_micros: i64,
    /// The status of the newest attempt.
    pub status: Status,
    /// When the newest attempt ended, ISO 8601 UTC; null while it is running.
    #[serde(default)]
    pub finished: Option<String>,
    /// The sinks, the primary sink first.
    pub sinks: Vec<String>,
    /// The distance between summary steps.
    pub summary_every: u64,
    /// The path of the journal; null if it is in memory.
    #[serde(default)]
    pub journal: Option<String>,
    /// Why the journal is not in the run's directory; absent if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_note: Option<String>,
    /// The host.
    #[serde(default)]
    pub host: Option<String>,
    /// The process id.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The configuration, such as hyperparameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Object>,
    /// The number of points dropped in all attempts.
    #[serde(default)]
    pub dropped: u64,
    /// The attempts, the oldest first: each is one session of one process.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// All other keys, such as `git`, `command_line`, `versions` and `tags`: those of the newest attempt.
    #[serde(flatten)]
    pub extra: Object,
}

/// One session of one process in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// How it ended.
    pub status: Status,
    /// When it began, ISO 8601 UTC.
    #[serde(default)]
    pub started: String,
    /// When it ended, ISO 8601 UTC; null while it is running.
    #[serde(default)]
    pub finished: Option<String>,
    /// The host.
    #[serde(default)]
    pub host: Option<String>,
    /// The process id.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The number of points it dropped.
    #[serde(default)]
    pub dropped: u64,
    /// Its own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Object>,
    /// All other keys: its own `command_line`, `versions` and `git`.
    #[serde(flatten)]
    pub extra: Object,
}

/// Facts that each attempt keeps for itself, beside its configuration.
const ATTEMPT_FACTS: [&str; 3] = ["command_line", "versions", "git"];

impl Manifest {
    /// The manifest of a run that begins now.
    pub(crate) fn new(id: u64, name: String, rank: u32, created: Timestamp) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            id: format!("{id:016x}"),
            name,
            rank,
            created: iso_8601(created),
            started_micros: created.micros(),
            status: Status::Running,
            finished: None,
            sinks: Vec::new(),
            summary_every: 1,
            journal: None,
            journal_note: None,
            host: None,
            pid: None,
            config: None,
            dropped: 0,
            attempts: Vec::new(),
            extra: Object::new(),
        }
    }

    /// Reads the manifest of a run.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] if there is none, [`Error::Damaged`] if it is not a valid manifest,
    /// [`Error::FormatVersion`] if a newer Holter wrote it.
    pub fn read(dir: &RunDir) -> Result<Self> {
        let path = dir.manifest();
        Self::parse(&path, &Self::read_text(dir)?)
    }

    /// Reads the text of a manifest without validating it.
    pub(crate) fn read_text(dir: &RunDir) -> Result<Vec<u8>> {
        let path = dir.manifest();
        read_bounded(&path, MAX_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NoRun(dir.path().to_owned()),
            io::ErrorKind::FileTooLarge => Error::damaged(&path, error.to_string()),
            _ => Error::io("read", &path)(error),
        })
    }

    /// Parses a manifest; `path` is for error messages.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] or [`Error::FormatVersion`].
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        /// The only key that manifests of all versions have.
        #[derive(Deserialize)]
        struct Version {
            format_version: Option<u64>,
        }
        let damaged = |error: serde_json::Error| Error::damaged(path, error.to_string());
        // First, since a newer format may have other keys.
        let version: Version = serde_json::from_slice(text).map_err(damaged)?;
        match version.format_version {
            None => return Err(Error::damaged(path, "it has no format version")),
            Some(found) if found > FORMAT_VERSION => {
                return Err(Error::FormatVersion { path: path.to_owned(), found, known: FORMAT_VERSION });
            }
            Some(_) => {}
        }
        serde_json::from_slice(text).map_err(damaged)
    }

    /// Replaces the manifest of a run.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self, dir: &RunDir) -> Result<()> {
        let path = dir.manifest();
        let temporary = dir.unfinished_manifest();
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::damaged(&path, error.to_string()))?;
        if text.len() as u64 >= MAX_BYTES {
            return Err(Error::InvalidConfig(format!(
                "a manifest must have at most {MAX_BYTES} bytes, got {}",
                text.len()
            )));
        }
        let write = || {
            let mut file = create_replacing(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(Error::io("write", &path))?;
        durable_dir::sync(dir.path())
    }

    /// Checks the sinks and the distance between summary steps.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] names the invalid one.
    pub(crate) fn check_sinks(&self, dir: &RunDir) -> Result<()> {
        if self.summary_every == 0 {
            return Err(Error::damaged(dir.manifest(), "summary_every is 0"));
        }
        check_sink_names(&self.sinks).map_err(|error| Error::damaged(dir.manifest(), error.to_string()))
    }

    /// When the run began.
    pub fn started(&self) -> Timestamp {
        Timestamp::from_micros(self.started_micros)
    }

    /// The path of the journal: in the run's directory, or a local file.
    ///
    /// The path in the manifest is used only if it has the file name of this run's journal, so that a crafted manifest
    /// cannot cause another file to be read or removed.
    pub fn journal_path(&self, dir: &RunDir) -> PathBuf {
        let expected = self.local_journal_name();
        let named = self.journal.as_deref().map(Path::new);
        let own = named.filter(|path| path.file_name().is_some_and(|name| name == expected.as_str()));
        own.map_or_else(|| dir.journal(), Path::to_owned)
    }

    /// As [`Manifest::journal_path`] for readers, which ignore a file of another user.
    pub(crate) fn readable_journal_path(&self, dir: &RunDir) -> PathBuf {
        let journal = self.journal_path(dir);
        if is_foreign(dir, &journal) { dir.journal() } else { journal }
    }

    /// The name of a journal outside the run's directory.
    pub(crate) fn local_journal_name(&self) -> String {
        format!("holter-{}-{}.journal.holter", self.id, self.rank)
    }

    /// Adds an attempt, with a copy of its own facts.
    pub(crate) fn begin_attempt(&mut self, facts: Facts, started: Timestamp, pid: u32) {
        let own = |key: &str| facts.extra.get(key).map(|value| (key.to_owned(), value.clone()));
        self.attempts.push(Attempt {
            status: Status::Running,
            started: iso_8601(started),
            finished: None,
            host: facts.host.clone(),
            pid: Some(pid),
            dropped: 0,
            config: facts.config.clone(),
            extra: ATTEMPT_FACTS.into_iter().filter_map(own).collect(),
        });
        self.status = Status::Running;
        self.finished = None;
        self.pid = Some(pid);
        self.host = facts.host.or(self.host.take());
        self.config = facts.config.or(self.config.take());
        self.extra.extend(facts.extra);
    }

    /// Adds to the configuration of the run and of its newest attempt.
    pub(crate) fn update_config(&mut self, config: &Object) {
        let newest = self.attempts.last_mut().map(|attempt| &mut attempt.config);
        for known in [Some(&mut self.config), newest].into_iter().flatten() {
            known.get_or_insert_default().extend(config.clone());
        }
    }

    /// Sets the status and the end of the newest attempt.
    pub(crate) fn end_attempt(&mut self, status: Status, at: Option<Timestamp>) {
        let finished = at.map(iso_8601);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = status;
            attempt.finished.clone_from(&finished);
        }
        self.status = status;
        self.finished = finished;
    }

    /// Sets the number of points that the newest attempt dropped, and adds them to the total.
    ///
    /// Adds only the difference to the known number, because a crash can happen between this call and the removal of the
    /// journal that the number is from.
    pub(crate) fn note_dropped(&mut self, dropped: u64) {
        let mut more = dropped;
        if let Some(attempt) = self.attempts.last_mut() {
            more = dropped.saturating_sub(attempt.dropped);
            attempt.dropped += more;
        }
        self.dropped += more;
    }
}

/// Whether the file at `journal` is outside the run's directory and belongs to neither the user of this process nor the
/// owner of the manifest, so that another user may have planted it.
pub(crate) fn is_foreign(dir: &RunDir, journal: &Path) -> bool {
    let owner = |path: &Path| fs::symlink_metadata(path).ok().map(|found| found.uid());
    let known = [Some(rustix::process::geteuid().as_raw()), owner(&dir.manifest())];
    journal != dir.journal() && owner(journal).is_some_and(|owner| !known.contains(&Some(owner)))
}
