//! Rows of the table `rollups`, written in the same transaction as their points.
//!
//! A row is written once, when its series has moved past the block. If a point in the block is added or replaced later,
//! the row is deleted, and written again when the series has moved past the block again.

use std::ops::RangeInclusive;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::open_blocks::{OpenBlocks, Sealed};
use crate::error::Result;
use crate::millis::to_micros;
use crate::rollup::{self, Level, Row, Source};
use crate::store::batch::SeriesPoints;
use holter_journal::Step;

/// The state between transactions.
#[derive(Debug, Default)]
pub(super) struct Rollups {
    /// By the index of the series; `None` if nothing was written yet.
    open_blocks: Vec<Option<OpenBlocks>>,
}

/// The content of the database for one series, including the points of this transaction.
pub(super) struct Stored<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) series_id: i64,
    /// The number of points.
    pub(super) count: i64,
    pub(super) started_micros: i64,
}

impl Rollups {
    /// Discards all aggregates; they are read from the database again when needed.
    pub(super) fn clear(&mut self) {
        self.open_blocks.clear();
    }

    /// Updates the rows of a series after points were inserted. `known` is the first and the last step that it had before.
    pub(super) fn add(
        &mut self,
        index: usize,
        points: &SeriesPoints<'_>,
        known: Option<(Step, Step)>,
        stored: &Stored<'_>,
    ) -> Result<()> {
        let last = known.map(|(_, last)| last);
        if let Some((first, last)) = known {
            stored.delete_outdated(points.steps, first, last)?;
        }
        if self.open_blocks.len() <= index {
            self.open_blocks.resize_with(index + 1, || None);
        }
        let blocks = self.open_blocks[index].get_or_insert_with(|| OpenBlocks::new(last));
        blocks.advance(points, last, &mut |sealed| stored.write(sealed))
    }
}

impl Stored<'_> {
    /// Deletes the rows that cover these steps, given that the series had steps from `first` to `last` before.
    fn delete_outdated(&self, steps: &[Step], first: Step, last: Step) -> Result<()> {
        let late = &steps[..steps.partition_point(|&step| step <= last)];
        if late.is_empty() {
            return Ok(());
        }
        let mut delete = self
            .transaction
            .prepare_cached("DELETE FROM rollups WHERE level = ?1 AND start = ?2 AND series_id = ?3")?;
        for level in Level::all() {
            if level.block_start(first) == level.block_start(last) {
                break; // The series never moved past a block of this level or a coarser one.
            }
            for block in late.chunk_by(|&a, &b| level.block_start(a) == level.block_start(b)) {
                delete.execute(params![level.number(), level.block_start(block[0]), self.series_id])?;
            }
        }
        Ok(())
    }

    /// Writes the row of a completed block, if it is worth storing.
    fn write(&self, sealed: Sealed<'_>) -> Result<()> {
        let Sealed { level, start, buckets } = sealed;
        let read;
        let buckets = if let Some(aggregated) = buckets {
            aggregated
        } else {
            read = rollup::cover(self, level, &(start..=level.block_end(start)))?;
            &read
        };
        if rollup::is_worthwhile(buckets) {
            let bytes = rollup::encode(self.series_id, level, start, buckets, self.started_micros);
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO rollups VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![level.number(), start, self.series_id, bytes])?;
        }
        Ok(())
    }
}

impl Source for Stored<'_> {
    fn max_points(&self) -> u64 {
        self.count as u64
    }

    fn rows(&self, level: Level, steps: &RangeInclusive<Step>) -> Result<Vec<Row>> {
        let mut select = self
            .transaction
            .prepare_cached("SELECT buckets FROM rollups WHERE level = ?1 AND start = ?2 AND series_id = ?3")?;
        let mut found = Vec::new();
        for start in level.blocks(steps) {
            let decode = |row: &rusqlite::Row<'_>| {
                let bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
                Ok(rollup::decode(self.series_id, level, start, bytes, self.started_micros))
            };
            let key = params![level.number(), start, self.series_id];
            let buckets = select.query_row(key, decode).optional()?.flatten();
            found.extend(buckets.map(|buckets| Row { start, buckets }));
        }
        Ok(found)
    }

    fn points(&self, steps: RangeInclusive<Step>, visit: &mut dyn FnMut(Step, f64, i64)) -> Result<()> {
        let mut select = self.transaction.prepare_cached(
            "SELECT step, value, timestamp_millis FROM points WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3
             ORDER BY step",
        )?;
        let mut rows = select.query(params![self.series_id, steps.start(), steps.end()])?;
        while let Some(row) = rows.next()? {
            let value = row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN);
            visit(row.get(0)?, value, to_micros(row.get(2)?, self.started_micros));
        }
        Ok(())
    }
}
