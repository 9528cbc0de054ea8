//! Python values to the core's: steps, single values, buffers of values.

use pyo3::exceptions::{PyException, PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyMemoryView, PyString, PyType};

/// A step: any integer within 64 bits, also numpy's.
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
            "step must be an int, got {}; the order of arguments is log(step, name, value)",
            described(step)
        ))
    })
}

/// A value: whatever is one number.
#[inline]
pub(crate) fn value(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(value) = value.cast_exact::<PyFloat>() {
        return Ok(value.value());
    }
    value_slowly(value)
}

fn value_slowly(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let py = value.py();
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(value.value());
    }
    if !value.is_instance_of::<PyInt>()
        && let Some(item) = value.getattr_opt("item")?
    {
        refuse_device(value)?;
        return item.call0().and_then(|item| item.extract::<f64>()).map_err(|error| unreadable(value, error));
    }
    value.extract::<f64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(py) {
            return PyValueError::new_err(format!("value must fit in a float64, got {}", shown(value)));
        }
        unreadable(value, error)
    })
}

/// What a value is answered with whose own conversion raised `error`: that stays visible as the cause, and
/// what is no `Exception`, such as Ctrl-C, is passed on.
fn unreadable(value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = value.py();
    if !error.is_instance_of::<PyException>(py) {
        return error;
    }
    let answer = not_a_number(value);
    if !error.is_instance_of::<PyTypeError>(py) {
        answer.set_cause(py, Some(error));
    }
    answer
}

/// The value of an exact `float` or `int`, to read which runs no code of Python's.
#[inline]
pub(crate) fn plain_value(value: &Bound<'_, PyAny>) -> Option<f64> {
    match value.cast_exact::<PyFloat>() {
        Ok(value) => Some(value.value()),
        Err(_) => value.cast_exact::<PyInt>().ok()?.extract::<f64>().ok(),
    }
}

/// Refuses what lies on another device, since to read it is to wait for that device.
fn refuse_device(value: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(device) = value.getattr_opt("device")? else { return Ok(()) };
    if device.is_instance_of::<PyString>() {
        return Ok(()); // numpy says "cpu"
    }
    match device.getattr_opt("type")? {
        Some(kind) if !kind.eq("cpu")? => Err(PyTypeError::new_err(format!(
            "value is a tensor on {device}, and to read it here would stop the training until that device has caught up; \
             holter.torch.watch records such values without waiting, and value.item() waits"
        ))),
        _ => Ok(()),
    }
}

fn not_a_number(value: &Bound<'_, PyAny>) -> PyErr {
    let shape = value.getattr("shape").ok().filter(|_| value.hasattr("item").unwrap_or(false));
    match shape {
        Some(shape) if shape.len().is_ok_and(|dims| dims > 0) => {
            PyValueError::new_err(format!("value must be one number, got {} of shape {shape}", type_name(value)))
        }
        _ => PyTypeError::new_err(format!(
            "value must be a number, got {}; the order of arguments is log(step, name, value)",
            described(value)
        )),
    }
}

/// What a name that is no string is answered with.
pub(crate) fn not_a_name(name: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "name must be a str, got {}; the order of arguments is log(step, name, value)",
        described(name)
    ))
}

/// What a name that is not valid Unicode is answered with.
pub(crate) fn not_unicode(name: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("a series name must be encodable as UTF-8, got {}", shown(name)))
}

/// A buffer of float32 or float64, copied out of whatever offers one.
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

/// Whether it is an array of numpy's own class, which is the common case and has nothing to be asked for.
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

/// The buffer itself, or what a tensor on the host gives as one.
fn on_the_host<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    refuse_device(values)?;
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

/// The value as Python writes it, cut short.
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    const MAX_CHARS: usize = 60;
    let text =
        value.call_method0("__repr__").and_then(|text| text.call_method1("encode", ("ascii", "backslashreplace")));
    let Ok(text) = text.and_then(|text| Ok(text.cast_into::<PyBytes>()?)) else { return String::new() };
    let text = String::from_utf8_lossy(text.as_bytes()).into_owned();
    if text.len() <= MAX_CHARS { text } else { format!("{}…", &text[..MAX_CHARS]) }
}
