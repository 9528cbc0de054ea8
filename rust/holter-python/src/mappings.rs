//! Logging a mapping of names to values, and the less common calls of `log`.

use std::cell::RefCell;

use holter::SeriesId;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::logger::Logger;
use crate::values;

/// The deepest nesting of the values of a `log` call.
const MAX_DEPTH: usize = 32;

thread_local! {
    /// The entries of a `log_many` call, kept so that calls do not allocate.
    static ENTRIES: RefCell<Vec<(SeriesId, f64)>> = const { RefCell::new(Vec::new()) };
}

impl Logger {
    /// All calls of `log` but the fast one: keywords, a dict, wrong arguments.
    #[cold]
    #[inline(never)]
    pub(crate) fn log_other(
        &self,
        py: Python<'_>,
        first: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        value: Option<&Bound<'_, PyAny>>,
        step: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        match (first, name, value, step) {
            (None, Some(name), Some(value), Some(step)) => self.log(py, Some(step), Some(name), Some(value), None),
            (Some(values), None, None, _) if values.hasattr(intern!(py, "items"))? => {
                let step = step.map(values::step).transpose()?;
                let step = self.session.next_step(step);
                self.record_with(py, step, |entries| self.fill_nested("", values, 0, entries))?;
                self.session.note_step(step);
                Ok(())
            }
            (Some(_), Some(name), None, None) if !name.is_instance_of::<PyString>() => Err(PyTypeError::new_err(
                "log takes (step, name, value) or (values, step=...); log_many takes (step, values)",
            )),
            (Some(_), Some(_), None, None) => Err(values::value(&py.None().into_bound(py))
                .map_or_else(|error| error, |_| PyTypeError::new_err("value must be a number, got None"))),
            _ => {
                Err(PyTypeError::new_err("log takes (step, name, value), or (values, step=...) with a dict of values"))
            }
        }
    }

    /// Records the entries that `fill` produces, or none if it fails.
    pub(crate) fn record_with(
        &self,
        py: Python<'_>,
        step: i64,
        fill: impl FnOnce(&mut Vec<(SeriesId, f64)>) -> PyResult<()>,
    ) -> PyResult<()> {
        ENTRIES.with(|entries| {
            // The conversion of a value may call us again on this thread; it then gets its own entries.
            let mut entries =
                entries.try_borrow_mut().map_or_else(|_| Vec::new(), |mut kept| std::mem::take(&mut *kept));
            entries.clear();
            let result = fill(&mut entries).and_then(|()| self.session.record_all(py, step, &entries));
            ENTRIES.with(|kept| kept.replace(entries));
            result
        })
    }

    /// Appends the values of nested mappings, their keys joined by slashes.
    fn fill_nested(
        &self,
        prefix: &str,
        values: &Bound<'_, PyAny>,
        depth: usize,
        entries: &mut Vec<(SeriesId, f64)>,
    ) -> PyResult<()> {
        let py = values.py();
        if depth > MAX_DEPTH {
            return Err(PyValueError::new_err(format!(
                "values are nested more than {MAX_DEPTH} levels deep, or contain themselves"
            )));
        }
        for item in values.call_method0(intern!(py, "items"))?.try_iter()? {
            let (key, value) = item?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            let Ok(text) = key.cast::<PyString>() else { return Err(values::name_type_error(&key)) };
            let name = if prefix.is_empty() {
                text.clone()
            } else {
                PyString::new(py, &format!("{prefix}{}", text.to_str().map_err(|_| values::name_unicode_error(&key))?))
            };
            if value.hasattr(intern!(py, "items"))? {
                self.fill_nested(&format!("{}/", name.to_str()?), &value, depth + 1, entries)?;
                continue;
            }
            let value = values::named_value(&name, &value)?;
            if let Some(series) = self.session.series(&name)? {
                entries.push((series, value));
            }
        }
        Ok(())
    }

    pub(crate) fn prepared(&self, name: &Bound<'_, PyAny>) -> PyResult<SeriesId> {
        match self.session.series(name)? {
            Some(series) => Ok(series),
            None if self.recorder.is_none() => {
                // A disabled logger discards points; any id will do.
                SeriesId::new(0).ok_or_else(|| values::name_type_error(name))
            }
            None => Err(self.session.no_room_for(name)),
        }
    }

    pub(crate) fn fill(&self, values: &Bound<'_, PyDict>, entries: &mut Vec<(SeriesId, f64)>) -> PyResult<()> {
        for (name, value) in values.iter() {
            let (Some(series), Some(value)) = (self.session.known_series(&name), values::plain_value(&value)) else {
                entries.clear();
                return self.fill_slowly(values, entries);
            };
            entries.push((series, value));
        }
        Ok(())
    }

    /// As `fill`, from a copy, because converting a value can run Python code that changes the dict.
    fn fill_slowly(&self, values: &Bound<'_, PyDict>, entries: &mut Vec<(SeriesId, f64)>) -> PyResult<()> {
        for item in values.items() {
            let (name, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            let value = values::named_value(&name, &value)?;
            if let Some(series) = self.session.series(&name)? {
                entries.push((series, value));
            }
        }
        Ok(())
    }
}
