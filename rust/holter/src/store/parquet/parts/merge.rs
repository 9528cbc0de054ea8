//! Merges parts, of each of which only a stretch of one series is in memory at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use parquet::data_type::{DoubleType, Int64Type};

use super::name_column::NameRun;
use super::part::{Column, OpenPart, Part, STEP, TIMESTAMP, VALUE};
use super::read::text;
use crate::error::Result;
use crate::points::Columns;
use holter_journal::Step;

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
    let mut merge = SeriesMerge::new(parts, "")?;
    while let Some((name, stretch)) = merge.next_stretch()? {
        visit(name, stretch)?;
    }
    Ok(())
}

/// The points of all series of some parts: by name, then by step, both ascending.
pub struct SeriesMerge<'a> {
    cursors: Vec<Cursor<'a>>,
    /// The series of the last stretch, which may have more.
    name: Option<Bytes>,
    stretch: Columns,
}

impl<'a> SeriesMerge<'a> {
    /// Begins with the first series whose name is not before `name`.
    ///
    /// # Errors
    ///
    /// As [`for_each_series`].
    pub fn new(parts: &'a [Part], name: &str) -> Result<Self> {
        let cursors = parts.iter().map(|part| Cursor::new(part, name.as_bytes())).collect::<Result<_>>()?;
        Ok(Self { cursors, name: None, stretch: Columns::default() })
    }

    /// The next points of a series; a long one comes in several stretches.
    ///
    /// # Errors
    ///
    /// As [`for_each_series`].
    pub fn next_stretch(&mut self) -> Result<Option<(&str, &Columns)>> {
        let part = loop {
            let Some(name) = self.current() else { return Ok(None) };
            let mut holding: Vec<&mut Cursor<'_>> =
                self.cursors.iter_mut().filter(|cursor| cursor.holds(&name)).collect();
            let part = holding.first().map(|cursor| cursor.open.part);
            merge_stretch(&mut holding, &name, &mut self.stretch)?;
            self.name = Some(name);
            if let Some(part) = part.filter(|_| !self.stretch.is_empty()) {
                break part;
            }
        };
        Ok(Some((text(part, self.name.as_deref().unwrap_or_default())?, &self.stretch)))
    }

    /// Goes to the first series whose name is not before `name`, if that is still to come.
    ///
    /// # Errors
    ///
    /// As [`for_each_series`].
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

    /// Whether the next points are those of series `name`.
    pub fn is_at(&self, name: &str) -> bool {
        self.current().is_some_and(|current| current == name.as_bytes())
    }

    /// The series that the next points belong to.
    fn current(&self) -> Option<Bytes> {
        let unfinished = self.name.as_ref().filter(|name| self.cursors.iter().any(|cursor| cursor.holds(name)));
        unfinished.or_else(|| self.cursors.iter().filter_map(Cursor::name).min()).cloned()
    }
}

/// Takes the next points of series `name` from `holding`.
fn merge_stretch(holding: &mut [&mut Cursor<'_>], name: &Bytes, stretch: &mut Columns) -> Result<()> {
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

    /// Whether it has points of `name`, which no unfinished series comes before.
    fn holds(&self, name: &Bytes) -> bool {
        self.name() == Some(name) || self.block_end().is_some()
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

    /// Passes over the rows of names before `name`.
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

    /// Goes to the next row group with rows when all of this one are read; those whose names are all
    /// before `name` are passed over.
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
