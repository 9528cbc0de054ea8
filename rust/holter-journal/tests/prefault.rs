//! Appending does not fault on pages that the system has written to the disk.
#![cfg(not(holter_loom))]
#![allow(clippy::unwrap_used)]

use std::fs::File;

use holter_journal::{Journal, Origin, Point, SeriesId, Timestamp};

const POINTS: i64 = 4096;
/// 32 bytes each.
const PAGES: u64 = POINTS as u64 / 128;

/// The number of this thread's page faults.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn pages_are_prefaulted_after_write_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.holter");
    let origin = Origin { id: 7, started: Timestamp::from_micros(0), pid: std::process::id() };
    let journal = Journal::create(&path, 1 << 16, origin).unwrap();
    let mut step = 0;
    let mut append_all = || {
        let before = faults();
        for _ in 0..POINTS {
            let series = SeriesId::new(0).unwrap();
            journal.append(&Point { series, step, value: 0.5, time: Timestamp::from_micros(step) }).unwrap();
            step += 1;
        }
        faults() - before
    };
    append_all();
    assert!(append_all() < PAGES / 4, "a new journal's pages are writable");

    File::open(&path).unwrap().sync_all().unwrap();
    if append_all() < PAGES / 4 {
        return; // This file system does not protect pages that it has written to the disk.
    }
    File::open(&path).unwrap().sync_all().unwrap();
    let ready = journal.prefault(0, POINTS as usize);
    assert!(ready >= journal.appended() + POINTS as u64);
    assert!(append_all() < PAGES / 4, "made ready");

    let mut points = Vec::new();
    assert_eq!(journal.read(0, usize::MAX >> 1, &mut points), journal.appended());
    assert!(points.iter().enumerate().all(|(i, point)| point.step == i as i64), "and nothing was changed by it");
}
