//! One process's session of a run: opens or resumes it, records, closes.
//!
//! Opening recovers the points of a crashed session, so that a crash requires no action by the user.

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
    /// The run's name; the directory's name if `None`.
    pub name: Option<String>,
    /// The rank of this process in a distributed run; ranks above 0 write to their own directory inside `path`.
    pub rank: u32,
    /// Whether to resume an existing run.
    pub resume: Resume,
    /// The settings.
    pub config: Config,
    /// More content of the manifest: config, tags, host, git, command line, versions.
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

/// The parts that closing the session drops.
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
    /// [`Error::InvalidConfig`]; [`Error::RunExists`] or [`Error::NoRun`] according to `resume`; [`Error::Locked`] if another
    /// process writes to the run; [`Error::FormatVersion`] if a newer version of Holter wrote it; or the error of a file.
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
        let is_automatic = resume == Resume::Auto && !is_new;
        let start = Start { is_automatic, ..Start::of(&path, &root, &dir, &manifest, &facts, is_new)? };
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
        // An empty journal has nothing to recover.
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

    /// The recorder, which accepts points.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// The alerts raised by the rules of [`Config::alerts`].
    pub fn alerts(&self) -> &Arc<Alerts> {
        &self.alerts
    }

    /// The directory of this rank.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What was recovered from a crashed session.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Why the journal is not in the run's directory; `None` if it is.
    pub fn journal_note(&self) -> Option<&str> {
        self.journal_note.as_deref()
    }

    /// The counters of the session; also available after closing.
    pub fn health(&self) -> Health {
        self.recorder.health()
    }

    /// Waits until everything accepted before this call would survive a power loss.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if it does not in time; [`Error::RunClosed`].
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        if self.recorder.is_forked() {
            return Err(Error::RunClosed(self.dir.path().to_owned()));
        }
        // If the lock is held, a close is running, which also flushes.
        if self.open.try_lock().is_ok_and(|open| open.is_none()) {
            return Err(Error::RunClosed(self.dir.path().to_owned()));
        }
        self.flusher.flush(timeout)
    }

    /// Whether the writer is running.
    pub fn is_writing(&self) -> bool {
        !self.flusher.has_ended()
    }

    /// Adds to the config in the manifest, replacing existing keys.
    ///
    /// # Errors
    ///
    /// [`Error::RunClosed`]; [`Error::Damaged`] if the run's directory was deleted or replaced; [`Error::InvalidConfig`] if the
    /// manifest would be too large; [`Error::Io`] if the manifest cannot be written: it is then written with the next change, or when
    /// the session is closed.
    pub fn update_config(&self, config: &Object) -> Result<()> {
        let closed = || Error::RunClosed(self.dir.path().to_owned());
        if self.recorder.is_forked() {
            return Err(closed()); // The lock may be held by a thread that exists only in the parent.
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { manifest, lock, .. } = open.as_mut().ok_or_else(closed)?;
        lock.check_place()?;
        let mut changed = manifest.clone();
        changed.update_config(config);
        match changed.write(&self.dir) {
            // Not kept, because the manifest could never be written again.
            Err(error @ Error::InvalidConfig(_)) => Err(error),
            written => {
                *manifest = changed;
                written
            }
        }
    }

    /// Rejects further points, writes all accepted ones, and records how the attempt ended. Does nothing if the session is
    /// closed, or in a forked process.
    ///
    /// Points that cannot be written within the configured time stay in the journal, for the next session or a recovery.
    ///
    /// # Errors
    ///
    /// [`Error::FlushTimeout`] if points stayed in the journal, [`Error::Damaged`] if the run's directory was deleted or
    /// replaced; the session is closed nevertheless.
    pub fn close(&self, status: Status) -> Result<()> {
        if self.recorder.is_forked() {
            return Ok(()); // The writer, and any thread that holds a lock, exist only in the parent.
        }
        // Held to the end, so that a concurrent close returns only when the run is closed.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Open { writer, mut manifest, lock }) = open.take() else { return Ok(()) };
        let since = Instant::now();
        let ending = writer.close(self.config.close_timeout);
        self.alerts.end();
        lock.check_place()?;
        manifest.end_attempt(status, Some(Timestamp::now()));
        if ending == Ending::Complete {
            // Otherwise recovery takes the count from the journal.
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
            // The handle belongs to a thread of the parent, and must not be joined here.
            let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(open.take());
            return;
        }
        // Dropping a session closes it. Errors cannot be returned, and points that could not be written stay in the journal.
        let _ = self.close(Status::Finished);
    }
}

/// Opens the sinks and writes the manifest.
///
/// A new run gets its manifest first, because a directory without one is not a run. A resumed run is opened first, so that it
/// stays unchanged if opening fails.
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

/// Creates the journal in the run's directory, in a local directory, or in memory, and returns the reason if it is not the
/// first.
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
            (
                journal,
                Some(format!("{reason}; the journal is at {place}, so a crash must be recovered on this machine")),
            )
        }
        Err(error) => {
            let note = format!(
                "{reason}; {error}; the journal is in memory, so points that are not committed are lost if the process is killed"
            );
            (Journal::in_memory(capacity, origin.id, origin.started), Some(note))
        }
    }
}

/// The sinks that keep every point cannot change, because a new one would lack the earlier points.
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
