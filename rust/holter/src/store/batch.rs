//! Points grouped by series, the input of sinks.

use std::ops::Range;

use holter_journal::{Point, SeriesId, Step};

/// Points with consecutive sequence numbers, grouped by series.
///
/// Steps ascend strictly within a series: of points with the same step, the last logged one is kept.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    sequences: Range<u64>,
    groups: Vec<(SeriesId, Range<usize>)>,
    steps: Vec<Step>,
    values: Vec<f64>,
    times_micros: Vec<i64>,
}

/// The points of one series in a [`Batch`]: columns of equal length, steps strictly ascending.
#[derive(Debug, Clone, Copy)]
pub struct SeriesPoints<'a> {
    /// The series.
    pub series: SeriesId,
    /// Strictly ascending.
    pub steps: &'a [Step],
    /// NaN and infinities as they were logged.
    pub values: &'a [f64],
    /// Microseconds since the Unix epoch.
    pub times_micros: &'a [i64],
}

impl Batch {
    /// A batch of one series, with the sequence numbers `sequences`.
    ///
    /// `steps` must ascend strictly, and the columns must have the same length.
    pub fn of_series(
        sequences: Range<u64>,
        series: SeriesId,
        steps: Vec<Step>,
        values: Vec<f64>,
        times_micros: Vec<i64>,
    ) -> Self {
        debug_assert!(steps.is_sorted_by(|a, b| a < b));
        debug_assert!(steps.len() == values.len() && steps.len() == times_micros.len());
        Self { sequences, groups: vec![(series, 0..steps.len())], steps, values, times_micros }
    }

    /// Groups `points` with the sequence numbers `sequences`. There may be fewer points than numbers: recovery skips
    /// slots that a dying process left unfinished.
    ///
    /// Uses a counting sort by series, then a stable sort by step for series whose steps do not ascend.
    pub fn new(sequences: Range<u64>, points: &[Point]) -> Self {
        let num_series = points.iter().map(|p| p.series.index() + 1).max().unwrap_or(0);
        let mut ends = vec![0_usize; num_series];
        for point in points {
            ends[point.series.index()] += 1;
        }
        let mut groups = Vec::new();
        let mut start = 0;
        for (index, slot) in ends.iter_mut().enumerate() {
            let count = std::mem::replace(slot, start);
            if count > 0 {
                groups.extend(SeriesId::new(index).map(|id| (id, start..start + count)));
            }
            start += count;
        }
        let mut batch = Self {
            sequences,
            groups,
            steps: vec![0; points.len()],
            values: vec![0.0; points.len()],
            times_micros: vec![0; points.len()],
        };
        for point in points {
            let slot = &mut ends[point.series.index()];
            batch.steps[*slot] = point.step;
            batch.values[*slot] = point.value;
            batch.times_micros[*slot] = point.time.micros();
            *slot += 1;
        }
        batch.order_steps();
        batch
    }

    /// The sequence numbers of the batch.
    pub fn sequences(&self) -> Range<u64> {
        self.sequences.clone()
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|(_, range)| range.len()).sum()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The points of each series, in the order of the ids.
    pub fn by_series(&self) -> impl ExactSizeIterator<Item = SeriesPoints<'_>> {
        self.groups.iter().map(|(series, range)| SeriesPoints {
            series: *series,
            steps: &self.steps[range.clone()],
            values: &self.values[range.clone()],
            times_micros: &self.times_micros[range.clone()],
        })
    }

    fn order_steps(&mut self) {
        for (_, range) in &mut self.groups {
            let steps = &self.steps[range.clone()];
            if steps.is_sorted_by(|a, b| a < b) {
                continue;
            }
            let mut order: Vec<usize> = range.clone().collect();
            order.sort_by_key(|&i| self.steps[i]);
            // The stable sort puts the last logged of equal steps at the end.
            let kept: Vec<(Step, f64, i64)> = order
                .chunk_by(|&a, &b| self.steps[a] == self.steps[b])
                .filter_map(|same| same.last())
                .map(|&i| (self.steps[i], self.values[i], self.times_micros[i]))
                .collect();
            range.end = range.start + kept.len();
            for (i, (step, value, time_micros)) in range.clone().zip(kept) {
                self.steps[i] = step;
                self.values[i] = value;
                self.times_micros[i] = time_micros;
            }
        }
    }
}
