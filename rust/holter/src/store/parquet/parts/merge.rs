//! Merges parts, with only a stretch of one series per part in memory.

use std::collections::VecDeque;

use bytes::Bytes;
use parquet::data_type::{DoubleType, Int64Type};

use super::name_column::NameRun;
use super::part::{Column, OpenPart, Part, STEP, TIMESTAMP, VALUE};
use super::read::text;
use crate::error::Result;
use crate::points::Columns;
use holter_journal::Step;

/// The number of points of a series that are read from a part at a time.
const BLOCK_ROWS: usize = 16_384;

/// Calls `visit` with the points of all series of `parts`, by name and step, both ascending.
///
/// A long series comes in several stretches, one per call. Of equal steps, the later part wins.
///
/// # Errors
///
/// [`Error::Damaged`](crate::error::Error::Damaged) or [`Error::Io`](crate::error::Error::Io) with the part that cannot be
/// read; or an error of `visit`.
pub fn for_each_series(parts: &[Part], mut visit: impl FnMut(&str, &Columns) -> Result<()>) -> Result<()> {
    let mut merge = SeriesMerge::new(parts, "")?;
    while let Some((name, stretch)) = merge.next_stretch()? {
        visit(name, stretch)?;
    }
    Ok(())
}

/// The points of all series of some parts, by name and step, both ascending.
pub struct SeriesMerge<'a> {
    cursors: Vec<Cursor<'a>>,
    /// The series of the last stretch, which may have more.
    name: Option<Bytes>,
    stretch: Columns,
}

impl<'a> SeriesMerge<'a> {
    /// Starts at the first series whose name is not before `name`.
    ///
    /// # Errors
    ///
    /// Those of [`for_each_series`].
    pub fn new(parts: &'a [Part], name: &str) -> Result<Self> {
        let cursors = parts.iter().map(|part| Cursor::new(part, name.as_bytes())).collect::<Result<_>>()?;
        Ok(Self { cursors, name: None, stretch: Columns::default() })
    }

    /// The next points of a series; a long one comes in several stretches.
    ///
    /// # Errors
    ///
    /// Those of [`for_each_series`].
    pub fn next_stretch(&mut self) -> Result<Option<(&str, &Columns)>> {
        let part = loop {
            let Some(name) = self.current() else { return Ok(None) };
            let mut with_name: Vec<&mut Cursor<'_>> =
                self.cursors.iter_mut().filter(|cursor| cursor.has(&name)).collect();
            let part = with_name.first().map(|cursor| cursor.open.part);
            merge_stretch(&mut with_name, &name, &mut self.stretch)?;
            self.name = Some(name);
            if let Some(part) = part.filter(|_| !self.stretch.is_empty()) {
                break part;
            }
        };
        Ok(Some((text(part, self.name.as_deref().unwrap_or_default())?, &self.stretch)))
    }

    /// Moves forward to the first series whose name is not before `name`.
    ///
    /// # Errors
    ///
    /// Those of [`for_each_series`].
    pub fn seek(&mut self, name: &str) -> Result<()> {
        self.name = self.name.take().filter(|current| **current >= *name.as_bytes());
        let is_between = self.name.is_none();
        for cursor in &mut self.cursors {
            if is_between {
                cursor.block.clear();
                cursor.start = 0;
            }
            cursor.seek(name.as_bytes())?;
        }
        Ok(())
    }

    /// Whether the next points belong to series `name`.
    pub fn is_at(&self, name: &str) -> bool {
        self.current().is_some_and(|current| current == name.as_bytes())
    }

    /// The series that the next points belong to.
    fn current(&self) -> Option<Bytes> {
        let unfinished = self.name.as_ref().filter(|name| self.cursors.iter().any(|cursor| cursor.has(name)));
        unfinished.or_else(|| self.cursors.iter().filter_map(Cursor::name).min()).cloned()
    }
}

/// Moves the next points of series `name` from the cursors to `stretch`.
fn merge_stretch(cursors: &mut [&mut Cursor<'_>], name: &Bytes, stretch: &mut Columns) -> Result<()> {
    stretch.clear();
    for cursor in cursors.iter_mut() {
        cursor.fill(name)?;
    }
    // Up to this step, the points of all parts are in memory. A part without more points sets no bound.
    let bounds = cursors.iter().filter(|cursor| cursor.name() == Some(name)).filter_map(|cursor| cursor.block_end());
    let bound = bounds.min().unwrap_or(Step::MAX);
    for cursor in cursors.iter_mut() {
        cursor.take_until(bound, stretch);
    }
    stretch.order();
    Ok(())
}

/// A position in a part that moves from its first row to its last.
struct Cursor<'a> {
    open: OpenPart<'a>,
    /// The row group to read after this one.
    next_group: usize,
    /// The rows of the row group that are not in a block yet.
    runs: VecDeque<NameRun>,
    columns: Option<(Column<Int64Type>, Column<DoubleType>, Column<Int64Type>)>,
    /// Points that were read; those from `start` on are not consumed yet.
    block: Columns,
    start: usize,
}

impl<'a> Cursor<'a> {
    fn new(part: &'a Part, name: &[u8]) -> Result<Self> {
        let mut cursor = Self {
            open: OpenPart::new(part)?,
            next_group: 0,
            runs: VecDeque::new(),
            columns: None,
            block: Columns::default(),
            start: 0,
        };
        cursor.enter_group(name)?;
        cursor.seek(name)?;
        Ok(cursor)
    }

    /// Whether it has points of `name`, given that no unfinished series comes before it.
    fn has(&self, name: &Bytes) -> bool {
        self.name() == Some(name) || self.block_end().is_some()
    }

    /// The series that the next row to be read belongs to, `None` at the end.
    fn name(&self) -> Option<&Bytes> {
        self.runs.front().map(|run| &run.name)
    }

    /// The largest step that was read and not consumed.
    fn block_end(&self) -> Option<Step> {
        self.block.steps.get(self.start..)?.last().copied()
    }

    /// Reads the next points of series `name` if all read ones are consumed.
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
                self.enter_group(name)?;
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

    /// Skips the rows of names before `name`.
    fn seek(&mut self, name: &[u8]) -> Result<()> {
        while self.runs.back().is_some_and(|run| run.name < name) {
            self.runs.clear();
            self.enter_group(name)?;
        }
        while let Some(run) = self.runs.front().filter(|run| run.name < name) {
            if let Some((steps, values, times)) = &mut self.columns {
                steps.skip(run.rows)?;
                values.skip(run.rows)?;
                times.skip(run.rows)?;
            }
            self.runs.pop_front();
        }
        Ok(())
    }

    /// Moves to the next row group with rows if all rows of this one are read. Skips row groups whose names are all
    /// before `name`.
    fn enter_group(&mut self, name: &[u8]) -> Result<()> {
        while self.runs.is_empty() && self.next_group < self.open.part.num_groups() {
            let group = self.next_group;
            self.next_group += 1;
            if self.open.part.group_ends_before(group, name) {
                continue;
            }
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
