//! One closed Parquet file: what its footer says, and its columns by row group.

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

/// A closed Parquet file and what its footer says.
#[derive(Debug, Clone)]
pub struct Part {
    /// The file.
    pub path: PathBuf,
    /// The number in its name.
    pub number: u64,
    /// How many rows it holds.
    pub rows: usize,
    /// The journal that its (last) rows came through, if any.
    pub journal_id: Option<u64>,
    /// The sequence numbers in that journal which it covers; empty without a journal.
    pub sequences: Range<u64>,
    /// The numbers of the parts whose rows are all in this one.
    pub(super) replaces: Vec<u64>,
    /// Where it stands among the others.
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
            return Err(Error::damaged(&path, "it has not the columns of a part"));
        }
        let len = file.metadata().map_err(Error::io("read", &path))?.len();
        if !has_all_chunks(&metadata, len) {
            return Err(Error::damaged(&path, "its footer speaks of columns that it does not hold"));
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

    /// The smallest and the largest step, `None` when there is no row or nothing is known.
    pub fn steps(&self) -> Option<RangeInclusive<Step>> {
        let groups = (0..self.num_groups()).map(|group| self.group_steps(group));
        groups.reduce(|a, b| Some(*a.as_ref()?.start().min(b.as_ref()?.start())..=*a?.end().max(b?.end())))?
    }

    pub(super) fn num_groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// How many rows a row group holds.
    pub(super) fn group_rows(&self, group: usize) -> usize {
        self.metadata.row_group(group).num_rows() as usize
    }

    /// The steps between which those of a row group lie, `None` when that is not known.
    pub(super) fn group_steps(&self, group: usize) -> Option<RangeInclusive<Step>> {
        match self.metadata.row_group(group).column(STEP).statistics()? {
            Statistics::Int64(steps) => Some(*steps.min_opt()?..=*steps.max_opt()?),
            _ => None,
        }
    }

    /// Whether all names of a row group are known to come before `name`.
    pub(super) fn group_ends_before(&self, group: usize, name: &[u8]) -> bool {
        let statistics = self.metadata.row_group(group).column(NAME).statistics();
        statistics.and_then(Statistics::max_bytes_opt).is_some_and(|max| max < name)
    }

    /// Whether a row group can hold `name`.
    pub(super) fn group_may_hold(&self, group: usize, name: &str) -> bool {
        let statistics = self.metadata.row_group(group).column(NAME).statistics();
        let bounds = statistics.and_then(|names| Some((names.min_bytes_opt()?, names.max_bytes_opt()?)));
        bounds.is_none_or(|(min, max)| min <= name.as_bytes() && name.as_bytes() <= max)
    }
}

/// A part whose file is open.
///
/// Its columns read through one file position, so they belong to one thread.
pub(super) struct OpenPart<'a> {
    pub(super) part: &'a Part,
    file: Arc<File>,
}

impl<'a> OpenPart<'a> {
    /// Opens the file; that it is gone means that it was merged into another since it was listed.
    pub(super) fn new(part: &'a Part) -> Result<Self> {
        let file = open_to_read(&part.path).map_err(Error::io("open", &part.path))?;
        Ok(Self { part, file: Arc::new(file) })
    }

    /// The names of a row group's rows.
    pub(super) fn name_runs(&self, group: usize) -> Result<Vec<NameRun>> {
        let runs = self.checked(|| self.pages(group, NAME).and_then(|mut pages| read_runs(&mut pages)))?;
        if runs.iter().map(|run| run.rows).sum::<usize>() != self.part.group_rows(group) {
            return Err(Error::damaged(&self.part.path, "it holds fewer names than rows"));
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
    /// Passes over `count` rows.
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
        if has_all { Ok(()) } else { Err(Error::damaged(&self.path, "a column holds fewer values than rows")) }
    }
}

/// Whether every column lies inside a file of `len` bytes; reading one that does not would panic.
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

/// What the library makes of a file's bytes. There are some that make it panic: then the file is damaged, and whoever
/// asked goes on.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    match panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| read_error(path, error)),
        Err(_) => Err(Error::damaged(path, "its bytes are not those of a part")),
    }
}

/// What cannot be read is damaged, unless the system refused to read it.
fn read_error(path: &Path, error: ParquetError) -> Error {
    match io_source(error) {
        Ok(source) => Error::io("read", path)(source),
        Err(error) => Error::damaged(path, error.to_string()),
    }
}
