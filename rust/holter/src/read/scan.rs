//! Reads series after series, faster than one by one, in pieces of bounded size.

use holter_journal::Step;

use super::committed::Committed;
use super::view::View;
use crate::error::Result;
use crate::points::Columns;
use crate::store::parquet::parts::SeriesMerge;

/// How many rows a piece has, but for the last one.
pub(super) const BATCH_ROWS: usize = 100_000;
/// How many bytes the names of a piece take at most: Arrow counts them in 32 bits.
const BATCH_NAME_BYTES: usize = 1 << 28;

/// The series that are still to be read, and from where on.
#[derive(Debug)]
pub(super) struct Scan {
    names: Vec<String>,
    /// The first point that is not read yet.
    position: Position,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// Which of the names.
    series: usize,
    /// From which step on.
    start: Step,
}

/// Some points of one series.
pub(super) struct Stretch {
    /// Which of the names.
    pub(super) series: usize,
    pub(super) points: Columns,
}

impl Scan {
    /// Reads the series of these names, which ascend.
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

    /// Whether everything is read.
    pub(super) fn is_over(&self) -> bool {
        self.position.series >= self.names.len()
    }

    /// Moves on behind a piece that was read.
    pub(super) fn advance(&mut self, position: Position) {
        self.position = position;
    }

    /// The points of the next piece, and where the one after it begins. Changes nothing, so that it can be repeated.
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

/// Reads series after series, faster than one by one.
struct InOrder<'a> {
    view: &'a View<'a>,
    /// Where the parts are read, if it is them.
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

    /// The points of `name` from step `start` on. No name may come before one that was asked for before.
    ///
    /// There may be more than `limit`. If there are not fewer, then more may follow them.
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
