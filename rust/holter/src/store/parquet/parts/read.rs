//! Reads points from parts, skipping row groups that cannot contain them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use parquet::data_type::{DoubleType, Int64Type};

use super::name_column::NameRun;
use super::part::{OpenPart, Part, STEP, TIMESTAMP, VALUE};
use crate::error::{Error, Result};
use crate::points::Columns;
use holter_journal::Step;

/// The names of all series in `parts`. Reads only dictionaries.
///
/// # Errors
///
/// [`Error::Damaged`] or [`Error::Io`] with the part that cannot be read.
pub fn names(parts: &[Part]) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for part in parts {
        let open = OpenPart::new(part)?;
        for group in 0..part.num_groups() {
            for name in open.distinct_names(group)? {
                let name = text(part, &name)?;
                if !all.contains(name) {
                    all.insert(name.to_owned());
                }
            }
        }
    }
    Ok(all)
}

/// The points of series `name` at these steps, ascending; of equal steps, the later part wins. Empty if the series does
/// not exist.
///
/// # Errors
///
/// Those of [`names`].
pub fn read_series(parts: &[Part], name: &str, steps: RangeInclusive<Step>) -> Result<Columns> {
    let mut found = Columns::default();
    for part in parts {
        let groups: Vec<usize> = (0..part.num_groups())
            .filter(|&group| part.group_may_contain(group, name) && overlaps(part.group_steps(group), &steps))
            .collect();
        if groups.is_empty() {
            continue;
        }
        let open = OpenPart::new(part)?;
        for group in groups {
            let mut start = 0;
            for run in open.name_runs(group)? {
                if run.name == name.as_bytes() {
                    read_run(&open, group, start, run.rows, &steps, &mut found)?;
                }
                start += run.rows;
            }
        }
    }
    found.order();
    Ok(found)
}

/// The point of every series at `step`, as (name, value, microseconds since the Unix epoch), by name.
///
/// # Errors
///
/// Those of [`names`].
pub fn read_step(parts: &[Part], step: Step) -> Result<Vec<(String, f64, i64)>> {
    let mut found = BTreeMap::new();
    for part in parts {
        let groups: Vec<usize> =
            (0..part.num_groups()).filter(|&group| overlaps(part.group_steps(group), &(step..=step))).collect();
        if groups.is_empty() {
            continue;
        }
        let open = OpenPart::new(part)?;
        for group in groups {
            read_step_of_group(&open, group, step, &mut found)?;
        }
    }
    Ok(found.into_iter().map(|(name, (value, time_micros))| (name, value, time_micros)).collect())
}

/// A name as text; the error has the path of the part.
pub(super) fn text<'a>(part: &Part, name: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(name).map_err(|_| Error::damaged(&part.path, "it has a name that is not valid UTF-8"))
}

fn overlaps(known: Option<RangeInclusive<Step>>, wanted: &RangeInclusive<Step>) -> bool {
    known.is_none_or(|known| known.start() <= wanted.end() && wanted.start() <= known.end())
}

/// Appends the rows in `start..start + rows` whose step is in `wanted`.
fn read_run(
    open: &OpenPart<'_>,
    group: usize,
    start: usize,
    rows: usize,
    wanted: &RangeInclusive<Step>,
    found: &mut Columns,
) -> Result<()> {
    let mut column = open.column::<Int64Type>(group, STEP)?;
    let mut steps = Vec::with_capacity(rows);
    column.skip(start)?;
    column.read(rows, &mut steps)?;
    let first = steps.partition_point(|step| step < wanted.start());
    let end = steps.partition_point(|step| step <= wanted.end());
    if first < end {
        let mut values = open.column::<DoubleType>(group, VALUE)?;
        values.skip(start + first)?;
        values.read(end - first, &mut found.values)?;
        let mut times = open.column::<Int64Type>(group, TIMESTAMP)?;
        times.skip(start + first)?;
        times.read(end - first, &mut found.times_micros)?;
        found.steps.extend_from_slice(&steps[first..end]);
    }
    Ok(())
}

fn read_step_of_group(
    open: &OpenPart<'_>,
    group: usize,
    step: Step,
    found: &mut BTreeMap<String, (f64, i64)>,
) -> Result<()> {
    let rows = open.part.group_rows(group);
    let mut steps = Vec::with_capacity(rows);
    open.column::<Int64Type>(group, STEP)?.read(rows, &mut steps)?;
    let runs = open.name_runs(group)?;
    let hits = rows_at(&runs, &steps, step);
    if hits.is_empty() {
        return Ok(());
    }
    let mut value_column = open.column::<DoubleType>(group, VALUE)?;
    let mut time_column = open.column::<Int64Type>(group, TIMESTAMP)?;
    let (mut values, mut times, mut position) = (Vec::new(), Vec::new(), 0);
    for (run, row) in hits {
        value_column.skip(row - position)?;
        value_column.read(1, &mut values)?;
        time_column.skip(row - position)?;
        time_column.read(1, &mut times)?;
        position = row + 1;
        if let (Some(value), Some(time_micros)) = (values.pop(), times.pop()) {
            found.insert(text(open.part, &run.name)?.to_owned(), (value, time_micros));
        }
    }
    Ok(())
}

/// The rows at `step`: at most one per run, since steps ascend in a run.
fn rows_at<'a>(runs: &'a [NameRun], steps: &[Step], step: Step) -> Vec<(&'a NameRun, usize)> {
    let mut start = 0;
    let mut rows = Vec::new();
    for run in runs {
        let end = start + run.rows;
        if let Ok(offset) = steps[start..end].binary_search(&step) {
            rows.push((run, start + offset));
        }
        start = end;
    }
    rows
}
