//! Points survive the round trip, and damage costs only the records it hits. The window is 64 bytes here.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::framing::{Encoder, masked_crc};
use super::{Damage, EventReader, encode_events, file_header};

/// Everything that a file holds.
#[derive(Debug, Default)]
struct Contents {
    points: Vec<(String, i64, u64)>,
    damage: Vec<Damage>,
    skipped: BTreeMap<&'static str, u64>,
}

fn read_from(source: impl Read + Seek, size: u64) -> io::Result<Contents> {
    let mut contents = Contents::default();
    let mut reader = EventReader::new(source, size);
    let mut bytes_read = 0;
    while let Some(batch) = reader.next_batch()? {
        assert!(batch.bytes_read > bytes_read);
        bytes_read = batch.bytes_read;
        for ((code, step), value) in batch.codes.into_iter().zip(batch.steps).zip(batch.values) {
            contents.points.push((batch.names[code as usize].clone(), step, bits(value)));
        }
        contents.damage.extend(batch.damage);
        for (kind, count) in batch.skipped {
            *contents.skipped.entry(kind).or_default() += count;
        }
    }
    Ok(contents)
}

fn read(file: &[u8]) -> Contents {
    read_from(Cursor::new(file), file.len() as u64).expect("memory can be read")
}

/// The value's bits; the same for every NaN.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

/// A file of 18 records of one length, and their points.
fn sample() -> (Vec<u8>, Vec<(String, i64, u64)>, usize) {
    let points: Vec<_> = (0..18).map(|step| (format!("tag {}", step % 3), step, f64::from(step as i32))).collect();
    let file: Vec<u8> =
        points.iter().flat_map(|(name, step, value)| encode_events(name, [(*step, *value, 1.5)].into_iter())).collect();
    let record = file.len() / points.len();
    (file, points.into_iter().map(|(name, step, value)| (name, step, bits(value))).collect(), record)
}

fn record(data: &[u8]) -> Vec<u8> {
    let mut file = Encoder::with_capacity(0);
    file.push(|record| record.extend_from_slice(data));
    file.finish()
}

#[test]
fn crc_matches_the_standard() {
    // The check value of CRC-32/ISCSI is 0xe3069283; TFRecord rotates it and adds a constant.
    assert_eq!(masked_crc(b"123456789"), (0xc78a_b0e5_u32).to_le_bytes());
}

#[test]
fn header_is_what_tensorboard_writes() {
    let mut data = b"\x09".to_vec();
    data.extend(12.5_f64.to_le_bytes());
    data.extend(b"\x1a\x0dbrain.Event:2");
    assert_eq!(file_header(12.5), record(&data));
    assert!(read(&file_header(12.5)).points.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn points_survive_a_round_trip(
        series in btree_map("[^\0]{1,30}", vec((any::<i64>(), any::<f64>(), any::<f64>()), 0..20), 0..5),
        is_float32 in any::<bool>(),
    ) {
        let mut file = file_header(0.0);
        let mut expected = Vec::new();
        for (name, mut points) in series {
            for point in &mut points {
                point.1 = if is_float32 { f64::from(point.1 as f32) } else { point.1 };
            }
            file.extend(encode_events(&name, points.iter().copied()));
            expected.extend(points.iter().map(|(step, value, _)| (name.clone(), *step, bits(*value))));
        }
        let contents = read(&file);
        prop_assert_eq!(contents.points, expected);
        prop_assert_eq!(contents.damage, []);
    }

    #[test]
    fn wall_times_survive_a_round_trip(times in vec(-1e12..1e12, 1..20)) {
        let file = encode_events("a", times.iter().map(|time| (0, 0.0, *time)).collect::<Vec<_>>().into_iter());
        let batch = EventReader::new(Cursor::new(&file), file.len() as u64).next_batch()?.expect("a batch");
        prop_assert_eq!(batch.wall_times, times);
    }

    #[test]
    fn damaged_files_are_read_to_their_end(
        damages in vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..8),
        noise in vec(any::<u8>(), 0..200),
    ) {
        let (mut file, points, _) = sample();
        for (index, kind, byte) in damages {
            let at = index.index(file.len());
            match kind {
                0 => file[at] ^= byte,
                1 => file.truncate(at.max(1)),
                2 => drop(file.splice(at..at, noise.iter().copied())),
                _ => drop(file.drain(at.min(file.len() - 1)..(at + usize::from(byte)).min(file.len() - 1))),
            }
        }
        let contents = read(&file);
        prop_assert!(contents.points.iter().all(|point| points.contains(point)));
        prop_assert!(contents.damage.iter().all(|damage| damage.offset < file.len() as u64));
        prop_assert!(contents.damage.is_sorted_by_key(|damage| damage.offset));
    }

    #[test]
    fn any_message_is_an_event_or_damage(messages in vec(vec(any::<u8>(), 0..80), 0..20)) {
        let file: Vec<u8> = messages.iter().flat_map(|message| record(message)).collect();
        // One of them can hold several values, of which each is reported.
        prop_assert!(read(&file).damage.iter().all(|damage| !damage.reason.contains("a record")));
    }
}

