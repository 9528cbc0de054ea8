//! Merges closed parts into few, and loses no point whenever it is interrupted.
//!
//! The merged part appears complete, under a new number, and names what it replaces; only then is that
//! removed. Interrupted before, the folder holds the old parts; interrupted after, whoever lists the
//! parts leaves the replaced ones out, and the next to open the folder removes them.

use std::ops::Range;
use std::path::Path;

use super::layout::part_path;
use super::list::{clean_up, list, next_number, remove};
use super::merge::for_each_series;
use super::part::Part;
use super::writer::{Effort, Labels, Origin, PartWriter};
use crate::error::Result;

/// How far parts are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactLimits {
    /// Parts are merged while they have no more rows than this together.
    pub rows_per_part: usize,
    /// How many parts are merged at once: of each some pages are in memory.
    pub parts_at_once: usize,
    /// Parts that share points are merged into one of up to this many rows.
    pub rows_at_once: usize,
}

impl Default for CompactLimits {
    fn default() -> Self {
        Self { rows_per_part: 1 << 24, parts_at_once: 64, rows_at_once: 200_000_000 }
    }
}

/// Merges the closed parts of `dir` into as few as sensible, of equal (name, step) the later one's.
///
/// The merged rows carry `run` and `rank`. Nothing else may write to the folder meanwhile; readers may
/// come at any time. It may be killed at any moment and called again: no point is ever missing.
///
/// # Errors
///
/// As [`list`], and [`Error::Io`](crate::error::Error::Io) when there is no room for the merged part.
/// All points are still there then.
pub fn compact(dir: &Path, run: &str, rank: i32) -> Result<()> {
    compact_within(dir, run, rank, CompactLimits::default())
}

/// As [`compact`], with other limits than the default.
///
/// # Errors
///
/// As [`compact`].
pub fn compact_within(dir: &Path, run: &str, rank: i32, limits: CompactLimits) -> Result<()> {
    let labels = Labels { run: run.to_owned(), rank };
    clean_up(dir)?;
    let mut parts = list(dir)?;
    loop {
        let groups = groups(&parts, limits);
        if groups.len() == parts.len() {
            break;
        }
        for group in groups.into_iter().filter(|group| group.len() > 1) {
            merge(dir, &parts[group], &labels)?;
        }
        parts = list(dir)?;
    }
    let rows: usize = parts.iter().map(|part| part.rows).sum();
    if parts.len() <= limits.parts_at_once && rows <= limits.rows_at_once && share_points(&parts)? {
        merge(dir, &parts, &labels)?;
    }
    Ok(())
}

/// Which neighbours to merge.
fn groups(parts: &[Part], limits: CompactLimits) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut rows = 0;
    for (index, part) in parts.iter().enumerate() {
        rows += part.rows;
        match groups.last_mut() {
            Some(group) if rows <= limits.rows_per_part && group.len() < limits.parts_at_once.max(2) => {
                group.end = index + 1;
            }
            _ => {
                rows = part.rows;
                groups.push(index..index + 1);
            }
        }
    }
    groups
}

/// Whether two of `parts` hold a point of the same series and step.
fn share_points(parts: &[Part]) -> Result<bool> {
    let ranges: Option<Vec<_>> = parts.iter().filter(|part| part.rows > 0).map(Part::steps).collect();
    if let Some(mut ranges) = ranges {
        ranges.sort_by_key(|steps| *steps.start());
        if ranges.is_sorted_by(|a, b| a.end() < b.start()) {
            return Ok(false);
        }
    }
    let mut distinct = 0;
    for_each_series(parts, |_, columns| {
        distinct += columns.len();
        Ok(())
    })?;
    Ok(distinct < parts.iter().map(|part| part.rows).sum())
}

fn merge(dir: &Path, parts: &[Part], labels: &Labels) -> Result<()> {
    let journal_id = parts.iter().rev().find_map(|part| part.journal_id);
    let of_journal = || parts.iter().filter(|part| part.journal_id == journal_id).map(|part| &part.sequences);
    let origin = Origin {
        journal_id,
        sequences: of_journal().map(|range| range.start).min().unwrap_or(0)
            ..of_journal().map(|range| range.end).max().unwrap_or(0),
        replaces: parts.iter().map(|part| part.number).collect(),
        order: parts.iter().map(|part| part.order).max(),
    };
    let mut writer = PartWriter::create(dir, next_number(dir)?, labels, &origin, Effort::Thorough)?;
    for_each_series(parts, |name, columns| {
        writer.push(name.as_bytes(), &columns.steps, &columns.values, &columns.times_micros)
    })?;
    writer.close_durably(dir)?;
    for part in parts {
        remove(&part_path(dir, part.number))?;
    }
    Ok(())
}
