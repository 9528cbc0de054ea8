//! A map as a model of all points, and Parquet parts to compare with it.
#![allow(dead_code)] // Each test file uses only some of these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use holter::series_table::SeriesTable;
use holter::store::batch::Batch;
use holter::store::parquet::parts::{self, Part};
use holter::store::parquet::{ParquetOptions, ParquetSink};
use holter::store::sink::Sink;
use holter_journal::{Point, SeriesId, Timestamp};

/// (name, step) to the bits of the value and the time.
pub(crate) type Model = BTreeMap<(String, i64), (u64, i64)>;
/// (series, step, bits of the value).
pub(crate) type Logged = (usize, i64, u64);

pub(crate) const JOURNAL: u64 = 0xfeed_0000_0000_0001;

pub(crate) fn series_names() -> Vec<String> {
    let long = "x".repeat(10_000);
    let shared = format!("grad_norm/{}", "block.".repeat(12));
    let mut names = vec!["a".to_owned(), "a\"b'; DROP TABLE points; --".to_owned(), "é😀/\u{202e}λ".to_owned()];
    names.extend([" ".to_owned(), "A\n\t".to_owned(), format!("{long}y"), long, "b".to_owned()]);
    names.extend([format!("{shared}2"), format!("{shared}1"), "\u{10ffff}".repeat(20)]);
    names
}

pub(crate) fn table() -> SeriesTable {
    SeriesTable::from_names(series_names())
}

pub(crate) fn options(dir: &Path, start_sequence: u64, rows_per_part: usize) -> ParquetOptions {
    ParquetOptions { start_sequence, rows_per_part, ..ParquetOptions::new(dir, "run \"1\"", JOURNAL) }
}

/// A batch whose times are its sequence numbers, so that all logged points differ.
pub(crate) fn batch(start: u64, logged: &[Logged]) -> Batch {
    let points = logged.iter().enumerate().map(|(i, &(series, step, bits))| Point {
        series: SeriesId::new(series).unwrap(),
        step,
        value: f64::from_bits(bits),
        time: Timestamp::from_micros(start as i64 + i as i64),
    });
    Batch::new(start..start + logged.len() as u64, &points.collect::<Vec<_>>())
}

pub(crate) fn model<'a>(batches: impl IntoIterator<Item = &'a Vec<Logged>>) -> Model {
    let names = series_names();
    let logged = batches.into_iter().flatten().enumerate();
    logged.map(|(i, &(series, step, bits))| ((names[series].clone(), step), (bits, i as i64))).collect()
}

pub(crate) fn stored(parts: &[Part]) -> Model {
    let mut found = Model::new();
    let mut last = None;
    parts::for_each_series(parts, |name, columns| {
        for (i, &step) in columns.steps.iter().enumerate() {
            let key = (name.to_owned(), step);
            assert!(last.as_ref() < Some(&key), "the rows do not ascend");
            last = Some(key.clone());
            found.insert(key, (columns.values[i].to_bits(), columns.times_micros[i]));
        }
        Ok(())
    })
    .unwrap();
    found
}

pub(crate) fn assert_holds(dir: &Path, expected: &Model) {
    let parts = parts::list(dir).unwrap();
    assert_eq!(&stored(&parts), expected);
    let names: BTreeSet<String> = expected.keys().map(|(name, _)| name.clone()).collect();
    assert_eq!(parts::names(&parts).unwrap(), names);
}

/// Creates several parts with overlapping steps, and returns their points.
pub(crate) fn overlapping_parts(dir: &Path) -> Model {
    let table = table();
    let batches: Vec<Vec<Logged>> = (0..5_u64)
        .map(|part| (0..30).map(|i| (i % 11, (i as i64 / 11) + part as i64, part * 1000 + i as u64)).collect())
        .collect();
    let mut sink = ParquetSink::open(options(dir, 0, 1 << 20)).unwrap();
    for (i, logged) in batches.iter().enumerate() {
        sink.append(&batch(i as u64 * 30, logged), &table).unwrap();
        sink.flush(&table).unwrap();
    }
    model(&batches)
}

pub(crate) fn files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Appends the batches that the sink has not committed, as the writer does.
pub(crate) fn feed(sink: &mut ParquetSink, batches: &[Vec<Logged>], table: &SeriesTable) {
    let from = sink.committed();
    let mut start = 0;
    for logged in batches {
        if start + logged.len() as u64 > from {
            sink.append(&batch(start, logged), table).unwrap();
        }
        start += logged.len() as u64;
    }
}
