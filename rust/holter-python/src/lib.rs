//! The Python binding: converts, detaches from the interpreter, calls, maps the error. It decides
//! nothing.

mod error;
mod health;
mod logger;
mod metrics;
mod names;
mod values;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("FORMAT_VERSION", holter::schema::FORMAT_VERSION)?;
    module.add_class::<logger::Logger>()?;
    module.add_class::<metrics::Metric>()?;
    module.add_class::<metrics::Metrics>()?;
    module.add_class::<health::Health>()?;
    module.add_class::<health::SinkHealth>()?;
    module.add_function(wrap_pyfunction!(logger::recover, module)?)?;
    Ok(())
}
