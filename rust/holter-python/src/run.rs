//! Read-only access to a run, on which `holter._run` builds arrays, tables and errors.
//!
//! Columns are returned as buffers that numpy wraps without copying. Every read detaches from the interpreter.

use std::path::{Path, PathBuf};

use holter::Columns;
use holter::error::Result as CoreResult;
use holter::read::{self, Names, SeriesFacts, Table};
use holter::rollup::{Bucket, Level};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyCapsule};

use crate::error::to_py;

/// Steps, values and microseconds since the Unix epoch: little-endian items of eight bytes each.
type Buffers<'py> = (Bound<'py, PyByteArray>, Bound<'py, PyByteArray>, Bound<'py, PyByteArray>);

/// Name, count, count of non-finite values, first step, last step, last value; smallest finite value and its step,
/// largest finite value and its step.
type Facts = (String, u64, u64, i64, i64, f64, Option<f64>, Option<i64>, Option<f64>, Option<i64>);

/// The columns of buckets: first steps, last steps, counts, counts of non-finite values, smallest values, largest
/// values, sums, sums of squares, last values, times of the last points; items as in [`Buffers`].
type BucketBuffers<'py> = [Bound<'py, PyByteArray>; 10];

/// The width of the buckets, and of each series its name and its columns.
type Bucketed<'py> = (i64, Vec<(String, BucketBuffers<'py>)>);

/// A pattern, or names.
#[derive(FromPyObject)]
enum Selection {
    Matching(String),
    Exact(Vec<String>),
}

/// Runs, and the paths of unreadable runs with the reason.
type Found = (Vec<Reader>, Vec<(PathBuf, String)>);

/// Read-only access to one rank of a run.
#[pyclass(frozen, module = "holter._core")]
pub(crate) struct Reader(read::Reader);

#[pymethods]
impl Reader {
    /// Opens the run in the directory `path`.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        detached(py, || read::Reader::open(path)).map(Self)
    }

    /// The directory.
    #[getter]
    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The name that users know the run by.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The rank.
    #[getter]
    fn rank(&self) -> u32 {
        self.0.rank_number()
    }

    /// When the run started, in microseconds since the Unix epoch.
    #[getter]
    fn started_micros(&self) -> i64 {
        self.0.started().micros()
    }

    /// The current manifest, a JSON object.
    fn manifest_json(&self, py: Python<'_>) -> PyResult<String> {
        detached(py, || self.0.manifest_json())
    }

    /// The lines of the events file, each a JSON object.
    fn event_lines(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        detached(py, || self.0.event_lines())
    }

    /// "running", "finished", "failed", "interrupted", "stopped" or "crashed".
    fn status(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(detached(py, || self.0.status())?.as_str())
    }

    /// Whether a living process writes to the run.
    fn is_live(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_live())
    }

    /// The sorted names that match `pattern`.
    fn names(&self, py: Python<'_>, pattern: &str) -> PyResult<Vec<String>> {
        detached(py, || self.0.names(Some(pattern)))
    }

    /// The facts of the series that match `pattern`, sorted by name.
    fn facts(&self, py: Python<'_>, pattern: &str) -> PyResult<Vec<Facts>> {
        let facts = detached(py, || self.0.series_facts(Some(pattern)))?;
        let row = |SeriesFacts { name, count, nonfinite_count, first_step, last_step, last_value, min, max }| {
            let ((min, min_step), (max, max_step)) = (min.unzip(), max.unzip());
            (name, count, nonfinite_count, first_step, last_step, last_value, min, min_step, max, max_step)
        };
        Ok(facts.into_iter().map(row).collect())
    }

    /// The points with `start <= step < stop`.
    fn series<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<Buffers<'py>> {
        buffers(py, &detached(py, || self.0.series(name, start, stop))?)
    }

    /// The names and points of all series that match `pattern`.
    fn all_series<'py>(&self, py: Python<'py>, pattern: &str) -> PyResult<Vec<(String, Buffers<'py>)>> {
        let all = detached(py, || self.0.all_series(Some(pattern)))?;
        all.into_iter().map(|(name, columns)| Ok((name, buffers(py, &columns)?))).collect()
    }

    /// At most `max(points, 5)` of the points with `start <= step < stop`, including extremes.
    fn downsample<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        points: usize,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<Buffers<'py>> {
        buffers(py, &detached(py, || self.0.downsample(name, points, start, stop))?)
    }

    /// The series with these names, or that match a pattern, in buckets of the returned width. `bounds` are the first step and
    /// the one after the last.
    fn buckets<'py>(
        &self,
        py: Python<'py>,
        names: Selection,
        width: Option<i64>,
        max_buckets: usize,
        bounds: (Option<i64>, Option<i64>),
    ) -> PyResult<Bucketed<'py>> {
        let (width, all) = detached(py, move || {
            let names = match &names {
                Selection::Matching(pattern) => Names::Matching(pattern),
                Selection::Exact(names) => Names::Exact(names),
            };
            self.0.buckets(names, width, max_buckets, bounds.0, bounds.1)
        })?;
        let all = all.into_iter().map(|series| Ok((series.name, bucket_buffers(py, width, &series.buckets)?)));
        Ok((width, all.collect::<PyResult<_>>()?))
    }

    /// An opaque version token that changes whenever there is something new.
    fn revision(&self, py: Python<'_>) -> PyResult<String> {
        detached(py, || self.0.revision())
    }
}

