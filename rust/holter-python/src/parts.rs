//! The Parquet parts of a folder: `holter._parts` makes a dataclass of each.

use std::path::PathBuf;

use holter::store::parquet::parts::{self, PartFacts};
use pyo3::prelude::*;

use crate::error::to_py;

/// File name, number, numbers of the parts that it replaces, rows.
type Facts = (String, u64, Vec<u64>, usize);

/// The readable parts of the folder `path`, by number.
#[pyfunction]
pub(crate) fn parquet_parts(py: Python<'_>, path: PathBuf) -> PyResult<Vec<Facts>> {
    let found = py.detach(move || parts::report(&path)).map_err(|error| to_py(py, &error))?;
    let row = |PartFacts { file_name, number, replaces, rows }| (file_name, number, replaces, rows);
    Ok(found.into_iter().map(row).collect())
}
