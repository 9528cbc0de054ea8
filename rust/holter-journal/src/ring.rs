//! The bounded, lock-free ring between the training threads and the writer.
//!
//! Any number of threads append; one thread, the writer, reads and releases. An append claims a slot, fills it and publishes
//! it with one release store: no lock, no system call, no allocation. The ring is in a mapped file whose pages outlive the
//! process, so a point whose append returned survives SIGKILL. A slot is reused only after [`Journal::release`], which the
//! writer calls when the point is durable elsewhere. A slot contains its sequence number and a checksum salted with the
//! journal's id, so a stale, torn or damaged slot never passes for a point.

use std::fmt;
#[cfg(not(holter_loom))]
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
#[cfg(not(holter_loom))]
use std::sync::{Mutex, PoisonError};

#[cfg(not(holter_loom))]
use memmap2::MmapMut;

use crate::control::{CLOSED, Control};
#[cfg(not(holter_loom))]
use crate::error::{Error, Result as JournalResult};
#[cfg(not(holter_loom))]
use crate::file::{self, MappedRing};
#[cfg(not(holter_loom))]
use crate::fork;
#[cfg(not(holter_loom))]
use crate::format::{Origin, PAGE_BYTES};
#[cfg(not(holter_loom))]
use crate::names::{NAMES_SEGMENT_BYTES, Names};
#[cfg(not(holter_loom))]
use crate::point::SeriesId;
use crate::point::{Point, Timestamp};
#[cfg(not(holter_loom))]
use crate::slot::SLOT_BYTES;
use crate::slot::{Slot, Stamp};
use crate::sync::Ordering;

/// Why an append failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// There is no room until the writer releases some.
    Full,
    /// The journal was closed.
    Closed,
}

/// A handle of the ring; clones share the same ring. The module documentation states which thread may call what.
///
/// The handle contains everything an append needs except the slots, to save an indirection.
#[derive(Clone)]
pub struct Journal {
    slots: NonNull<Slot>,
    control: NonNull<Control>,
    capacity: u64,
    stamp: Stamp,
    /// Owns the memory that `slots` and `control` point into.
    #[cfg_attr(holter_loom, expect(dead_code, reason = "with loom, it only owns the memory"))]
    storage: Arc<Storage>,
}

enum Storage {
    Heap {
        _slots: Box<[Slot]>,
        _control: Box<Control>,
    },
    #[cfg(not(holter_loom))]
    File {
        /// Owns the memory of the header and the slots.
        _ring: MmapMut,
        path: PathBuf,
        names: Mutex<Names>,
    },
}

