//! Converts Python values to the core's: steps, single values, buffers of values.

use pyo3::exceptions::{PyException, PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyMemoryView, PyString, PyType};

/// A step: any integer within 64 bits, including numpy's.
#[inline]
pub(crate) fn step(step: &Bound<'_, PyAny>) -> PyResult<i64> {
    if step.is_exact_instance_of::<PyInt>()
        && let Ok(step) = step.extract::<i64>()
    {
        return Ok(step);
    }
    step_slowly(step)
}

#[cold]
fn step_slowly(step: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = step.py();
    step.extract::<i64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(py) {
            return PyValueError::new_err(format!("step must fit in 64 bits, got {}", shown(step)));
        }
        PyTypeError::new_err(format!(
            "step must be an int, got {}; the arguments are log(step, name, value)",
            described(step)
        ))
    })
}

/// A value: anything that is a single number.
#[inline]
pub(crate) fn value(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(value) = value.cast_exact::<PyFloat>() {
        return Ok(value.value());
    }
    value_slowly(value, None)
}

/// A value in a mapping; errors include its name.
pub(crate) fn named_value(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(value) = value.cast_exact::<PyFloat>() {
        return Ok(value.value());
    }
    value_slowly(value, Some(name))
}

/// Converts the value of a named series to a float, as `Logger.log` does.
///
/// Raises:
///     TypeError: If the value is not a number.
///     ValueError: If it is not a single number, or does not fit in a float64.
#[pyfunction]
pub(crate) fn number(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    named_value(name, value)
}

fn value_slowly(value: &Bound<'_, PyAny>, name: Option<&Bound<'_, PyAny>>) -> PyResult<f64> {
    let py = value.py();
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(value.value());
    }
    if !value.is_instance_of::<PyInt>()
        && let Some(item) = value.getattr_opt("item")?
    {
        reject_other_device(value, &subject(name))?;
        if is_masked(value)? {
            return Err(number_error(value, name)); // its `item()` is 0.0
        }
        return item.call0().and_then(|item| item.extract::<f64>()).map_err(|error| unreadable(value, name, error));
    }
    value.extract::<f64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(py) {
            return PyValueError::new_err(format!("{} must fit in a float64, got {}", subject(name), shown(value)));
        }
        unreadable(value, name, error)
    })
}

/// Whether it is a single masked number, such as `numpy.ma.masked`.
fn is_masked(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if !value.hasattr("filled")? {
        return Ok(false);
    }
    let mask = value.getattr("mask")?;
    mask.call_method0("any")?.is_truthy()
}

/// What an error message is about: `value`, or `the value of 'train/loss'`.
fn subject(name: Option<&Bound<'_, PyAny>>) -> String {
    name.map_or_else(|| "value".to_owned(), |name| format!("the value of {}", shown(name)))
}

/// The error for a value whose conversion raised `error`, which becomes the cause. An exception that is not an `Exception`,
/// such as Ctrl-C, is propagated.
fn unreadable(value: &Bound<'_, PyAny>, name: Option<&Bound<'_, PyAny>>, error: PyErr) -> PyErr {
    let py = value.py();
    if !error.is_instance_of::<PyException>(py) {
        return error;
    }
    let raised = number_error(value, name);
    if !error.is_instance_of::<PyTypeError>(py) {
        raised.set_cause(py, Some(error));
    }
    raised
}

/// The value of an exact `float` or `int`, read without running Python code.
#[inline]
pub(crate) fn plain_value(value: &Bound<'_, PyAny>) -> Option<f64> {
    match value.cast_exact::<PyFloat>() {
        Ok(value) => Some(value.value()),
        Err(_) => value.cast_exact::<PyInt>().ok()?.extract::<f64>().ok(),
    }
}

/// Rejects a tensor on another device, because reading it would wait for that device.
fn reject_other_device(value: &Bound<'_, PyAny>, subject: &str) -> PyResult<()> {
    let Some(device) = value.getattr_opt("device")? else { return Ok(()) };
    if device.is_instance_of::<PyString>() {
        return Ok(()); // numpy returns "cpu"
    }
    match device.getattr_opt("type")? {
        Some(kind) if !kind.eq("cpu")? => Err(PyTypeError::new_err(format!(
            "{subject} is a tensor on {device}, and reading it would block until that device has caught up; record it with \
             Watch.log (see holter.torch.watch), which does not block, or pass value.item()"
        ))),
        _ => Ok(()),
    }
}

