//! A run's points as Arrow record batches.
//!
//! Each batch is read on demand within a short transaction: an idle stream holds no files open and no locks.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch, RecordBatchReader, StringArray,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::run::Reader;
use super::scan::{BATCH_ROWS, Scan, Stretch};
use crate::error::{Error, Result};
use crate::points::Columns;
use crate::store::schema::parquet as column;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = [
        (column::RUN, DataType::Utf8),
        (column::RANK, DataType::Int32),
        // Not a dictionary: with a dictionary, readers cannot skip data that they do not need.
        (column::NAME, DataType::Utf8),
        (column::STEP, DataType::Int64),
        (column::VALUE, DataType::Float64),
        (column::TIMESTAMP, timestamp),
    ];
    let fields: Vec<Field> = fields.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
    Arc::new(Schema::new(fields))
});

/// A stream of rows `run`, `rank`, `name`, `step`, `value`, `timestamp`, ordered by name and step.
///
/// While a writer is active, each batch reflects the run at the time of the read: a growing series is returned up to
/// its last point at that time, with each step once. Series that start after the stream was created are not included.
#[derive(Debug)]
pub struct Table {
    reader: Reader,
    scan: Scan,
    /// Batches that were read together with an earlier batch and not returned yet.
    ready: VecDeque<RecordBatch>,
    has_failed: bool,
}

impl Reader {
    /// Returns the points of all series that match `pattern` as a stream of Arrow record batches.
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::names`].
    pub fn table(&self, pattern: Option<&str>) -> Result<Table> {
        Ok(Table::new(self.clone(), self.names(pattern)?))
    }
}

impl Table {
    fn new(reader: Reader, names: Vec<String>) -> Self {
        Self { reader, scan: Scan::new(names), ready: VecDeque::new(), has_failed: false }
    }

    /// The Arrow schema of the stream.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    /// Concatenates tables into an Arrow C stream.
    pub fn into_ffi(tables: impl IntoIterator<Item = Self>) -> FFI_ArrowArrayStream {
        FFI_ArrowArrayStream::new(Box::new(Chain(tables.into_iter().collect())))
    }

    /// The next batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        while self.ready.is_empty() && !self.scan.is_done() {
            let (stretches, position) = self.reader.view(|view| self.scan.read(view)).map_err(external)?;
            self.scan.advance(position);
            let batch = self.batch(stretches)?;
            // The Parquet parts cannot stop at a row, so a read may return more rows than a batch.
            let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
            self.ready.extend(starts.map(|start| batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start))));
        }
        Ok(self.ready.pop_front())
    }

    fn batch(&self, stretches: Vec<Stretch>) -> Result<RecordBatch, ArrowError> {
        let rows = stretches.iter().map(|stretch| stretch.points.len()).sum();
        let mut all = Columns::default();
        let mut names: Vec<u8> = Vec::new();
        let mut lengths = Vec::with_capacity(rows);
        for Stretch { series, points } in stretches {
            let name = self.scan.name(series).as_bytes();
            names.extend(std::iter::repeat_n(name, points.len()).flatten());
            lengths.extend(std::iter::repeat_n(name.len(), points.len()));
            if all.is_empty() {
                all = points;
            } else {
                all.extend(&points.steps, &points.values, &points.times_micros);
            }
        }
        let names = StringArray::try_new(OffsetBuffer::from_lengths(lengths), names.into(), None)?;
        let run = StringArray::new_repeated(self.reader.name(), rows);
        let rank = Int32Array::from_value(self.reader.rank_number() as i32, rows);
        let times = PrimitiveArray::<TimestampMicrosecondType>::new(ScalarBuffer::from(all.times_micros), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(run),
            Arc::new(rank),
            Arc::new(names),
            Arc::new(Int64Array::new(ScalarBuffer::from(all.steps), None)),
            Arc::new(Float64Array::new(ScalarBuffer::from(all.values), None)),
            Arc::new(times.with_timezone("UTC")),
        ];
        RecordBatch::try_new(self.schema(), columns)
    }
}

impl Iterator for Table {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.next_batch();
        self.has_failed = next.is_err();
        next.transpose()
    }
}

/// The rows of several tables; an error ends the stream.
#[derive(Debug)]
struct Chain(VecDeque<Table>);

impl Iterator for Chain {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(table) = self.0.front_mut() {
            match table.next() {
                None => self.0.pop_front(),
                Some(Ok(batch)) => return Some(Ok(batch)),
                Some(Err(error)) => {
                    self.0.clear();
                    return Some(Err(error));
                }
            };
        }
        None
    }
}

impl RecordBatchReader for Chain {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }
}

/// Wraps the error as an I/O error, so that the consumer does not report it as an invalid argument.
fn external(error: Error) -> ArrowError {
    ArrowError::IoError(error.to_string(), std::io::Error::other(error))
}
