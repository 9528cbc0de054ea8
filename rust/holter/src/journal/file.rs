//! A journal in a file: its creation, its header, and the names behind its slots.
//!
//! Layout: a header of one page, the slots, then the names, which grow at the end of the file. All
//! blocks are allocated before they are mapped, and all pages are written to before they are used:
//! neither a full disk nor a first touch can hurt a training thread.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{MmapMut, MmapOptions};

use super::slot::{SLOT_BYTES, Slot, Stamp};
use super::{Control, Journal, Storage};
use crate::error::{Error, Result};
use crate::point::{SeriesId, Timestamp};

pub(super) const MAGIC: [u8; 8] = *b"HOLTERJ\n";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 4096;
/// The fixed part of the header: all before its checksum.
pub(super) const FIXED_BYTES: usize = 40;
/// Where the counters lie in the header.
pub(super) const CONTROL_OFFSET: usize = 128;
const NAMES_SEGMENT_BYTES: u64 = 1 << 20;
pub(super) const PAGE_BYTES: usize = 4096;

const _: () = assert!(CONTROL_OFFSET + size_of::<Control>() <= HEADER_BYTES);
const _: () = assert!(CONTROL_OFFSET.is_multiple_of(align_of::<Control>()));

/// What tells one journal from another, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A random number.
    pub id: u64,
    /// When the journal was created: its times count from here.
    pub started: Timestamp,
    /// The process that created it.
    pub pid: u32,
}

/// The file behind a journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    /// Owns the memory of the header and the slots.
    _ring: MmapMut,
    path: PathBuf,
    names: Mutex<Names>,
}

/// The names at the end of the file: a stream of entries over segments mapped one after the other.
#[derive(Debug)]
struct Names {
    file: File,
    /// Where in the file the last segment starts.
    offset: u64,
    segment: MmapMut,
    /// How much of the last segment is used.
    used: usize,
}

/// Creates the journal of a new attempt at `path`, replacing what may be there in one step.
///
/// # Errors
///
/// [`Error::Io`] if the blocks cannot be allocated, mapped or renamed; nothing is left behind then.
///
/// # Panics
///
/// If `capacity` is not a power of two.
pub fn create(path: &Path, capacity: usize, origin: Origin) -> Result<Journal> {
    assert!(capacity.is_power_of_two(), "a journal's capacity is a power of two");
    let temporary = unfinished(path);
    let journal = create_at(&temporary, path, capacity, origin)
        .and_then(|journal| {
            std::fs::rename(&temporary, path).map_err(Error::io("rename to", path))?;
            Ok(journal)
        })
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&temporary);
        })?;
    super::fork::watch();
    Ok(journal)
}

/// The name of the journal at `path` while it is made: what is found under it was never used.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("holter.tmp")
}

fn create_at(temporary: &Path, path: &Path, capacity: usize, origin: Origin) -> Result<Journal> {
    // Whatever an earlier attempt left under this name is not followed, be it a link.
    match std::fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", temporary)(error)),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(temporary)
        .map_err(Error::io("create", temporary))?;
    let ring_bytes = HEADER_BYTES + capacity * SLOT_BYTES;
    allocate(&file, 0, ring_bytes as u64 + NAMES_SEGMENT_BYTES).map_err(Error::io("allocate", temporary))?;
    let header = fixed_header(capacity as u64, origin);
    let check = checksum(origin.id, &header).to_le_bytes();
    file.write_all_at(&[&header[..], &check].concat(), 0).map_err(Error::io("write", temporary))?;
    // Before the pages are touched: what has been written to the disk has to be touched again.
    file.sync_all().map_err(Error::io("sync", temporary))?;
    let mut ring = map(&file, 0, ring_bytes).map_err(Error::io("map", temporary))?;
    let segment = map(&file, ring_bytes as u64, NAMES_SEGMENT_BYTES as usize).map_err(Error::io("map", temporary))?;

    let base = NonNull::from(ring.as_mut()).cast::<u8>();
    // SAFETY: the mapping starts at a page, and the assertions above keep the control block inside
    // the header and aligned; the slots begin a page later and end with the mapping. Zeroed bytes are
    // valid atomics. The mapping does not move when its owner, `JournalFile`, does, and
    // lives as long as any handle.
    let (control, slots) =
        unsafe { (base.add(CONTROL_OFFSET).cast::<Control>(), base.add(HEADER_BYTES).cast::<Slot>()) };
    let names = Mutex::new(Names { file, offset: ring_bytes as u64, segment, used: 0 });
    Ok(Journal {
        slots,
        control,
        capacity: capacity as u64,
        stamp: Stamp::new(origin.id, origin.started),
        storage: Arc::new(Storage::File(JournalFile { _ring: ring, path: path.to_owned(), names })),
    })
}

