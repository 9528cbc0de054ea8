//! What an attempt's alerts are passed on from, by a thread of Python's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holter::record::alerts::{AlertBatch, Alerts};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The alerts of a logger one after the other, for one reader. It keeps no logger open.
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
    /// Wait until there are alerts that were not returned before, or until there will be none.
    ///
    /// Returns:
    ///     The alerts as their lines in the events file, how many more came too fast to be kept, and whether the
    ///     logger is closed.
    fn wait(&self, py: Python<'_>, timeout_secs: f64) -> PyResult<(Vec<String>, u64, bool)> {
        let timeout = Duration::try_from_secs_f64(timeout_secs)
            .map_err(|_| PyValueError::new_err(format!("timeout_secs must be zero or more, got {timeout_secs}")))?;
        let seen = self.seen.load(Ordering::Relaxed);
        let AlertBatch { lines, missed, count, is_over } = py.detach(|| self.alerts.wait(seen, timeout));
        self.seen.store(count, Ordering::Relaxed);
        Ok((lines, missed, is_over))
    }
}
