//! One process's session of a run: opens or resumes it, records, closes.
//!
//! Opening recovers what an earlier session left, so that a crash needs no action of the user.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holter_journal::{Journal, Origin, Timestamp};

use crate::error::{Error, Result};
use crate::fs::is_remote;
use crate::record::alerts::feed::Alerts;
use crate::record::alerts::watcher::Watcher;
use crate::record::config::{Config, Resume};
use crate::record::health::{Health, Monitor};
use crate::record::recorder::Recorder;
use crate::record::start::Start;
use crate::record::target::Target;
use crate::record::writer::{Ending, Flusher, Outputs, Writer};
use crate::series_table::SeriesTable;
use crate::store::facts::{Facts, Object};
use crate::store::manifest::{Manifest, Status};
use crate::store::open::SinkOptions;
use crate::store::recover::{Purpose, Recovery, recover_locked};
use crate::store::run_dir::RunDir;
use crate::store::run_lock::RunLock;
use crate::store::schema::sink;
use crate::store::sinks::Sinks;

/// What to open.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// The run's directory; created when missing.
    pub path: PathBuf,
    /// The name that users know the run by; the directory's name if `None`.
    pub name: Option<String>,
    /// The process of a distributed run; all but 0 write to a directory of their own within `path`.
    pub rank: u32,
    /// Whether to resume an existing run.
    pub resume: Resume,
    /// The settings.
    pub config: Config,
    /// What else the manifest contains: config, tags, host, git, command line, versions.
    pub facts: Facts,
}

/// A run that this process writes to.
#[derive(Debug)]
pub struct Session {
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
    start: Start,
}

/// What is dropped when the session is closed.
#[derive(Debug)]
struct Open {
    writer: Writer,
    manifest: Manifest,
    lock: Arc<RunLock>,
}

