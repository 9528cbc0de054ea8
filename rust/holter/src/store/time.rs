//! Timestamps as text.

use chrono::{DateTime, SecondsFormat, Utc};
use holter_journal::Timestamp;

/// ISO 8601 in UTC with microseconds, as in `2026-01-21T09:30:00.000000Z`.
pub(crate) fn iso_8601(time: Timestamp) -> String {
    let earliest_or_latest = if time.micros() < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    let time = DateTime::from_timestamp_micros(time.micros()).unwrap_or(earliest_or_latest);
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_iso_8601_in_utc() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_769_000_445_123_456, "2026-01-21T13:00:45.123456Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(iso_8601(Timestamp::from_micros(micros)), text);
        }
        assert!(iso_8601(Timestamp::from_micros(i64::MIN)).ends_with('Z'));
        assert!(iso_8601(Timestamp::from_micros(i64::MAX)).ends_with('Z'));
    }
}
