//! The bounded, lock-free ring between the training threads and the writer.
//!
//! Any number of threads append; one thread, the writer, reads and releases. An append claims a slot,
//! fills it and publishes it with one release store: no lock, no system call, no allocation. The ring
//! lies in a mapped file whose pages outlive the process, so a point whose append returned survives
//! SIGKILL. A slot is reused only after [`Journal::release`], which the writer calls when the point is
//! durable elsewhere. A slot carries its sequence number and a checksum salted with the journal's id:
//! a stale, torn or damaged one is never taken for a point.
//!
//! Together with its submodules the only place with `unsafe`: the ring's memory is mapped, and shared
//! between threads by atomics.

#[cfg(not(holter_loom))]
mod file;
#[cfg(not(holter_loom))]
pub mod fork;
mod slot;
#[cfg(not(holter_loom))]
mod snapshot;

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::point::{Point, Timestamp};
use crate::sync::{AtomicU64, Ordering};

#[cfg(not(holter_loom))]
pub use file::{Origin, create};
#[cfg(not(holter_loom))]
pub(crate) use file::{checksum, unfinished};
use slot::{Slot, Stamp};
#[cfg(not(holter_loom))]
pub use snapshot::{Records, Snapshot};

/// Set in `head` when nothing may be appended any more.
const CLOSED: u64 = 1 << 63;

/// The counters of the ring, each on its own cache line.
#[repr(C, align(128))]
struct Control {
    head: Counter,
    tail: Counter,
    dropped: Counter,
}

#[repr(C, align(128))]
struct Counter(AtomicU64);

impl Control {
    fn new() -> Self {
        let zero = || Counter(AtomicU64::new(0));
        Self { head: zero(), tail: zero(), dropped: zero() }
    }
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room until the writer releases some.
    Full,
    /// The journal was closed.
    Closed,
}

/// A handle of the ring; its clones lead to the same one. See the module's documentation for who may
/// call what.
///
/// The handle carries all that an append needs but the slots themselves, so that its owner reaches
/// them without a detour.
#[derive(Clone)]
pub struct Journal {
    slots: NonNull<Slot>,
    control: NonNull<Control>,
    capacity: u64,
    stamp: Stamp,
    /// Owns the memory that `slots` and `control` point into.
    #[cfg_attr(holter_loom, expect(dead_code, reason = "only a file has more to it than to be kept"))]
    storage: Arc<Storage>,
}

enum Storage {
    Heap {
        _slots: Box<[Slot]>,
        _control: Box<Control>,
    },
    #[cfg(not(holter_loom))]
    File(file::JournalFile),
}

