//! Scans all series in order, in batches of bounded size. Faster than reading each series separately.

use holter_journal::Step;

use super::committed::Committed;
use super::view::View;
use crate::error::Result;
use crate::points::Columns;
use crate::store::parquet::parts::SeriesMerge;

/// The number of rows of each batch except the last.
pub(super) const BATCH_ROWS: usize = 100_000;
/// The maximum total size of a batch's names, because Arrow stores 32-bit offsets.
const BATCH_NAME_BYTES: usize = 1 << 28;

/// The series of a scan, and its position.
#[derive(Debug)]
pub(super) struct Scan {
    names: Vec<String>,
    /// The next position to read.
    position: Position,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The index of the series.
    series: usize,
    /// The first step to read.
    start: Step,
}

/// Some points of one series.
pub(super) struct Stretch {
    /// The index of the series.
    pub(super) series: usize,
    pub(super) points: Columns,
}

impl Scan {
    /// Creates a scan of these series. The names must ascend.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, position: Position { series: 0, start: Step::MIN } }
    }

    /// The name of a stretch's series.
    pub(super) fn name(&self, series: usize) -> &str {
        &self.names[series]
    }

    /// All names.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    /// Whether the scan is complete.
    pub(super) fn is_done(&self) -> bool {
        self.position.series >= self.names.len()
    }

    /// Moves to the position after a batch.
    pub(super) fn advance(&mut self, position: Position) {
        self.position = position;
    }

    /// Reads the next batch, and returns it with the position after it. Does not change the scan, so that it can be
    /// retried.
    pub(super) fn read(&self, view: &View<'_>) -> Result<(Vec<Stretch>, Position)> {
        let mut stretches = Vec::new();
        let mut at = self.position;
        let mut series = OrderedReader::new(view, &self.names[at.series])?;
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
}

/// Reads series in ascending order of names.
struct OrderedReader<'a> {
    view: &'a View<'a>,
    /// The merge of the parts, if the points are in parts.
    merge: Option<SeriesMerge<'a>>,
}

impl<'a> OrderedReader<'a> {
    fn new(view: &'a View<'a>, first_name: &str) -> Result<Self> {
        let merge = match view.committed {
            Committed::Parts(parts) => Some(SeriesMerge::new(parts, first_name)?),
            _ => None,
        };
        Ok(Self { view, merge })
    }

    /// The points of `name` from step `start`. The names of consecutive calls must not descend.
    ///
    /// May return more than `limit` points. If it returns fewer, the series has no further points.
    fn points(&mut self, name: &str, start: Step, limit: usize) -> Result<Columns> {
        let steps = start..=Step::MAX;
        let older = match &mut self.merge {
            Some(merge) => {
                let mut all = Columns::default();
                merge.seek(name)?;
                while merge.is_at(name)
                    && let Some((_, stretch)) = merge.next_stretch()?
                {
                    let first = stretch.steps.partition_point(|&step| step < start);
                    all.extend_from(stretch, first..stretch.len());
                }
                Some(all)
            }
            None => self.view.committed.points(name, &steps, limit)?,
        };
        Ok(self.view.with_pending(older, name, &steps, limit).unwrap_or_default())
    }
}
