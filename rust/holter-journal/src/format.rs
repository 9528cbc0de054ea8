//! The layout of a journal's file: `docs/on-disk-format.md` specifies it.
//!
//! A header of one page, then the slots, then the names, which grow at the end of the file.

use twox_hash::XxHash3_64;

use crate::control::Control;
use crate::point::{SeriesId, Timestamp};

pub(crate) const MAGIC: [u8; 8] = *b"HOLTERJ\n";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 4096;
/// The length of the fixed part of the header, which ends at its checksum.
pub(crate) const FIXED_BYTES: usize = 40;
/// The offset of the counters in the header.
pub(crate) const CONTROL_OFFSET: usize = 128;
pub(crate) const PAGE_BYTES: usize = 4096;

const _: () = assert!(CONTROL_OFFSET + size_of::<Control>() <= HEADER_BYTES);
const _: () = assert!(CONTROL_OFFSET.is_multiple_of(align_of::<Control>()));

/// The identity of a journal, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A random number.
    pub id: u64,
    /// When the journal was created: the origin of its times.
    pub started: Timestamp,
    /// The process that created it.
    pub pid: u32,
}

/// The entry of a name: its length, a checksum, the name.
pub(crate) fn name_entry(journal_id: u64, id: SeriesId, name: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(8 + name.len());
    entry.extend((name.len() as u32).to_le_bytes());
    entry.extend(name_check(journal_id, id.index(), name.as_bytes()).to_le_bytes());
    entry.extend(name.as_bytes());
    entry
}

/// The checksum of the name with this index.
pub(crate) fn name_check(journal_id: u64, index: usize, name: &[u8]) -> u32 {
    XxHash3_64::oneshot_with_seed(journal_id.wrapping_add(index as u64), name) as u32
}

/// The checksum of the fixed part of a header.
pub(crate) fn header_check(journal_id: u64, header: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(journal_id, header)
}

pub(crate) fn fixed_header(capacity: u64, origin: Origin) -> [u8; FIXED_BYTES] {
    let mut header = [0; FIXED_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&origin.pid.to_le_bytes());
    header[16..24].copy_from_slice(&capacity.to_le_bytes());
    header[24..32].copy_from_slice(&origin.id.to_le_bytes());
    header[32..40].copy_from_slice(&origin.started.micros().to_le_bytes());
    header
}
