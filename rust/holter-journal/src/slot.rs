//! One record of the ring: 32 bytes, four atomics.
//!
//! `commit` holds the low 40 bits of the sequence number plus one, and a 24-bit checksum over the
//! sequence number and the other three words, salted with the journal's id. It is stored last.

use crate::point::{Point, SeriesId, Timestamp};
use crate::sync::{AtomicU64, Ordering};

const CHECK_BITS: u32 = 24;
const TIME_BITS: u32 = 40;
const MICROS_PER_MILLI: i64 = 1000;

/// The bytes a slot takes in a file.
#[cfg(not(holter_loom))]
pub(crate) const SLOT_BYTES: usize = 32;

#[cfg(not(holter_loom))]
const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);

/// What binds slots to one journal: its id, and the start of its times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    id: u64,
    started_micros: i64,
}

impl Stamp {
    pub(crate) fn new(id: u64, started: Timestamp) -> Self {
        Self { id, started_micros: started.micros() }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[inline]
    fn commit_word(&self, sequence: u64, words: [u64; 3]) -> u64 {
        ((sequence + 1) << CHECK_BITS) | self.checksum(sequence, words)
    }

    /// Multiplications by odd numbers are bijective, the rotations prevent equal changes from canceling out, and the last
    /// multiplication moves every bit to the top, where the checksum is taken.
    #[inline]
    fn checksum(&self, sequence: u64, [step, value, series_and_time]: [u64; 3]) -> u64 {
        let sum = (sequence ^ self.id)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(step.wrapping_mul(0xBF58_476D_1CE4_E5B9))
            .wrapping_add(value.wrapping_mul(0x94D0_49BB_1331_11EB).rotate_left(21))
            .wrapping_add(series_and_time.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(42));
        (sum ^ (sum >> 31)).wrapping_mul(0xA076_1D64_78BD_642F) >> (64 - CHECK_BITS)
    }

    #[inline]
    fn encode(&self, point: &Point) -> [u64; 3] {
        let millis = (point.time.micros() - self.started_micros).max(0) / MICROS_PER_MILLI;
        let time = (millis as u64) & ((1 << TIME_BITS) - 1);
        [point.step as u64, point.value.to_bits(), (point.series.index() as u64) << TIME_BITS | time]
    }

    #[inline]
    fn decode(&self, [step, value, series_and_time]: [u64; 3]) -> Option<Point> {
        let millis = (series_and_time & ((1 << TIME_BITS) - 1)) as i64;
        Some(Point {
            series: SeriesId::new((series_and_time >> TIME_BITS) as usize)?,
            step: step as i64,
            value: f64::from_bits(value),
            time: Timestamp::from_micros(self.started_micros + millis * MICROS_PER_MILLI),
        })
    }

    /// The sequence number and the point in the bytes of a slot, if an append wrote them.
    ///
    /// `near` is any sequence number with the same high bits, which the slot does not store.
    #[cfg(not(holter_loom))]
    pub(crate) fn parse(&self, bytes: &[u8; SLOT_BYTES], near: u64) -> Option<(u64, Point)> {
        let mut words = [0_u64; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(chunk.try_into().ok()?);
        }
        let [commit, rest @ ..] = words;
        let low_mask = (1_u64 << (64 - CHECK_BITS)) - 1;
        let low = (commit >> CHECK_BITS).checked_sub(1)?;
        let sequence = (near & !low_mask) | low;
        (self.commit_word(sequence, rest) == commit).then_some((sequence, self.decode(rest)?))
    }
}

/// Four words of eight bytes, little-endian on every machine that Holter runs on.
#[repr(C, align(32))]
pub(crate) struct Slot {
    commit: AtomicU64,
    words: [AtomicU64; 3],
}

impl Slot {
    pub(crate) fn empty() -> Self {
        Self { commit: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    #[inline]
    pub(crate) fn publish(&self, stamp: &Stamp, sequence: u64, point: &Point) {
        let words = stamp.encode(point);
        for (slot, word) in self.words.iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        // ORDERING: release, so that a reader of this word also reads the three before it.
        self.commit.store(stamp.commit_word(sequence, words), Ordering::Release);
    }

    /// Writes to the slot's memory without changing it, even while another thread writes to it.
    #[cfg(not(holter_loom))]
    pub(crate) fn touch(&self) {
        let word = self.commit.load(Ordering::Relaxed);
        // An exchange writes whether it succeeds or not; adding zero would be optimized to a load.
        // ORDERING: relaxed, because nothing is published; a word that was published with a release store keeps that effect
        // through an exchange.
        let _ = self.commit.compare_exchange(word, word, Ordering::Relaxed, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn read(&self, stamp: &Stamp, sequence: u64) -> Option<Point> {
        // ORDERING: acquire pairs with the release in `publish`.
        let commit = self.commit.load(Ordering::Acquire);
        if commit >> CHECK_BITS != (sequence + 1) & ((1 << (64 - CHECK_BITS)) - 1) {
            return None;
        }
        stamp.decode(std::array::from_fn(|i| self.words[i].load(Ordering::Relaxed)))
    }
}
