//! An open run, shared by a logger and its metrics: outcomes of their points, and the end of the run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use holter::SeriesId;
use holter::error::Error;
use holter::record::{self, Config, NoRoom, Outcome, Overflow, Recorder, Resume, SessionOptions, Start};
use holter::store::{Facts, Status};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::{to_py, warn};
use crate::feed::Feed;
use crate::names::Names;
use crate::values;

/// An open run, shared by a logger and its metrics. Without a session of the core (`HOLTER_MODE=disabled`) it discards
/// points.
pub(crate) struct Session {
    /// `None` if recording is disabled.
    core: Option<record::Session>,
    /// Delivers alerts to the webhook, from a Python thread; does not keep the session open.
    sender: Option<Py<PyAny>>,
    name: String,
    rank: u32,
    names: Names,
    has_warned_of_drops: AtomicBool,
    /// The step that `log(values)` without a step uses, unless the journal has a later one.
    next_step: AtomicI64,
}

impl Session {
    pub(crate) fn open(py: Python<'_>, settings: Settings<'_>) -> PyResult<Self> {
        let session = match settings.options(py)? {
            None => None,
            Some(options) => Some(py.detach(|| record::Session::open(options)).map_err(|error| to_py(py, &error))?),
        };
        if let Some(session) = &session {
            let notes = [session.journal_note(), session.recovery().damaged_journal.as_deref()];
            notes.into_iter().flatten().for_each(|note| warn(py, note));
            for note in start_notes(session) {
                warn(py, &note);
            }
        }
        let name = match &session {
            Some(session) => session.start().name.clone(),
            None => settings.name.unwrap_or_default(),
        };
        let sender = match (&session, &settings.webhook) {
            (Some(session), Some(webhook)) => Some(start_sender(webhook, session, &name, settings.rank)?),
            _ => None,
        };
        let last_step = session.as_ref().and_then(|session| session.start().last_step);
        Ok(Self {
            core: session,
            sender,
            name,
            rank: settings.rank,
            names: Names::new(py),
            has_warned_of_drops: AtomicBool::new(false),
            next_step: AtomicI64::new(last_step.map_or(0, |step| step.saturating_add(1))),
        })
    }

