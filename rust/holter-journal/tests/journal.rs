//! The journal's file: what a crash or a damaged disk leaves of it is read without a panic, and never is a
//! point found in it that was not logged.
#![cfg(not(holter_loom))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use holter_journal::{AppendError, Error, Journal, Origin, Point, Records, SeriesId, Snapshot, Timestamp};
use tempfile::TempDir;

/// The longest name that Holter accepts.
const MAX_NAME_BYTES: usize = 65_535;
const STARTED: i64 = 1_769_000_445_123_000;
const HEADER_BYTES: usize = 4096;
const SLOT_BYTES: usize = 32;
/// The offset of the header's counters, which change constantly and have no checksum.
const HEAD: usize = 128;
const TAIL: usize = 256;

fn origin() -> Origin {
    Origin { id: 0x0123_4567_89AB_CDEF, started: Timestamp::from_micros(STARTED), pid: 4242 }
}

fn id(index: usize) -> SeriesId {
    SeriesId::new(index).unwrap()
}

fn point(number: usize, num_series: usize) -> Point {
    Point {
        series: id(number % num_series),
        step: number as i64 * 1_000_003 - 5,
        value: if number.is_multiple_of(7) { f64::NAN } else { 1.0 / (number as f64 + 0.5) },
        time: Timestamp::from_micros(STARTED + number as i64 * 1000),
    }
}

/// A point as a key that compares NaN by its bits.
fn key(point: &Point) -> (usize, i64, u64, i64) {
    (point.series.index(), point.step, point.value.to_bits(), point.time.micros())
}

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("journal.holter")
}

fn read(path: &Path, records: Records) -> Snapshot {
    Snapshot::read(path, records).unwrap().unwrap()
}

/// A journal's file with `names` and points, of which the first `released` have been released.
fn written(dir: &TempDir, capacity: usize, names: &[&str], num_points: usize, released: usize) -> Vec<u8> {
    let journal = Journal::create(&path(dir), capacity, origin()).unwrap();
    for (index, name) in names.iter().enumerate() {
        journal.append_name(id(index), name).unwrap();
    }
    for number in 0..num_points {
        if number >= capacity {
            // As much as there has to be room for.
            journal.release((number - capacity + 1).max(released.min(number)) as u64);
        }
        journal.append(&point(number, names.len())).unwrap();
    }
    journal.release(released as u64);
    fs::read(path(dir)).unwrap()
}

/// Asserts that the snapshot is a subset of the logged points, with the right sequence numbers and names.
fn assert_nothing_invented(snapshot: &Snapshot, names: &[&str], num_points: usize, what: &str) {
    for (found, expected) in snapshot.names.iter().zip(names) {
        assert_eq!(found, expected, "{what}");
    }
    assert!(snapshot.names.len() <= names.len(), "{what}");
    for (sequence, found) in &snapshot.points {
        assert!((*sequence as usize) < num_points, "{what}: {sequence} {found:?}");
        assert_eq!(key(found), key(&point(*sequence as usize, names.len())), "{what}");
    }
    assert!(snapshot.points.is_sorted_by(|a, b| a.0 < b.0), "{what}");
}

/// Damage is detected and costs only what it hits: a bit of a slot loses that slot, a bit of a name loses that name and the
/// ones after it, and a bit of the counters loses nothing.
#[test]
fn every_flipped_bit_is_detected() {
    const CAPACITY: usize = 16;
    const POINTS: usize = 41;
    let names = ["loss", "grad_norm/blocks.0.M_init", "ä/ß", "lr"];
    let dir = TempDir::new().unwrap();
    let intact = written(&dir, CAPACITY, &names, POINTS, 28);
    let names_at = HEADER_BYTES + CAPACITY * SLOT_BYTES;
    let names_end = names_at + names.iter().map(|name| name.len() + 8).sum::<usize>();
    let damaged_path = dir.path().join("damaged.holter");
    let mut damaged = intact[..names_end + 64].to_vec();
    for byte in (0..448).chain(HEADER_BYTES..damaged.len()) {
        for bit in 0..8 {
            damaged[byte] ^= 1 << bit;
            fs::write(&damaged_path, &damaged).unwrap();
            damaged[byte] ^= 1 << bit;
            let what = format!("bit {bit} of byte {byte}");
            for records in [Records::All, Records::Pending] {
                let snapshot = match Snapshot::read(&damaged_path, records) {
                    Err(Error::Damaged { .. } | Error::FormatVersion { .. }) if byte < 48 => continue,
                    other => other.unwrap().unwrap(),
                };
                assert_nothing_invented(&snapshot, &names, POINTS, &what);
                if records == Records::Pending {
                    continue;
                }
                let found = snapshot.points.len();
                match byte {
                    // The header has a checksum, or is not trusted.
                    0..448 => assert_eq!(found, CAPACITY, "{what}"),
                    _ if byte < names_at => {
                        assert_eq!((found, snapshot.unreadable), (CAPACITY - 1, 1), "{what}");
                    }
                    _ if byte < names_end => {
                        assert!(snapshot.names.len() < names.len(), "{what}");
                        assert_eq!(found + snapshot.unreadable as usize, CAPACITY, "{what}");
                    }
                    _ => assert_eq!((found, snapshot.names.len()), (CAPACITY, names.len()), "{what}"),
                }
            }
        }
    }
}

