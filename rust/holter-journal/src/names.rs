//! The names at the end of a journal's file.

use std::fs::File;
use std::io;

use memmap2::MmapMut;

use crate::file::{allocate, map};
use crate::format::name_entry;
use crate::point::SeriesId;

pub(crate) const NAMES_SEGMENT_BYTES: u64 = 1 << 20;

/// The names at the end of the file: a stream of entries over segments mapped one after the other.
#[derive(Debug)]
pub(crate) struct Names {
    file: File,
    /// The offset of the last segment in the file.
    offset: u64,
    segment: MmapMut,
    /// The number of bytes used in the last segment.
    used: usize,
}

impl Names {
    /// The names of a new journal, after `offset` bytes of header and slots. The first segment is allocated.
    pub(crate) fn new(file: File, offset: u64) -> io::Result<Self> {
        let segment = map(&file, offset, NAMES_SEGMENT_BYTES as usize)?;
        Ok(Self { file, offset, segment, used: 0 })
    }

    pub(crate) fn append_name(&mut self, journal_id: u64, id: SeriesId, name: &str) -> io::Result<()> {
        self.append(&name_entry(journal_id, id, name))
    }

    fn append(&mut self, entry: &[u8]) -> io::Result<()> {
        let room = self.segment.len() - self.used;
        if entry.len() <= room {
            self.segment[self.used..self.used + entry.len()].copy_from_slice(entry);
            self.used += entry.len();
            return Ok(());
        }
        // Space for both halves of the entry exists before the first byte is written.
        let offset = self.offset + self.segment.len() as u64;
        // Also if an earlier attempt failed halfway and left the file longer.
        if self.file.metadata()?.len() < offset + NAMES_SEGMENT_BYTES {
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
