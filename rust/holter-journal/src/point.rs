//! The values that flow from a training loop to the disk.

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

    /// The current time, in whole milliseconds. Runs and journals start at such a time, and their points are whole milliseconds
    /// later, so that a point has the same time in every file.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since_epoch.as_millis() * 1000).unwrap_or(i64::MAX))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
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
