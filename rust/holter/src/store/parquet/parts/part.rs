//! A closed Parquet file: its footer, and its columns by row group.

use std::fs::File;
use std::ops::{Range, RangeInclusive};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;

use super::layout::{COLUMNS, io_source};
use super::name_column::{NameRun, read_distinct, read_runs};
use crate::error::{Error, Result};
use crate::fs::open_to_read;
use crate::store::schema::{FORMAT_VERSION, parquet as names};
use holter_journal::Step;

pub(super) const NAME: usize = 2;
pub(super) const STEP: usize = 3;
pub(super) const VALUE: usize = 4;
pub(super) const TIMESTAMP: usize = 5;

/// A closed Parquet file with its footer.
#[derive(Debug, Clone)]
pub struct Part {
    /// The file.
    pub path: PathBuf,
    /// The number in its name.
    pub number: u64,
    /// The number of rows.
    pub rows: usize,
    /// The journal that its newest rows came from, if any.
    pub journal_id: Option<u64>,
    /// The sequence numbers of that journal that it covers; empty without a journal.
    pub sequences: Range<u64>,
    /// The numbers of the parts that it replaces.
    pub(super) replaces: Vec<u64>,
    /// Its position among the parts.
    pub(super) order: u64,
    metadata: Arc<ParquetMetaData>,
}

impl Part {
    /// Reads the footer of part `number`.
    pub(super) fn open(path: PathBuf, number: u64) -> Result<Self> {
        let file = open_to_read(&path).map_err(Error::io("open", &path))?;
        let metadata = guarded(&path, || ParquetMetaDataReader::new().parse_and_finish(&file))?;
        let columns = metadata.file_metadata().schema_descr().columns();
        if !columns.iter().map(|column| column.name()).eq(COLUMNS) {
            return Err(Error::damaged(&path, "it does not have the columns of a part"));
        }
        let len = file.metadata().map_err(Error::io("read", &path))?.len();
        if !has_all_chunks(&metadata, len) {
            return Err(Error::damaged(&path, "its footer lists columns outside the file"));
        }
        let version = number_of(&path, &metadata, names::KEY_FORMAT_VERSION, 10)?
            .ok_or_else(|| Error::damaged(&path, "it has no format version"))?;
        if version > FORMAT_VERSION {
            return Err(Error::FormatVersion { path, found: version, known: FORMAT_VERSION });
        }
        let journal_id = number_of(&path, &metadata, names::KEY_JOURNAL_ID, 16)?;
        let start = number_of(&path, &metadata, names::KEY_SEQUENCE_START, 10)?.unwrap_or(0);
        let end = number_of(&path, &metadata, names::KEY_SEQUENCE_END, 10)?.unwrap_or(start);
        let order = number_of(&path, &metadata, names::KEY_ORDER, 10)?.unwrap_or(number);
        let replaces = text_of(&metadata, names::KEY_REPLACES).unwrap_or_default();
        let replaces = replaces.split(',').filter(|text| !text.is_empty());
        let replaces = replaces
            .map(|text| {
                text.parse().map_err(|_| Error::damaged(&path, format!("{} names {text:?}", names::KEY_REPLACES)))
            })
            .collect::<Result<Vec<u64>>>()?;
        let rows = metadata.file_metadata().num_rows() as usize;
        let metadata = Arc::new(metadata);
        Ok(Self { path, number, rows, journal_id, sequences: start..end, replaces, order, metadata })
    }

    /// The smallest and the largest step; `None` if there are no rows or no statistics.
    pub fn steps(&self) -> Option<RangeInclusive<Step>> {
        let groups = (0..self.num_groups()).map(|group| self.group_steps(group));
        groups.reduce(|a, b| Some(*a.as_ref()?.start().min(b.as_ref()?.start())..=*a?.end().max(b?.end())))?
    }

    pub(super) fn num_groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// The number of rows in a row group.
    pub(super) fn group_rows(&self, group: usize) -> usize {
        self.metadata.row_group(group).num_rows() as usize
    }

    /// The smallest and the largest step in a row group; `None` without statistics.
    pub(super) fn group_steps(&self, group: usize) -> Option<RangeInclusive<Step>> {
        match self.metadata.row_group(group).column(STEP).statistics()? {
            Statistics::Int64(steps) => Some(*steps.min_opt()?..=*steps.max_opt()?),
            _ => None,
        }
    }

    /// Whether all names in a row group come before `name`, according to statistics.
    pub(super) fn group_ends_before(&self, group: usize, name: &[u8]) -> bool {
        let statistics = self.metadata.row_group(group).column(NAME).statistics();
        statistics.and_then(Statistics::max_bytes_opt).is_some_and(|max| max < name)
    }

