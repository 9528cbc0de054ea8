//! The points in a journal, grouped by series. The sinks may not contain them yet.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use crate::error::Result;
use crate::points::Columns;
use holter_journal::Step;
use holter_journal::{Records, Snapshot};

/// A journal id, and the sequence number after the last one assigned in this journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalEnd {
    pub(super) id: u64,
    pub(super) end: u64,
}

/// A snapshot of a journal's points.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The id of the journal; `None` if there was no journal.
    pub(super) journal_id: Option<u64>,
    /// The sequence number after the last one assigned at that time.
    end: u64,
    /// Whether no slot was still being written.
    is_complete: bool,
    /// The range of each series' points, ordered by name.
    ranges: BTreeMap<String, Range<usize>>,
    /// Ascending within a series.
    sequences: Vec<u64>,
    points: Columns,
}

impl Pending {
    /// Reads the journal at `path`, which may not exist.
    pub(super) fn read(path: &Path, records: Records) -> Result<Self> {
        let mut pending = Snapshot::read(path, records)?.map_or_else(Self::default, Self::group);
        // `All` is used only if no process writes to the journal.
        pending.is_complete |= records == Records::All;
        Ok(pending)
    }

    /// Groups the points by series with a counting sort, which keeps the order of the sequence numbers.
    fn group(snapshot: Snapshot) -> Self {
        let mut positions = vec![0_usize; snapshot.names.len()];
        for (_, point) in &snapshot.points {
            positions[point.series.index()] += 1;
        }
        let mut ranges = BTreeMap::new();
        let mut start = 0;
        for (name, position) in snapshot.names.into_iter().zip(&mut positions) {
            let count = std::mem::replace(position, start);
            if count > 0 {
                ranges.insert(name, start..start + count);
            }
            start += count;
        }
        let mut sequences = vec![0; start];
        let mut points = Columns { steps: vec![0; start], values: vec![0.0; start], times_micros: vec![0; start] };
        for (sequence, point) in &snapshot.points {
            let position = &mut positions[point.series.index()];
            sequences[*position] = *sequence;
            points.steps[*position] = point.step;
            points.values[*position] = point.value;
            points.times_micros[*position] = point.time.micros();
            *position += 1;
        }
        let pending = snapshot.pending.unwrap_or_default();
        Self {
            journal_id: Some(snapshot.origin.id),
            end: pending.end,
            is_complete: start as u64 >= pending.end - pending.start,
            ranges,
            sequences,
            points,
        }
    }

    /// The number of points.
    pub(super) fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether the journal at `path` is the same and has no other points.
    pub(super) fn is_current(&self, path: &Path) -> Result<bool> {
        let (Some(id), true) = (self.journal_id, self.is_complete) else { return Ok(false) };
        let Some((origin, Some(pending))) = Snapshot::extent(path)? else { return Ok(false) };
        Ok(origin.id == id && pending.end == self.end)
    }

    /// Whether the snapshot is of the same journal and includes everything before this end.
    pub(super) fn covers(&self, min_end: JournalEnd) -> bool {
        self.journal_id == Some(min_end.id) && self.end >= min_end.end
    }

    /// The series that have points at or after the sequence number `cursor`, ordered by name.
    pub(super) fn names(&self, cursor: u64) -> impl Iterator<Item = &str> {
        let has_points = move |range: &Range<usize>| self.sequences[range.clone()].last().is_some_and(|&s| s >= cursor);
        self.ranges.iter().filter(move |(_, range)| has_points(range)).map(|(name, _)| name.as_str())
    }

    /// The points of `name` at these steps and at or after the sequence number `cursor`, ordered by step, with the last
    /// logged point of each step. `None` if the series has no point at or after `cursor`.
    pub(super) fn points(&self, name: &str, cursor: u64, steps: &RangeInclusive<Step>) -> Option<Columns> {
        let range = self.ranges.get(name)?.clone();
        let range = range.start + self.sequences[range.clone()].partition_point(|&s| s < cursor)..range.end;
        if range.is_empty() {
            return None;
        }
        let mut found = Columns::default();
        for i in range.filter(|&i| steps.contains(&self.points.steps[i])) {
            found.push(self.points.steps[i], self.points.values[i], self.points.times_micros[i]);
        }
        found.order();
        Some(found)
    }
}

/// Merges both by step; at equal steps `newer` wins. The steps of each must ascend strictly.
pub(super) fn merged(older: Columns, newer: Columns) -> Columns {
    let (Some(&last), Some(&first)) = (older.steps.last(), newer.steps.first()) else {
        return if older.is_empty() { newer } else { older };
    };
    let mut all = older;
    if last < first {
        all.extend(&newer.steps, &newer.values, &newer.times_micros);
        return all;
    }
    // Points before the first newer step stay in place.
    let replaced = all.steps.partition_point(|&step| step < first);
    let tail = Columns {
        steps: all.steps.split_off(replaced),
        values: all.values.split_off(replaced),
        times_micros: all.times_micros.split_off(replaced),
    };
    let mut next = 0;
    for i in 0..newer.len() {
        let step = newer.steps[i];
        let end = next + tail.steps[next..].partition_point(|&older| older < step);
        all.extend_from(&tail, next..end);
        next = end + usize::from(tail.steps.get(end) == Some(&step));
        all.push(step, newer.values[i], newer.times_micros[i]);
    }
    all.extend_from(&tail, next..tail.len());
    all
}
