//! Reads series in order, faster than one by one, in batches of bounded size.

use holter_journal::Step;

use super::committed::Committed;
use super::view::View;
use crate::error::Result;
use crate::points::Columns;
use crate::store::parquet::parts::SeriesMerge;

/// The number of rows in a batch; the last one may be smaller.
pub(super) const BATCH_ROWS: usize = 100_000;
/// The maximum total length of the names in a batch: Arrow uses 32-bit offsets.
const BATCH_NAME_BYTES: usize = 1 << 28;

/// The series to read, and the current position.
#[derive(Debug)]
pub(super) struct Scan {
    names: Vec<String>,
    /// The next point to read.
    position: Position,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The index of the name.
    series: usize,
    /// The first step.
    start: Step,
}

/// Consecutive points of one series.
pub(super) struct Stretch {
    /// The index of the name.
    pub(super) series: usize,
    pub(super) points: Columns,
}

impl Scan {
    /// A scan of the series of these names, which ascend.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, position: Position { series: 0, start: Step::MIN } }
    }

    /// The name at an index.
    pub(super) fn name(&self, series: usize) -> &str {
        &self.names[series]
    }

    /// All names.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    /// Whether everything has been read.
    pub(super) fn is_done(&self) -> bool {
        self.position.series >= self.names.len()
    }

    /// Moves to the position that [`Scan::read`] returned.
    pub(super) fn advance(&mut self, position: Position) {
        self.position = position;
    }

    /// Reads the next batch, and the position after it. Does not change the scan, so it can be retried.
    pub(super) fn read(&self, view: &View<'_>) -> Result<(Vec<Stretch>, Position)> {
        let mut stretches = Vec::new();
        let mut at = self.position;
        let mut series = InOrder::new(view, &self.names[at.series])?;
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

/// Reads series in the order of their names.
struct InOrder<'a> {
    view: &'a View<'a>,
    /// Present if the points are in parts.
    merge: Option<SeriesMerge<'a>>,
}

impl<'a> InOrder<'a> {
    fn new(view: &'a View<'a>, first_name: &str) -> Result<Self> {
        let merge = match view.committed {
            Committed::Parts(parts) => Some(SeriesMerge::new(parts, first_name)?),
            _ => None,
        };
        Ok(Self { view, merge })
    }

    /// The points of `name` from step `start` on. Names must ascend from call to call.
    ///
    /// May return more than `limit` points. If it returns fewer, no more follow.
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
