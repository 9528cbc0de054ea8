//! Times in the database: whole milliseconds since the start of the run.

/// The milliseconds from `started_micros` to `micros`, rounded down.
pub(crate) fn to_millis(micros: i64, started_micros: i64) -> i64 {
    micros.saturating_sub(started_micros).div_euclid(1000)
}

/// The inverse of [`to_millis`]. Saturates, since a damaged file can contain any number.
pub(crate) fn to_micros(millis: i64, started_micros: i64) -> i64 {
    millis.saturating_mul(1000).saturating_add(started_micros)
}
