//! A row as bytes: `docs/on-disk-format.md` specifies it.
//!
//! A checksum that knows where the row belongs makes damage, and a row in the wrong place, a row that is
//! not there. What a bucket of a dense series takes is about 40 bytes, 28 of them its float64 values.

use super::{Bucket, FAN_OUT_BITS, Level};
use crate::journal::checksum;
use crate::point::Step;

/// The number of the encoding: a reader leaves out rows whose number it does not know.
const ENCODING: u8 = 1;
const CHECK_BYTES: usize = 4;
/// How many points a bucket has at least, on the average of a row, for the row to be stored. Below, the row
/// would save a reader little, and be a noticeable part of the points' own 25 bytes each.
const WORTHWHILE_POINTS: u64 = 16;

/// Flags of a bucket: which of its values are exact in 32 bits, and what is left out.
mod flag {
    /// The first of the bits for min, max, sum, sum of squares, last.
    pub(super) const FLOAT32: u8 = 1;
    /// A point at every step of the bucket, so that neither count nor last step is said.
    pub(super) const FULL: u8 = 1 << 5;
    /// A count of non-finite values is said.
    pub(super) const NONFINITE: u8 = 1 << 6;
    /// No value is finite: only the last value is said.
    pub(super) const NONE_FINITE: u8 = 1 << 7;
}

/// Whether a row with these buckets is worth its place on the disk.
pub(crate) fn is_worthwhile(buckets: &[Bucket]) -> bool {
    let points: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    !buckets.is_empty() && points >= WORTHWHILE_POINTS * buckets.len() as u64
}

/// The bytes of the row that begins at `start`; `buckets` are those of its stretch that have a point.
///
/// Times are stored as counted from `started_micros`.
pub(crate) fn encode(series_id: i64, level: Level, start: Step, buckets: &[Bucket], started_micros: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + 60 * buckets.len() + CHECK_BYTES);
    let slots = buckets.iter().fold(0, |slots, bucket| slots | 1 << level.slot(bucket.last_step));
    bytes.extend([ENCODING, slots]);
    let mut time_before = started_micros;
    for bucket in buckets {
        encode_bucket(&mut bytes, level, bucket, time_before);
        time_before = bucket.last_time_micros;
    }
    let check = check(series_id, level, start, &bytes);
    bytes.extend(check);
    bytes
}

fn encode_bucket(bytes: &mut Vec<u8>, level: Level, bucket: &Bucket, time_before: i64) {
    let at = bytes.len();
    let mut flags = 0;
    bytes.push(flags);
    let offset = bucket.last_step.wrapping_sub(level.bucket_start(bucket.last_step)) as u64;
    // Steps are distinct: as many points as steps are a point at each.
    if bucket.count == level.width() as u64 {
        flags |= flag::FULL;
    } else {
        put_varint(bytes, bucket.count - 1);
        put_varint(bytes, offset);
    }
    if !bucket.has_finite() {
        flags |= flag::NONE_FINITE;
    } else if bucket.nonfinite_count > 0 {
        flags |= flag::NONFINITE;
        put_varint(bytes, bucket.nonfinite_count);
    }
    put_varint(bytes, zigzag(bucket.last_time_micros.wrapping_sub(time_before)));
    let values = [bucket.min, bucket.max, bucket.sum, bucket.square_sum, bucket.last];
    let said = if bucket.has_finite() { 0..5 } else { 4..5 };
    for index in said {
        let value = values[index];
        let short = value as f32;
        if f64::from(short).to_bits() == value.to_bits() {
            flags |= flag::FLOAT32 << index;
            bytes.extend(short.to_le_bytes());
        } else {
            bytes.extend(value.to_le_bytes());
        }
    }
    bytes[at] = flags;
}

/// The buckets of the row that begins at `start`; `None` if the bytes are not that row's.
pub(crate) fn decode(
    series_id: i64,
    level: Level,
    start: Step,
    bytes: &[u8],
    started_micros: i64,
) -> Option<Vec<Bucket>> {
    let (content, found) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    let (&[encoding, slots], mut rest) = content.split_first_chunk::<2>()?;
    if encoding != ENCODING || *found != check(series_id, level, start, content) || level.stretch_start(start) != start
    {
        return None;
    }
    let mut buckets = Vec::with_capacity(slots.count_ones() as usize);
    let mut time_before = started_micros;
    for slot in (0..1 << FAN_OUT_BITS).filter(|slot| slots & 1 << slot != 0) {
        let bucket = decode_bucket(&mut rest, level, start + slot * level.width(), time_before)?;
        time_before = bucket.last_time_micros;
        buckets.push(bucket);
    }
    rest.is_empty().then_some(buckets)
}

fn decode_bucket(rest: &mut &[u8], level: Level, bucket_start: Step, time_before: i64) -> Option<Bucket> {
    let (&flags, behind) = rest.split_first()?;
    *rest = behind;
    let width = level.width() as u64;
    let (count, offset) = if flags & flag::FULL != 0 {
        (width, width - 1)
    } else {
        (take_varint(rest)?.checked_add(1)?, take_varint(rest)?)
    };
    let nonfinite_count = match flags & (flag::NONE_FINITE | flag::NONFINITE) {
        0 => 0,
        flag::NONFINITE => take_varint(rest)?,
        _ => count,
    };
    if count > width || offset >= width || nonfinite_count > count {
        return None;
    }
    let last_time_micros = time_before.wrapping_add(unzigzag(take_varint(rest)?));
    let mut take = |index: usize| {
        let is_short = flags & flag::FLOAT32 << index != 0;
        if is_short {
            take_array(rest).map(|b| f32::from_le_bytes(b).into())
        } else {
            take_array(rest).map(f64::from_le_bytes)
        }
    };
    let (min, max, sum, square_sum) =
        if nonfinite_count < count { (take(0)?, take(1)?, take(2)?, take(3)?) } else { (f64::NAN, f64::NAN, 0.0, 0.0) };
    let last_step = bucket_start + offset as i64;
    Some(Bucket { count, nonfinite_count, min, max, sum, square_sum, last: take(4)?, last_step, last_time_micros })
}

/// Of the bytes and of where they belong. The low bits of a start are zero.
fn check(series_id: i64, level: Level, start: Step, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let place = (series_id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ start as u64 ^ u64::from(level.number());
    ((checksum(place, bytes) >> 32) as u32).to_le_bytes()
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*array)
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
