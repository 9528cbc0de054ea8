//! Writes a part, which appears under its name only when it is complete and durable.
//!
//! Rows come in the order (name, step). They are divided into row groups of about 130,000, if possible between two series,
//! so that the statistics of few row groups match a series.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::layout::{io_source, part_path, position, tmp_path};
use crate::error::{Error, Result};
use crate::fs::create_replacing;
use crate::fs::durable_dir;
use crate::points::Columns;
use crate::store::schema::{FORMAT_VERSION, parquet as names};
use holter_journal::Step;

/// The blocks of zstd have 128 KiB, so each of the eight byte streams of the values fills one block.
const GROUP_ROWS: usize = 131_072;
/// How much earlier a row group may end to avoid splitting a series, and how much larger the last one may be to avoid a
/// small remainder.
const GROUP_SLACK: usize = 32_768;
/// The maximum total length of the distinct names in a row group, which are in memory; a name may have 64 KB.
const GROUP_NAME_BYTES: usize = 16 << 20;
/// The library processes values in chunks of this length, so slices of repeated values need not be longer.
const REPEATED: usize = 1024;
/// How often a name is cloned; the slice is then written repeatedly. More clones cost more than more calls.
const REPEATED_NAMES: usize = 256;

/// The columns that are the same in every row.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    /// The run's name.
    pub(crate) run: String,
    /// The rank.
    pub(crate) rank: i32,
}

/// The origin of the rows, for the metadata.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The journal of the newest rows.
    pub(crate) journal_id: Option<u64>,
    /// The sequence numbers of that journal.
    pub(crate) sequences: Range<u64>,
    /// The numbers of the parts that this part replaces.
    pub(crate) replaces: Vec<u64>,
    /// The position among the parts, if it is not the number of the part.
    pub(crate) order: Option<u64>,
}

/// The compression level of zstd.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effort {
    /// During the training.
    Fast = 1,
    /// After the training: 5 to 10 % smaller in 15 % more time.
    Thorough = 3,
}

/// A part that is being written.
pub(crate) struct PartWriter {
    writer: SerializedFileWriter<File>,
    tmp: TmpFile,
    path: PathBuf,
    run: Vec<ByteArray>,
    rank: Vec<i32>,
    group: Group,
    name: Vec<ByteArray>,
}

/// The rows of the next row group.
#[derive(Default)]
struct Group {
    runs: Vec<(ByteArray, usize)>,
    rows: Columns,
    name_bytes: usize,
}