fn number_error(value: &Bound<'_, PyAny>, name: Option<&Bound<'_, PyAny>>) -> PyErr {
    let subject = subject(name);
    let shape = value.getattr("shape").ok().filter(|_| value.hasattr("item").unwrap_or(false));
    if let Some(shape) = shape
        && shape.len().is_ok_and(|dims| dims > 0)
    {
        return PyValueError::new_err(format!(
            "{subject} must be one number, got {} of shape {shape}",
            type_name(value)
        ));
    }
    let hint = if name.is_none() { "; the arguments are log(step, name, value)" } else { "" };
    PyTypeError::new_err(format!("{subject} must be a number, got {}{hint}", described(value)))
}

/// The error for a name that is not a string.
pub(crate) fn name_type_error(name: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "name must be a str, got {}; the arguments are log(step, name, value)",
        described(name)
    ))
}

/// The error for a name that is not valid Unicode.
pub(crate) fn name_unicode_error(name: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("a series name must be encodable as UTF-8, got {}", shown(name)))
}

/// A copied buffer of float32 or float64.
pub(crate) enum Buffer<'py> {
    Float32(Bound<'py, PyBytes>),
    Float64(Bound<'py, PyBytes>),
}

impl<'py> Buffer<'py> {
    pub(crate) fn read(values: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = values.py();
        let source = if is_numpy_array(values)? { values.clone() } else { on_the_host(values)? };
        let view = PyMemoryView::from(&source).map_err(|_| {
            PyTypeError::new_err(format!(
                "values must be a buffer of float32 or float64, such as a numpy array, got {}",
                type_name(values)
            ))
        })?;
        let dims: usize = view.getattr(intern!(py, "ndim"))?.extract()?;
        if dims != 1 {
            return Err(PyValueError::new_err(format!("values must have one dimension, got {dims}")));
        }
        let bytes = view.call_method0(intern!(py, "tobytes"))?.cast_into::<PyBytes>()?;
        let format = view.getattr(intern!(py, "format"))?.cast_into::<PyString>()?;
        match format.to_str()? {
            "f" | "<f" | "=f" => Ok(Self::Float32(bytes)),
            "d" | "<d" | "=d" => Ok(Self::Float64(bytes)),
            other => Err(PyTypeError::new_err(format!(
                "values must be float32 or float64, got a buffer of format {other:?}"
            ))),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Float32(bytes) => bytes.as_bytes().len() / 4,
            Self::Float64(bytes) => bytes.as_bytes().len() / 8,
        }
    }
}

/// Whether it is exactly a numpy array, the common case, which needs no further checks.
fn is_numpy_array(values: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = values.py();
    let class = if let Some(class) = CLASS.get(py) {
        class
    } else {
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
        let Some(numpy) = modules.get_item("numpy")? else { return Ok(false) };
        let class = numpy.getattr("ndarray")?.cast_into::<PyType>()?.unbind();
        CLASS.get_or_init(py, || class)
    };
    Ok(values.get_type().is(class))
}

/// The object itself, a host tensor as a numpy array, or a masked array with NaN for its masked elements.
fn on_the_host<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    reject_other_device(values, "values")?;
    if values.hasattr("filled")? {
        return values.call_method1("filled", (f64::NAN,));
    }
    match values.getattr_opt("detach")? {
        Some(detach) => detach.call0()?.call_method0("numpy"),
        None => Ok(values.clone()),
    }
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

fn described(value: &Bound<'_, PyAny>) -> String {
    format!("{} {}", type_name(value), shown(value))
}

/// The value's repr, shortened.
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    const MAX_CHARS: usize = 60;
    let text =
        value.call_method0("__repr__").and_then(|text| text.call_method1("encode", ("ascii", "backslashreplace")));
    let Ok(text) = text.and_then(|text| Ok(text.cast_into::<PyBytes>()?)) else { return String::new() };
    let text = String::from_utf8_lossy(text.as_bytes()).into_owned();
    if text.len() <= MAX_CHARS { text } else { format!("{}…", &text[..MAX_CHARS]) }
}
