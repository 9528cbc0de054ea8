//! The encoding of a row: `docs/on-disk-format.md` specifies it.
//!
//! The checksum includes the position of the row, so a damaged or misplaced row counts as missing. A bucket of a dense
//! series takes about 40 bytes.

use super::bucket::Bucket;
use super::level::{FAN_OUT_BITS, Level};
use crate::millis::{to_micros, to_millis};
use holter_journal::Step;
use twox_hash::XxHash3_64;

/// The version of the encoding: a reader ignores rows with another one.
const ENCODING: u8 = 1;
const CHECK_BYTES: usize = 4;
/// The average number of points per bucket from which a row is stored. With 64, the rows add 3 % to the size of the
/// points, with 32 they add 7 %, with 16 they would add 13 %; and few points are read quickly anyway.
const WORTHWHILE_POINTS: u64 = 32;

/// Flags of a bucket: which of its values are exact in 32 bits, and which are absent.
mod flag {
    /// The first of the five bits for min, max, sum, sum of squares, last.
    pub(super) const FLOAT32: u8 = 1;
    /// Every step has a point, so the count and the last step are absent.
    pub(super) const FULL: u8 = 1 << 5;
    /// The count of non-finite values is present.
    pub(super) const NONFINITE: u8 = 1 << 6;
    /// No value is finite, so only the last value is present.
    pub(super) const NONE_FINITE: u8 = 1 << 7;
}

/// Whether a row with these buckets is worth storing.
pub(crate) fn is_worthwhile(buckets: &[Bucket]) -> bool {
    let points: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    !buckets.is_empty() && points >= WORTHWHILE_POINTS * buckets.len() as u64
}

/// Encodes the row that starts at `start`; `buckets` are those of its block that have a point.
///
/// Times are relative to `started_micros`.
pub(crate) fn encode(series_id: i64, level: Level, start: Step, buckets: &[Bucket], started_micros: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + 60 * buckets.len() + CHECK_BYTES);
    let slots = buckets.iter().fold(0, |slots, bucket| slots | 1 << level.slot(bucket.last_step));
    bytes.extend([ENCODING, slots]);
    let mut previous_millis = 0;
    for bucket in buckets {
        let millis = to_millis(bucket.last_time_micros, started_micros);
        encode_bucket(&mut bytes, level, bucket, millis.wrapping_sub(previous_millis));
        previous_millis = millis;
    }
    let check = check(series_id, level, start, &bytes);
    bytes.extend(check);
    bytes
}

