//! The Python binding: converts arguments, detaches from the interpreter, calls the core, and maps errors.

#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "the comments of Python classes and functions are their docstrings")]

mod error;
mod event_files;
mod feed;
mod health;
mod logger;
mod mappings;
mod metrics;
mod names;
mod parts;
mod run;
mod session;
mod settings;
mod values;

use std::path::PathBuf;

use holter::store::RunDir;
use pyo3::prelude::*;

#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("FORMAT_VERSION", holter::store::schema::FORMAT_VERSION)?;
    module.add_class::<logger::Logger>()?;
    module.add_class::<metrics::Metric>()?;
    module.add_class::<metrics::Metrics>()?;
    module.add_class::<health::Health>()?;
    module.add_class::<health::SinkHealth>()?;
    event_files::register(module)?;
    module.add_function(wrap_pyfunction!(session::close_all, module)?)?;
    module.add_function(wrap_pyfunction!(recover, module)?)?;
    module.add_function(wrap_pyfunction!(parts::parquet_parts, module)?)?;
    module.add_function(wrap_pyfunction!(values::number, module)?)?;
    run::register(module)
}

/// Recover a crashed run, and return the number of points that were only in its journal.
///
/// Raises:
///     FileNotFoundError: If the directory does not contain a run.
///     StoreError: If a process is writing to the run, or its files cannot be read or written.
#[pyfunction]
fn recover(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    py.detach(|| holter::store::recover(&RunDir::new(path)))
        .map(|recovery| recovery.recovered)
        .map_err(|error| error::to_py(py, &error))
}
