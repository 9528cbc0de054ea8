//! `holter.Logger`: the hot path from Python to the recorder.
//!
//! The class itself, and not a base of a Python class, because a method is found and called fastest on
//! an object of exactly the type that defines it. What needs Python, such as reading the environment,
//! is done in `holter._logger` when a logger is made.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holter::SeriesId;
use holter::record::{NoRoom, Outcome, Recorder};
use pyo3::exceptions::{PySystemExit, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::health::Health;
use crate::metrics::{Metric, Metrics};
use crate::session::{Session, Settings, close_at_exit};
use crate::values::{self, Buffer};

thread_local! {
    /// The entries of one `log_many`, kept so that a call allocates nothing.
    static ENTRIES: RefCell<Vec<(SeriesId, f64)>> = const { RefCell::new(Vec::new()) };
}

/// Records a training run into plain files.
///
/// Closed by the end of a `with` block, by `close()`, or when the program ends, whichever comes first.
/// What a killed process leaves is recovered when the run is opened the next time. In a forked child the
/// logger takes nothing, and says so once. With `HOLTER_MODE=disabled` nothing is recorded and nothing
/// touches the disk.
///
/// Args:
///     path: The run's directory, created when missing. By default a new one in `runs` (`HOLTER_DIR`).
///     name: The name that the run is known by; by default that of the directory (`HOLTER_NAME`).
///     config: What to keep with the run, such as hyper-parameters: a mapping of plain values.
///     tags: Words to find the run by (`HOLTER_TAGS`).
///     resume: What happens if the run is there: `"never"` refuses it, `"allow"` goes on with it (the
///         default), `"must"` refuses to begin a new one (`HOLTER_RESUME`).
///     sinks: Where the points go: `"sqlite"`, `"parquet"`, `"summary"`, by default all three. One of the
///         first two must be among them.
///     summary_every: The summary gets a line for every step that is a multiple of this.
///     overflow: What happens to a point when the journal is full.
///     rank: The process of a distributed run. All but 0 write to a directory of their own within the run.
///     journal_points: How many points the journal holds, a power of two; 32 bytes of memory and disk each.
///     alerts: What the series are watched for: rules from `holter.alerts`.
///     webhook: Where the alerts are sent: a `holter.alerts.Webhook`, or its URL. By default nowhere.
///
/// Raises:
///     TypeError, ValueError: If an argument is of the wrong type or out of its range.
///     FileExistsError: If `resume="never"` and the run is there.
///     FileNotFoundError: If `resume="must"` and it is not.
///     StoreError: If another process writes to the run, or its files cannot be opened.
///     FormatVersionError: If a newer Holter wrote the run.
#[pyclass(frozen, weakref, module = "holter")]
pub(crate) struct Logger {
    session: Arc<Session>,
    /// The session's recorder, within one step's reach of the hot path.
    recorder: Option<Arc<Recorder>>,
}

#[pymethods]
impl Logger {
    #[new]
    #[pyo3(
        signature = (path = None, **settings),
        text_signature = "(path=None, *, name=None, config=None, tags=(), resume=None, \
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
        self.session.record(py, self.recorder.as_ref(), series, step, values::value(value)?)
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
            let mut entries =
                entries.try_borrow_mut().map_or_else(|_| Vec::new(), |mut kept| std::mem::take(&mut *kept));
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

    /// A metric whose name is resolved once, for loops that log it again and again.
    #[pyo3(signature = (name))]
    fn metric(&self, name: &Bound<'_, PyAny>) -> PyResult<Metric> {
        let series = self.prepared(name)?;
        let (session, recorder) = (Arc::clone(&self.session), self.recorder.clone());
        Ok(Metric { session, recorder, name: name.clone().unbind(), series })
    }

    /// Many metrics whose names are resolved once, for `log_array`.
    #[pyo3(signature = (names))]
    fn metrics(&self, names: &Bound<'_, PyAny>) -> PyResult<Metrics> {
        if names.is_instance_of::<PyString>() {
            // It could be iterated over: each letter would be a name.
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

    /// Add to the run's configuration, for what is known only after it was opened.
    ///
    /// Writes `run.json` anew, which takes some milliseconds: it is not for every step. A disk that refuses it is a
    /// `HolterWarning`; the configuration is then written when the run is closed.
    ///
    /// Args:
    ///     config: What to add. A key that is there already gets the new value; what is nested in it is not merged.
    ///
    /// Raises:
    ///     TypeError: If it is no mapping.
    ///     RunClosedError: If the run has been closed.
    #[pyo3(signature = (config))]
    fn update_config(&self, py: Python<'_>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        self.session.update_config(py, config)
    }

    /// Wait until everything logged before this call survives a loss of power.
    ///
    /// Args:
    ///     timeout_secs: How long to wait at most; without limit if None.
    ///
    /// Raises:
    ///     FlushTimeoutError: If it is not durable in time.
    ///     RunClosedError: If the run has been closed.
    ///     StoreError: If the run's folder was deleted, or replaced by another one.
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

    /// Write what is there and end the run. Does nothing if it is closed already.
    ///
    /// Raises:
    ///     FlushTimeoutError: If the disk refused for so long that something stayed in the journal, from
    ///         where the next opening of the run takes it. The run is closed all the same.
    ///     StoreError: If the run's folder was deleted, or replaced by another one; or its manifest cannot be written.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.session.close(py, "finished")
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
        let is_clean = exception.is_none() || is_clean_exit(exception)?;
        self.session.close(py, if is_clean { "finished" } else { "failed" })
    }

    /// What happened to the points so far; also after closing.
    #[getter]
    fn health(&self) -> Health {
        self.recorder.as_ref().map(|recorder| recorder.health()).unwrap_or_default().into()
    }

    /// Whether an alert with `stop=True` has asked the training to stop; cheap enough for every step.
    ///
    /// It stays True for the rest of this logger's life; in a forked child it stays what it was at the fork.
    #[getter]
    fn should_stop(&self) -> bool {
        self.session.should_stop()
    }

    /// The last 1000 alerts since this logger was opened, the oldest first, as `holter.alerts.Alert`.
    ///
    /// A point is judged within a fraction of a second after it is logged; `flush()` waits for those before it.
    #[getter]
    fn alerts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let lines = py.detach(|| self.session.alert_lines());
        py.import("holter.alerts._alert")?.getattr("alerts_of_lines")?.call1((lines, self.session.rank()))
    }

    /// How the webhook fares, as `holter.alerts.Delivery`; None if the logger has none.
    #[getter]
    fn webhook<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.session.delivery(py)
    }

    /// How many points of an earlier attempt, which had been killed, were recovered when this one began.
    #[getter]
    fn recovered(&self) -> u64 {
        self.session.recovered()
    }

    /// The directory that this process writes to.
    #[getter]
    fn path(&self) -> PathBuf {
        self.session.path()
    }

    /// The name that the run is known by.
    #[getter]
    fn name(&self) -> String {
        self.session.name()
    }

    #[expect(clippy::unused_self, reason = "the protocol calls a method")]
    fn __reduce__(&self) -> PyResult<Bound<'_, PyTuple>> {
        Err(PyTypeError::new_err("a Logger cannot be pickled: it belongs to the process that opened it"))
    }

    fn __repr__(&self) -> String {
        format!("Logger({:?})", self.path().display().to_string())
    }
}