/// The concatenated points of several readers, as a single-use capsule of the Arrow `PyCapsule` interface.
#[pyfunction]
fn arrow_stream<'py>(
    py: Python<'py>,
    readers: Vec<PyRef<'py, Reader>>,
    pattern: &str,
) -> PyResult<Bound<'py, PyCapsule>> {
    let readers: Vec<read::Reader> = readers.into_iter().map(|reader| reader.0.clone()).collect();
    let stream = detached(py, || {
        let tables: CoreResult<Vec<Table>> = readers.iter().map(|reader| reader.table(Some(pattern))).collect();
        Ok(Table::into_ffi(tables?))
    })?;
    PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
}

/// The sorted ranks that have recorded in the directory `run` so far.
#[pyfunction]
fn ranks(py: Python<'_>, run: PathBuf) -> PyResult<Vec<u32>> {
    detached(py, || read::ranks(run))
}

/// Opens a rank of the run in the directory `run`.
#[pyfunction]
fn open_rank(py: Python<'_>, run: PathBuf, rank: u32) -> PyResult<Reader> {
    detached(py, || read::open_rank(run, rank)).map(Reader)
}

/// The lowest rank of each run at or below `root`, oldest run first.
#[pyfunction]
fn list_runs(py: Python<'_>, root: PathBuf) -> PyResult<Found> {
    let found = detached(py, || read::list_runs(root))?;
    let unreadable = found.unreadable.into_iter().map(|(path, error)| (path, error.to_string()));
    Ok((found.runs.into_iter().map(Reader).collect(), unreadable.collect()))
}

/// Adds the classes and functions of this file to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Reader>()?;
    module.add_function(wrap_pyfunction!(arrow_stream, module)?)?;
    module.add_function(wrap_pyfunction!(list_runs, module)?)?;
    module.add_function(wrap_pyfunction!(open_rank, module)?)?;
    module.add_function(wrap_pyfunction!(ranks, module)?)
}

fn detached<T: Send>(py: Python<'_>, read: impl FnOnce() -> CoreResult<T> + Send) -> PyResult<T> {
    py.detach(read).map_err(|error| to_py(py, &error))
}

fn buffers<'py>(py: Python<'py>, columns: &Columns) -> PyResult<Buffers<'py>> {
    Ok((
        buffer(py, &columns.steps, i64::to_le_bytes)?,
        buffer(py, &columns.values, f64::to_le_bytes)?,
        buffer(py, &columns.times_micros, i64::to_le_bytes)?,
    ))
}

fn bucket_buffers<'py>(py: Python<'py>, width: i64, all: &[Bucket]) -> PyResult<BucketBuffers<'py>> {
    let level = Level::of_width(width);
    let first_step = |bucket: &Bucket| level.map_or(bucket.last_step, |level| level.bucket_start(bucket.last_step));
    Ok([
        buffer(py, all, |bucket| first_step(&bucket).to_le_bytes())?,
        buffer(py, all, |bucket| bucket.last_step.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.count.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.nonfinite_count.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.min.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.max.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.sum.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.square_sum.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.last.to_le_bytes())?,
        buffer(py, all, |bucket| bucket.last_time_micros.to_le_bytes())?,
    ])
}

/// A bytearray rather than bytes, so that the numpy array is writable.
pub(crate) fn buffer<'py, T: Copy>(
    py: Python<'py>,
    items: &[T],
    to_bytes: impl Fn(T) -> [u8; 8],
) -> PyResult<Bound<'py, PyByteArray>> {
    PyByteArray::new_with(py, items.len() * 8, |bytes| {
        for (place, item) in bytes.as_chunks_mut().0.iter_mut().zip(items) {
            *place = to_bytes(*item);
        }
        Ok(())
    })
}
