//! The journal on its heap back-end, under every interleaving and every reordering that loom can find.
//!
//! No thread of a model waits for another: what finds no room is not tried again, and the reader looks a
//! few times only, so that the search ends. It goes up to three preemptions (`LOOM_MAX_PREEMPTIONS` sets
//! another bound), which keeps all models together within seconds.
#![cfg(holter_loom)]
#![allow(clippy::unwrap_used)]

use holter_journal::{Journal, Point, Refused, SeriesId, Timestamp};
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

/// A point all of whose fields follow from the thread that logs it and its number: a torn one shows.
fn point(thread: usize, number: usize) -> Point {
    let key = (thread * 100 + number + 1) as i64;
    Point {
        series: SeriesId::new(thread).unwrap(),
        step: key,
        value: key as f64 * 0.5,
        time: Timestamp::from_micros(STARTED + key * 1000),
    }
}

/// Appends a thread's first `count` points one by one, each if there is room, and returns those taken.
fn append(journal: &Journal, thread: usize, count: usize) -> Vec<Point> {
    let taken = |point: &Point| match journal.append(point) {
        Ok(()) => true,
        Err(refused) => {
            assert_eq!(refused, Refused::Full);
            false
        }
    };
    (0..count).map(|number| point(thread, number)).filter(taken).collect()
}

/// Reads what is there, and releases it.
fn read(journal: &Journal, position: &mut u64, points: &mut Vec<Point>) {
    *position = journal.read(*position, 1 << 10, points);
    journal.release(*position);
}

/// What was read is what was taken, once each and in the order of each thread.
fn assert_each_once(read: &[Point], taken: &[Vec<Point>]) {
    for points in taken.iter().filter(|points| !points.is_empty()) {
        let of_thread: Vec<Point> = read.iter().filter(|point| point.series == points[0].series).copied().collect();
        assert_eq!(of_thread, *points);
    }
    assert_eq!(read.len(), taken.iter().map(Vec::len).sum::<usize>());
}

/// Catches an append into a slot that is not free yet, a read of a slot that is not filled yet, and two
/// appends into one slot: the ring of two slots is wrapped by whoever finds room in time.
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
        let taken: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &taken);
        assert_eq!((position, journal.released()), (journal.appended(), journal.appended()));
    });
}

/// Catches a slot that is overwritten while the reader still copies it: a ring of one slot is reused at once.
#[test]
fn one_slot_is_used_again_and_again() {
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
        let taken = producer.join().unwrap();
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &[taken]);
    });
}

/// Catches a point that is accepted although the journal is closed, and one that was accepted and is not read.
#[test]
fn closing_against_appending() {
    check(|| {
        let journal = journal(4);
        let producers: Vec<_> = [1, 2]
            .map(|id| {
                let journal = journal.clone();
                thread::spawn(move || match journal.append(&point(id, 0)) {
                    Ok(()) => vec![point(id, 0)],
                    Err(refused) => {
                        assert_eq!(refused, Refused::Closed);
                        assert!(journal.is_closed());
                        vec![]
                    }
                })
            })
            .into();
        journal.close();
        let end = journal.appended();
        assert_eq!(journal.append(&point(3, 0)), Err(Refused::Closed));
        let taken: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        assert_eq!(journal.appended(), end, "something was accepted after the close");
        let (mut position, mut points) = (0, Vec::new());
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &taken);
        assert_eq!(position, end);
    });
}

/// Catches a claim of many that overlaps with a claim of one, or is given room that is not free: there are
/// three free slots for four points, until the reader releases one more.
#[test]
fn appending_many_against_appending_one() {
    check(|| {
        let journal = journal(4);
        assert_eq!(append(&journal, 3, 1).len(), 1);
        let many = {
            let journal = journal.clone();
            thread::spawn(move || match journal.append_all(2, |number| point(1, number)) {
                Ok(()) => vec![point(1, 0), point(1, 1)],
                Err(refused) => {
                    assert_eq!(refused, Refused::Full);
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
        let taken = [vec![point(3, 0)], many.join().unwrap(), single.join().unwrap()];
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &taken);
        if let Some(first) = points.iter().position(|other| *other == point(1, 0)) {
            assert_eq!(points[first + 1], point(1, 1), "the points of one call have consecutive sequence numbers");
        }
    });
}

/// Catches a count that is lost, and a refusal of what would fit.
#[test]
fn what_does_not_fit_is_refused_and_counted_whole() {
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
        let taken: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        assert_eq!((journal.appended(), journal.dropped()), (2, 2));
        let (mut position, mut points) = (0, Vec::new());
        read(&journal, &mut position, &mut points);
        assert_each_once(&points, &taken);
    });
}
