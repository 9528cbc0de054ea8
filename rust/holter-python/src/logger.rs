//! `holter.Logger`: the hot path from Python to the recorder.
//!
//! Not a base class of a Python class, because method calls are fastest on the exact type that defines them.
//! `holter._logger` does what needs Python, such as reading the environment, when a logger is created.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holter::SeriesId;
use holter::record::{NoRoom, Outcome, Recorder};
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::health::Health;
use crate::metrics::{Metric, Metrics};
use crate::session::{Session, Settings, close_at_exit};
use crate::values::{self, Buffer};

/// Records a training run into plain files.
///
/// The run is closed by the end of a `with` block, by `close()`, or when the program ends, whichever comes first.
/// If the process is killed, the next `Logger` on the run recovers its points. A forked process, such as a DataLoader
/// worker, cannot log. With `HOLTER_MODE=disabled`, nothing is recorded and the disk is not touched.
///
/// Args:
///     path: The run's directory, created if it is missing; `~` is expanded. Default: a new one in `runs` (`HOLTER_DIR`).
///     name: The run's name. Default: the name of the directory (`HOLTER_NAME`).
///     config: Settings to keep with the run, such as hyperparameters: a mapping.
///     tags: Labels to find the run by (`HOLTER_TAGS`).
///     group: The name of a group of runs, such as a sweep.
///     notes: Free text about the run.
///     resume: What to do with an existing run (`HOLTER_RESUME`). `"auto"`, the default, resumes a run that did not
///         complete and starts a new one next to a completed run (`run-1-2` next to `run-1`). `"allow"` resumes any
///         run, `"must"` requires one, `"never"` rejects one. A job that its scheduler restarted resumes by default.
///     sinks: Where points are written: `"sqlite"`, `"parquet"`, `"summary"`; default: all. At least one of the first two.
///     summary_every: The summary has a line for every step that is a multiple of this.
///     overflow: What to do when the journal is full.
///     rank: The rank of this process in a distributed run. Ranks above 0 record in their own directory inside the run's.
///     journal_points: The capacity of the journal, a power of two. Each point takes 32 bytes of memory and disk.
///     alerts: Rules from `holter.alerts` that watch the series.
///     webhook: Where to send alerts: a `holter.alerts.Webhook` or its URL.
///
/// Raises:
///     TypeError, ValueError: If an argument is invalid.
///     FileExistsError: If `resume="never"` and the run exists.
///     FileNotFoundError: If `resume="must"` and the run does not exist.
///     StoreError: If another process writes to the run, or its files cannot be opened.
///     FormatVersionError: If a newer version of Holter wrote the run.
#[pyclass(frozen, weakref, module = "holter")]
pub(crate) struct Logger {
    pub(crate) session: Arc<Session>,
    /// The session's recorder, copied here to save an indirection on the hot path.
    pub(crate) recorder: Option<Arc<Recorder>>,
}