#[test]
fn damaged_byte_costs_one_record() {
    let (whole, points, size) = sample();
    for offset in 0..whole.len() {
        let mut file = whole.clone();
        file[offset] ^= 0x5a;
        let lost = offset / size;
        let contents = read(&file);
        assert_eq!(contents.points, [&points[..lost], &points[lost + 1..]].concat());
        assert_eq!(contents.damage.iter().map(|damage| damage.offset).collect::<Vec<_>>(), [(lost * size) as u64]);
    }
}

#[test]
fn truncated_file_is_read_up_to_its_last_whole_record() {
    let (whole, points, size) = sample();
    for end in 0..whole.len() {
        let contents = read(&whole[..end]);
        assert_eq!(contents.points, points[..end / size]);
        assert_eq!(contents.damage.len(), usize::from(end % size != 0));
        assert!(contents.damage.iter().all(|damage| damage.reason.contains("ends within a record")));
    }
}

#[test]
fn inserted_bytes_are_skipped() {
    let (mut file, points, size) = sample();
    file.splice(5 * size..5 * size, [0; 3000]);
    let contents = read(&file);
    assert_eq!(contents.points, points);
    let reason = "the length of a record is damaged; 3000 bytes are skipped".to_owned();
    assert_eq!(contents.damage, [Damage { offset: 5 * size as u64, reason }]);
}

#[test]
fn length_beyond_the_file_is_damage() {
    let (whole, points, size) = sample();
    for length in [u64::MAX, 1 << 63, 1 << 40, whole.len() as u64 + 1] {
        let mut file = whole.clone();
        let header = [length.to_le_bytes().as_slice(), &masked_crc(&length.to_le_bytes())].concat();
        file.splice(3 * size..3 * size, header);
        let contents = read(&file);
        assert_eq!(contents.points, points);
        let reason = format!("the file ends within a record of {length} bytes; 12 bytes are skipped");
        assert_eq!(contents.damage, [Damage { offset: 3 * size as u64, reason }]);
    }
}

#[test]
fn file_is_given_up_after_a_thousand_damaged_lengths() {
    let (whole, points, size) = sample();
    let file = [&whole[..size], &[1]].concat().repeat(1500);
    let contents = read(&file);
    assert_eq!(contents.points, vec![points[0].clone(); 1001]);
    assert_eq!(contents.damage.len(), 1001);
    assert!(contents.damage[1000].reason.ends_with("the 1001th time: the rest of the file is skipped"));
}

#[test]
fn tag_that_is_not_a_valid_name_is_damage() {
    let mut file = Vec::new();
    for name in ["", "a\0b", &"x".repeat(65_536), "fine"] {
        file.extend(encode_events(name, [(1, 0.5, 0.0)].into_iter()));
    }
    let contents = read(&file);
    assert_eq!(contents.points, [("fine".to_owned(), 1, bits(0.5))]);
    let reasons = contents.damage.iter().map(|damage| damage.reason.as_str()).collect::<Vec<_>>();
    let too_long = "the tag has 65536 bytes; a series name has at most 65535";
    assert_eq!(reasons, ["the tag is empty", "the tag contains a NUL", too_long]);
}

/// A source that counts the bytes that are read, and fails at an offset.
struct Source {
    file: Cursor<Vec<u8>>,
    num_read: u64,
    fails_at: u64,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.file.position() >= self.fails_at {
            return Err(io::Error::from_raw_os_error(5));
        }
        let count = self.file.read(buffer)?;
        self.num_read += count as u64;
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

#[test]
fn long_record_is_skipped_without_reading_it() {
    let (mut file, points, size) = sample();
    file.splice(3 * size..3 * size, record(&vec![0; 5 << 20]));
    let length = file.len() as u64;
    let mut source = Source { file: Cursor::new(file), num_read: 0, fails_at: u64::MAX };
    let contents = read_from(&mut source, length).expect("memory can be read");
    assert_eq!(contents.points, points);
    assert_eq!(contents.skipped, [("records too long for a scalar", 1)].into());
    assert!(source.num_read < 1 << 20);
}

#[test]
fn io_error_is_returned() {
    let (file, _, size) = sample();
    let length = file.len() as u64;
    let source = Source { file: Cursor::new(file), num_read: 0, fails_at: 3 * size as u64 };
    assert_eq!(read_from(source, length).map(|_| ()).map_err(|error| error.raw_os_error()), Err(Some(5)));
}

#[test]
fn file_that_shrinks_is_read_to_its_new_end() {
    let (whole, points, size) = sample();
    let file = &whole[..5 * size + 20];
    let contents = read_from(Cursor::new(file), whole.len() as u64).expect("memory can be read");
    assert_eq!(contents.points, points[..5]);
    assert_eq!(contents.damage.iter().map(|damage| damage.offset).collect::<Vec<_>>(), [5 * size as u64]);
}

#[test]
fn file_that_grows_is_read_to_the_end_it_had() {
    let (whole, points, size) = sample();
    let contents = read_from(Cursor::new(&whole), 5 * size as u64).expect("memory can be read");
    assert_eq!(contents.points, points[..5]);
    assert_eq!(contents.damage, []);
}
