//! Reads a journal's file without owning it: after a crash, or beside a live writer.
//!
//! It uses plain reads and no mapping: if the file changes during the read, a point may be missing, and nothing
//! worse. Every slot and name has a checksum, so damage is skipped and counted.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::control::{CLOSED, Counter};
use crate::error::{Error, Result};
use crate::format::{CONTROL_OFFSET, FIXED_BYTES, HEADER_BYTES, MAGIC, Origin, VERSION, header_check, name_check};
use crate::point::{Point, Timestamp};
use crate::slot::{SLOT_BYTES, Stamp};

/// More slots than any journal has, and few enough that their offsets fit in 64 bits.
const MAX_CAPACITY: u64 = 1 << 40;

/// How many bytes of names are read at a time: more than the longest name has.
const NAMES_CHUNK_BYTES: usize = 1 << 18;

/// How often a header with inconsistent counters is read.
const HEADER_ATTEMPTS: usize = 3;

/// The content of a journal's file at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Which journal it is.
    pub origin: Origin,
    /// The names, in the order of their ids.
    pub names: Vec<String>,
    /// The sequence numbers between the counters; `None` if the counters are not valid.
    pub pending: Option<Range<u64>>,
    /// The published points with their sequence numbers, ascending.
    pub points: Vec<(u64, Point)>,
    /// The number of dropped points.
    pub dropped: u64,
    /// The number of slots that contain neither zeros nor a point with a known name: calls that had not
    /// returned when the process died, or damage.
    pub unreadable: u64,
}

/// Which points of a journal to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Those between the counters: enough beside a live writer, and only a fraction of the file.
    Pending,
    /// Those in every slot, regardless of the counters: for recovery.
    All,
}

impl Snapshot {
    /// Reads the journal at `path`; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if it is not a journal, [`Error::FormatVersion`] if a newer version wrote it,
    /// [`Error::Io`] if it cannot be read.
    pub fn read(path: &Path, records: Records) -> Result<Option<Self>> {
        let Some(file) = open(path)? else { return Ok(None) };
        let (header, origin, capacity) = read_header(path, &file)?;
        let mut snapshot = Self {
            origin,
            names: Vec::new(),
            pending: pending(&header, capacity),
            points: Vec::new(),
            dropped: counter(&header, 2),
            unreadable: 0,
        };
        let wanted = snapshot.pending.clone().filter(|_| records == Records::Pending);
        let positions = wanted.clone().unwrap_or(0..capacity);
        // Counters that contradict each other are damaged, so the upper bits of the sequence numbers are unknown.
        let near = snapshot.pending.as_ref().map_or(0, |pending| pending.start);
        snapshot.read_slots(&file, positions, capacity, near).map_err(Error::io("read", path))?;
        if let Some(wanted) = wanted {
            // A slot that was released and used again during the read contains a point whose predecessors were
            // not read.
            snapshot.points.retain(|(sequence, _)| wanted.contains(sequence));
        }
        // After the slots: a name is written before the first point that uses it.
        snapshot.read_names(&file, capacity).map_err(Error::io("read", path))?;
        let num_names = snapshot.names.len();
        let num_points = snapshot.points.len();
        snapshot.points.retain(|(_, point)| point.series.index() < num_names);
        snapshot.unreadable += (num_points - snapshot.points.len()) as u64;
        snapshot.points.sort_unstable_by_key(|(sequence, _)| *sequence);
        Ok(Some(snapshot))
    }

    /// The identity of the journal at `path`, and the sequence numbers between its counters; `None` if there is no
    /// such file. Costs a fraction of [`Snapshot::read`].
    ///
    /// # Errors
    ///
    /// As [`Snapshot::read`].
    pub fn extent(path: &Path) -> Result<Option<(Origin, Option<Range<u64>>)>> {
        let Some(file) = open(path)? else { return Ok(None) };
        let (header, origin, capacity) = read_header(path, &file)?;
        Ok(Some((origin, pending(&header, capacity))))
    }

