//! The layout of a journal's file: `docs/on-disk-format.md` specifies it.
//!
//! A header of one page, the slots, then the names, which grow at the end of the file.

use crate::control::Control;
use crate::point::{SeriesId, Timestamp};

pub(crate) const MAGIC: [u8; 8] = *b"HOLTERJ\n";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 4096;
/// The fixed part of the header: all before its checksum.
pub(crate) const FIXED_BYTES: usize = 40;
/// Where the counters lie in the header.
pub(crate) const CONTROL_OFFSET: usize = 128;
pub(crate) const PAGE_BYTES: usize = 4096;

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

/// The bytes that stand for a name: their number, a checksum, the name.
pub(crate) fn name_entry(journal_id: u64, id: SeriesId, name: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(8 + name.len());
    entry.extend((name.len() as u32).to_le_bytes());
    entry.extend(name_check(journal_id, id.index(), name.as_bytes()).to_le_bytes());
    entry.extend(name.as_bytes());
    entry
}

/// The checksum of the name with this index.
pub(crate) fn name_check(journal_id: u64, index: usize, name: &[u8]) -> u32 {
    (checksum(journal_id ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15), name) >> 32) as u32
}

/// FNV-1a over eight bytes at a time, its seed and end mixed so that short inputs differ in all bits.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sum = (seed ^ bytes.len() as u64).wrapping_mul(PRIME);
    for chunk in bytes.chunks(8) {
        let mut word = [0_u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ (sum >> 32) ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
    }
    sum ^ (sum >> 29)
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
