//! The class that `holter.Logger` extends: the hot path from Python to the recorder.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holter::attempt::{Attempt, AttemptOptions};
use holter::config::{Config, Overflow, Resume};
use holter::error::Error;
use holter::point::SeriesId;
use holter::recorder::{NoRoom, Outcome, Recorder};
use holter::run_dir::RunDir;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::error::{to_py, warn};
use crate::health::Health;
use crate::metrics::{Metric, Metrics};
use crate::names::Names;
use crate::values::{self, Buffer};

thread_local! {
    /// The entries of one `log_many`, kept so that a call allocates nothing.
    static ENTRIES: RefCell<Vec<(SeriesId, f64)>> = const { RefCell::new(Vec::new()) };
}

/// An open run, shared by a logger and its metrics. Without an attempt it takes points and forgets them.
pub(crate) struct Session {
    attempt: Option<Attempt>,
    /// The attempt's recorder, within one step's reach of the hot path.
    recorder: Option<Arc<Recorder>>,
    names: Names,
    has_warned_of_drops: AtomicBool,
    has_warned_of_fork: AtomicBool,
}

impl Session {
    fn new(py: Python<'_>, attempt: Option<Attempt>) -> Self {
        Self {
            recorder: attempt.as_ref().map(|attempt| Arc::clone(attempt.recorder())),
            attempt,
            names: Names::new(py),
            has_warned_of_drops: AtomicBool::new(false),
            has_warned_of_fork: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(crate) fn record(&self, py: Python<'_>, series: SeriesId, step: i64, value: f64) -> PyResult<()> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        match recorder.try_record(series, step, value) {
            Ok(Outcome::Taken) => Ok(()),
            Ok(outcome) => self.conclude(py, outcome),
            Err(NoRoom) => self.conclude(py, py.detach(|| recorder.record(series, step, value))),
        }
    }

    fn record_all(&self, py: Python<'_>, step: i64, entries: &[(SeriesId, f64)]) -> PyResult<()> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        if entries.len() <= recorder.max_at_once()
            && let Ok(outcome) = recorder.try_record_all(step, entries.len(), |i| entries[i])
        {
            return if outcome == Outcome::Taken { Ok(()) } else { self.conclude(py, outcome) };
        }
        self.conclude(py, py.detach(|| recorder.record_all(step, entries)))
    }

    #[cold]
    fn conclude(&self, py: Python<'_>, outcome: Outcome) -> PyResult<()> {
        match outcome {
            Outcome::Taken => {}
            Outcome::Dropped => {
                if !self.has_warned_of_drops.swap(true, Ordering::Relaxed) {
                    let health = self.recorder.as_ref().map(|recorder| recorder.health()).unwrap_or_default();
                    let reason = health.last_error.unwrap_or_else(|| "the disk is too slow".to_owned());
                    warn(py, &format!("holter drops points and counts them in logger.health.dropped: {reason}"));
                }
            }
            Outcome::Forked => {
                if !self.has_warned_of_fork.swap(true, Ordering::Relaxed) {
                    warn(py, "this process was forked from the one that records: what it logs is not recorded");
                }
            }
            Outcome::Closed => return Err(to_py(py, &Error::RunClosed(self.path()))),
        }
        Ok(())
    }

    /// The series of a name, or `None` where it cannot be recorded, for which the point is counted.
    #[inline]
    fn series(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<SeriesId>> {
        match self.names.by_identity(name) {
            Some(series) => Ok(Some(series)),
            None => self.series_slowly(name),
        }
    }

    fn series_slowly(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<SeriesId>> {
        let Ok(text) = name.cast::<PyString>() else { return Err(values::not_a_name(name)) };
        if let Some(series) = self.names.by_content(name)? {
            return Ok(Some(series));
        }
        let py = name.py();
        let text = text.to_str().map_err(|_| values::not_unicode(name))?;
        holter::series::check_name(text).map_err(|error| to_py(py, &error))?;
        let Some(recorder) = &self.recorder else { return Ok(None) };
        if recorder.is_forked() {
            // The parent's table of names may be locked by a thread that this process does not have.
            self.conclude(py, Outcome::Forked)?;
            return Ok(None);
        }
        match recorder.series(text) {
            Ok(series) => {
                self.names.insert(name, series)?;
                Ok(Some(series))
            }
            Err(error @ Error::Io { .. }) => {
                recorder.count_dropped(1);
                if !self.has_warned_of_drops.swap(true, Ordering::Relaxed) {
                    warn(py, &format!("holter drops points and counts them in logger.health.dropped: {error}"));
                }
                Ok(None)
            }
            Err(error) => Err(to_py(py, &error)),
        }
    }

    fn path(&self) -> PathBuf {
        self.attempt.as_ref().map(|attempt| attempt.path().to_owned()).unwrap_or_default()
    }
}

/// Records a run. `holter.Logger` extends this class.
#[pyclass(frozen, subclass, weakref, module = "holter._core")]
pub(crate) struct Logger {
    session: Arc<Session>,
}

#[pymethods]
impl Logger {
    #[new]
    #[pyo3(signature = (path, *, name, rank, resume, overflow, sinks, summary_every, journal_points, facts, is_enabled))]
    #[expect(clippy::too_many_arguments, reason = "the Python layer passes each setting by name")]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        name: Option<String>,
        rank: u32,
        resume: &str,
        overflow: &str,
        sinks: Vec<String>,
        summary_every: u64,
        journal_points: usize,
        facts: &str,
        is_enabled: bool,
    ) -> PyResult<Self> {
        if !is_enabled {
            return Ok(Self { session: Arc::new(Session::new(py, None)) });
        }
        let options = AttemptOptions {
            path,
            name,
            rank,
            resume: match resume {
                "never" => Resume::Never,
                "allow" => Resume::Allow,
                "must" => Resume::Must,
                other => return Err(not_among("resume", &["never", "allow", "must"], other)),
            },
            config: Config {
                overflow: match overflow {
                    "block" => Overflow::Block,
                    "drop" => Overflow::Drop,
                    other => return Err(not_among("overflow", &["block", "drop"], other)),
                },
                sinks,
                summary_every,
                journal_capacity: journal_points,
                ..Config::default()
            },
            facts: holter::run_dir::parse_facts(facts).map_err(|error| to_py(py, &error))?,
        };
        let attempt = py.detach(|| Attempt::open(options)).map_err(|error| to_py(py, &error))?;
        if let Some(note) = attempt.journal_note() {
            warn(py, note);
        }
        Ok(Self { session: Arc::new(Session::new(py, Some(attempt))) })
    }

    /// Record one point. Does no I/O, never waits for a GPU, and never fails because of the disk.
    ///
    /// Args:
    ///     step: The x-axis: any integer within 64 bits. A step logged again replaces the value.
    ///     name: The series: any text without NUL, up to 65,535 bytes of UTF-8.
    ///     value: One number: float, int, bool, a numpy scalar or a 0-d CPU tensor. NaN and infinities are kept.
    ///
    /// Raises:
    ///     TypeError: If an argument is of the wrong type.
    ///     ValueError: If an argument is out of its range.
    ///     RunClosedError: If the run has been closed.
    #[pyo3(signature = (step, name, value))]
    fn log(
        &self,
        py: Python<'_>,
        step: &Bound<'_, PyAny>,
        name: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let step = values::step(step)?;
        let Some(series) = self.session.series(name)? else { return values::value(value).map(|_| ()) };
        self.session.record(py, series, step, values::value(value)?)
    }

    /// Record many points of one step in one call.
    ///
    /// Args:
    ///     step: As in `log`.
    ///     values: The values by name. Either all of them are recorded or, after an error, none.
    ///
    /// Raises:
    ///     TypeError, ValueError, RunClosedError: As in `log`.
    #[pyo3(signature = (step, values))]
    fn log_many(&self, py: Python<'_>, step: &Bound<'_, PyAny>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let step = values::step(step)?;
        let copy;
        let values = if let Ok(values) = values.cast::<PyDict>() {
            values
        } else {
            copy = py.get_type::<PyDict>().call1((values,)).map_err(|_| {
                PyTypeError::new_err(format!("values must map names to numbers, got {}", values.get_type()))
            })?;
            copy.cast::<PyDict>()?
        };
        ENTRIES.with(|entries| {
            // A value's own conversion may call us again on this thread; it then gets entries of its own.
            let mut entries = entries.try_borrow_mut().map_or_else(|_| Vec::new(), |mut kept| std::mem::take(&mut *kept));
            entries.clear();
            let result = self.fill(values, &mut entries).and_then(|()| self.session.record_all(py, step, &entries));
            ENTRIES.with(|kept| kept.replace(entries));
            result
        })
    }

    /// Record one point for each of many metrics, from one buffer.
    ///
    /// Args:
    ///     step: As in `log`.
    ///     metrics: What `metrics()` returned, or names, which are then looked up at each call.
    ///     values: A one-dimensional buffer of float32 or float64 as long as `metrics`: a numpy array,
    ///         an `array.array`, a CPU tensor.
    ///
    /// Raises:
    ///     TypeError, ValueError, RunClosedError: As in `log`, or if the lengths differ.
    #[pyo3(signature = (step, metrics, values))]
    fn log_array(
        &self,
        py: Python<'_>,
        step: &Bound<'_, PyAny>,
        metrics: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let step = values::step(step)?;
        let resolved;
        let metrics = match metrics.cast::<Metrics>() {
            Ok(metrics) => metrics.get(),
            Err(_) => {
                resolved = self.metrics(py, metrics)?;
                &resolved
            }
        };
        if !Arc::ptr_eq(&metrics.session, &self.session) {
            return Err(PyValueError::new_err("these metrics were prepared by another logger"));
        }
        let buffer = Buffer::read(values)?;
        if buffer.len() != metrics.series.len() && self.session.recorder.is_some() {
            return Err(PyValueError::new_err(format!(
                "values must be as many as metrics: {} metrics, {} values",
                metrics.series.len(),
                buffer.len()
            )));
        }
        let Some(recorder) = &self.session.recorder else { return Ok(()) };
        let series = &metrics.series;
        let len = series.len();
        let taken = match &buffer {
            _ if len > recorder.max_at_once() => Err(NoRoom),
            Buffer::Float32(bytes) => {
                let items = bytes.as_bytes().as_chunks::<4>().0;
                recorder.try_record_all(step, len, |i| (series[i], f32::from_ne_bytes(items[i]).into()))
            }
            Buffer::Float64(bytes) => {
                let items = bytes.as_bytes().as_chunks::<8>().0;
                recorder.try_record_all(step, len, |i| (series[i], f64::from_ne_bytes(items[i])))
            }
        };
        match taken {
            Ok(Outcome::Taken) => Ok(()),
            Ok(outcome) => self.session.conclude(py, outcome),
            Err(NoRoom) => {
                let entries: Vec<(SeriesId, f64)> = match &buffer {
                    Buffer::Float32(bytes) => {
                        let items = bytes.as_bytes().as_chunks::<4>().0;
                        series.iter().zip(items).map(|(&id, item)| (id, f32::from_ne_bytes(*item).into())).collect()
                    }
                    Buffer::Float64(bytes) => {
                        let items = bytes.as_bytes().as_chunks::<8>().0;
                        series.iter().zip(items).map(|(&id, item)| (id, f64::from_ne_bytes(*item))).collect()
                    }
                };
                self.session.record_all(py, step, &entries)
            }
        }
    }

    /// A metric whose name is resolved once, for loops that log it again and again.
    #[pyo3(signature = (name))]
    fn metric(&self, name: &Bound<'_, PyAny>) -> PyResult<Metric> {
        let series = self.prepared(name)?;
        Ok(Metric { session: Arc::clone(&self.session), name: name.clone().unbind(), series })
    }

    /// Many metrics whose names are resolved once, for `log_array`.
    #[pyo3(signature = (names))]
    fn metrics(&self, _py: Python<'_>, names: &Bound<'_, PyAny>) -> PyResult<Metrics> {
        let names: Vec<Bound<'_, PyAny>> = names.try_iter()?.collect::<PyResult<_>>()?;
        let series = names.iter().map(|name| self.prepared(name)).collect::<PyResult<_>>()?;
        Ok(Metrics {
            session: Arc::clone(&self.session),
            names: names.into_iter().map(Bound::unbind).collect(),
            series,
        })
    }

    /// Wait until everything logged before this call survives a loss of power.
    ///
    /// Args:
    ///     timeout_secs: How long to wait at most; without limit if None.
    ///
    /// Raises:
    ///     FlushTimeoutError: If it is not durable in time.
    ///     RunClosedError: If the run has been closed.
    #[pyo3(signature = (timeout_secs = None))]
    fn flush(&self, py: Python<'_>, timeout_secs: Option<f64>) -> PyResult<()> {
        let timeout = timeout_secs
            .map(|secs| {
                Duration::try_from_secs_f64(secs)
                    .map_err(|_| PyValueError::new_err(format!("timeout_secs must be zero or more, got {secs}")))
            })
            .transpose()?;
        let Some(attempt) = &self.session.attempt else { return Ok(()) };
        py.detach(|| attempt.flush(timeout)).map_err(|error| to_py(py, &error))
    }

    #[pyo3(signature = (status))]
    fn _close(&self, py: Python<'_>, status: &str) -> PyResult<()> {
        let Some(attempt) = &self.session.attempt else { return Ok(()) };
        py.detach(|| attempt.close(status)).map_err(|error| to_py(py, &error))
    }

    /// What happened to the points so far; also after closing.
    #[getter]
    fn health(&self) -> Health {
        self.session.recorder.as_ref().map(|recorder| recorder.health()).unwrap_or_default().into()
    }

    /// How many points of an earlier attempt, which had been killed, were recovered when this one began.
    #[getter]
    fn recovered(&self) -> u64 {
        self.session.attempt.as_ref().map_or(0, |attempt| attempt.recovery().recovered)
    }

    #[getter]
    fn _path(&self) -> PathBuf {
        self.session.path()
    }
}

impl Logger {
    fn prepared(&self, name: &Bound<'_, PyAny>) -> PyResult<SeriesId> {
        match self.session.series(name)? {
            Some(series) => Ok(series),
            // A disabled or forked logger takes nothing; a full disk leaves no room for the name.
            None if self.session.recorder.as_ref().is_none_or(|recorder| recorder.is_forked()) => {
                SeriesId::new(0).ok_or_else(|| values::not_a_name(name))
            }
            None => Err(to_py(name.py(), &Error::damaged(self.session.path(), "the disk is full"))),
        }
    }

    fn fill(&self, values: &Bound<'_, PyDict>, entries: &mut Vec<(SeriesId, f64)>) -> PyResult<()> {
        for (name, value) in values.iter() {
            let value = values::value(&value)?;
            if let Some(series) = self.session.series(&name)? {
                entries.push((series, value));
            }
        }
        Ok(())
    }
}

/// Bring a run left by a crash into order, and return how many points only its journal had.
///
/// Raises:
///     FileNotFoundError: If there is no run.
///     StoreError: If a living process writes to it, or its files cannot be read or written.
#[pyfunction]
pub(crate) fn recover(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    py.detach(|| holter::recover::recover(&RunDir::new(path), &Config::default()))
        .map(|recovery| recovery.recovered)
        .map_err(|error| to_py(py, &error))
}

fn not_among(setting: &str, words: &[&str], found: &str) -> PyErr {
    PyValueError::new_err(format!("{setting} must be one of {words:?}, got {found:?}"))
}