    fn read_slots(&mut self, file: &File, positions: Range<u64>, capacity: u64, near: u64) -> io::Result<()> {
        const CHUNK_SLOTS: u64 = 1 << 15;
        let stamp = Stamp::new(self.origin.id, self.origin.started);
        let mut bytes = vec![0; CHUNK_SLOTS as usize * SLOT_BYTES];
        let mut position = positions.start;
        while position < positions.end {
            let index = position % capacity;
            let rest_of_lap = (positions.end - position).min(capacity - index);
            let count = CHUNK_SLOTS.min(rest_of_lap);
            let chunk = &mut bytes[..count as usize * SLOT_BYTES];
            let length = read_up_to(file, chunk, HEADER_BYTES as u64 + index * SLOT_BYTES as u64)?;
            for (i, slot) in chunk[..length].as_chunks::<SLOT_BYTES>().0.iter().enumerate() {
                match stamp.parse(slot, near) {
                    Some((sequence, point)) if sequence % capacity == index + i as u64 => {
                        self.points.push((sequence, point));
                    }
                    _ => self.unreadable += u64::from(slot.iter().any(|&byte| byte != 0)),
                }
            }
            // The capacity in a damaged header can exceed the file.
            position += if length < chunk.len() { rest_of_lap } else { count };
        }
        Ok(())
    }

    fn read_names(&mut self, file: &File, capacity: u64) -> io::Result<()> {
        let mut offset = HEADER_BYTES as u64 + capacity * SLOT_BYTES as u64;
        let mut bytes = vec![0; NAMES_CHUNK_BYTES];
        loop {
            let length = read_up_to(file, &mut bytes, offset)?;
            let mut rest = &bytes[..length];
            while let Some((name, behind)) = parse_name(self.origin.id, self.names.len(), rest) {
                self.names.push(name);
                rest = behind;
            }
            let used = (length - rest.len()) as u64;
            // A name that the end of the chunk cuts off is read again with the next chunk.
            if used == 0 || length < bytes.len() {
                return Ok(());
            }
            offset += used;
        }
    }
}

/// Opens the file at `path`, if it exists. Does not block if it is a FIFO.
fn open(path: &Path) -> Result<Option<File>> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    if file.metadata().map_err(Error::io("read", path))?.is_file() {
        Ok(Some(file))
    } else {
        Err(Error::damaged(path, "it is not a regular file"))
    }
}

/// The header, the journal's identity, and its capacity in slots.
fn read_header(path: &Path, file: &File) -> Result<([u8; HEADER_BYTES], Origin, u64)> {
    let mut header = [0; HEADER_BYTES];
    let mut attempt = 0;
    loop {
        file.read_exact_at(&mut header, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::damaged(path, "it ends before its header does"),
            // An I/O error does not mean that the file is damaged.
            _ => Error::io("read", path)(error),
        })?;
        let (origin, capacity) = parse_header(path, &header)?;
        attempt += 1;
        // Both counters may have changed between the two reads.
        if pending(&header, capacity).is_some() || attempt == HEADER_ATTEMPTS {
            return Ok((header, origin, capacity));
        }
    }
}

fn parse_header(path: &Path, header: &[u8; HEADER_BYTES]) -> Result<(Origin, u64)> {
    let word = |offset: usize| u64::from_le_bytes(std::array::from_fn(|i| header[offset + i]));
    if header[..8] != MAGIC {
        return Err(Error::damaged(path, "it does not start with a journal's magic bytes"));
    }
    let version = word(8) as u32;
    if version > VERSION {
        return Err(Error::FormatVersion { path: path.to_owned(), found: version.into(), known: VERSION.into() });
    }
    let (capacity, id) = (word(16), word(24));
    if word(FIXED_BYTES) != header_check(id, &header[..FIXED_BYTES]) || !capacity.is_power_of_two() {
        return Err(Error::damaged(path, "its header's checksum is wrong"));
    }
    if capacity > MAX_CAPACITY {
        return Err(Error::damaged(path, format!("its capacity of {capacity} slots is too large")));
    }
    let origin = Origin { id, started: Timestamp::from_micros(word(32) as i64), pid: (word(8) >> 32) as u32 };
    Ok((origin, capacity))
}

fn pending(header: &[u8; HEADER_BYTES], capacity: u64) -> Option<Range<u64>> {
    let (head, tail) = (counter(header, 0) & !CLOSED, counter(header, 1));
    (tail <= head && head - tail <= capacity).then_some(tail..head)
}

fn counter(header: &[u8; HEADER_BYTES], index: usize) -> u64 {
    let offset = CONTROL_OFFSET + index * size_of::<Counter>();
    u64::from_le_bytes(std::array::from_fn(|i| header[offset + i]))
}

fn parse_name(journal_id: u64, index: usize, bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (check, rest) = rest.split_first_chunk::<4>()?;
    let (name, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if name.is_empty() || u32::from_le_bytes(*check) != name_check(journal_id, index, name) {
        return None;
    }
    Some((String::from_utf8(name.to_vec()).ok()?, behind))
}

/// Reads until `bytes` is full or the file ends.
fn read_up_to(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
