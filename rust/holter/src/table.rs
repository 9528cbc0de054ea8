//! A run's points as Arrow record batches, for whoever speaks Arrow.
//!
//! Batches are read when they are asked for, each within one short transaction: a stream that nobody
//! reads on keeps nothing open and nothing locked.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch, RecordBatchReader, StringArray,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};
use crate::point::Step;
use crate::reader::{Columns, Reader, View};
use crate::schema::parquet as column;

/// How many rows a batch has, but for the last one.
const BATCH_ROWS: usize = 100_000;
/// How many bytes the names of a batch take at most: Arrow counts them in 32 bits.
const BATCH_NAME_BYTES: usize = 1 << 28;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = [
        (column::RUN, DataType::Utf8),
        (column::RANK, DataType::Int32),
        // Never Arrow's dictionary type: it keeps readers from skipping what they do not need.
        (column::NAME, DataType::Utf8),
        (column::STEP, DataType::Int64),
        (column::VALUE, DataType::Float64),
        (column::TIMESTAMP, timestamp),
    ];
    let fields: Vec<Field> = fields.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
    Arc::new(Schema::new(fields))
});

/// A stream of rows `run`, `rank`, `name`, `step`, `value`, `timestamp`, by name and step.
///
/// Beside a live writer each batch is as of when it is read: a series that grows meanwhile is given up
/// to its last point then, each step once, and a series that begins meanwhile is not in it.
#[derive(Debug)]
pub struct Table {
    reader: Reader,
    names: Vec<String>,
    /// The first point that is in no batch yet.
    position: Position,
    /// Batches that were read together with one that was asked for.
    ready: VecDeque<RecordBatch>,
    has_failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    /// Which of the names.
    series: usize,
    /// From which step on.
    start: Step,
}

/// Some points of one series.
struct Stretch {
    series: usize,
    points: Columns,
}

impl Table {
    pub(crate) fn new(reader: Reader, names: Vec<String>) -> Self {
        let position = Position { series: 0, start: Step::MIN };
        Self { reader, names, position, ready: VecDeque::new(), has_failed: false }
    }

    /// The columns' names and types.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    /// Tables one after the other, in the form in which libraries of any language take a stream over.
    pub fn into_ffi(tables: impl IntoIterator<Item = Self>) -> FFI_ArrowArrayStream {
        FFI_ArrowArrayStream::new(Box::new(Chain(tables.into_iter().collect())))
    }

    /// Reads all that is left, series by series.
    pub(crate) fn into_series(mut self) -> Result<Vec<(String, Columns)>> {
        let mut all: Vec<Stretch> = Vec::new();
        while self.position.series < self.names.len() {
            let reader = self.reader.clone();
            let (stretches, position) = reader.view(|view| self.read(view))?;
            self.position = position;
            for Stretch { series, points } in stretches {
                match all.last_mut() {
                    Some(last) if last.series == series => {
                        last.points.extend(&points.steps, &points.values, &points.times_micros);
                    }
                    _ => all.push(Stretch { series, points }),
                }
            }
        }
        Ok(all.into_iter().map(|stretch| (std::mem::take(&mut self.names[stretch.series]), stretch.points)).collect())
    }

    /// The next batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        while self.ready.is_empty() && self.position.series < self.names.len() {
            let reader = self.reader.clone();
            let (stretches, position) = reader.view(|view| self.read(view)).map_err(external)?;
            self.position = position;
            let batch = self.batch(stretches)?;
            // A truth that cannot stop at a row gives more than one batch's worth.
            let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
            self.ready.extend(starts.map(|start| batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start))));
        }
        Ok(self.ready.pop_front())
    }

    /// The points of the next batch, and where the one after it begins.
    fn read(&self, view: &View<'_>) -> Result<(Vec<Stretch>, Position)> {
        let mut stretches = Vec::new();
        let mut at = self.position;
        let mut series = view.in_order(&self.names[at.series])?;
        let (mut rows, mut name_bytes) = (0, 0);
        while rows < BATCH_ROWS
            && let Some(name) = self.names.get(at.series)
        {
            let max_rows = (BATCH_NAME_BYTES - name_bytes) / name.len().max(1);
            let room = max_rows.min(BATCH_ROWS - rows);
            if room == 0 {
                break;
            }
            let mut found = series.points(name, at.start, room)?;
            found.truncate(max_rows);
            let next = found.steps.last().filter(|_| found.len() >= room).and_then(|last| last.checked_add(1));
            rows += found.len();
            name_bytes += found.len() * name.len();
            if !found.is_empty() {
                stretches.push(Stretch { series: at.series, points: found });
            }
            at = match next {
                Some(start) => Position { start, ..at },
                None => Position { series: at.series + 1, start: Step::MIN },
            };
        }
        Ok((stretches, at))
    }

    fn batch(&self, stretches: Vec<Stretch>) -> Result<RecordBatch, ArrowError> {
        let rows = stretches.iter().map(|stretch| stretch.points.len()).sum();
        let mut all = Columns::default();
        let mut names: Vec<u8> = Vec::new();
        let mut lengths = Vec::with_capacity(rows);
        for Stretch { series, points } in stretches {
            let name = self.names[series].as_bytes();
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

/// The rows of several tables; an error ends them all.
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

/// As an error of input and output, which is not taken for a wrong argument on the other side.
fn external(error: Error) -> ArrowError {
    ArrowError::IoError(error.to_string(), std::io::Error::other(error))
}
