//! Maps core errors to Python exceptions, and issues warnings.

use std::ffi::CString;
use std::io;
use std::path::Path;

use holter::error::Error;
use pyo3::exceptions::{PyFileExistsError, PyFileNotFoundError, PyKeyError, PyOSError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The Python exception for a core error: a builtin where one fits, otherwise one of `holter.exceptions`.
pub(crate) fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::InvalidName(_) | Error::TooManySeries | Error::InvalidConfig(_) | Error::InvalidWidth(_) => {
            PyValueError::new_err(message)
        }
        Error::RunExists(_) => PyFileExistsError::new_err(message),
        Error::NoRun(_) => PyFileNotFoundError::new_err(message),
        Error::NoSeries(_) => PyKeyError::new_err(message),
        Error::Forked => ours(py, "ForkedProcessError", message),
        Error::RunClosed(_) => ours(py, "RunClosedError", message),
        Error::FlushTimeout { .. } => ours(py, "FlushTimeoutError", message),
        Error::FormatVersion { .. } => ours(py, "FormatVersionError", message),
        _ => ours(py, "StoreError", message),
    }
}

/// `OSError`, or its subclass for the error number; `ValueError` if the error is not from the operating system.
pub(crate) fn io_to_py(py: Python<'_>, path: &Path, error: &io::Error) -> PyErr {
    let Some(number) = error.raw_os_error() else {
        return PyValueError::new_err(format!("{}: {error}", path.display()));
    };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (number,))?.extract::<String>());
    text.map_or_else(|error| error, |text| PyOSError::new_err((number, text, path.as_os_str().to_owned())))
}

/// Issues a `HolterWarning`. If the user has turned warnings into errors, the call still succeeds, because problems of the
/// disk never make a call fail.
pub(crate) fn warn(py: Python<'_>, message: &str) {
    let category = class(py, "HolterWarning").unwrap_or_else(|_| py.get_type::<PyUserWarning>());
    if let Ok(message) = CString::new(message) {
        let _ = PyErr::warn(py, &category, &message, 1);
    }
}

fn ours(py: Python<'_>, name: &str, message: String) -> PyErr {
    match class(py, name) {
        Ok(class) => PyErr::from_type(class, (message,)),
        Err(error) => error,
    }
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import("holter.exceptions")?.getattr(name)?.cast_into::<PyType>()?)
}
