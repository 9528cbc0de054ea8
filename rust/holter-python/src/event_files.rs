//! TensorBoard's event files, for `holter.formats.tfevents`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use holter::event_files::{self, EventBatch};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::error::io_to_py;
use crate::run::buffer;

/// Names; codes, steps, values and wall times as items of eight bytes; damage as offset and reason; the number of
/// skipped events and values by kind; the bytes read so far.
type Batch<'py> = (Vec<String>, [Bound<'py, PyByteArray>; 4], Vec<(u64, String)>, BTreeMap<&'static str, u64>, u64);

/// The scalars of an event file, in batches.
#[pyclass(frozen, module = "holter._core")]
pub(crate) struct EventReader {
    path: PathBuf,
    reader: Mutex<event_files::EventReader>,
}

#[pymethods]
impl EventReader {
    /// Opens the file `path`.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        match py.detach(|| event_files::EventReader::open(&path)) {
            Ok(reader) => Ok(Self { path, reader: Mutex::new(reader) }),
            Err(error) => Err(io_to_py(py, &path, &error)),
        }
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Batch<'py>>> {
        let batch = py.detach(|| {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.next_batch()
        });
        batch.map_err(|error| io_to_py(py, &self.path, &error))?.map(|batch| to_python(py, batch)).transpose()
    }
}

fn to_python(py: Python<'_>, batch: EventBatch) -> PyResult<Batch<'_>> {
    let columns = [
        buffer(py, &batch.codes, i64::to_le_bytes)?,
        buffer(py, &batch.steps, i64::to_le_bytes)?,
        buffer(py, &batch.values, f64::to_le_bytes)?,
        buffer(py, &batch.wall_times, f64::to_le_bytes)?,
    ];
    let damage = batch.damage.into_iter().map(|damage| (damage.offset, damage.reason)).collect();
    Ok((batch.names, columns, damage, batch.skipped, batch.bytes_read))
}

/// The first record of an event file that is created at `wall_time`.
#[pyfunction]
fn event_file_header(py: Python<'_>, wall_time: f64) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &event_files::file_header(wall_time))
}

/// The points of a series as records of an event file. The columns have items of eight bytes.
#[pyfunction]
fn encode_events<'py>(
    py: Python<'py>,
    name: &str,
    steps: &[u8],
    values: &[u8],
    wall_times: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let (steps, values, wall_times) = (items(steps)?, items(values)?, items(wall_times)?);
    if steps.len() != values.len() || steps.len() != wall_times.len() {
        return Err(PyValueError::new_err("columns must have the same length"));
    }
    let points = steps.iter().zip(values).zip(wall_times).map(|((step, value), wall_time)| {
        (i64::from_le_bytes(*step), f64::from_le_bytes(*value), f64::from_le_bytes(*wall_time))
    });
    let file = py.detach(|| event_files::encode_events(name, points));
    Ok(PyBytes::new(py, &file))
}

fn items(column: &[u8]) -> PyResult<&[[u8; 8]]> {
    match column.as_chunks() {
        (items, []) => Ok(items),
        _ => Err(PyValueError::new_err("a column must have items of eight bytes")),
    }
}

/// Adds the items of this file to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EventReader>()?;
    module.add_function(wrap_pyfunction!(event_file_header, module)?)?;
    module.add_function(wrap_pyfunction!(encode_events, module)?)
}
