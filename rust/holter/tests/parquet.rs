//! Property tests of the Parquet sink against a map of all points.
#![allow(clippy::unwrap_used)]

mod parquet_support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use holter::error::{Error, Result};
use holter::series_table::SeriesTable;
use holter::store::batch::Batch;
use holter::store::parquet::ParquetSink;
use holter::store::parquet::parts::{self, CompactLimits};
use holter::store::sink::{Derived, Primary, Sink};
use holter_journal::SeriesId;
use parquet_support::{
    JOURNAL, Logged, Model, assert_holds, batch, feed, files, model, options, overlapping_parts, series_names, table,
};
use proptest::prelude::*;

/// Checks that every read function returns the points of the model.
fn assert_reads(dir: &Path, expected: &Model) {
    let parts = parts::list(dir).unwrap();
    for name in series_names() {
        for range in [i64::MIN..=i64::MAX, -3..=5, 7..=7] {
            let columns = parts::read_series(&parts, &name, range.clone()).unwrap();
            let found =
                (0..columns.len()).map(|i| (columns.steps[i], columns.values[i].to_bits(), columns.times_micros[i]));
            let points = expected.iter().filter(|((other, step), _)| *other == name && range.contains(step));
            let points: Vec<_> = points.map(|((_, step), &(bits, time))| (*step, bits, time)).collect();
            assert_eq!(found.collect::<Vec<_>>(), points);
        }
    }
    for step in [i64::MIN, -1, 0, 3, 7, i64::MAX] {
        let found = parts::read_step(&parts, step).unwrap();
        let found: Vec<_> = found.into_iter().map(|(name, value, time)| (name, value.to_bits(), time)).collect();
        let points = expected.iter().filter(|((_, other), _)| *other == step);
        let points: Vec<_> = points.map(|((name, _), &(bits, time))| (name.clone(), bits, time)).collect();
        assert_eq!(found, points);
    }
}

/// A primary sink that keeps all batches in memory.
struct MemorySink<'a> {
    batches: &'a [Vec<Logged>],
    end: u64,
}

impl Sink for MemorySink<'_> {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn append(&mut self, _batch: &Batch, _series: &SeriesTable) -> Result<()> {
        unreachable!("the sink is read-only")
    }

    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        Ok(())
    }

    fn committed(&self) -> u64 {
        self.end
    }

    fn close(&mut self, _series: &SeriesTable) -> Result<()> {
        Ok(())
    }
}