#[pymethods]
impl Logger {
    #[new]
    #[pyo3(
        signature = (path = None, **settings),
        text_signature = "(path=None, *, name=None, config=None, tags=(), group=None, notes=None, resume=None, \
                          sinks=('sqlite', 'parquet', 'summary'), summary_every=100, overflow=Overflow.BLOCK, rank=None, \
                          journal_points=1048576, alerts=(), webhook=None)"
    )]
    fn new(py: Python<'_>, path: Option<&Bound<'_, PyAny>>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let read = py.import("holter._logger")?.getattr("read_settings")?;
        let settings: Settings<'_> = read.call((path,), settings)?.extract()?;
        let session = Arc::new(Session::open(py, settings)?);
        close_at_exit(&session);
        Ok(Self { recorder: session.recorder().cloned(), session })
    }

    /// Record a point, or a dict of points.
    ///
    /// `log(step, name, value)` is the fast path: no I/O, no GPU synchronization, no error because of the disk.
    /// `log(values, step=None)` records a dict; nested dicts become names with slashes.
    ///
    /// Args:
    ///     step: The x-axis: a 64-bit integer. Logging a step again replaces its value. Without a step, a dict gets the
    ///         one after the newest.
    ///     name: The series: any non-empty text without NUL, up to 65,535 bytes of UTF-8.
    ///     value: A number: float, int, bool, a numpy scalar or a 0-d CPU tensor. NaN and infinities are kept.
    ///
    /// Raises:
    ///     TypeError: If an argument has the wrong type.
    ///     ValueError: If an argument is out of range.
    ///     RunClosedError: If the run is closed.
    ///     ForkedProcessError: In a forked process.
    #[pyo3(
        signature = (first = None, /, name = None, value = None, *, step = None),
        text_signature = "($self, step, name, value)"
    )]
    pub(crate) fn log(
        &self,
        py: Python<'_>,
        first: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        value: Option<&Bound<'_, PyAny>>,
        step: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (Some(first), Some(name), Some(value), None) = (first, name, value, step) else {
            return self.log_other(py, first, name, value, step);
        };
        let step = values::step(first)?;
        let Some(series) = self.session.series(name)? else { return values::value(value).map(|_| ()) };
        self.session.record(py, self.recorder.as_ref(), series, step, values::value(value)?)
    }

    /// Record many points of one step in one call.
    ///
    /// Args:
    ///     step: As in `log`.
    ///     values: Values by name. After an error, none of them is recorded.
    ///
    /// Raises:
    ///     TypeError, ValueError, RunClosedError, ForkedProcessError: As in `log`.
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
        self.record_with(py, step, |entries| self.fill(values, entries))
    }

    /// Record one point for each of many metrics from a buffer.
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
        let metrics = if let Ok(metrics) = metrics.cast::<Metrics>() {
            metrics.get()
        } else {
            resolved = self.metrics(metrics)?;
            &resolved
        };
        if !Arc::ptr_eq(&metrics.session, &self.session) {
            return Err(PyValueError::new_err("these metrics were prepared by another logger"));
        }
        let buffer = Buffer::read(values)?;
        if buffer.len() != metrics.series.len() {
            return Err(PyValueError::new_err(format!(
                "values must be as many as metrics: {} metrics, {} values",
                metrics.series.len(),
                buffer.len()
            )));
        }
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let series = metrics.series.as_slice();
        let len = series.len();
        let taken = match &buffer {
            _ if len > recorder.max_at_once() => Err(NoRoom),
            Buffer::Float32(bytes) => {
                let items = bytes.as_bytes().as_chunks::<4>().0;
                recorder.try_record_all(step, len, move |i| (series[i], f32::from_ne_bytes(items[i]).into()))
            }
            Buffer::Float64(bytes) => {
                let items = bytes.as_bytes().as_chunks::<8>().0;
                recorder.try_record_all(step, len, move |i| (series[i], f64::from_ne_bytes(items[i])))
            }
        };
        match taken {
            Ok(Outcome::Accepted) => Ok(()),
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

    /// Return a metric whose name is resolved once, for loops that log it often.
    #[pyo3(signature = (name))]
    fn metric(&self, name: &Bound<'_, PyAny>) -> PyResult<Metric> {
        let series = self.prepared(name)?;
        let (session, recorder) = (Arc::clone(&self.session), self.recorder.clone());
        Ok(Metric { session, recorder, name: name.clone().unbind(), series })
    }

    /// Return many metrics whose names are resolved once, for `log_array`.
    #[pyo3(signature = (names))]
    fn metrics(&self, names: &Bound<'_, PyAny>) -> PyResult<Metrics> {
        if names.is_instance_of::<PyString>() {
            // Iterating would make each letter a name.
            return Err(PyTypeError::new_err(format!(
                "names must be a sequence of str, got the str {}",
                names.repr()?
            )));
        }
        let names: Vec<Bound<'_, PyAny>> = names.try_iter()?.collect::<PyResult<_>>()?;
        let series = names.iter().map(|name| self.prepared(name)).collect::<PyResult<_>>()?;
        Ok(Metrics {
            session: Arc::clone(&self.session),
            names: names.into_iter().map(Bound::unbind).collect(),
            series,
        })
    }

    /// Add settings to the run's config that were not known when it was opened.
    ///
    /// Rewrites `run.json`, which takes milliseconds; do not call it at every step. If the disk rejects the write, a
    /// `HolterWarning` is issued, and the config is written when the run is closed.
    ///
    /// Args:
    ///     config: Settings to add. They replace existing ones of the same key; nested mappings are not merged.
    ///
    /// Raises:
    ///     TypeError: If `config` is not a mapping.
    ///     RunClosedError: If the run is closed.
    #[pyo3(signature = (config))]
    fn update_config(&self, py: Python<'_>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        self.session.update_config(py, config)
    }

    /// Wait until every point logged before this call would survive a power loss.
    ///
    /// Args:
    ///     timeout_secs: The longest wait; None for no limit.
    ///
    /// Raises:
    ///     FlushTimeoutError: If the points are not durable in time.
    ///     RunClosedError: If the run is closed.
    ///     StoreError: If the run's directory was deleted or replaced.
    #[pyo3(signature = (timeout_secs = None))]
    fn flush(&self, py: Python<'_>, timeout_secs: Option<f64>) -> PyResult<()> {
        let timeout = timeout_secs
            .map(|secs| {
                Duration::try_from_secs_f64(secs)
                    .map_err(|_| PyValueError::new_err(format!("timeout_secs must be zero or more, got {secs}")))
            })
            .transpose()?;
        self.session.flush(py, timeout)
    }

    /// Write all points and end the run. Does nothing if the run is closed.
    ///
    /// Args:
    ///     status: `"finished"`, `"failed"`, `"interrupted"`, or `"stopped"` for a run that was ended on purpose.
    ///
    /// Raises:
    ///     FlushTimeoutError: If the disk rejected writes for so long that points are still in the journal; the next
    ///         `Logger` on the run recovers them. The run is closed nevertheless.
    ///     StoreError: If the run's directory was deleted or replaced, or its manifest cannot be written.
    ///     ValueError: If the status is not one of these.
    #[pyo3(signature = (status = "finished"))]
    fn close(&self, py: Python<'_>, status: &str) -> PyResult<()> {
        self.session.close(py, status)
    }

    /// The same as `close`.
    #[pyo3(signature = (status = "finished"))]
    fn finish(&self, py: Python<'_>, status: &str) -> PyResult<()> {
        self.session.close(py, status)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (exception_type, exception, traceback, /))]
    #[expect(unused_variables, reason = "the protocol passes three arguments")]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.session.close(py, status_after(py, exception)?)
    }

    /// Counters of accepted, written and dropped points; also available after closing.
    #[getter]
    fn health(&self) -> Health {
        self.recorder.as_ref().map(|recorder| recorder.health()).unwrap_or_default().into()
    }

    /// Whether an alert with `stop=True` has fired; cheap enough for every step.
    ///
    /// It stays True for the lifetime of this logger.
    #[getter]
    fn should_stop(&self) -> bool {
        self.session.should_stop()
    }

    /// The last 1000 alerts since this logger was opened, oldest first, as `holter.alerts.Alert`.
    ///
    /// Rules are evaluated within a fraction of a second after a point is logged; `flush()` waits for them.
    #[getter]
    fn alerts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let lines = py.detach(|| self.session.alert_lines());
        py.import("holter.alerts._alert")?.getattr("parse_alerts")?.call1((lines, self.session.rank()))
    }

    /// Delivery statistics of the webhook, as `holter.alerts.Delivery`; None without a webhook.
    #[getter]
    fn webhook<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.session.delivery(py)
    }

    /// Whether this logger resumes a run that already existed.
    #[getter]
    fn resumed(&self) -> bool {
        self.session.start().is_some_and(|start| start.resumed.is_some())
    }

    /// The largest step of the run when this logger was opened; None for a new run.
    ///
    /// A resumed training can continue at `last_step + 1`.
    #[getter]
    fn last_step(&self) -> Option<i64> {
        self.session.start().and_then(|start| start.last_step)
    }

    /// How many points of a killed attempt were recovered when this logger was opened.
    #[getter]
    fn recovered(&self) -> u64 {
        self.session.recovered()
    }

    /// The directory that this process records to.
    #[getter]
    fn path(&self) -> PathBuf {
        self.session.path()
    }

    /// The run's name.
    #[getter]
    fn name(&self) -> String {
        self.session.name()
    }

    #[expect(clippy::unused_self, reason = "the protocol calls a method")]
    fn __reduce__(&self) -> PyResult<Bound<'_, PyTuple>> {
        Err(PyTypeError::new_err(
            "a Logger cannot be pickled, because it belongs to the process that opened it; open a Logger with its own rank= in each process",
        ))
    }

    fn __repr__(&self) -> String {
        format!("Logger({:?})", self.path().display().to_string())
    }
}

/// The status of a run that is closed because of an exception, or without one.
fn status_after(py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<&'static str> {
    if exception.is_none() {
        return Ok("finished");
    }
    if exception.is_instance_of::<PyKeyboardInterrupt>() {
        return Ok("interrupted");
    }
    if exception.is_instance_of::<PySystemExit>() {
        let code = exception.getattr(intern!(py, "code"))?;
        return Ok(if code.is_none() || code.eq(0)? { "finished" } else { "failed" });
    }
    Ok("failed")
}
