//! The alerts of a logger, for the Python thread that delivers them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holter::record::alerts::{AlertBatch, Alerts};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The alerts of a logger in order, for a single consumer. It does not keep the logger open.
#[pyclass(frozen, module = "holter._core")]
pub(crate) struct Feed {
    alerts: Arc<Alerts>,
    seen: AtomicU64,
}

impl Feed {
    pub(crate) fn new(alerts: &Arc<Alerts>) -> Self {
        Self { alerts: Arc::clone(alerts), seen: AtomicU64::new(0) }
    }
}

#[pymethods]
impl Feed {
    /// Wait for new alerts, or for the end of the logger.
    ///
    /// Returns:
    ///     The new alerts as lines of the events file, the number of discarded ones, and whether the logger is closed.
    fn wait(&self, py: Python<'_>, timeout_secs: f64) -> PyResult<(Vec<String>, u64, bool)> {
        let timeout = Duration::try_from_secs_f64(timeout_secs)
            .map_err(|_| PyValueError::new_err(format!("timeout_secs must be zero or more, got {timeout_secs}")))?;
        let seen = self.seen.load(Ordering::Relaxed);
        let AlertBatch { lines, missed, count, has_ended } = py.detach(|| self.alerts.wait(seen, timeout));
        self.seen.store(count, Ordering::Relaxed);
        Ok((lines, missed, has_ended))
    }
}
