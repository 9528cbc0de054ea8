//! One process's stretch of a run: opens or goes on with it, records, closes.
//!
//! Opening recovers what an earlier attempt left, so that a crash needs no care of the user's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::alert::said::Alerts;
use crate::alert::watch::Watcher;
use crate::config::{Config, Resume};
use crate::error::{Error, Result};
use crate::files;
use crate::folder;
use crate::health::{Health, Monitor};
use crate::journal::{self, Journal, Origin};
use crate::point::Timestamp;
use crate::recorder::Recorder;
use crate::recover::{self, Facts, Purpose, Recovery};
use crate::run_dir::{self, RunDir, RunLock};
use crate::schema::{file, manifest, sink};
use crate::series::SeriesTable;
use crate::sink::open::SinkOptions;
use crate::writer::{Ending, Flusher, Sinks, Writer};

/// What to open.
#[derive(Clone, Debug, Default)]
pub struct AttemptOptions {
    /// The run's directory; created when missing.
    pub path: PathBuf,
    /// The name that users know the run by; the directory's name if `None`.
    pub name: Option<String>,
    /// The process of a distributed run; all but 0 write to a directory of their own within `path`.
    pub rank: u32,
    /// Whether an existing run is gone on with.
    pub resume: Resume,
    /// The settings.
    pub config: Config,
    /// What else the manifest shall say: config, tags, host, git, command line, versions.
    pub facts: Map<String, Value>,
}

/// A run that this process writes to.
#[derive(Debug)]
pub struct Attempt {
    dir: RunDir,
    recorder: Arc<Recorder>,
    alerts: Arc<Alerts>,
    journal: Journal,
    flusher: Flusher,
    /// `None` once closed.
    open: Mutex<Option<Open>>,
    config: Config,
    recovery: Recovery,
    journal_note: Option<String>,
}

/// What goes when the attempt is closed.
#[derive(Debug)]
struct Open {
    writer: Writer,
    manifest: Map<String, Value>,
    lock: Arc<RunLock>,
}

impl Attempt {
    /// Opens a run and starts its writer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`], [`Error::RunExists`] or [`Error::NoRun`] as `resume` asks,
    /// [`Error::Locked`] if another process writes to the run, [`Error::FormatVersion`] if a newer
    /// Holter did, or whatever keeps its files from being opened.
    pub fn open(options: AttemptOptions) -> Result<Self> {
        let AttemptOptions { path, name, rank, resume, config, facts } = options;
        config.check()?;
        let root = RunDir::new(&path);
        let dir = if rank == 0 { root.clone() } else { RunDir::new(path.join(file::rank_dir(rank))) };
        let check_resume = || match resume {
            Resume::Never if dir.exists() => Err(Error::RunExists(dir.path().to_owned())),
            Resume::Must if !dir.exists() => Err(Error::NoRun(dir.path().to_owned())),
            _ => Ok(()),
        };
        check_resume()?;
        if rank > 0 {
            files::refuse_link(dir.path())?;
        }
        folder::create(dir.path())?;
        let lock = Arc::new(dir.lock()?);
        // Again, now that nobody else can begin the run.
        check_resume()?;
        let mut recovery = Recovery::default();
        let is_new = !dir.exists();
        let mut manifest = if is_new {
            let name = name.as_deref().map_or_else(|| name_of(root.path()), str::to_owned);
            run_dir::new_manifest(random_id()?, &name, rank, Timestamp::now())
        } else {
            recovery = recover::recover_locked(&dir, &config, &lock, Purpose::Resume)?;
            dir.read_manifest()?
        };
        if let Some(name) = name {
            manifest.insert(manifest::NAME.to_owned(), name.into());
        }
        check_same_sinks(&dir, &manifest, &config)?;
        manifest.insert(manifest::SINKS.to_owned(), config.sinks.clone().into());
        manifest.insert(manifest::SUMMARY_EVERY.to_owned(), config.summary_every.into());
        let origin = Origin { id: random_id()?, started: Timestamp::now(), pid: std::process::id() };
        let (journal, journal_note) = create_journal(&dir, &manifest, &config, origin);
        begin_attempt(&mut manifest, facts, &journal, journal_note.as_deref(), origin);
        let alerts = Arc::new(Alerts::default());
        let begin = || {
            let sinks = open_sinks(&dir, &manifest, &config, &journal, is_new)?;
            start(sinks, &dir, &config, &journal, &lock, &alerts)
        };
        // A journal that nothing was logged into is nothing to recover.
        let (writer, recorder) = begin().inspect_err(|_| drop(journal.remove()))?;
        Ok(Self {
            dir,
            recorder: Arc::new(recorder),
            alerts,
            journal,
            flusher: writer.flusher().clone(),
            open: Mutex::new(Some(Open { writer, manifest, lock })),
            config,
            recovery,
            journal_note,
        })
    }