// SAFETY: the pointers point to atomics owned by `storage`, which lives as long as any handle and does not move them;
// nothing in it is tied to a thread.
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

    /// The capacity in points.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The random id of the journal.
    pub fn id(&self) -> u64 {
        self.stamp.id()
    }

    /// Appends one point.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if there is no room or the journal is closed; nothing was appended.
    #[inline]
    pub fn append(&self, point: &Point) -> Result<(), AppendError> {
        let sequence = self.claim(1)?;
        self.slot(sequence).publish(&self.stamp, sequence, point);
        Ok(())
    }

    /// Appends `point(0)` to `point(count - 1)` with consecutive sequence numbers, or none of them.
    ///
    /// `point` must not panic, because the slots are already claimed and the writer waits for them.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if there is no room for all of them or the journal is closed.
    #[inline]
    pub fn append_all(&self, count: usize, mut point: impl FnMut(usize) -> Point) -> Result<(), AppendError> {
        let start = self.claim(count as u64)?;
        for i in 0..count {
            let sequence = start + i as u64;
            self.slot(sequence).publish(&self.stamp, sequence, &point(i));
        }
        Ok(())
    }

    #[inline]
    fn claim(&self, count: u64) -> Result<u64, AppendError> {
        let control = self.control();
        // ORDERING: relaxed suffices for `head`, since the claim alone publishes nothing: a slot's own
        // word does. A stale `head` makes the exchange fail.
        let mut head = control.head.0.load(Ordering::Relaxed);
        loop {
            if head & CLOSED != 0 {
                return Err(AppendError::Closed);
            }
            // ORDERING: acquire pairs with the release in `release`: what the writer read from a slot
            // was read before we overwrite it.
            let tail = control.tail.0.load(Ordering::Acquire);
            // A stale `head` may be below `tail`, hence the signed difference.
            if (head + count).wrapping_sub(tail) as i64 > self.capacity as i64 {
                return Err(AppendError::Full);
            }
            match control.head.0.compare_exchange_weak(head, head + count, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(head),
                Err(current) => head = current,
            }
        }
    }

    /// Appends to `points` up to `limit` points that have been published from `position` on, and returns the position after
    /// them.
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
        // ORDERING: release, so that our reads of these slots happen before they are overwritten.
        self.control().tail.0.store(position, Ordering::Release);
    }

    /// Pre-faults the pages of about the next `count` appends, beginning at `ready`, and returns the position up to which
    /// pages are ready. For the writer only.
    ///
    /// After the system has written pages of the file to disk, the next store to each of them causes a page fault of about a
    /// microsecond. This moves the fault off the training thread.
    #[cfg(not(holter_loom))]
    pub fn prefault(&self, ready: u64, count: usize) -> u64 {
        const SLOTS_PER_PAGE: u64 = (PAGE_BYTES / SLOT_BYTES) as u64;
        /// Enough for the points logged between two polls of the writer. With more, pages could be written to disk again before
        /// they are used.
        const REACH: (u64, u64) = (64 * SLOTS_PER_PAGE, 256 * SLOTS_PER_PAGE);
        let head = self.appended();
        let end = head + (count as u64).clamp(REACH.0, REACH.1);
        let start = ready.max(head);
        // A page is pre-faulted when its first slot is in reach; slots start at a page boundary.
        for page in start.div_ceil(SLOTS_PER_PAGE)..end.div_ceil(SLOTS_PER_PAGE) {
            self.slot(page * SLOTS_PER_PAGE).touch();
        }
        start.max(end)
    }

    /// The position up to which the writer has released slots.
    pub fn released(&self) -> u64 {
        self.control().tail.0.load(Ordering::Relaxed)
    }

    /// The number of points appended so far, including slots that are still being filled.
    pub fn appended(&self) -> u64 {
        self.control().head.0.load(Ordering::Relaxed) & !CLOSED
    }

    /// Makes every later append fail. Appends in progress complete and can be read.
    pub fn close(&self) {
        self.control().head.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Whether the journal was closed.
    pub fn is_closed(&self) -> bool {
        self.control().head.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Counts points as dropped.
    pub fn count_dropped(&self, count: u64) {
        self.control().dropped.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number of points counted as dropped.
    pub fn dropped(&self) -> u64 {
        self.control().dropped.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn control(&self) -> &Control {
        // SAFETY: points to the control block in `storage`, which lives as long as `self`.
        unsafe { self.control.as_ref() }
    }

    #[inline]
    fn slot(&self, sequence: u64) -> &Slot {
        let index = (sequence & (self.capacity - 1)) as usize;
        // SAFETY: `capacity` is a power of two, so `index` is below it, and `slots` points to `capacity` slots in `storage`,
        // which lives as long as `self`.
        unsafe { self.slots.add(index).as_ref() }
    }
}

/// A journal in a file.
#[cfg(not(holter_loom))]
impl Journal {
    /// Creates the journal of a new session at `path`, atomically replacing an existing file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the blocks cannot be allocated, mapped or renamed; no file is left behind.
    ///
    /// # Panics
    ///
    /// If `capacity` is not a power of two.
    pub fn create(path: &Path, capacity: usize, origin: Origin) -> JournalResult<Self> {
        assert!(capacity.is_power_of_two(), "a journal's capacity is a power of two");
        let temporary = file::unfinished_path(path);
        let journal = Self::create_at(&temporary, path, capacity, origin)
            .and_then(|journal| {
                std::fs::rename(&temporary, path).map_err(Error::io("rename to", path))?;
                Ok(journal)
            })
            .inspect_err(|_| {
                let _ = std::fs::remove_file(&temporary);
            })?;
        fork::watch();
        Ok(journal)
    }

    fn create_at(temporary: &Path, path: &Path, capacity: usize, origin: Origin) -> JournalResult<Self> {
        let mapped = MappedRing::create(temporary, capacity, origin, NAMES_SEGMENT_BYTES)?;
        let ring_bytes = mapped.ring_bytes;
        let (ring, control, slots, file) = mapped.into_parts();
        let names = Names::new(file, ring_bytes).map_err(Error::io("map", temporary))?;
        Ok(Self {
            slots,
            control,
            capacity: capacity as u64,
            stamp: Stamp::new(origin.id, origin.started),
            storage: Arc::new(Storage::File { _ring: ring, path: path.to_owned(), names: Mutex::new(names) }),
        })
    }

    /// The path of the journal's file, or `None` if it is in memory.
    pub fn path(&self) -> Option<&Path> {
        match &*self.storage {
            Storage::Heap { .. } => None,
            Storage::File { path, .. } => Some(path),
        }
    }

    /// Appends the name of a series. Must be called before the first point with its id, and in the order of the ids.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot grow.
    pub fn append_name(&self, id: SeriesId, name: &str) -> JournalResult<()> {
        let Storage::File { path, names, .. } = &*self.storage else { return Ok(()) };
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        names.append_name(self.id(), id, name).map_err(Error::io("extend", path))
    }

    /// Removes the file, when everything in it is durable elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be removed.
    pub fn remove(&self) -> JournalResult<()> {
        match self.path() {
            None => Ok(()),
            Some(path) => std::fs::remove_file(path).map_err(Error::io("remove", path)),
        }
    }
}
