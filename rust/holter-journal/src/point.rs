//! The values that flow from a training loop to the disk.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The integer x-axis, given by the user. Any `i64`; it need not increase.
pub type Step = i64;

/// A series within one session: an index into the session's table of names.
///
/// Ids are assigned in the order in which names first appear, so they are meaningful only within their session and its
/// journal. Sinks map them to their own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(u32);

impl SeriesId {
    /// One more than the largest id, which the journal stores in 24 bits.
    pub const LIMIT: u32 = 1 << 24;

    /// The id with this index, or `None` beyond [`SeriesId::LIMIT`].
    pub fn new(index: usize) -> Option<Self> {
        u32::try_from(index).ok().filter(|&id| id < Self::LIMIT).map(Self)
    }

    /// The position of the series' name in its table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A time as microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `micros` microseconds after the Unix epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The current time.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 in UTC, as in `2026-01-21T09:30:00.000000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let (days, second_of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        // Days are counted from 1 March of year 0, so that a leap day ends its year, and in eras of 400
        // years, which all have the same number of days.
        let days = days + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// One measurement: the content of a `log` call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The series.
    pub series: SeriesId,
    /// The step.
    pub step: Step,
    /// The value. NaN and infinities are valid.
    pub value: f64,
    /// When it was logged.
    pub time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn timestamps_are_iso_8601() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_769_000_445_123_456, "2026-01-21T13:00:45.123456Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
        }
    }
}
