//! The values that flow from a training loop to the disk.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The integer x-axis that the user gives. Any `i64`; nothing requires it to grow.
pub type Step = i64;

/// A series within one attempt: an index into that attempt's table of names.
///
/// The number is handed out in the order in which names were first seen, so it means nothing
/// outside the process and the journal it comes from. Sinks map it to identities of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(u32);

impl SeriesId {
    /// One more than the largest id: the journal keeps it in 24 bits.
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

/// A moment as microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that is so many microseconds after the Unix epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The current time in whole milliseconds: runs and journals start at one, and their points are whole
    /// milliseconds later, so that every file has the same time for a point.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since_epoch.as_millis() * 1000).unwrap_or(i64::MAX))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// One measurement: what a single `log` call hands over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Which series it belongs to.
    pub series: SeriesId,
    /// Where on the x-axis it stands.
    pub step: Step,
    /// What was measured. NaN and infinities are values like any other.
    pub value: f64,
    /// When it was logged.
    pub time: Timestamp,
}
