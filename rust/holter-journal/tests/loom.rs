//! The journal on its heap back-end, under every interleaving and every reordering that loom can find.
//!
//! No thread of a model waits for another: what finds no room is not tried again, and the reader looks a
//! few times only, so that the search ends. It goes up to three preemptions (`LOOM_MAX_PREEMPTIONS` sets
//! another bound), which keeps all models together within seconds.
#![cfg(holter_loom)]
#![allow(clippy::unwrap_used)]

use holter_journal::{AppendError, Journal, Point, SeriesId, Timestamp};
use loom::model::Builder;
use loom::thread;

const STARTED: i64 = 1_769_000_445_123_000;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

fn journal(capacity: usize) -> Journal {
    Journal::in_memory(capacity, 0x1234_5678_9ABC_DEF0, Timestamp::from_micros(STARTED))
}

/// A point whose fields all follow from its thread and its number, so that a torn point is detectable.
fn point(thread: usize, number: usize) -> Point {
    let key = (thread * 100 + number + 1) as i64;
    Point {
        series: SeriesId::new(thread).unwrap(),
        step: key,
        value: key as f64 * 0.5,
        time: Timestamp::from_micros(STARTED + key * 1000),
    }
}

/// Appends a thread's first `count` points, each if there is room, and returns the accepted ones.
fn append(journal: &Journal, thread: usize, count: usize) -> Vec<Point> {
    let accepted = |point: &Point| match journal.append(point) {
        Ok(()) => true,
        Err(refused) => {
            assert_eq!(refused, AppendError::Full);
            false
        }
    };
    (0..count).map(|number| point(thread, number)).filter(accepted).collect()
}

/// Reads and releases all published points.
fn read(journal: &Journal, position: &mut u64, points: &mut Vec<Point>) {
    *position = journal.read(*position, 1 << 10, points);
    journal.release(*position);
}

/// Asserts that every accepted point was read once, in the order of its thread.
fn assert_each_once(read: &[Point], accepted: &[Vec<Point>]) {
    for points in accepted.iter().filter(|points| !points.is_empty()) {
        let of_thread: Vec<Point> = read.iter().filter(|point| point.series == points[0].series).copied().collect();
        assert_eq!(of_thread, *points);
    }
    assert_eq!(read.len(), accepted.iter().map(Vec::len).sum::<usize>());
}

/// Catches an append into a slot that is not free, a read of a slot that is not filled, and two appends into one slot: the
/// ring has two slots and wraps.
#[test]
fn two_producers_and_a_reader_in_a_ring_that_wraps() {
    check(|| {
        let journal = journal(2);
        let producers: Vec<_> = [(1, 2), (2, 1)]
            .map(|(id, count)| {
                let journal = journal.clone();
                thread::spawn(move || append(&journal, id, count))
            })
            .into();
        let (mut position, mut points) = (0, Vec::new());
        read(&journal, &mut position, &mut points);
        read(&journal, &mut position, &mut points);
        let accepted: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &accepted);
        assert_eq!((position, journal.released()), (journal.appended(), journal.appended()));
    });
}

/// Catches a slot that is overwritten while the reader copies it: a ring with one slot is reused immediately.
#[test]
fn a_single_slot_is_reused() {
    check(|| {
        let journal = journal(1);
        let producer = {
            let journal = journal.clone();
            thread::spawn(move || append(&journal, 1, 3))
        };
        let (mut position, mut points) = (0, Vec::new());
        for _ in 0..3 {
            read(&journal, &mut position, &mut points);
        }
        let accepted = producer.join().unwrap();
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &[accepted]);
    });
}

/// Catches a point that is accepted after closing, and an accepted point that is not read.
#[test]
fn closing_races_with_appending() {
    check(|| {
        let journal = journal(4);
        let producers: Vec<_> = [1, 2]
            .map(|id| {
                let journal = journal.clone();
                thread::spawn(move || match journal.append(&point(id, 0)) {
                    Ok(()) => vec![point(id, 0)],
                    Err(refused) => {
                        assert_eq!(refused, AppendError::Closed);
                        assert!(journal.is_closed());
                        vec![]
                    }
                })
            })
            .into();
        journal.close();
        let end = journal.appended();
        assert_eq!(journal.append(&point(3, 0)), Err(AppendError::Closed));
        let accepted: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        assert_eq!(journal.appended(), end, "something was accepted after the close");
        let (mut position, mut points) = (0, Vec::new());
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &accepted);
        assert_eq!(position, end);
    });
}

/// Catches a claim of many slots that overlaps with a claim of one, or that gets slots that are not free: there are three
/// free slots for four points until the reader releases another.
#[test]
fn appending_many_races_with_appending_one() {
    check(|| {
        let journal = journal(4);
        assert_eq!(append(&journal, 3, 1).len(), 1);
        let many = {
            let journal = journal.clone();
            thread::spawn(move || match journal.append_all(2, |number| point(1, number)) {
                Ok(()) => vec![point(1, 0), point(1, 1)],
                Err(refused) => {
                    assert_eq!(refused, AppendError::Full);
                    vec![]
                }
            })
        };
        let single = {
            let journal = journal.clone();
            thread::spawn(move || append(&journal, 2, 2))
        };
        let (mut position, mut points) = (0, Vec::new());
        read(&journal, &mut position, &mut points);
        let accepted = [vec![point(3, 0)], many.join().unwrap(), single.join().unwrap()];
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &accepted);
        if let Some(first) = points.iter().position(|other| *other == point(1, 0)) {
            assert_eq!(points[first + 1], point(1, 1), "the points of one call have consecutive sequence numbers");
        }
    });
}

/// Catches a lost count, and a rejection of points that would fit.
#[test]
fn points_that_do_not_fit_are_rejected_and_counted() {
    check(|| {
        let journal = journal(2);
        let producers: Vec<_> = [1, 2]
            .map(|id| {
                let journal = journal.clone();
                thread::spawn(move || {
                    if journal.append_all(2, |number| point(id, number)).is_ok() {
                        return vec![point(id, 0), point(id, 1)];
                    }
                    journal.count_dropped(2);
                    vec![]
                })
            })
            .into();
        let accepted: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        assert_eq!((journal.appended(), journal.dropped()), (2, 2));
        let (mut position, mut points) = (0, Vec::new());
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &accepted);
    });
}
