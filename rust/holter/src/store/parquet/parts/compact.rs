//! Merges closed parts without losing a point if it is interrupted.
//!
//! The merged part appears complete, under a new number, and lists the parts that it replaces, which are removed afterwards.
//! Interrupted before, the directory has the old parts; interrupted after, [`list`] ignores the replaced parts, and the
//! next writer removes them.

use std::ops::Range;
use std::path::Path;

use super::layout::part_path;
use super::list::{clean_up, list, next_number, remove};
use super::merge::for_each_series;
use super::part::Part;
use super::writer::{Effort, Labels, Origin, PartWriter};
use crate::error::Result;

/// Limits of merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactLimits {
    /// The maximum number of rows of a merged part.
    pub rows_per_part: usize,
    /// The maximum number of parts to merge at once, since some pages of each are in memory.
    pub parts_at_once: usize,
    /// The maximum number of rows of parts with common points, which are merged into one.
    pub rows_at_once: usize,
}

impl Default for CompactLimits {
    fn default() -> Self {
        Self { rows_per_part: 1 << 24, parts_at_once: 64, rows_at_once: 200_000_000 }
    }
}

/// Merges the closed parts of `dir` within the default limits. Of equal (name, step), the point of the later part stays.
///
/// The merged rows have `run` and `rank`. No other process may write to the directory at the same time; readers may read.
/// A call that is killed at any moment can be repeated without losing a point.
///
/// # Errors
///
/// Those of [`list`], and [`Error::Io`](crate::error::Error::Io) if the merged part cannot be written, without losing a
/// point.
pub fn compact(dir: &Path, run: &str, rank: i32) -> Result<()> {
    compact_within(dir, run, rank, CompactLimits::default())
}

/// As [`compact`], with other limits.
///
/// # Errors
///
/// Those of [`compact`].
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

/// The ranges of adjacent parts to merge.
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

/// Whether two of `parts` have a point of the same series and step.
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