    pub(crate) fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.core.as_ref().map(record::Session::recorder)
    }

    #[inline]
    pub(crate) fn record(
        &self,
        py: Python<'_>,
        recorder: Option<&Arc<Recorder>>,
        series: SeriesId,
        step: i64,
        value: f64,
    ) -> PyResult<()> {
        let Some(recorder) = recorder else { return Ok(()) };
        match recorder.try_record(series, step, value) {
            Ok(Outcome::Accepted) => Ok(()),
            other => self.record_slowly(py, recorder, other, (series, step, value)),
        }
    }

    /// A separate function, so that its locals do not cost the hot path.
    #[cold]
    #[inline(never)]
    fn record_slowly(
        &self,
        py: Python<'_>,
        recorder: &Recorder,
        result: Result<Outcome, NoRoom>,
        (series, step, value): (SeriesId, i64, f64),
    ) -> PyResult<()> {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(NoRoom) => py.detach(|| recorder.record(series, step, value)),
        };
        self.conclude(py, outcome)
    }

    pub(crate) fn record_all(&self, py: Python<'_>, step: i64, entries: &[(SeriesId, f64)]) -> PyResult<()> {
        let Some(recorder) = self.recorder() else { return Ok(()) };
        if entries.len() <= recorder.max_at_once()
            && let Ok(outcome) = recorder.try_record_all(step, entries.len(), |i| entries[i])
        {
            return if outcome == Outcome::Accepted { Ok(()) } else { self.conclude(py, outcome) };
        }
        self.conclude(py, py.detach(|| recorder.record_all(step, entries)))
    }

    #[cold]
    pub(crate) fn conclude(&self, py: Python<'_>, outcome: Outcome) -> PyResult<()> {
        match outcome {
            Outcome::Accepted => {}
            Outcome::Dropped => {
                let health = self.recorder().map(|recorder| recorder.health()).unwrap_or_default();
                self.warn_of_drops(py, &health.last_error.unwrap_or_else(|| "the disk is too slow".to_owned()));
            }
            Outcome::Forked => return Err(forked(py)),
            Outcome::Closed => return Err(to_py(py, &Error::RunClosed(self.path()))),
        }
        Ok(())
    }

    fn warn_of_drops(&self, py: Python<'_>, reason: &str) {
        if !self.has_warned_of_drops.swap(true, Ordering::Relaxed) {
            warn(py, &format!("points are being dropped, and counted in logger.health.dropped: {reason}"));
        }
    }

    /// The step of a `log(values)` call: `step` if given, otherwise the one after the newest.
    pub(crate) fn next_step(&self, step: Option<i64>) -> i64 {
        let newest = self.recorder().and_then(|recorder| recorder.newest_step());
        let after = |step: i64| step.saturating_add(1);
        let known = self.next_step.load(Ordering::Relaxed).max(newest.map_or(i64::MIN, after));
        step.unwrap_or(known)
    }

    /// Makes the next `log(values)` without a step follow this one.
    pub(crate) fn note_step(&self, step: i64) {
        self.next_step.fetch_max(step.saturating_add(1), Ordering::Relaxed);
    }

    /// The series of a name, or `None` if it cannot be recorded; the point is then counted as dropped.
    #[inline]
    pub(crate) fn series(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<SeriesId>> {
        match self.names.by_identity(name) {
            Some(series) => Ok(Some(series)),
            None => self.series_slowly(name),
        }
    }

    /// The series of a known name, found without running Python code.
    #[inline]
    pub(crate) fn known_series(&self, name: &Bound<'_, PyAny>) -> Option<SeriesId> {
        self.names.by_identity(name).or_else(|| {
            // A subclass of str may define its own hash and equality.
            name.cast_exact::<PyString>().ok()?;
            self.names.by_content(name).ok().flatten()
        })
    }

    fn series_slowly(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<SeriesId>> {
        let Ok(text) = name.cast::<PyString>() else { return Err(values::name_type_error(name)) };
        if let Some(series) = self.names.by_content(name)? {
            return Ok(Some(series));
        }
        let py = name.py();
        let text = text.to_str().map_err(|_| values::name_unicode_error(name))?;
        holter::series_table::check_name(text).map_err(|error| to_py(py, &error))?;
        let Some(recorder) = self.recorder() else { return Ok(None) };
        if recorder.is_forked() {
            // The parent's table of names may be locked by a thread that does not exist in this process.
            return Err(forked(py));
        }
        match recorder.series(text) {
            Ok(series) => {
                self.names.insert(name, series)?;
                Ok(Some(series))
            }
            Err(error @ Error::Io { .. }) => {
                recorder.count_dropped(1);
                self.warn_of_drops(py, &error.to_string());
                Ok(None)
            }
            Err(error) => Err(to_py(py, &error)),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.core.as_ref().map(|session| session.path().to_owned()).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn rank(&self) -> u32 {
        self.rank
    }

    /// Delivery statistics of the webhook; `None` without one.
    pub(crate) fn delivery<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.sender.as_ref().map(|sender| sender.bind(py).getattr("delivery")).transpose()
    }

    pub(crate) fn update_config(&self, py: Python<'_>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = py.import("holter._facts")?.getattr("config_json")?.call1((config,))?;
        let text = match &self.sender {
            Some(sender) => sender.bind(py).call_method1("redacted", (text,))?,
            None => text,
        };
        let config = holter::store::facts::parse_object(text.extract()?).map_err(|error| to_py(py, &error))?;
        let Some(session) = &self.core else { return Ok(()) };
        if session.recorder().is_forked() {
            return self.conclude(py, Outcome::Forked);
        }
        match py.detach(|| session.update_config(&config)) {
            Err(error @ Error::Io { .. }) => {
                warn(
                    py,
                    &format!(
                        "the config could not be written yet, and is written again when the run is closed: {error}"
                    ),
                );
                Ok(())
            }
            result => result.map_err(|error| to_py(py, &error)),
        }
    }

    pub(crate) fn should_stop(&self) -> bool {
        self.core.as_ref().is_some_and(|session| session.alerts().should_stop())
    }

    pub(crate) fn alert_lines(&self) -> Vec<String> {
        let session = self.core.as_ref();
        // In a forked child, the list may be locked by a thread that exists only in the parent.
        let session = session.filter(|session| !session.recorder().is_forked());
        session.map(|session| session.alerts().recent()).unwrap_or_default()
    }

    /// How the session began; `None` if recording is disabled.
    pub(crate) fn start(&self) -> Option<&Start> {
        self.core.as_ref().map(record::Session::start)
    }

    pub(crate) fn recovered(&self) -> u64 {
        self.core.as_ref().map_or(0, |session| session.recovery().recovered)
    }

    pub(crate) fn flush(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<()> {
        const SIGNAL_INTERVAL: Duration = Duration::from_millis(200);
        let Some(session) = &self.core else { return Ok(()) };
        let since = Instant::now();
        loop {
            // In short waits, so that Ctrl-C is handled.
            let left = timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
            let piece = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
            match py.detach(|| session.flush(Some(piece))) {
                Err(Error::FlushTimeout { .. }) if left != Some(piece) && session.is_writing() => py.check_signals()?,
                Err(Error::FlushTimeout { pending, last_error, .. }) => {
                    let waited_secs = since.elapsed().as_secs_f64();
                    return Err(to_py(py, &Error::FlushTimeout { waited_secs, pending, last_error }));
                }
                result => return result.map_err(|error| to_py(py, &error)),
            }
        }
    }

    pub(crate) fn close(&self, py: Python<'_>, status: &str) -> PyResult<()> {
        let status = Status::from_name(status)
            .filter(|status| CLOSING.contains(status))
            .ok_or_else(|| not_among("status", &CLOSING.map(Status::as_str), status))?;
        let Some(session) = &self.core else { return Ok(()) };
        let closed = py.detach(|| session.close(status)).map_err(|error| to_py(py, &error));
        // The writer has evaluated the last alert by now.
        let sent = self.sender.as_ref().map(|sender| sender.bind(py).call_method0("close"));
        closed.and(sent.transpose().map(drop))
    }

    /// The error for a prepared metric if a full disk has no room for its name.
    pub(crate) fn no_room_for(&self, name: &Bound<'_, PyAny>) -> PyErr {
        let reason = format!("there is no room for the name {}", values::shown(name));
        to_py(name.py(), &Error::damaged(self.path(), reason))
    }
}

/// The statuses that a run can be closed with.
const CLOSING: [Status; 4] = [Status::Finished, Status::Failed, Status::Interrupted, Status::Stopped];

/// What the user should know about how the session began.
fn start_notes(session: &record::Session) -> Vec<String> {
    let (start, here) = (session.start(), session.path().display());
    let mut notes = Vec::new();
    if let Some(completed) = &start.completed {
        let completed = completed.display();
        notes.push(format!(
            "{completed} is complete, so this run records to {here}; pass resume=\"allow\" to extend it"
        ));
    }
    if let (true, Some(status)) = (start.is_automatic, start.resumed) {
        let status = status.as_str();
        let step = start.last_step.map_or_else(String::new, |step| format!(", after step {step}"));
        notes.push(format!(
            "resuming {here} ({status}{step}); steps that are logged again are replaced. To start a new run, choose another path"
        ));
    }
    if !start.config_changes.is_empty() {
        let changes = start.config_changes.join("; ");
        notes.push(format!("resuming {here} with a different config: {changes}"));
    }
    notes
}

fn forked(py: Python<'_>) -> PyErr {
    to_py(py, &Error::Forked)
}

fn start_sender(webhook: &Bound<'_, PyAny>, session: &record::Session, name: &str, rank: u32) -> PyResult<Py<PyAny>> {
    let py = webhook.py();
    let feed = Feed::new(session.alerts());
    let start = py.import("holter.alerts._sender")?.getattr("start")?;
    Ok(start.call1((webhook, feed, name, rank))?.unbind())
}

/// The sessions that may still be open when the program ends.
static OPEN: Mutex<Vec<Weak<Session>>> = Mutex::new(Vec::new());

/// Registers a session to be closed when the program ends.
pub(crate) fn close_at_exit(session: &Arc<Session>) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|session| session.strong_count() > 0);
    open.push(Arc::downgrade(session));
}

/// Close every open logger, then raise the first error.
#[pyfunction]
pub(crate) fn close_all(py: Python<'_>, status: &str) -> PyResult<()> {
    let sessions = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    let results: Vec<PyResult<()>> =
        sessions.iter().filter_map(Weak::upgrade).map(|session| session.close(py, status)).collect();
    results.into_iter().collect()
}

/// What `holter._logger.read_settings` returns.
#[derive(FromPyObject)]
pub(crate) struct Settings<'py> {
    path: PathBuf,
    name: Option<String>,
    rank: u32,
    resume: Bound<'py, PyString>,
    overflow: Bound<'py, PyString>,
    sinks: Vec<String>,
    summary_every: u64,
    journal_points: usize,
    alerts: String,
    webhook: Option<Bound<'py, PyAny>>,
    facts: String,
    is_enabled: bool,
}