/// A truncated file is read up to its end.
#[test]
fn truncated_files_are_read_up_to_their_end() {
    const CAPACITY: usize = 8;
    const POINTS: usize = 13;
    let names = ["loss", "lr"];
    let dir = TempDir::new().unwrap();
    let intact = written(&dir, CAPACITY, &names, POINTS, 9);
    let names_at = HEADER_BYTES + CAPACITY * SLOT_BYTES;
    let cut_path = dir.path().join("cut.holter");
    for length in 0..names_at + 64 {
        fs::write(&cut_path, &intact[..length]).unwrap();
        for records in [Records::All, Records::Pending] {
            match Snapshot::read(&cut_path, records) {
                Err(Error::Damaged { .. }) => assert!(length < HEADER_BYTES, "{length}"),
                other => assert_nothing_invented(&other.unwrap().unwrap(), &names, POINTS, &format!("cut to {length}")),
            }
        }
    }
}

/// After a crash, a page of the header may be older than the slots, so recovery must not trust the counters.
#[test]
fn recovery_does_not_trust_the_counters() {
    const CAPACITY: usize = 16;
    const POINTS: usize = 41;
    let names = ["loss"];
    let dir = TempDir::new().unwrap();
    let intact = written(&dir, CAPACITY, &names, POINTS, 30);
    for (head, tail) in [(0_u64, 0_u64), (41, 0), (0, 30), (u64::MAX, 7), (5, u64::MAX), (1 << 45, 1 << 45)] {
        let mut bytes = intact.clone();
        bytes[HEAD..HEAD + 8].copy_from_slice(&head.to_le_bytes());
        bytes[TAIL..TAIL + 8].copy_from_slice(&tail.to_le_bytes());
        fs::write(path(&dir), bytes).unwrap();
        let what = format!("head {head}, tail {tail}");
        let snapshot = read(&path(&dir), Records::All);
        assert_nothing_invented(&snapshot, &names, POINTS, &what);
        if head < 1 << 45 {
            assert_eq!(snapshot.points.len(), CAPACITY, "{what}");
        }
        assert_nothing_invented(&read(&path(&dir), Records::Pending), &names, POINTS, &what);
    }
}

