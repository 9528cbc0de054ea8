//! The counters of the ring.

use crate::sync::AtomicU64;

/// Set in `head` when the journal is closed.
pub(crate) const CLOSED: u64 = 1 << 63;

/// The counters of the ring, each on its own cache line.
#[repr(C, align(128))]
pub(crate) struct Control {
    /// The sequence number of the next append, and [`CLOSED`].
    pub(crate) head: Counter,
    /// The sequence number up to which slots are released.
    pub(crate) tail: Counter,
    /// The number of dropped points.
    pub(crate) dropped: Counter,
}

#[repr(C, align(128))]
pub(crate) struct Counter(pub(crate) AtomicU64);

impl Control {
    pub(crate) fn new() -> Self {
        let zero = || Counter(AtomicU64::new(0));
        Self { head: zero(), tail: zero(), dropped: zero() }
    }
}