impl Settings<'_> {
    /// The settings as the core's types; `None` if recording is disabled.
    fn options(&self, py: Python<'_>) -> PyResult<Option<SessionOptions>> {
        let resume = match self.resume.to_str()? {
            "auto" => Resume::Auto,
            "never" => Resume::Never,
            "allow" => Resume::Allow,
            "must" => Resume::Must,
            other => return Err(not_among("resume", &["auto", "never", "allow", "must"], other)),
        };
        let overflow = match self.overflow.to_str()? {
            "block" => Overflow::Block,
            "drop" => Overflow::Drop,
            other => return Err(not_among("overflow", &["block", "drop"], other)),
        };
        let config = Config {
            overflow,
            sinks: self.sinks.clone(),
            summary_every: self.summary_every,
            journal_capacity: self.journal_points,
            alerts: record::alerts::parse_rules(&self.alerts).map_err(|error| to_py(py, &error))?,
            ..Config::default()
        };
        config.check().map_err(|error| to_py(py, &error))?;
        let facts = Facts::parse(&self.facts).map_err(|error| to_py(py, &error))?;
        Ok(self.is_enabled.then(|| SessionOptions {
            path: self.path.clone(),
            name: self.name.clone(),
            rank: self.rank,
            resume,
            config,
            facts,
        }))
    }
}

fn not_among(setting: &str, words: &[&str], found: &str) -> PyErr {
    PyValueError::new_err(format!("{setting} must be one of {words:?}, got {found:?}"))
}
