//! The file behind a journal: allocated, mapped and pre-faulted.
//!
//! All blocks are allocated before they are mapped, and all pages are written before they are used, so that neither a full
//! disk nor a first write to a page affects a training thread.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use memmap2::{MmapMut, MmapOptions};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::format::{CONTROL_OFFSET, HEADER_BYTES, Origin, PAGE_BYTES, fixed_header, header_check};
use crate::slot::{SLOT_BYTES, Slot};

/// A mapped ring, and the file that the names are appended to.
#[derive(Debug)]
pub(crate) struct MappedRing {
    ring: MmapMut,
    pub(crate) file: File,
    /// The offset where the slots end and the names begin.
    pub(crate) ring_bytes: u64,
}

/// The path of the journal at `path` while it is being created. A file found there was never used.
pub fn unfinished_path(path: &Path) -> PathBuf {
    path.with_extension("holter.tmp")
}

impl MappedRing {
    /// Creates the file under a temporary name, with room for `names_bytes` of names.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the blocks cannot be allocated or mapped.
    pub(crate) fn create(temporary: &Path, capacity: usize, origin: Origin, names_bytes: u64) -> Result<Self> {
        // A file left by an earlier process is not followed, even if it is a symlink.
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
        allocate(&file, 0, ring_bytes as u64 + names_bytes).map_err(Error::io("allocate", temporary))?;
        let header = fixed_header(capacity as u64, origin);
        let check = header_check(origin.id, &header).to_le_bytes();
        file.write_all_at(&[&header[..], &check].concat(), 0).map_err(Error::io("write", temporary))?;
        // Before the pages are touched, because writing them to disk would require touching them again.
        file.sync_all().map_err(Error::io("sync", temporary))?;
        let ring = map(&file, 0, ring_bytes).map_err(Error::io("map", temporary))?;
        Ok(Self { ring, file, ring_bytes: ring_bytes as u64 })
    }

    /// Splits into the mapping, pointers that are valid as long as the mapping lives, and the file.
    pub(crate) fn into_parts(mut self) -> (MmapMut, NonNull<Control>, NonNull<Slot>, File) {
        let base = NonNull::from(self.ring.as_mut()).cast::<u8>();
        // SAFETY: the mapping starts at a page, and the assertions in `format` keep the control block inside
        // the header and aligned; the slots begin a page later and end with the mapping. Zeroed bytes are
        // valid atomics. The mapped memory does not move when its owner does.
        let (control, slots) =
            unsafe { (base.add(CONTROL_OFFSET).cast::<Control>(), base.add(HEADER_BYTES).cast::<Slot>()) };
        (self.ring, control, slots, self.file)
    }
}

/// Allocates blocks for `length` bytes from `offset`, writing zeros where the system cannot allocate.
pub(crate) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
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

/// Maps allocated blocks, and writes to every page so that later writes do not fault.
pub(crate) fn map(file: &File, offset: u64, length: usize) -> io::Result<MmapMut> {
    // SAFETY: memmap2 requires that the file is not truncated, or changed in a way that violates Rust's aliasing rules. It is
    // in the run's directory, which is locked for this process; other Holter processes only read it; the ring is accessed
    // only through atomics, and the names under a lock.
    let mut mapping = unsafe { MmapOptions::new().offset(offset).len(length).map_mut(file)? };
    for page in mapping.chunks_mut(PAGE_BYTES) {
        // Without the black box, storing the same value would be optimized away.
        page[0] = std::hint::black_box(page[0]);
    }
    Ok(mapping)
}