impl Primary for MemorySink<'_> {
    fn mark_derived(&mut self) -> Result<()> {
        Ok(())
    }

    fn underived(&mut self, visit: &mut dyn FnMut(&Batch, &SeriesTable) -> Result<()>) -> Result<()> {
        let model = model(self.batches);
        // The ids differ from the ids of the session.
        let names: BTreeSet<String> = model.keys().map(|(name, _)| name.clone()).collect();
        let table = SeriesTable::from_names(names.iter().cloned());
        for (i, name) in names.iter().enumerate() {
            let points: Vec<_> = model.iter().filter(|((other, _), _)| other == name).collect();
            for chunk in points.chunks(7) {
                let steps = chunk.iter().map(|((_, step), _)| *step).collect();
                let values = chunk.iter().map(|(_, (bits, _))| f64::from_bits(*bits)).collect();
                let times = chunk.iter().map(|(_, (_, time))| *time).collect();
                let id = SeriesId::new(i).unwrap();
                visit(&Batch::of_series(self.end..self.end, id, steps, values, times), &table)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Action {
    Append(Vec<Logged>),
    Flush,
    CatchUp,
    Reopen,
    Compact(CompactLimits),
}

fn value_bits() -> impl Strategy<Value = u64> {
    let special = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::MIN_POSITIVE / 2.0];
    prop_oneof![any::<u64>(), prop::sample::select(special.map(f64::to_bits).to_vec()), Just(1.5_f64.to_bits())]
}

fn action() -> impl Strategy<Value = Action> {
    let step = prop_oneof![8 => -5..12_i64, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let logged = (0..series_names().len(), step, value_bits());
    let limits = (1..60_usize, 2..5_usize, 0..200_usize);
    let limits = limits.prop_map(|(rows_per_part, parts_at_once, rows_at_once)| CompactLimits {
        rows_per_part,
        parts_at_once,
        rows_at_once,
    });
    prop_oneof![
        10 => prop::collection::vec(logged, 0..40).prop_map(Action::Append),
        3 => Just(Action::Flush),
        1 => Just(Action::CatchUp),
        1 => Just(Action::Reopen),
        2 => limits.prop_map(Action::Compact),
    ]
}

/// The batches that the sink has committed. A sink commits only complete batches.
fn durable(batches: &[Vec<Logged>], committed: u64) -> &[Vec<Logged>] {
    let mut end = 0;
    let ends = batches.iter().take_while(|logged| {
        end += logged.len() as u64;
        end <= committed
    });
    let count = ends.count();
    assert_eq!(batches[..count].iter().map(Vec::len).sum::<usize>() as u64, committed);
    &batches[..count]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_contain_the_committed_points(
        actions in prop::collection::vec(action(), 1..25),
        rows_per_part in 1..120_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (dir, table) = (dir.path(), table());
        let mut sink = ParquetSink::open(options(dir, 0, rows_per_part)).unwrap();
        let (mut batches, mut end): (Vec<Vec<Logged>>, u64) = (Vec::new(), 0);
        for action in actions {
            match action {
                Action::Append(logged) => {
                    sink.append(&batch(end, &logged), &table).unwrap();
                    end += logged.len() as u64;
                    batches.push(logged);
                }
                Action::Flush => {
                    sink.flush(&table).unwrap();
                    assert_eq!(sink.committed(), end);
                }
                Action::CatchUp => {
                    sink.catch_up(&mut MemorySink { batches: &batches, end }).unwrap();
                    assert_eq!(sink.committed(), end);
                }
                Action::Reopen => {
                    let known = parts::durable_until(&parts::list(dir).unwrap(), JOURNAL).unwrap_or(0);
                    assert_eq!(known, sink.committed());
                    sink = ParquetSink::open(options(dir, known, rows_per_part)).unwrap();
                    feed(&mut sink, &batches, &table);
                }
                Action::Compact(limits) => parts::compact_within(dir, "run", 3, limits).unwrap(),
            }
            assert_holds(dir, &model(durable(&batches, sink.committed())));
        }
        sink.close(&table).unwrap();
        prop_assert_eq!(sink.committed(), end);
        let parts = parts::list(dir).unwrap();
        prop_assert_eq!(parts.len(), usize::from(end > 0));
        let expected = model(&batches);
        prop_assert_eq!(parts.iter().map(|part| part.rows).sum::<usize>(), expected.len());
        assert_holds(dir, &expected);
        assert_reads(dir, &expected);
    }
}

#[test]
fn primary_returns_every_stored_point() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = overlapping_parts(dir.path());
    let mut sink = ParquetSink::open(options(dir.path(), 150, 1000)).unwrap();
    let mut derived = ParquetSink::open(options(copy.path(), 0, 20)).unwrap();
    derived.append(&batch(0, &[(0, 1, 1)]), &table()).unwrap();
    derived.catch_up(&mut sink).unwrap();
    assert_eq!(derived.committed(), 150);
    assert_holds(copy.path(), &expected);
}

#[test]
fn sink_is_due_when_its_points_are_old_enough() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), 0, 1000);
    options.max_part_age = Duration::ZERO;
    let mut sink = ParquetSink::open(options).unwrap();
    assert!(!sink.is_due());
    sink.append(&batch(0, &[(0, 1, 2)]), &table()).unwrap();
    assert!(sink.is_due());
    sink.append(&batch(1, &[(0, 2, 2)]), &table()).unwrap();
    assert_eq!(sink.committed(), 1);
}

#[test]
fn append_can_be_retried_after_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, table) = (dir.path().join("parquet"), table());
    let mut sink = ParquetSink::open(options(&dir, 0, 2)).unwrap();
    sink.append(&batch(0, &[(0, 1, 1), (1, 1, 2)]), &table).unwrap();
    fs::remove_dir(&dir).unwrap();
    fs::write(&dir, "in the way").unwrap();
    for _ in 0..2 {
        assert!(matches!(sink.append(&batch(2, &[(0, 2, 3)]), &table), Err(Error::Io { .. })));
        assert!(matches!(sink.flush(&table), Err(Error::Io { .. })));
        assert_eq!(sink.committed(), 0);
    }
    fs::remove_file(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    sink.append(&batch(2, &[(0, 2, 3)]), &table).unwrap();
    assert_eq!(sink.committed(), 2);
    sink.flush(&table).unwrap();
    assert_holds(&dir, &model([&vec![(0, 1, 1), (1, 1, 2), (0, 2, 3)]]));
}

#[test]
fn empty_batch_advances_the_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = ParquetSink::open(options(dir.path(), 5, 10)).unwrap();
    sink.append(&Batch::new(5..9, &[]), &table()).unwrap();
    assert_eq!(sink.committed(), 5);
    sink.flush(&table()).unwrap();
    assert_eq!(sink.committed(), 9);
    assert!(files(dir.path()).is_empty());
}
