//! Merges parts, of each of which only a stretch of one series is in memory at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use parquet::data_type::{DoubleType, Int64Type};

use super::columns::Columns;
use super::name_column::NameRun;
use super::part::{Column, OpenPart, Part, STEP, TIMESTAMP, VALUE};
use super::read::text;
use crate::error::Result;
use crate::point::Step;

/// How many points of one series are read from one part at a time.
const BLOCK_ROWS: usize = 16_384;

/// Calls `visit` with the points of all series of `parts`: by name, then by step, both ascending.
///
/// A long series comes in several stretches, one call each. Of equal steps the later part wins.
///
/// # Errors
///
/// [`Error::Damaged`](crate::error::Error::Damaged) or [`Error::Io`](crate::error::Error::Io) names
/// the part that cannot be read; or what `visit` returned.
pub fn for_each_series(parts: &[Part], mut visit: impl FnMut(&str, &Columns) -> Result<()>) -> Result<()> {
    let mut cursors = parts.iter().map(Cursor::new).collect::<Result<Vec<Cursor<'_>>>>()?;
    let mut stretch = Columns::default();
    while let Some(name) = cursors.iter().filter_map(Cursor::name).min().cloned() {
        let holding = cursors.iter_mut().filter(|cursor| cursor.name() == Some(&name));
        let mut holding: Vec<&mut Cursor<'_>> = holding.collect();
        while let Some(part) = holding.first().map(|cursor| cursor.open.part) {
            merge_stretch(&mut holding, &name, &mut stretch)?;
            if !stretch.is_empty() {
                visit(text(part, &name)?, &stretch)?;
            }
        }
    }
    Ok(())
}

/// Takes the next points of series `name` from `holding`, and from the list who has no more of them.
fn merge_stretch(holding: &mut Vec<&mut Cursor<'_>>, name: &Bytes, stretch: &mut Columns) -> Result<()> {
    stretch.clear();
    for cursor in holding.iter_mut() {
        cursor.fill(name)?;
    }
    // Up to here everyone's points are known. Who has no more of them sets no bound.
    let bounds = holding.iter().filter(|cursor| cursor.name() == Some(name)).filter_map(|cursor| cursor.block_end());
    let bound = bounds.min().unwrap_or(Step::MAX);
    for cursor in holding.iter_mut() {
        cursor.take_until(bound, stretch);
    }
    stretch.order();
    holding.retain(|cursor| cursor.name() == Some(name) || cursor.block_end().is_some());
    Ok(())
}

/// A position in a part that moves from its first row to its last.
struct Cursor<'a> {
    open: OpenPart<'a>,
    /// The row group to read after this one.
    next_group: usize,
    /// What of the row group is not in a block yet.
    runs: VecDeque<NameRun>,
    columns: Option<(Column<Int64Type>, Column<DoubleType>, Column<Int64Type>)>,
    /// Points that are read: those from `start` on are not taken yet.
    block: Columns,
    start: usize,
}

impl<'a> Cursor<'a> {
    fn new(part: &'a Part) -> Result<Self> {
        let mut cursor = Self {
            open: OpenPart::new(part)?,
            next_group: 0,
            runs: VecDeque::new(),
            columns: None,
            block: Columns::default(),
            start: 0,
        };
        cursor.enter_group()?;
        Ok(cursor)
    }

    /// The series that the next row to be read belongs to, `None` at the end.
    fn name(&self) -> Option<&Bytes> {
        self.runs.front().map(|run| &run.name)
    }

    /// The largest step that is read and not taken.
    fn block_end(&self) -> Option<Step> {
        self.block.steps.get(self.start..)?.last().copied()
    }

    /// Reads the next points of series `name` if none is left.
    fn fill(&mut self, name: &Bytes) -> Result<()> {
        if self.block_end().is_some() {
            return Ok(());
        }
        self.block.clear();
        self.start = 0;
        while self.block.len() < BLOCK_ROWS
            && let Some(run) = self.runs.front_mut()
            && run.name == name
            && let Some((steps, values, times)) = &mut self.columns
        {
            let count = run.rows.min(BLOCK_ROWS - self.block.len());
            steps.read(count, &mut self.block.steps)?;
            values.read(count, &mut self.block.values)?;
            times.read(count, &mut self.block.times_micros)?;
            run.rows -= count;
            if run.rows == 0 {
                self.runs.pop_front();
                self.enter_group()?;
            }
        }
        Ok(())
    }

    /// Moves the points up to `bound` to `stretch`.
    fn take_until(&mut self, bound: Step, stretch: &mut Columns) {
        let end = self.block.steps.partition_point(|&step| step <= bound).max(self.start);
        stretch.extend_from(&self.block, self.start..end);
        self.start = end;
    }

    /// Goes to the next row group with rows when all of this one are read.
    fn enter_group(&mut self) -> Result<()> {
        while self.runs.is_empty() && self.next_group < self.open.part.num_groups() {
            let group = self.next_group;
            self.next_group += 1;
            self.runs = self.open.name_runs(group)?.into();
            self.columns = Some((
                self.open.column(group, STEP)?,
                self.open.column(group, VALUE)?,
                self.open.column(group, TIMESTAMP)?,
            ));
        }
        Ok(())
    }
}
