//! Rows of the table `series`.

use holter_journal::Step;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::error::Result;
use crate::store::batch::SeriesPoints;

/// The facts of one series, as in its row of the table `series`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SeriesRow {
    pub(super) id: i64,
    pub(super) count: i64,
    pub(super) nonfinite_count: i64,
    pub(super) first_step: Option<Step>,
    pub(super) last_step: Option<Step>,
    pub(super) last_value: f64,
    pub(super) underived_step: Option<Step>,
}

impl SeriesRow {
    /// Brings the facts up to date with points about to be written.
    pub(super) fn add(&mut self, points: &SeriesPoints<'_>, transaction: &Transaction<'_>) -> Result<()> {
        let (Some(&first), Some(&last)) = (points.steps.first(), points.steps.last()) else { return Ok(()) };
        if self.last_step.is_some_and(|known| first <= known) {
            self.forget_replaced(points, transaction)?;
        }
        self.count += points.steps.len() as i64;
        self.nonfinite_count += points.values.iter().filter(|value| !value.is_finite()).count() as i64;
        self.first_step = Some(self.first_step.map_or(first, |known| known.min(first)));
        if self.last_step.is_none_or(|known| last >= known) {
            self.last_step = Some(last);
            self.last_value = points.values[points.values.len() - 1];
        }
        self.underived_step = Some(self.underived_step.map_or(first, |known| known.min(first)));
        Ok(())
    }

    /// Takes off the counts the rows that are about to be replaced.
    fn forget_replaced(&mut self, points: &SeriesPoints<'_>, transaction: &Transaction<'_>) -> Result<()> {
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
