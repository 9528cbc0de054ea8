//! The counters of a logger, for Python.

use pyo3::prelude::*;

/// Counters of a logger, as of when the property was read.
#[pyclass(frozen, get_all, module = "holter")]
pub(crate) struct Health {
    /// Accepted points: their `log` returned, and they survive the death of the process.
    accepted: u64,
    /// Points that the primary sink has committed.
    written: u64,
    /// Points that were not accepted because there was no room.
    dropped: u64,
    /// How often a caller waited for room.
    waits: u64,
    /// How often a write was retried.
    retries: u64,
    /// The last error of any sink, even if it works again.
    last_error: Option<String>,
    /// The health of each sink.
    sinks: Vec<SinkHealth>,
}

/// The state of one sink.
#[pyclass(frozen, get_all, from_py_object, module = "holter")]
#[derive(Clone)]
pub(crate) struct SinkHealth {
    /// The sink's name.
    name: String,
    /// `"working"`, `"failing"` (writes are retried) or `"behind"` (it will catch up on missed points).
    state: String,
    /// How many of this logger's points it has.
    written: u64,
    /// Its last error, even if it works again.
    last_error: Option<String>,
}

impl From<holter::record::Health> for Health {
    fn from(health: holter::record::Health) -> Self {
        let sinks = health.sinks.into_iter().map(|sink| SinkHealth {
            name: sink.name.to_owned(),
            state: sink.state.as_str().to_owned(),
            written: sink.written,
            last_error: sink.last_error,
        });
        Self {
            accepted: health.accepted,
            written: health.written,
            dropped: health.dropped,
            waits: health.waits,
            retries: health.retries,
            last_error: health.last_error,
            sinks: sinks.collect(),
        }
    }
}

#[pymethods]
impl Health {
    fn __repr__(&self) -> String {
        let error = self.last_error.as_ref().map_or_else(|| "None".to_owned(), |error| format!("{error:?}"));
        format!(
            "Health(accepted={}, written={}, dropped={}, waits={}, retries={}, last_error={error})",
            self.accepted, self.written, self.dropped, self.waits, self.retries
        )
    }
}

#[pymethods]
impl SinkHealth {
    fn __repr__(&self) -> String {
        let error = self.last_error.as_ref().map_or_else(|| "None".to_owned(), |error| format!("{error:?}"));
        format!(
            "SinkHealth(name={:?}, state={:?}, written={}, last_error={error})",
            self.name, self.state, self.written
        )
    }
}