impl Session {
    /// Opens a run and starts its writer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`], [`Error::RunExists`] or [`Error::NoRun`] as `resume` asks,
    /// [`Error::Locked`] if another process writes to the run, [`Error::FormatVersion`] if a newer
    /// Holter did, or whatever keeps its files from being opened.
    pub fn open(options: SessionOptions) -> Result<Self> {
        let SessionOptions { path, name, rank, resume, config, facts } = options;
        config.check()?;
        facts.check()?;
        let Target { root, dir, lock } = Target::acquire(&path, rank, resume)?;
        let lock = Arc::new(lock);
        let mut recovery = Recovery::default();
        let is_new = !dir.exists();
        let mut manifest = if is_new {
            let name = name.as_deref().map_or_else(|| name_of(&root), str::to_owned);
            Manifest::new(random_id()?, name, rank, Timestamp::now())
        } else {
            recovery = recover_locked(&dir, &lock, Purpose::Resume)?;
            Manifest::read(&dir)?
        };
        let start = Start::of(&path, &root, &manifest, &facts, is_new)?;
        if let Some(name) = name {
            manifest.name = name;
        }
        if !is_new {
            check_same_sinks(&dir, &manifest, &config)?;
        }
        manifest.sinks.clone_from(&config.sinks);
        manifest.summary_every = config.summary_every;
        let origin = Origin { id: random_id()?, started: Timestamp::now(), pid: std::process::id() };
        let (journal, journal_note) = create_journal(&dir, &manifest, &config, origin);
        manifest.begin_attempt(facts, origin.started, origin.pid);
        manifest.journal = journal.path().map(|path| path.to_string_lossy().into_owned());
        manifest.journal_note.clone_from(&journal_note);
        let alerts = Arc::new(Alerts::default());
        let begin = || {
            let sinks = open_sinks(&dir, &manifest, &config, &journal, is_new)?;
            start_writer(sinks, &dir, &config, &journal, &lock, &alerts)
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
            start,
        })
    }

    /// How the session began: what it resumed, and what differs from the previous attempt.
    pub fn start(&self) -> &Start {
        &self.start
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
    pub fn update_config(&self, config: &Object) -> Result<()> {
        let closed = || Error::RunClosed(self.dir.path().to_owned());
        if self.recorder.is_forked() {
            return Err(closed()); // The lock may be held by a thread that this process does not have.
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { manifest, .. } = open.as_mut().ok_or_else(closed)?;
        manifest.update_config(config);
        manifest.write(&self.dir)
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
    pub fn close(&self, status: Status) -> Result<()> {
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
        manifest.end_attempt(status, Some(Timestamp::now()));
        if ending == Ending::Complete {
            // Otherwise the journal keeps the count, for recovery.
            manifest.note_dropped(self.journal.dropped());
        }
        let noted = manifest.write(&self.dir);
        if ending == Ending::Incomplete {
            return Err(Error::FlushTimeout {
                waited_secs: since.elapsed().as_secs_f64(),
                pending: self.journal.appended() - self.journal.released(),
                last_error: self.health().last_error,
            });
        }
        noted?;
        Ok(self.journal.remove()?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.recorder.is_forked() {
            // The thread that the handle names is the parent's, and must not be touched here.
            let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(open.take());
            return;
        }
        // A logger that is let go of is a logger that is done; errors have nowhere to go, and what they
        // keep from being written stays in the journal.
        let _ = self.close(Status::Finished);
    }
}

/// Opens the sinks and writes the manifest.
///
/// In a new run the manifest comes first: without it, what is there would be taken for nothing, and the run be begun
/// again at another time. A run that is gone on with is opened first: one that is refused is left as it was.
fn open_sinks(dir: &RunDir, manifest: &Manifest, config: &Config, journal: &Journal, is_new: bool) -> Result<Sinks> {
    let options =
        SinkOptions { dir, manifest, journal_id: journal.id(), primary_rows_per_part: config.journal_capacity / 2 };
    if is_new {
        manifest.write(dir)?;
        options.open()
    } else {
        let sinks = options.open()?;
        manifest.write(dir)?;
        Ok(sinks)
    }
}

fn start_writer(
    sinks: Sinks,
    dir: &RunDir,
    config: &Config,
    journal: &Journal,
    lock: &Arc<RunLock>,
    alerts: &Arc<Alerts>,
) -> Result<(Writer, Recorder)> {
    let series = Arc::new(SeriesTable::default());
    let monitor = Arc::new(Monitor::new(sinks.names()));
    let has_rules = !config.alerts.is_empty();
    let watcher = has_rules.then(|| Watcher::new(config.alerts.clone(), dir.events(), Arc::clone(alerts)));
    let writer = Writer::start(journal, &series, &monitor, Outputs { sinks, watcher }, config, Arc::clone(lock))?;
    let recorder = Recorder::new(journal.clone(), series, monitor, config, writer.flusher().thread().clone());
    Ok((writer, recorder))
}

/// Creates the journal in the run's directory, in a local one, or in memory, and says why if it is
/// not the first.
fn create_journal(dir: &RunDir, manifest: &Manifest, config: &Config, origin: Origin) -> (Journal, Option<String>) {
    let capacity = config.journal_capacity;
    let reason = if is_remote(dir.path()) {
        format!("{} is on a network file system", dir.path().display())
    } else {
        match Journal::create(&dir.journal(), capacity, origin) {
            Ok(journal) => return (journal, None),
            Err(error) => error.to_string(),
        }
    };
    let local = config.local_dir.join(manifest.local_journal_name());
    match Journal::create(&local, capacity, origin) {
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

/// The sinks that keep every point cannot change: a new one would lack the points of before.
fn check_same_sinks(dir: &RunDir, manifest: &Manifest, config: &Config) -> Result<()> {
    let before = &manifest.sinks;
    for name in [sink::SQLITE, sink::PARQUET] {
        if before.iter().any(|sink| sink == name) != config.has_sink(name) {
            return Err(Error::InvalidConfig(format!(
                "{} was recorded with sinks {:?}; resuming it needs the same choice of {name:?}, got {:?}",
                dir.path().display(),
                before,
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