// SAFETY: the pointers lead to atomics owned by `storage`, which lives as long as any handle and does
// not move them; nothing in it is tied to a thread.
unsafe impl Send for Journal {}
// SAFETY: slots and counters are atomics, and the names of a journal file are behind a lock.
unsafe impl Sync for Journal {}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("capacity", &self.capacity)
            .field("appended", &self.appended())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// A journal in memory, which does not survive the process; `capacity` is a power of two.
    ///
    /// # Panics
    ///
    /// If `capacity` is not a power of two.
    pub fn in_memory(capacity: usize, id: u64, started: Timestamp) -> Self {
        assert!(capacity.is_power_of_two(), "a journal's capacity is a power of two");
        let mut slots: Box<[Slot]> = (0..capacity).map(|_| Slot::empty()).collect();
        let mut control = Box::new(Control::new());
        Self {
            slots: NonNull::from(slots.as_mut()).cast(),
            control: NonNull::from(control.as_mut()),
            capacity: capacity as u64,
            stamp: Stamp::new(id, started),
            storage: Arc::new(Storage::Heap { _slots: slots, _control: control }),
        }
    }

    /// How many points fit.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The random number that tells this journal from every other.
    pub fn id(&self) -> u64 {
        self.stamp.id()
    }

    /// Appends one point.
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is no room or the journal is closed; the point was not taken.
    #[inline]
    pub fn append(&self, point: &Point) -> Result<(), Refused> {
        let sequence = self.claim(1)?;
        self.slot(sequence).publish(&self.stamp, sequence, point);
        Ok(())
    }

    /// Appends `point(0)` to `point(count - 1)`, or none; they get consecutive sequence numbers.
    ///
    /// `point` must not panic: the slots are claimed by then, and the writer waits for them.
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is no room for all of them or the journal is closed.
    #[inline]
    pub fn append_all(&self, count: usize, mut point: impl FnMut(usize) -> Point) -> Result<(), Refused> {
        let start = self.claim(count as u64)?;
        for i in 0..count {
            let sequence = start + i as u64;
            self.slot(sequence).publish(&self.stamp, sequence, &point(i));
        }
        Ok(())
    }

    #[inline]
    fn claim(&self, count: u64) -> Result<u64, Refused> {
        let control = self.control();
        // ORDERING: relaxed suffices for `head`, since the claim alone publishes nothing: a slot's own
        // word does. A stale `head` makes the exchange fail.
        let mut head = control.head.0.load(Ordering::Relaxed);
        loop {
            if head & CLOSED != 0 {
                return Err(Refused::Closed);
            }
            // ORDERING: acquire pairs with the release in `release`: what the writer read from a slot
            // was read before we overwrite it.
            let tail = control.tail.0.load(Ordering::Acquire);
            // A stale `head` may lie behind `tail`, hence the signed difference.
            if (head + count).wrapping_sub(tail) as i64 > self.capacity as i64 {
                return Err(Refused::Full);
            }
            match control.head.0.compare_exchange_weak(head, head + count, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(head),
                Err(current) => head = current,
            }
        }
    }

    /// Copies to `points` what has been published from `position` on, at most `limit` of it, and
    /// returns the position after it. For the writer only.
    pub fn read(&self, position: u64, limit: usize, points: &mut Vec<Point>) -> u64 {
        let end = self.appended().min(position + limit as u64);
        for sequence in position..end {
            match self.slot(sequence).read(&self.stamp, sequence) {
                Some(point) => points.push(point),
                None => return sequence,
            }
        }
        end
    }

    /// Frees the slots below `position`, which must all have been read. For the writer only.
    pub fn release(&self, position: u64) {
        // ORDERING: release, so that our reads of these slots come before any overwriting of them.
        self.control().tail.0.store(position, Ordering::Release);
    }

    /// Sees to it that the next appends, about `count` of them, find their memory writable, where it was so
    /// up to `ready`; returns up to where it is now. For the writer only.
    ///
    /// When the system has written pages of the file to the disk, the next store to each of them is a
    /// fault of about a microsecond, which this takes off the training thread.
    #[cfg(not(holter_loom))]
    pub fn make_ready(&self, ready: u64, count: usize) -> u64 {
        const SLOTS_PER_PAGE: u64 = (file::PAGE_BYTES / slot::SLOT_BYTES) as u64;
        /// Enough for what is logged between two looks of the writer. More would be in vain when the
        /// pages are written to the disk before they are used.
        const REACH: (u64, u64) = (64 * SLOTS_PER_PAGE, 256 * SLOTS_PER_PAGE);
        let head = self.appended();
        let end = head + (count as u64).clamp(REACH.0, REACH.1);
        let start = ready.max(head);
        // The next page is made ready when its first slot comes into reach: the slots begin with a page.
        for page in start.div_ceil(SLOTS_PER_PAGE)..end.div_ceil(SLOTS_PER_PAGE) {
            self.slot(page * SLOTS_PER_PAGE).touch();
        }
        start.max(end)
    }

    /// Where the writer has released up to.
    pub fn released(&self) -> u64 {
        self.control().tail.0.load(Ordering::Relaxed)
    }

    /// How many points were appended so far, those still being filled in included.
    pub fn appended(&self) -> u64 {
        self.control().head.0.load(Ordering::Relaxed) & !CLOSED
    }

    /// Refuses every later append. Those under way complete, and can still be read.
    pub fn close(&self) {
        self.control().head.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Whether the journal was closed.
    pub fn is_closed(&self) -> bool {
        self.control().head.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Counts points that were not taken.
    pub fn count_dropped(&self, count: u64) {
        self.control().dropped.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many points were counted as dropped.
    pub fn dropped(&self) -> u64 {
        self.control().dropped.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn control(&self) -> &Control {
        // SAFETY: points to the control block in `storage`, alive as long as `self`.
        unsafe { self.control.as_ref() }
    }

    #[inline]
    fn slot(&self, sequence: u64) -> &Slot {
        let index = (sequence & (self.capacity - 1)) as usize;
        // SAFETY: `capacity` is a power of two, so `index` is below it, and `slots` leads to
        // `capacity` slots in `storage`, alive as long as `self`.
        unsafe { self.slots.add(index).as_ref() }
    }
}
