//! Rows of the table `series`.

use holter_journal::Step;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction, params};

use crate::error::Result;
use crate::points::Extremes;
use crate::store::batch::SeriesPoints;

/// A row of the table `series`, without the name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SeriesRow {
    pub(super) id: i64,
    pub(super) count: i64,
    pub(super) nonfinite_count: i64,
    pub(super) first_step: Option<Step>,
    pub(super) last_step: Option<Step>,
    pub(super) last_value: f64,
    pub(super) extremes: Extremes,
    pub(super) underived_step: Option<Step>,
}

impl SeriesRow {
    /// All rows with their names.
    pub(super) fn read_all(connection: &Connection) -> Result<Vec<(String, Self)>> {
        let mut select = connection.prepare(
            "SELECT name, id, count, nonfinite_count, first_step, last_step, last_value,
                    min_value, min_step, max_value, max_step, underived_step FROM series",
        )?;
        let rows = select.query_map([], |row| {
            let extreme = |index: usize| -> rusqlite::Result<_> {
                Ok(row.get::<_, Option<f64>>(index)?.zip(row.get::<_, Option<Step>>(index + 1)?))
            };
            let series = Self {
                id: row.get(1)?,
                count: row.get(2)?,
                nonfinite_count: row.get(3)?,
                first_step: row.get(4)?,
                last_step: row.get(5)?,
                last_value: row.get::<_, Option<f64>>(6)?.unwrap_or(f64::NAN),
                extremes: Extremes { min: extreme(7)?, max: extreme(9)? },
                underived_step: row.get(11)?,
            };
            Ok((row.get(0)?, series))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The statement for [`SeriesRow::write`].
    pub(super) fn prepare_update<'a>(transaction: &'a Transaction<'_>) -> Result<CachedStatement<'a>> {
        Ok(transaction.prepare_cached(
            "UPDATE series SET count = ?2, nonfinite_count = ?3, first_step = ?4, last_step = ?5, last_value = ?6,
             min_value = ?7, min_step = ?8, max_value = ?9, max_step = ?10, underived_step = ?11 WHERE id = ?1",
        )?)
    }

    /// Writes the row.
    pub(super) fn write(&self, update: &mut CachedStatement<'_>) -> Result<()> {
        let Extremes { min, max } = self.extremes;
        update.execute(params![
            self.id,
            self.count,
            self.nonfinite_count,
            self.first_step,
            self.last_step,
            self.last_value,
            min.map(|(value, _)| value),
            min.map(|(_, step)| step),
            max.map(|(value, _)| value),
            max.map(|(_, step)| step),
            self.underived_step
        ])?;
        Ok(())
    }

    /// Adds points that are not inserted yet. Returns whether they replace an extreme by a less extreme value: then
    /// the caller has to find the extremes again after inserting them.
    pub(super) fn add(&mut self, points: &SeriesPoints<'_>, transaction: &Transaction<'_>) -> Result<bool> {
        let (Some(&first), Some(&last)) = (points.steps.first(), points.steps.last()) else { return Ok(false) };
        let mut are_extremes_lost = false;
        if self.last_step.is_some_and(|known| first <= known) {
            self.subtract_replaced(points, transaction)?;
            are_extremes_lost = self.extremes.are_lost(points.steps, points.values);
        }
        self.count += points.steps.len() as i64;
        self.nonfinite_count += points.values.iter().filter(|value| !value.is_finite()).count() as i64;
        self.first_step = Some(self.first_step.map_or(first, |known| known.min(first)));
        if self.last_step.is_none_or(|known| last >= known) {
            self.last_step = Some(last);
            self.last_value = points.values[points.values.len() - 1];
        }
        self.extremes.add_all(points.steps, points.values);
        self.underived_step = Some(self.underived_step.map_or(first, |known| known.min(first)));
        Ok(are_extremes_lost)
    }

    /// Subtracts from the counts the rows that the points will replace.
    fn subtract_replaced(&mut self, points: &SeriesPoints<'_>, transaction: &Transaction<'_>) -> Result<()> {
        let mut find = transaction.prepare_cached("SELECT value FROM points WHERE series_id = ?1 AND step = ?2")?;
        for step in points.steps {
            let found: Option<Option<f64>> = find.query_row(params![self.id, step], |row| row.get(0)).optional()?;
            if let Some(value) = found {
                self.count -= 1;
                self.nonfinite_count -= i64::from(!value.is_some_and(f64::is_finite));
            }
        }
        Ok(())
    }
}
