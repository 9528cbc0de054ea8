//! Reads the scalars of an event file in batches. Damage is reported, and the rest of the file is read.
//!
//! A length is used only if its CRC matches, and memory is never allocated for more bytes than the file has. After a
//! damaged length, the next record is found by trying every offset.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::framing::{FOOTER, HEADER, data_length, masked_crc};
use super::message::{Event, parse};
use crate::fs::open_to_read;
use crate::series_table::MAX_NAME_BYTES;

/// Unit tests use a small window, so that records cross its edges.
const WINDOW: usize = if cfg!(test) { 64 } else { 256 << 10 };
const BATCH_POINTS: usize = 1 << 16;
const BATCH_BYTES: u64 = 8 << 20;
/// Longer records do not hold scalars; they are skipped without reading them.
const MAX_DATA: u64 = 4 << 20;
/// After so many damaged lengths, the rest of a file is skipped.
const MAX_SEARCHES: u32 = 1000;

/// Something in a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the record starts, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

/// Points of a file in its order, and what could not be read between them.
#[derive(Debug, Default)]
pub struct EventBatch {
    /// The tags of the points, all valid names of series.
    pub names: Vec<String>,
    /// The index of each point's tag in `names`.
    pub codes: Vec<i64>,
    /// The step of each point.
    pub steps: Vec<i64>,
    /// The value of each point.
    pub values: Vec<f64>,
    /// When each point was logged, in seconds since the Unix epoch, as the file states it.
    pub wall_times: Vec<f64>,
    /// Damaged records, and points whose tag is not a valid name, by offset.
    pub damage: Vec<Damage>,
    /// The number of events and values that are not scalars, by kind.
    pub skipped: BTreeMap<&'static str, u64>,
    /// The offset up to which the file has been read.
    pub bytes_read: u64,
    codes_by_tag: HashMap<Vec<u8>, i64>,
}

impl EventBatch {
    fn report(&mut self, offset: u64, reason: String) {
        self.damage.push(Damage { offset, reason });
    }

    fn skip(&mut self, kind: &'static str) {
        *self.skipped.entry(kind).or_default() += 1;
    }

    /// Adds the points of the event `message`, whose record starts at `offset`.
    fn push(&mut self, offset: u64, message: &[u8], event: &Event) {
        for scalar in &event.scalars {
            match self.code(&message[scalar.tag.clone()]) {
                Ok(code) => {
                    self.codes.push(code);
                    self.steps.push(event.step);
                    self.values.push(scalar.value);
                    self.wall_times.push(event.wall_time);
                }
                Err(reason) => self.report(offset, reason),
            }
        }
        for kind in &event.skipped {
            self.skip(kind);
        }
    }

    fn code(&mut self, tag: &[u8]) -> Result<i64, String> {
        if let Some(&last) = self.codes.last()
            && self.names[last as usize].as_bytes() == tag
        {
            return Ok(last);
        }
        if let Some(&code) = self.codes_by_tag.get(tag) {
            return Ok(code);
        }
        let code = self.names.len() as i64;
        self.names.push(valid_name(tag)?.to_owned());
        self.codes_by_tag.insert(tag.to_owned(), code);
        Ok(code)
    }
}

/// The name of the series that a tag becomes, or why it cannot be one.
fn valid_name(tag: &[u8]) -> Result<&str, String> {
    if tag.is_empty() {
        return Err("the tag is empty".to_owned());
    }
    if tag.len() > MAX_NAME_BYTES {
        return Err(format!("the tag has {} bytes; a series name has at most {MAX_NAME_BYTES}", tag.len()));
    }
    if tag.contains(&0) {
        return Err("the tag contains a NUL".to_owned());
    }
    str::from_utf8(tag).map_err(|_| "the tag is not UTF-8".to_owned())
}

/// Reads an event file as far as it extends when it is opened.
#[derive(Debug)]
pub struct EventReader<R = File> {
    source: R,
    size: u64,
    /// Bytes of the file from `origin` on; those before `at` have been read.
    window: Vec<u8>,
    origin: u64,
    at: usize,
    /// Where a record could not be read and why, while the next one is searched for.
    lost: Option<Damage>,
    num_searches: u32,
    event: Event,
}

impl EventReader {
    /// Opens a file without waiting if it is a pipe.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_to_read(path)?;
        let size = file.metadata()?.len();
        Ok(Self::new(file, size))
    }
}

impl<R: Read + Seek> EventReader<R> {
    /// Reads the first `size` bytes of `source`, which is at its start.
    pub fn new(source: R, size: u64) -> Self {
        Self {
            source,
            size,
            window: Vec::new(),
            origin: 0,
            at: 0,
            lost: None,
            num_searches: 0,
            event: Event::default(),
        }
    }

