//! The journal under real threads: producers, the writer, and readers of the file, all at full speed.
#![cfg(not(holter_loom))]
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use holter_journal::{AppendError, Journal, Origin, Point, Records, SeriesId, Snapshot, Timestamp};

const CAPACITY: usize = 1 << 10;
const PRODUCERS: usize = 4;
const POINTS_EACH: i64 = 200_000;
const BATCH: i64 = 7;
const DEADLINE: Duration = Duration::from_secs(120);

/// A point whose fields all follow from its producer and its number, so that a torn point is detectable.
fn point(producer: usize, number: i64) -> Point {
    Point {
        series: SeriesId::new(producer).unwrap(),
        step: number,
        value: (number * 31 + producer as i64) as f64,
        time: Timestamp::from_micros(number / 1000 * 1000),
    }
}

fn assert_intact(found: &Point) {
    assert_eq!(*found, point(found.series.index(), found.step));
}

/// Appends this producer's points in order, alternately one by one and in batches.
fn produce(journal: &Journal, producer: usize) {
    let since = Instant::now();
    let mut next = 0;
    while next < POINTS_EACH {
        let count = if next / BATCH % 2 == 0 { 1 } else { BATCH.min(POINTS_EACH - next) };
        let appended = match count {
            1 => journal.append(&point(producer, next)),
            _ => journal.append_all(count as usize, |i| point(producer, next + i as i64)),
        };
        match appended {
            Ok(()) => next += count,
            Err(AppendError::Full) => thread::yield_now(),
            Err(AppendError::Closed) => panic!("the journal was closed early"),
        }
        assert!(since.elapsed() < DEADLINE, "the writer makes no progress");
    }
}

/// Reads and releases every point, and asserts that each producer's points arrive once and in order.
fn drain(journal: &Journal) {
    let since = Instant::now();
    let (mut position, mut points) = (0, Vec::new());
    let mut expected = [0; PRODUCERS];
    while position < PRODUCERS as u64 * POINTS_EACH as u64 {
        points.clear();
        position = journal.read(position, 300, &mut points);
        for found in &points {
            assert_intact(found);
            let next = &mut expected[found.series.index()];
            assert_eq!(found.step, *next);
            *next += 1;
        }
        journal.prefault(position, points.len());
        journal.release(position);
        assert!(since.elapsed() < DEADLINE, "the producers make no progress");
    }
    assert_eq!(expected, [POINTS_EACH; PRODUCERS]);
}

#[test]
fn every_point_is_read_once_in_order_and_never_torn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.holter");
    let origin = Origin { id: 11, started: Timestamp::from_micros(0), pid: std::process::id() };
    let journal = Journal::create(&path, CAPACITY, origin).unwrap();
    for producer in 0..PRODUCERS {
        journal.append_name(SeriesId::new(producer).unwrap(), &format!("producer/{producer}")).unwrap();
    }
    let (is_done, num_seen) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|id| {
                scope.spawn({
                    let journal = journal.clone();
                    move || produce(&journal, id)
                })
            })
            .collect();
        scope.spawn(|| {
            // A reader of the file, as in another process.
            while !is_done.load(Ordering::Relaxed) {
                let snapshot = Snapshot::read(&path, Records::Pending).unwrap().unwrap();
                snapshot.points.iter().for_each(|(_, found)| assert_intact(found));
                assert!(snapshot.points.is_sorted_by(|a, b| a.0 < b.0));
                num_seen.fetch_add(snapshot.points.len() as u64, Ordering::Relaxed);
            }
        });
        drain(&journal);
        for producer in producers {
            producer.join().unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert!(num_seen.into_inner() > 0, "the reader of the file read points during the run");
    assert_eq!((journal.appended(), journal.released(), journal.dropped()), (800_000, 800_000, 0));
}