/// Removes the file on drop unless it was renamed. After a kill, the next writer removes it.
struct TmpFile {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // An error can be ignored, because no reader opens files with this name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl PartWriter {
    /// Starts part `number` in the directory `dir`.
    pub(crate) fn create(dir: &Path, number: u64, labels: &Labels, origin: &Origin, effort: Effort) -> Result<Self> {
        let path = tmp_path(dir, number);
        let file = create_replacing(&path).map_err(Error::io("create", &path))?;
        let tmp = TmpFile { path, is_kept: false };
        let schema = Arc::new(parse_message_type(names::MESSAGE)?);
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties(origin, effort)?))?;
        Ok(Self {
            writer,
            tmp,
            path: part_path(dir, number),
            run: vec![ByteArray::from(labels.run.as_str()); REPEATED],
            rank: vec![labels.rank; REPEATED],
            group: Group::default(),
            name: Vec::with_capacity(REPEATED_NAMES),
        })
    }

    /// Appends rows. (name, step) must ascend strictly from call to call.
    pub(crate) fn push(&mut self, name: &[u8], steps: &[Step], values: &[f64], times_micros: &[i64]) -> Result<()> {
        let mut start = 0;
        while start < steps.len() {
            let room = GROUP_ROWS + GROUP_SLACK - self.group.rows.len();
            let end = steps.len().min(start + room);
            self.group.push(name, end - start);
            self.group.rows.extend(&steps[start..end], &values[start..end], &times_micros[start..end]);
            start = end;
            if self.group.name_bytes >= GROUP_NAME_BYTES {
                self.write_group(self.group.rows.len())?;
            } else if self.group.rows.len() >= GROUP_ROWS + GROUP_SLACK {
                self.write_group(self.group.end())?;
            }
        }
        Ok(())
    }

    /// Makes the part complete, durable and visible, in this order.
    ///
    /// The name becomes durable only with a [`durable_dir::sync`] of the directory.
    pub(crate) fn close(mut self) -> Result<()> {
        if !self.group.rows.is_empty() {
            self.write_group(self.group.rows.len())?;
        }
        let Self { writer, mut tmp, path, .. } = self;
        let file = writer.into_inner().map_err(|error| write_error(&tmp.path, error))?;
        file.sync_all().map_err(Error::io("sync", &tmp.path))?;
        fs::rename(&tmp.path, &path).map_err(Error::io("rename into place", &path))?;
        tmp.is_kept = true;
        Ok(())
    }

    /// As [`PartWriter::close`], and makes the name durable too.
    pub(crate) fn close_durably(self, dir: &Path) -> Result<()> {
        self.close()?;
        durable_dir::sync(dir)
    }

    fn write_group(&mut self, end: usize) -> Result<()> {
        self.try_write_group(end).map_err(|error| write_error(&self.tmp.path, error))?;
        self.group.drop_front(end);
        Ok(())
    }

    fn try_write_group(&mut self, end: usize) -> Result<(), ParquetError> {
        let rows = &self.group.rows;
        let mut group = self.writer.next_row_group()?;
        write_column::<ByteArrayType>(&mut group, repeated(&self.run, end))?;
        write_column::<Int32Type>(&mut group, repeated(&self.rank, end))?;
        write_names(&mut group, self.group.runs_until(end), &mut self.name)?;
        write_column::<Int64Type>(&mut group, [&rows.steps[..end]])?;
        write_column::<DoubleType>(&mut group, [&rows.values[..end]])?;
        write_column::<Int64Type>(&mut group, [&rows.times_micros[..end]])?;
        group.close()?;
        Ok(())
    }
}

impl Group {
    /// Counts rows that are appended next.
    fn push(&mut self, name: &[u8], count: usize) {
        match self.runs.last_mut() {
            Some((last, rows)) if last.data() == name => *rows += count,
            _ => {
                self.name_bytes += name.len();
                self.runs.push((ByteArray::from(name.to_vec()), count));
            }
        }
    }

    /// The best end of the row group: the end of the last series that fits, if that is not too early.
    fn end(&self) -> usize {
        let mut end = 0;
        let ends = self.runs.iter().map(|(_, rows)| {
            end += rows;
            end
        });
        let last = ends.take_while(|&end| end <= GROUP_ROWS).last();
        last.filter(|&end| end >= GROUP_ROWS - GROUP_SLACK).unwrap_or(GROUP_ROWS)
    }

    /// The names of the first `end` rows, with the number of rows of each.
    fn runs_until(&self, end: usize) -> impl Iterator<Item = (&ByteArray, usize)> {
        let mut left = end;
        self.runs.iter().map_while(move |(name, rows)| {
            let count = left.min(*rows);
            left -= count;
            (count > 0).then_some((name, count))
        })
    }

    fn drop_front(&mut self, count: usize) {
        let mut left = count;
        self.runs.retain_mut(|(_, rows)| {
            let dropped = left.min(*rows);
            left -= dropped;
            *rows -= dropped;
            *rows > 0
        });
        self.rows.drop_front(count);
        self.name_bytes = self.runs.iter().map(|(name, _)| name.len()).sum();
    }
}

fn write_column<'a, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    slices: impl IntoIterator<Item = &'a [T::T]>,
) -> Result<(), ParquetError> {
    let mut column = next_column(group)?;
    for slice in slices {
        column.typed::<T>().write_batch(slice, None, None)?;
    }
    column.close()
}

