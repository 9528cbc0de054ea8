//! Inserts rows into the table `points`, many per statement.

use rusqlite::{CachedStatement, Transaction};

use crate::error::Result;
use crate::millis::to_millis;
use crate::store::batch::SeriesPoints;

/// The numbers of rows of the statements, of which the largest that fits is used. A row costs a seventh less in a
/// statement of 64 than in one of its own.
const ROWS_PER_STATEMENT: [usize; 3] = [64, 16, 1];

/// The statements that insert rows of `points`.
pub(super) struct Insert<'a> {
    statements: Vec<(usize, CachedStatement<'a>)>,
}

impl<'a> Insert<'a> {
    pub(super) fn prepare(transaction: &'a Transaction<'_>) -> Result<Self> {
        let prepare = |rows: usize| {
            // The series is the same in every row.
            let values: Vec<String> =
                (0..rows).map(|row| 3 * row + 2).map(|i| format!("(?1, ?{i}, ?{}, ?{})", i + 1, i + 2)).collect();
            let sql = format!("INSERT OR REPLACE INTO points VALUES {}", values.join(", "));
            Ok((rows, transaction.prepare_cached(&sql)?))
        };
        Ok(Self { statements: ROWS_PER_STATEMENT.into_iter().map(prepare).collect::<Result<_>>()? })
    }

    /// Inserts the points of one series.
    pub(super) fn rows(&mut self, series_id: i64, points: &SeriesPoints<'_>, started_micros: i64) -> Result<()> {
        let mut start = 0;
        for (rows, statement) in &mut self.statements {
            if points.steps.len() - start < *rows {
                continue;
            }
            statement.raw_bind_parameter(1, series_id)?;
            while points.steps.len() - start >= *rows {
                for row in 0..*rows {
                    let i = start + row;
                    statement.raw_bind_parameter(3 * row + 2, points.steps[i])?;
                    statement.raw_bind_parameter(3 * row + 3, points.values[i])?;
                    statement.raw_bind_parameter(3 * row + 4, to_millis(points.times_micros[i], started_micros))?;
                }
                statement.raw_execute()?;
                start += *rows;
            }
        }
        Ok(())
    }
}