impl Journal {
    /// The file that the journal lies in, if it does not lie in memory.
    pub fn path(&self) -> Option<&Path> {
        match &*self.storage {
            Storage::Heap { .. } => None,
            Storage::File(file) => Some(&file.path),
        }
    }

    /// Appends the name of a series, before the first point that uses its id. Ids come in order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file had to grow and could not.
    pub fn append_name(&self, id: SeriesId, name: &str) -> Result<()> {
        let Storage::File(file) = &*self.storage else { return Ok(()) };
        let mut names = file.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.append(&name_entry(self.id(), id, name)).map_err(Error::io("extend", &file.path))
    }

    /// Removes the file: everything in it has become durable elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be removed.
    pub fn remove(&self) -> Result<()> {
        match self.path() {
            None => Ok(()),
            Some(path) => std::fs::remove_file(path).map_err(Error::io("remove", path)),
        }
    }
}

impl Names {
    fn append(&mut self, entry: &[u8]) -> io::Result<()> {
        let room = self.segment.len() - self.used;
        if entry.len() <= room {
            self.segment[self.used..self.used + entry.len()].copy_from_slice(entry);
            self.used += entry.len();
            return Ok(());
        }
        // Both halves of the entry have their place before the first byte is written.
        let offset = self.offset + self.segment.len() as u64;
        if self.file.metadata()?.len() == offset {
            allocate(&self.file, offset, NAMES_SEGMENT_BYTES)?;
        }
        let mut segment = map(&self.file, offset, NAMES_SEGMENT_BYTES as usize)?;
        let (first, second) = entry.split_at(room);
        segment[..second.len()].copy_from_slice(second);
        self.segment[self.used..].copy_from_slice(first);
        self.segment = segment;
        self.offset = offset;
        self.used = second.len();
        Ok(())
    }
}

/// The bytes that stand for a name: their number, a checksum, the name.
fn name_entry(journal_id: u64, id: SeriesId, name: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(8 + name.len());
    entry.extend((name.len() as u32).to_le_bytes());
    entry.extend(name_check(journal_id, id.index(), name.as_bytes()).to_le_bytes());
    entry.extend(name.as_bytes());
    entry
}

/// The checksum of the name with this index.
pub(super) fn name_check(journal_id: u64, index: usize, name: &[u8]) -> u32 {
    (checksum(journal_id ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15), name) >> 32) as u32
}

/// FNV-1a over eight bytes at a time, its seed and end mixed so that short inputs differ in all bits.
pub(crate) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sum = (seed ^ bytes.len() as u64).wrapping_mul(PRIME);
    for chunk in bytes.chunks(8) {
        let mut word = [0_u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ (sum >> 32) ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
    }
    sum ^ (sum >> 29)
}

fn fixed_header(capacity: u64, origin: Origin) -> [u8; FIXED_BYTES] {
    let mut header = [0; FIXED_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&origin.pid.to_le_bytes());
    header[16..24].copy_from_slice(&capacity.to_le_bytes());
    header[24..32].copy_from_slice(&origin.id.to_le_bytes());
    header[32..40].copy_from_slice(&origin.started.micros().to_le_bytes());
    header
}

/// Allocates blocks for `length` bytes from `offset`, writing zeros where the system cannot allocate.
fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let flags = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(file, flags, offset, length) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            let zeros = vec![0_u8; 1 << 16];
            let mut position = offset;
            while position < offset + length {
                let count = (offset + length - position).min(zeros.len() as u64) as usize;
                file.write_all_at(&zeros[..count], position)?;
                position += count as u64;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Maps allocated blocks, and writes to every page so that no later write to it is the first.
fn map(file: &File, offset: u64, length: usize) -> io::Result<MmapMut> {
    // SAFETY: memmap2 asks that nobody truncates the file or changes it in a way that Rust's aliasing
    // rules forbid. It lies in the run's directory, which is locked for this process; other processes
    // of ours only read it; the ring is only accessed through atomics, and the names under a lock.
    let mut mapping = unsafe { MmapOptions::new().offset(offset).len(length).map_mut(file)? };
    for page in mapping.chunks_mut(PAGE_BYTES) {
        // Without the black box the store of the value that is there would be optimised away.
        page[0] = std::hint::black_box(page[0]);
    }
    Ok(mapping)
}