fn encode_bucket(bytes: &mut Vec<u8>, level: Level, bucket: &Bucket, elapsed_millis: i64) {
    let at = bytes.len();
    let mut flags = 0;
    bytes.push(flags);
    let offset = bucket.last_step.wrapping_sub(level.bucket_start(bucket.last_step)) as u64;
    // Steps are distinct: if there are as many points as steps, every step has one.
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
    put_varint(bytes, zigzag(elapsed_millis));
    let values = [bucket.min, bucket.max, bucket.sum, bucket.square_sum, bucket.last];
    let present = if bucket.has_finite() { 0..5 } else { 4..5 };
    for index in present {
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

/// Decodes the row that starts at `start`; `None` if the bytes are not that row.
pub(crate) fn decode(
    series_id: i64,
    level: Level,
    start: Step,
    bytes: &[u8],
    started_micros: i64,
) -> Option<Vec<Bucket>> {
    let (content, found) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    let (&[encoding, slots], mut rest) = content.split_first_chunk::<2>()?;
    if encoding != ENCODING || *found != check(series_id, level, start, content) || level.block_start(start) != start {
        return None;
    }
    let mut buckets = Vec::with_capacity(slots.count_ones() as usize);
    let mut millis = 0_i64;
    for slot in (0..1 << FAN_OUT_BITS).filter(|slot| slots & 1 << slot != 0) {
        let (mut bucket, elapsed_millis) = decode_bucket(&mut rest, level, start + slot * level.width())?;
        millis = millis.wrapping_add(elapsed_millis);
        bucket.last_time_micros = to_micros(millis, started_micros);
        buckets.push(bucket);
    }
    rest.is_empty().then_some(buckets)
}

/// The next bucket, without its time, and the milliseconds since that of the bucket before.
fn decode_bucket(rest: &mut &[u8], level: Level, bucket_start: Step) -> Option<(Bucket, i64)> {
    let (&flags, tail) = rest.split_first()?;
    *rest = tail;
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
    let elapsed_millis = unzigzag(take_varint(rest)?);
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
    let last = take(4)?;
    let bucket = Bucket { count, nonfinite_count, min, max, sum, square_sum, last, last_step, last_time_micros: 0 };
    Some((bucket, elapsed_millis))
}

/// The checksum of the bytes and the position. The low bits of `start` are zero, so `level` does not collide with them.
fn check(series_id: i64, level: Level, start: Step, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let place = (series_id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ start as u64 ^ u64::from(level.number());
    (XxHash3_64::oneshot_with_seed(place, bytes) as u32).to_le_bytes()
}

/// Writes seven bits per byte, lowest first; the eighth bit means that more follow.
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
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*array)
}

/// Maps small numbers of either sign to small numbers.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    const ODD: [f64; 8] =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.1, f64::MIN_POSITIVE, f64::MAX, 16_777_217.0];

    fn values() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f32>().prop_map(f64::from), any::<f64>(), prop::sample::select(ODD.to_vec())]
    }

    /// Whole milliseconds.
    fn times() -> impl Strategy<Value = i64> {
        (-(1_i64 << 50)..1 << 50).prop_map(|millis| millis * 1000)
    }

    /// A row: its level, its first step and its buckets.
    fn rows() -> impl Strategy<Value = (Level, Step, Vec<Bucket>)> {
        let points = btree_map(any::<u64>(), (values(), times()), 1..200);
        (0..=Level::COARSEST.0, any::<Step>(), prop_oneof![Just(u64::MAX), Just(0x3F)], points).prop_map(
            |(level, anywhere, mask, points)| {
                let (level, start) = (Level(level), Level(level).block_start(anywhere));
                let length = level.block_end(start).wrapping_sub(start) as u64;
                let steps = points.into_iter().map(|(offset, point)| (start + (offset & mask & length) as i64, point));
                let mut buckets: Vec<Bucket> = Vec::new();
                for (step, (value, time)) in steps.collect::<std::collections::BTreeMap<_, _>>() {
                    match buckets.last_mut() {
                        Some(open) if open.last_step >= level.bucket_start(step) => open.add(step, value, time),
                        _ => buckets.push(Bucket::of(step, value, time)),
                    }
                }
                (level, start, buckets)
            },
        )
    }

    /// The buckets as text, in which NaN equals NaN.
    fn texts(buckets: &[Bucket]) -> Vec<String> {
        buckets.iter().map(|bucket| format!("{bucket:?}")).collect()
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding((level, start, buckets) in rows(), series: i64, started in times()) {
            let bytes = encode(series, level, start, &buckets, started);
            let found = decode(series, level, start, &bytes, started);
            prop_assert_eq!(found.map(|found| texts(&found)), Some(texts(&buckets)));
            prop_assert!(decode(series.wrapping_add(1), level, start, &bytes, started).is_none());
            prop_assert!(decode(series, level, start ^ (1 << 60), &bytes, started).is_none());
            for other in [level.finer(), level.coarser()].into_iter().flatten() {
                prop_assert!(decode(series, other, start, &bytes, started).is_none());
            }
        }

        /// Catches damage that is accepted as a row, or that panics.
        #[test]
        fn damaged_rows_are_rejected(
            (level, start, buckets) in rows(),
            at: prop::sample::Index,
            flip in 1_u8..,
            cut: prop::sample::Index,
        ) {
            let bytes = encode(7, level, start, &buckets, 0);
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= flip;
            prop_assert!(decode(7, level, start, &flipped, 0).is_none());
            prop_assert!(decode(7, level, start, &bytes[..cut.index(bytes.len())], 0).is_none());
            prop_assert!(decode(7, level, start, &[bytes, vec![0]].concat(), 0).is_none());
        }

        /// Catches impossible buckets in a row with a valid checksum.
        #[test]
        fn forged_rows_have_possible_buckets_or_are_rejected(
            level in 0..=Level::COARSEST.0,
            anywhere: Step,
            content in vec(any::<u8>(), 0..80),
        ) {
            let (level, start) = (Level(level), Level(level).block_start(anywhere));
            let mut bytes = [&[ENCODING], &content[..]].concat();
            bytes.extend(check(7, level, start, &bytes));
            for bucket in decode(7, level, start, &bytes, 0).into_iter().flatten() {
                prop_assert_eq!(level.block_start(bucket.last_step), start);
                prop_assert!(bucket.nonfinite_count <= bucket.count && bucket.count <= level.width() as u64);
            }
        }
    }

    /// The vector in `docs/on-disk-format.md`.
    #[test]
    fn row_matches_the_documented_vector() {
        const DOCUMENT: &str = include_str!("../../../../docs/on-disk-format.md");
        const STARTED: i64 = 1_769_000_445_123_000;
        let time = |millis: i64| STARTED + millis * 1000;
        let mut first = Bucket::of(0, 0.0, time(0));
        (1..64).for_each(|step| first.add(step, step as f64, time(10 * step)));
        let mut second = Bucket::of(64, f64::NAN, time(640));
        second.add(70, 0.1, time(700));
        let bytes = encode(1, Level::FINEST, 0, &[first, second], STARTED);
        let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = bytes.chunks(16).map(line).collect();
        let mut document = DOCUMENT.lines().skip_while(|line| !line.ends_with(" rollup-row")).skip(1);
        let documented: Vec<&str> = document.by_ref().take_while(|line| !line.starts_with("```")).collect();
        assert_eq!(documented, lines);
    }

    #[test]
    fn dense_row_of_float32_has_at_most_33_bytes_per_bucket() {
        let bucket = |i: i64| {
            let mut bucket = Bucket::of(i * 64, 0.5, i * 640_000);
            (1..64).for_each(|j| bucket.add(i * 64 + j, f64::from(0.1_f32 * j as f32), i * 640_000 + j * 10_000));
            bucket
        };
        let buckets: Vec<Bucket> = (0..8).map(bucket).collect();
        let bytes = encode(1, Level::FINEST, 0, &buckets, 0);
        assert!(bytes.len() <= 2 + 8 * 33 + 4, "{} bytes", bytes.len());
    }
}