    /// The next points; `None` at the end of the file. A batch can be empty.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn next_batch(&mut self) -> io::Result<Option<EventBatch>> {
        if self.place() >= self.size {
            return Ok(None);
        }
        let mut batch = EventBatch::default();
        let limit = self.size.min(self.place() + BATCH_BYTES);
        while self.place() < limit.min(self.size) && batch.codes.len() + batch.damage.len() < BATCH_POINTS {
            match self.lost.take() {
                Some(damage) => self.search(damage, limit, &mut batch)?,
                None => self.read_record(&mut batch)?,
            }
        }
        batch.bytes_read = self.place();
        Ok(Some(batch))
    }

    fn place(&self) -> u64 {
        self.origin + self.at as u64
    }

    fn read_record(&mut self, batch: &mut EventBatch) -> io::Result<()> {
        let place = self.place();
        let available = self.fill(HEADER)?;
        let Some(header) = self.window[self.at..].first_chunk() else {
            if available > 0 {
                batch.report(place, format!("the file ends within a record, of which it has {available} bytes"));
            }
            return self.skip_to(self.size);
        };
        let Some(length) = data_length(header) else {
            return self.lose(place, "the length of a record is damaged".to_owned(), batch);
        };
        let whole = length.saturating_add((HEADER + FOOTER) as u64);
        if whole > self.size - place {
            return self.lose(place, format!("the file ends within a record of {length} bytes"), batch);
        }
        if length > MAX_DATA {
            batch.skip("records too long for a scalar");
            return self.skip_to(place + whole);
        }
        if self.fill(whole as usize)? < whole as usize {
            return Ok(()); // The file shrank: the next call reports its end.
        }
        let record = &self.window[self.at..][..whole as usize];
        let (data, crc) = record[HEADER..].split_at(length as usize);
        if masked_crc(data) != crc {
            batch.report(place, "the data of a record are damaged".to_owned());
        } else if let Err(reason) = parse(data, &mut self.event) {
            batch.report(place, format!("the record is not an event: {reason}"));
        } else {
            batch.push(place, data, &self.event);
        }
        self.at += whole as usize;
        Ok(())
    }

    /// Starts a search for the next record, or skips the rest of the file if there were too many of them.
    fn lose(&mut self, offset: u64, reason: String, batch: &mut EventBatch) -> io::Result<()> {
        self.num_searches += 1;
        if self.num_searches > MAX_SEARCHES {
            let count = self.num_searches;
            batch.report(offset, format!("{reason}, for the {count}th time: the rest of the file is skipped"));
            return self.skip_to(self.size);
        }
        self.at += 1;
        self.lost = Some(Damage { offset, reason });
        Ok(())
    }

    /// Moves to the next header before `limit`, if there is one.
    fn search(&mut self, damage: Damage, limit: u64, batch: &mut EventBatch) -> io::Result<()> {
        while self.place() < limit {
            if self.fill(HEADER)? < HEADER {
                self.skip_to(self.size)?;
                break;
            }
            let place = self.place();
            let is_record = |(offset, bytes): (usize, &[u8])| {
                let end = data_length(bytes.first_chunk()?)?.checked_add(place + (offset + HEADER + FOOTER) as u64)?;
                (end <= self.size).then_some(offset)
            };
            let mut headers = self.window[self.at..].windows(HEADER).enumerate();
            let count = headers.len();
            if let Some(offset) = headers.find_map(is_record) {
                self.at += offset;
                batch.report(damage.offset, found_text(&damage, self.place()));
                return Ok(());
            }
            self.at += count;
        }
        if self.place() >= self.size {
            batch.report(damage.offset, found_text(&damage, self.size));
        } else {
            self.lost = Some(damage);
        }
        Ok(())
    }

    /// Makes at least `count` bytes available in the window, as far as the file has them, and returns their number.
    fn fill(&mut self, count: usize) -> io::Result<usize> {
        let available = self.window.len() - self.at;
        if available >= count {
            return Ok(available);
        }
        self.window.drain(..self.at);
        self.origin += self.at as u64;
        self.at = 0;
        let wanted = (count.max(WINDOW) as u64).min(self.size - self.origin);
        (&mut self.source).take(wanted - available as u64).read_to_end(&mut self.window)?;
        if (self.window.len() as u64) < wanted {
            self.size = self.origin + self.window.len() as u64; // The file shrank.
        }
        Ok(self.window.len())
    }

    fn skip_to(&mut self, place: u64) -> io::Result<()> {
        let offset = place - self.origin;
        if offset <= self.window.len() as u64 {
            self.at = offset as usize;
        } else {
            self.source.seek(SeekFrom::Start(place))?;
            self.window.clear();
            (self.origin, self.at) = (place, 0);
        }
        Ok(())
    }
}

fn found_text(damage: &Damage, place: u64) -> String {
    format!("{}; {} bytes are skipped", damage.reason, place - damage.offset)
}