/// A slot of an earlier lap, or of another journal, is not read as a slot of this lap.
#[test]
fn stale_and_unpublished_slots_are_skipped() {
    const CAPACITY: usize = 16;
    let names = ["loss", "lr"];
    let dir = TempDir::new().unwrap();
    let intact = written(&dir, CAPACITY, &names, 41, 30);
    let slot = |number: usize| {
        HEADER_BYTES + number % CAPACITY * SLOT_BYTES..HEADER_BYTES + (number % CAPACITY + 1) * SLOT_BYTES
    };

    // A call that had claimed its slot but not filled it: the slot has the content of the previous lap.
    let two_laps = written(&dir, CAPACITY, &names, 20, 16);
    let mut bytes = intact.clone();
    bytes[slot(35)].copy_from_slice(&two_laps[slot(19)]);
    // A call that had filled its slot but not published it: the old commit word with new content.
    let range = slot(36);
    bytes[range.start..range.start + 8].copy_from_slice(&two_laps[slot(4)][..8]);
    // A call that had claimed a fresh slot but not filled it.
    bytes[slot(37)].fill(0);
    // A slot from another position.
    let moved = intact[slot(38)].to_vec();
    bytes[slot(39)].copy_from_slice(&moved);
    fs::write(path(&dir), &bytes).unwrap();
    let snapshot = read(&path(&dir), Records::All);
    assert_nothing_invented(&snapshot, &names, 41, "stale slots");
    let found: Vec<u64> = snapshot.points.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(found, [19, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 38, 40]);
    assert_eq!(snapshot.unreadable, 2);

    // The slots of another journal.
    let other = TempDir::new().unwrap();
    let journal = Journal::create(&path(&other), CAPACITY, Origin { id: 7, ..origin() }).unwrap();
    journal.append_name(id(0), "loss").unwrap();
    journal.append_name(id(1), "lr").unwrap();
    for number in 0..CAPACITY {
        journal.append(&point(number, 2)).unwrap();
    }
    let mut bytes = fs::read(path(&other)).unwrap();
    bytes[HEADER_BYTES..HEADER_BYTES + CAPACITY * SLOT_BYTES]
        .copy_from_slice(&intact[HEADER_BYTES..HEADER_BYTES + CAPACITY * SLOT_BYTES]);
    fs::write(path(&other), bytes).unwrap();
    let snapshot = read(&path(&other), Records::All);
    assert_eq!((snapshot.points.len(), snapshot.unreadable), (0, CAPACITY as u64));
}

/// A point whose series has no name is counted as unreadable, and does not get another name.
#[test]
fn points_without_a_name_are_counted_as_unreadable() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::create(&path(&dir), 8, origin()).unwrap();
    journal.append_name(id(0), "loss").unwrap();
    journal.append(&point(0, 1)).unwrap();
    journal.append(&Point { series: id(1), ..point(1, 1) }).unwrap();
    let snapshot = read(&path(&dir), Records::All);
    assert_eq!((snapshot.points.len(), snapshot.unreadable), (1, 1));
}

fn assert_names(path: &Path, expected: &[String]) {
    let snapshot = read(path, Records::Pending);
    assert_eq!(snapshot.names.len(), expected.len());
    assert!(snapshot.names == expected);
    assert_eq!(snapshot.points.len(), 1);
    assert_eq!(snapshot.points[0].1.series.index(), expected.len() - 1);
}

/// Names survive where the area for names grows: with names of all lengths, some span two segments.
#[test]
fn names_span_segments() {
    for names in [
        (0..100_000).map(|index| format!("grad_norm/layer_{index:06}.attention.weight")).collect::<Vec<_>>(),
        (0..100).map(|index| format!("{index:03}").repeat(20_000)).collect(),
        (0..70).map(|index| "x".repeat(MAX_NAME_BYTES - index)).collect(),
        (0..3_000).map(|index| "ö".repeat(1 + index)).take(1_500).collect(),
    ] {
        let dir = TempDir::new().unwrap();
        let journal = Journal::create(&path(&dir), 8, origin()).unwrap();
        for (index, name) in names.iter().enumerate() {
            journal.append_name(id(index), name).unwrap();
        }
        journal.append(&Point { series: id(names.len() - 1), ..point(0, 1) }).unwrap();
        assert_names(&path(&dir), &names);
    }
}