    /// Takes points.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// What the rules of [`Config::alerts`] have said.
    pub fn alerts(&self) -> &Arc<Alerts> {
        &self.alerts
    }

    /// The directory that this process writes to.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What was recovered from an earlier attempt.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Why the journal does not lie in the run's directory, if it does not.
    pub fn journal_note(&self) -> Option<&str> {
        self.journal_note.as_deref()
    }

    /// What happened to the points so far; also after closing.
    pub fn health(&self) -> Health {
        self.recorder.health()
    }

    /// Waits until everything accepted before this call survives a loss of power.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if it does not in time; [`Error::RunClosed`].
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        if self.recorder.is_forked() {
            return Err(Error::RunClosed(self.dir.path().to_owned()));
        }
        // A lock that is held is held by a close under way, which flushes too.
        if self.open.try_lock().is_ok_and(|open| open.is_none()) {
            return Err(Error::RunClosed(self.dir.path().to_owned()));
        }
        self.flusher.flush(timeout)
    }

    /// Whether the writer is still there to write what was accepted.
    pub fn is_writing(&self) -> bool {
        !self.flusher.is_over()
    }

    /// Adds to the configuration in the manifest; a key that is there already gets the new value.
    ///
    /// # Errors
    ///
    /// [`Error::RunClosed`]; [`Error::Io`] if the disk refuses the manifest: it is then written with the next
    /// change, or when the attempt is closed.
    pub fn update_config(&self, config: Map<String, Value>) -> Result<()> {
        let closed = || Error::RunClosed(self.dir.path().to_owned());
        if self.recorder.is_forked() {
            return Err(closed()); // The lock may be held by a thread that this process does not have.
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { manifest, .. } = open.as_mut().ok_or_else(closed)?;
        match manifest.get_mut(manifest::CONFIG) {
            Some(Value::Object(known)) => known.extend(config),
            _ => drop(manifest.insert(manifest::CONFIG.to_owned(), config.into())),
        }
        self.dir.write_manifest(manifest)
    }

    /// Refuses further points, writes what is there, and notes how the attempt ended. Does nothing if
    /// it is closed already, or in a forked child.
    ///
    /// What a refusing disk keeps from being written within the configured time stays in the journal,
    /// from where the next attempt or a recovery takes it.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if something stayed in the journal, [`Error::Damaged`] if the run's folder was deleted or
    /// replaced; the run is closed all the same.
    pub fn close(&self, status: &str) -> Result<()> {
        if self.recorder.is_forked() {
            return Ok(()); // The writer is a thread of the parent, and a lock may be held by another.
        }
        // Held to the end, so that whoever closes at the same time returns when the run is closed.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Open { writer, mut manifest, lock }) = open.take() else { return Ok(()) };
        let since = Instant::now();
        let ending = writer.close(self.config.close_timeout);
        self.alerts.end();
        lock.check_place()?;
        recover::end_attempt(&mut manifest, status, Some(Timestamp::now()));
        if ending == Ending::Complete {
            // Otherwise the journal keeps the count, for recovery.
            recover::note_dropped(&mut manifest, self.journal.dropped());
        }
        let noted = self.dir.write_manifest(&manifest);
        if ending == Ending::Incomplete {
            return Err(Error::FlushTimeout {
                waited_secs: since.elapsed().as_secs_f64(),
                pending: self.journal.appended() - self.journal.released(),
                last_error: self.health().last_error,
            });
        }
        noted?;
        self.journal.remove()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.recorder.is_forked() {
            // The thread that the handle names is the parent's, and must not be touched here.
            let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(open.take());
            return;
        }
        // A logger that is let go of is a logger that is done; errors have nowhere to go, and what they
        // keep from being written stays in the journal.
        let _ = self.close(crate::schema::manifest::status::FINISHED);
    }
}

/// Opens the sinks and writes the manifest.
///
/// In a new run the manifest comes first: without it, what is there would be taken for nothing, and the run be begun
/// again at another time. A run that is gone on with is opened first: one that is refused is left as it was.
fn open_sinks(
    dir: &RunDir,
    manifest: &Map<String, Value>,
    config: &Config,
    journal: &Journal,
    is_new: bool,
) -> Result<Sinks> {
    let facts = Facts::read(dir, manifest)?;
    let options = SinkOptions {
        dir,
        names: &facts.sinks,
        run_name: &facts.name,
        rank: facts.rank,
        started: facts.started,
        summary_every: facts.summary_every,
        journal_id: journal.id(),
        journal_capacity: config.journal_capacity,
    };
    if is_new {
        dir.write_manifest(manifest)?;
        options.open()
    } else {
        let sinks = options.open()?;
        dir.write_manifest(manifest)?;
        Ok(sinks)
    }
}