fn write_names<'a>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    runs: impl Iterator<Item = (&'a ByteArray, usize)>,
    scratch: &mut Vec<ByteArray>,
) -> Result<(), ParquetError> {
    let mut column = next_column(group)?;
    for (name, rows) in runs {
        scratch.clear();
        scratch.resize(rows.min(REPEATED_NAMES), name.clone());
        for slice in repeated(scratch, rows) {
            column.typed::<ByteArrayType>().write_batch(slice, None, None)?;
        }
    }
    column.close()
}

fn next_column<'a>(
    group: &'a mut SerializedRowGroupWriter<'_, File>,
) -> Result<parquet::file::writer::SerializedColumnWriter<'a>, ParquetError> {
    group.next_column()?.ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))
}

/// Slices of `values`, which are all equal, with `count` items in total.
fn repeated<T>(values: &[T], count: usize) -> impl Iterator<Item = &[T]> {
    (0..count).step_by(values.len().max(1)).map(move |start| &values[..values.len().min(count - start)])
}

fn properties(origin: &Origin, effort: Effort) -> Result<WriterProperties> {
    let column = |name: &str| ColumnPath::from(name);
    let sorting = |name| {
        position(name).map(|column_idx| SortingColumn {
            column_idx: column_idx as i32,
            descending: false,
            nulls_first: false,
        })
    };
    let plain = |builder: WriterPropertiesBuilder, name: &str, encoding| {
        builder.set_column_dictionary_enabled(column(name), false).set_column_encoding(column(name), encoding)
    };
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("holter {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(effort as i32)?))
        // One page per column and row group, since readers read whole row groups.
        .set_data_page_row_count_limit(usize::MAX)
        .set_data_page_size_limit(4 << 20)
        // A dictionary is never larger than plain names.
        .set_dictionary_page_size_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Bounds ignore NaN, so readers that treat NaN as the largest value would skip rows.
        .set_column_statistics_enabled(column(names::VALUE), EnabledStatistics::None)
        // Whole names, because some readers treat a truncated bound as a value.
        .set_statistics_truncate_length(None)
        .set_offset_index_disabled(true)
        .set_sorting_columns(Some([sorting(names::NAME), sorting(names::STEP)].into_iter().flatten().collect()))
        .set_key_value_metadata(Some(key_values(origin)));
    builder = plain(builder, names::STEP, Encoding::DELTA_BINARY_PACKED);
    builder = plain(builder, names::VALUE, Encoding::BYTE_STREAM_SPLIT);
    // The same times repeat in each series, which zstd compresses better without delta encoding.
    builder = plain(builder, names::TIMESTAMP, Encoding::PLAIN);
    Ok(builder.build())
}

fn key_values(origin: &Origin) -> Vec<KeyValue> {
    let mut pairs = vec![KeyValue::new(names::KEY_FORMAT_VERSION.to_owned(), FORMAT_VERSION.to_string())];
    let mut add = |key: &str, value: String| pairs.push(KeyValue::new(key.to_owned(), value));
    if let Some(journal_id) = origin.journal_id {
        add(names::KEY_JOURNAL_ID, format!("{journal_id:016x}"));
        add(names::KEY_SEQUENCE_START, origin.sequences.start.to_string());
        add(names::KEY_SEQUENCE_END, origin.sequences.end.to_string());
    }
    if let Some(order) = origin.order {
        add(names::KEY_ORDER, order.to_string());
        let replaces: Vec<String> = origin.replaces.iter().map(u64::to_string).collect();
        add(names::KEY_REPLACES, replaces.join(","));
    }
    pairs
}

/// Adds the path to an I/O error.
fn write_error(path: &Path, error: ParquetError) -> Error {
    match io_source(error) {
        Ok(source) => Error::io("write", path)(source),
        Err(error) => error.into(),
    }
}
