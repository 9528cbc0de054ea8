//! The Python binding: converts, detaches from the interpreter, calls, maps the error. It decides
//! nothing.

#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "what stands over Python's classes and functions is their docstring")]

mod error;
mod event_files;
mod feed;
mod health;
mod logger;
mod metrics;
mod names;
mod parts;
mod run;
mod session;
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
    run::register(module)
}

/// Bring a run left by a crash into order, and return how many points only its journal had.
///
/// Raises:
///     FileNotFoundError: If there is no run.
///     StoreError: If a living process writes to it, or its files cannot be read or written.
#[pyfunction]
fn recover(py: Python<'_>, path: PathBuf) -> PyResult<u64> {
    py.detach(|| holter::store::recover(&RunDir::new(path)))
        .map(|recovery| recovery.recovered)
        .map_err(|error| error::to_py(py, &error))
}