fn start(
    mut sinks: Sinks,
    dir: &RunDir,
    config: &Config,
    journal: &Journal,
    lock: &Arc<RunLock>,
    alerts: &Arc<Alerts>,
) -> Result<(Writer, Recorder)> {
    let series = Arc::new(SeriesTable::default());
    let monitor = Arc::new(Monitor::new(sinks.names()));
    if !config.alerts.is_empty() {
        sinks.watcher = Some(Watcher::new(config.alerts.clone(), dir.events(), Arc::clone(alerts)));
    }
    let writer = Writer::start(journal, &series, &monitor, sinks, config, Arc::clone(lock))?;
    let recorder = Recorder::new(journal.clone(), series, monitor, config, writer.flusher().thread().clone());
    Ok((writer, recorder))
}

/// Creates the journal in the run's directory, in a local one, or in memory, and says why if it is
/// not the first.
fn create_journal(
    dir: &RunDir,
    manifest: &Map<String, Value>,
    config: &Config,
    origin: Origin,
) -> (Journal, Option<String>) {
    let capacity = config.journal_capacity;
    let reason = if dir.is_remote() {
        format!("{} is on a network file system", dir.path().display())
    } else {
        match journal::create(&dir.journal(), capacity, origin) {
            Ok(journal) => return (journal, None),
            Err(error) => error.to_string(),
        }
    };
    let id = manifest.get(manifest::ID).and_then(Value::as_str).unwrap_or_default();
    let rank = manifest.get(manifest::RANK).and_then(Value::as_u64).unwrap_or(0);
    let local = config.local_dir.join(run_dir::local_journal_name(id, rank));
    match journal::create(&local, capacity, origin) {
        Ok(journal) => {
            let place = local.display();
            (journal, Some(format!("{reason}; the journal is at {place}, and a crash is recovered on this machine")))
        }
        Err(error) => {
            let note =
                format!("{reason}; {error}; the journal is in memory: a killed process loses what is not committed");
            (Journal::in_memory(capacity, origin.id, origin.started), Some(note))
        }
    }
}

fn begin_attempt(
    manifest: &mut Map<String, Value>,
    facts: Map<String, Value>,
    journal: &Journal,
    journal_note: Option<&str>,
    origin: Origin,
) {
    manifest.extend(facts);
    manifest.insert(manifest::STATUS.to_owned(), manifest::status::RUNNING.into());
    manifest.insert(manifest::FINISHED.to_owned(), Value::Null);
    let place = journal.path().map_or(Value::Null, |path| path.to_string_lossy().into());
    manifest.insert(manifest::JOURNAL.to_owned(), place);
    manifest.remove(manifest::JOURNAL_NOTE);
    if let Some(note) = journal_note {
        manifest.insert(manifest::JOURNAL_NOTE.to_owned(), note.into());
    }
    manifest.insert(manifest::PID.to_owned(), origin.pid.into());
    let mut attempt = Map::new();
    attempt.insert(manifest::STATUS.to_owned(), manifest::status::RUNNING.into());
    attempt.insert("started".to_owned(), origin.started.to_string().into());
    attempt.insert(manifest::FINISHED.to_owned(), Value::Null);
    for key in [manifest::HOST, manifest::PID] {
        attempt.insert(key.to_owned(), manifest.get(key).cloned().unwrap_or_default());
    }
    match manifest.get_mut(manifest::ATTEMPTS) {
        Some(Value::Array(attempts)) => attempts.push(attempt.into()),
        _ => {
            manifest.insert(manifest::ATTEMPTS.to_owned(), vec![Value::from(attempt)].into());
        }
    }
}

/// The sinks that keep every point cannot change: a new one would lack the points of before.
fn check_same_sinks(dir: &RunDir, manifest: &Map<String, Value>, config: &Config) -> Result<()> {
    let Some(Value::Array(before)) = manifest.get(manifest::SINKS) else { return Ok(()) };
    for name in [sink::SQLITE, sink::PARQUET] {
        if before.iter().any(|sink| sink == name) != config.has_sink(name) {
            return Err(Error::InvalidConfig(format!(
                "{} was recorded with sinks {}; going on with it needs the same choice about {name:?}, got {:?}",
                dir.path().display(),
                Value::Array(before.clone()),
                config.sinks
            )));
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn random_id() -> Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Error::io("read", "the system's random numbers")(error.into()))?;
    Ok(u64::from_le_bytes(bytes))
}