impl Logger {
    fn prepared(&self, name: &Bound<'_, PyAny>) -> PyResult<SeriesId> {
        match self.session.series(name)? {
            Some(series) => Ok(series),
            // A disabled or forked logger takes nothing; a full disk leaves no room for the name.
            None if self.recorder.as_ref().is_none_or(|recorder| recorder.is_forked()) => {
                SeriesId::new(0).ok_or_else(|| values::not_a_name(name))
            }
            None => Err(self.session.no_room_for(name)),
        }
    }

    fn fill(&self, values: &Bound<'_, PyDict>, entries: &mut Vec<(SeriesId, f64)>) -> PyResult<()> {
        for (name, value) in values.iter() {
            let (Some(series), Some(value)) = (self.session.known_series(&name), values::plain_value(&value)) else {
                entries.clear();
                return self.fill_slowly(values, entries);
            };
            entries.push((series, value));
        }
        Ok(())
    }

    /// As `fill`, from a copy: what reads a value or warns may let others change the dict meanwhile.
    fn fill_slowly(&self, values: &Bound<'_, PyDict>, entries: &mut Vec<(SeriesId, f64)>) -> PyResult<()> {
        for item in values.items() {
            let (name, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            let value = values::value(&value)?;
            if let Some(series) = self.session.series(&name)? {
                entries.push((series, value));
            }
        }
        Ok(())
    }
}

/// Whether an exception is the program's ordinary end.
fn is_clean_exit(exception: &Bound<'_, PyAny>) -> PyResult<bool> {
    if !exception.is_instance_of::<PySystemExit>() {
        return Ok(false);
    }
    let code = exception.getattr("code")?;
    Ok(code.is_none() || code.eq(0)?)
}