    /// Whether a row group can contain `name`, according to statistics.
    pub(super) fn group_may_contain(&self, group: usize, name: &str) -> bool {
        let statistics = self.metadata.row_group(group).column(NAME).statistics();
        let bounds = statistics.and_then(|names| Some((names.min_bytes_opt()?, names.max_bytes_opt()?)));
        bounds.is_none_or(|(min, max)| min <= name.as_bytes() && name.as_bytes() <= max)
    }
}

/// A part whose file is open.
///
/// Its columns share a file position, so they must be used by one thread.
pub(super) struct OpenPart<'a> {
    pub(super) part: &'a Part,
    file: Arc<File>,
}

impl<'a> OpenPart<'a> {
    /// Opens the file, which a merge may have removed since it was listed.
    pub(super) fn new(part: &'a Part) -> Result<Self> {
        let file = open_to_read(&part.path).map_err(Error::io("open", &part.path))?;
        Ok(Self { part, file: Arc::new(file) })
    }

    /// The names of a row group's rows.
    pub(super) fn name_runs(&self, group: usize) -> Result<Vec<NameRun>> {
        let runs = self.checked(|| self.pages(group, NAME).and_then(|mut pages| read_runs(&mut pages)))?;
        if runs.iter().map(|run| run.rows).sum::<usize>() != self.part.group_rows(group) {
            return Err(Error::damaged(&self.part.path, "it has fewer names than rows"));
        }
        Ok(runs)
    }

    /// The distinct names of a row group.
    pub(super) fn distinct_names(&self, group: usize) -> Result<Vec<Bytes>> {
        self.checked(|| self.pages(group, NAME).and_then(|mut pages| read_distinct(&mut pages)))
    }

    /// A column of a row group.
    pub(super) fn column<T: DataType>(&self, group: usize, column: usize) -> Result<Column<T>> {
        let description = self.part.metadata.file_metadata().schema_descr().column(column);
        let pages = self.checked(|| self.pages(group, column))?;
        Ok(Column { path: self.part.path.clone(), reader: ColumnReaderImpl::<T>::new(description, Box::new(pages)) })
    }

    fn pages(&self, group: usize, column: usize) -> Result<SerializedPageReader<File>, ParquetError> {
        let group = self.part.metadata.row_group(group);
        SerializedPageReader::new(Arc::clone(&self.file), group.column(column), group.num_rows() as usize, None)
    }

    fn checked<T>(&self, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
        guarded(&self.part.path, read)
    }
}

/// A column of a row group, read from front to back.
pub(super) struct Column<T: DataType> {
    path: PathBuf,
    reader: ColumnReaderImpl<T>,
}

impl<T: DataType> Column<T> {
    /// Skips `count` rows.
    pub(super) fn skip(&mut self, count: usize) -> Result<()> {
        let skipped = guarded(&self.path, || self.reader.skip_records(count))?;
        self.check(skipped == count)
    }

    /// Appends the next `count` rows to `values`.
    pub(super) fn read(&mut self, count: usize, values: &mut Vec<T::T>) -> Result<()> {
        let read = guarded(&self.path, || self.reader.read_records(count, None, None, values))?;
        self.check(read.0 == count)
    }

    fn check(&self, has_all: bool) -> Result<()> {
        if has_all { Ok(()) } else { Err(Error::damaged(&self.path, "a column has fewer values than rows")) }
    }
}

/// Whether every column is inside a file of `len` bytes. Reading a column outside would panic.
fn has_all_chunks(metadata: &ParquetMetaData, len: u64) -> bool {
    let fits = |column: &ColumnChunkMetaData| {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let end = start.checked_add(column.compressed_size());
        start >= 0 && column.compressed_size() >= 0 && end.is_some_and(|end| end as u64 <= len)
    };
    metadata.row_groups().iter().all(|group| group.num_rows() >= 0 && group.columns().iter().all(fits))
}

fn text_of(metadata: &ParquetMetaData, key: &str) -> Option<String> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.clone()
}

fn number_of(path: &Path, metadata: &ParquetMetaData, key: &str, radix: u32) -> Result<Option<u64>> {
    let text = text_of(metadata, key);
    let number = text
        .map(|text| u64::from_str_radix(&text, radix).map_err(|_| Error::damaged(path, format!("{key} is {text:?}"))));
    number.transpose()
}

/// Calls the Parquet library, which panics on some invalid files, and turns a panic into an error.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    match panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| read_error(path, error)),
        Err(_) => Err(Error::damaged(path, "it is not a valid Parquet file")),
    }
}

/// The error for a file that cannot be read: an I/O error, or damage.
fn read_error(path: &Path, error: ParquetError) -> Error {
    match io_source(error) {
        Ok(source) => Error::io("read", path)(source),
        Err(error) => Error::damaged(path, error.to_string()),
    }
}