/// A partially written name is not read: any prefix of the area gives a prefix of the names.
#[test]
fn truncated_names_are_not_read() {
    let names: Vec<String> = (0..40).map(|index| format!("metric/{index}/{}", "é".repeat(index))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let dir = TempDir::new().unwrap();
    let bytes = written(&dir, 8, &names, 1, 0);
    let names_at = HEADER_BYTES + 8 * SLOT_BYTES;
    let names_end = names_at + names.iter().map(|name| name.len() + 8).sum::<usize>();
    let mut last = 0;
    for end in names_at..=names_end {
        let mut cut = bytes[..names_end + 100].to_vec();
        cut[end..].fill(0);
        fs::write(path(&dir), &cut).unwrap();
        let snapshot = read(&path(&dir), Records::All);
        assert_nothing_invented(&snapshot, &names, 1, &format!("names cut at {end}"));
        assert!(snapshot.names.len() >= last);
        last = snapshot.names.len();
    }
    assert_eq!(last, names.len());
}

/// Values, steps and times are read as they were logged.
#[test]
fn extreme_points_are_preserved() {
    let dir = TempDir::new().unwrap();
    let journal = Journal::create(&path(&dir), 64, origin()).unwrap();
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 4.0, f64::MAX, f64::MIN, 0.1];
    let steps = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    journal.append_name(id(0), "loss").unwrap();
    let mut expected = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let time = Timestamp::from_micros(STARTED + 1000 * (index as i64) * 1_000_000_007);
        let point = Point { series: id(0), step: steps[index % steps.len()], value, time };
        journal.append(&point).unwrap();
        expected.push(key(&point));
    }
    // A clock that was set back must not bring a time before the start, or far into the future.
    journal.append(&Point { time: Timestamp::from_micros(STARTED - 1), ..point(0, 1) }).unwrap();
    expected.push(key(&Point { time: Timestamp::from_micros(STARTED), ..point(0, 1) }));
    let mut read_points = Vec::new();
    journal.read(0, 100, &mut read_points);
    assert_eq!(read_points.iter().map(key).collect::<Vec<_>>(), expected);
    let snapshot = read(&path(&dir), Records::All);
    assert_eq!(snapshot.points.iter().map(|(_, point)| key(point)).collect::<Vec<_>>(), expected);
}

/// All mapped blocks are allocated; a store to an unallocated one on a full disk would kill the process with SIGBUS.
#[test]
fn all_blocks_are_allocated() {
    use std::os::unix::fs::MetadataExt as _;

    let dir = TempDir::new().unwrap();
    let journal = Journal::create(&path(&dir), 1 << 15, origin()).unwrap();
    let metadata = fs::metadata(path(&dir)).unwrap();
    assert!(metadata.blocks() * 512 >= metadata.len(), "{} blocks of {} bytes", metadata.blocks(), metadata.len());
    drop(journal);
}

/// A second journal replaces the first atomically, and does not follow a symlink at its path.
#[test]
fn creating_replaces_atomically() {
    let dir = TempDir::new().unwrap();
    let precious = dir.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, path(&dir).with_extension("holter.tmp")).unwrap();
    std::os::unix::fs::symlink(&precious, path(&dir)).unwrap();
    let first = Journal::create(&path(&dir), 8, origin()).unwrap();
    first.append_name(id(0), "loss").unwrap();
    first.append(&point(0, 1)).unwrap();
    let second = Journal::create(&path(&dir), 16, Origin { id: 9, ..origin() }).unwrap();
    first.append(&point(1, 1)).unwrap();
    assert_eq!(read(&path(&dir), Records::All).origin.id, 9);
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    second.remove().unwrap();
    assert!(Snapshot::read(&path(&dir), Records::All).unwrap().is_none());
    assert!(!path(&dir).with_extension("holter.tmp").exists());
}

/// Files that are not journals, or journals of a newer version, are rejected.
#[test]
fn invalid_files_are_rejected() {
    let dir = TempDir::new().unwrap();
    for content in [&b""[..], b"HOLTERJ\n", &[0; 8192], &[0xFF; 8192]] {
        fs::write(path(&dir), content).unwrap();
        assert!(matches!(Snapshot::read(&path(&dir), Records::All), Err(Error::Damaged { .. })));
    }
    let mut newer = written(&dir, 8, &["loss"], 1, 0);
    newer[8] = 2;
    fs::write(path(&dir), newer).unwrap();
    assert!(matches!(Snapshot::read(&path(&dir), Records::All), Err(Error::FormatVersion { found: 2, .. })));
    assert!(matches!(Snapshot::read(dir.path(), Records::All), Err(Error::Io { .. } | Error::Damaged { .. })));
}

/// Appends fail after closing, in a file and in memory.
#[test]
fn appends_fail_after_closing() {
    let dir = TempDir::new().unwrap();
    let in_file = Journal::create(&path(&dir), 8, origin()).unwrap();
    let in_memory = Journal::in_memory(8, 1, Timestamp::from_micros(STARTED));
    for journal in [in_file, in_memory] {
        journal.append(&point(0, 1)).unwrap();
        assert_eq!(journal.append_all(8, |number| point(number, 1)), Err(AppendError::Full));
        journal.close();
        assert_eq!(journal.append(&point(1, 1)), Err(AppendError::Closed));
        assert_eq!(journal.append_all(1, |number| point(number, 1)), Err(AppendError::Closed));
        assert_eq!(journal.appended(), 1);
    }
}
