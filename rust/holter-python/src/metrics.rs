//! Metrics whose names are resolved once: a single one, or many for a buffer of values.

use std::sync::Arc;

use holter::SeriesId;
use holter::record::Recorder;
use pyo3::prelude::*;

use crate::session::Session;
use crate::values;

/// A metric of a logger, with its name resolved once.
#[pyclass(frozen, module = "holter")]
pub(crate) struct Metric {
    pub(crate) session: Arc<Session>,
    /// The session's recorder, copied here to save an indirection on the hot path.
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) name: Py<PyAny>,
    pub(crate) series: SeriesId,
}

#[pymethods]
impl Metric {
    /// Record a point, like `Logger.log` but without looking up the name.
    #[pyo3(signature = (step, value))]
    fn log(&self, py: Python<'_>, step: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.session.record(py, self.recorder.as_ref(), self.series, values::step(step)?, values::value(value)?)
    }

    /// The metric's name.
    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name.clone_ref(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Metric({})", self.name.bind(py).repr()?))
    }
}

/// Metrics of a logger, in order, for `Logger.log_array`.
#[pyclass(frozen, module = "holter")]
pub(crate) struct Metrics {
    pub(crate) session: Arc<Session>,
    pub(crate) names: Vec<Py<PyAny>>,
    pub(crate) series: Vec<SeriesId>,
}

#[pymethods]
impl Metrics {
    /// The metrics' names, in order.
    #[getter]
    fn names(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.names.iter().map(|name| name.clone_ref(py)).collect()
    }

    fn __len__(&self) -> usize {
        self.series.len()
    }

    fn __repr__(&self) -> String {
        format!("Metrics({} names)", self.series.len())
    }
}
