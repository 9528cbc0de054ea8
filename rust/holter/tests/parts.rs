//! The parts of a folder: merged, interrupted, foreign, damaged, and of a newer format.
#![allow(clippy::unwrap_used)]

mod parquet_support;

use std::fs;
use std::sync::Arc;

use holter::error::Error;
use holter::store::parquet::ParquetSink;
use holter::store::parquet::parts;
use holter::store::schema::parquet as names;
use holter::store::sink::Sink;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet_support::{JOURNAL, Logged, assert_holds, feed, files, model, options, overlapping_parts, stored, table};

#[test]
fn an_interrupted_compaction_loses_and_repeats_nothing() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = overlapping_parts(before.path());
    for name in files(before.path()) {
        fs::copy(before.path().join(&name), after.path().join(&name)).unwrap();
    }
    parts::compact(after.path(), "run", 0).unwrap();
    let (inputs, merged) = (files(before.path()), files(after.path()));
    assert_eq!(merged, ["part-000005.parquet"]);
    // Inputs go one by one once the merged part is there; before that it is a file of another name.
    for gone in 0..=inputs.len() {
        for has_merged in [true, false] {
            let state = tempfile::tempdir().unwrap();
            let state = state.path();
            let left = if has_merged { &inputs[gone..] } else { &inputs[..] };
            for name in left {
                fs::copy(before.path().join(name), state.join(name)).unwrap();
            }
            let whole = fs::read(after.path().join(&merged[0])).unwrap();
            if has_merged {
                fs::write(state.join(&merged[0]), &whole).unwrap();
            } else {
                let written = whole.len() * gone / inputs.len();
                fs::write(state.join(".part-000005.parquet.tmp"), &whole[..written]).unwrap();
            }
            assert_holds(state, &expected);
            assert_eq!(parts::durable_until(&parts::list(state).unwrap(), JOURNAL), Some(150));
            parts::clean_up(state).unwrap();
            assert_eq!(files(state), if has_merged { merged.clone() } else { inputs.clone() });
            parts::compact(state, "run", 0).unwrap();
            assert_holds(state, &expected);
            assert_eq!(files(state), merged);
        }
    }
}

#[test]
fn long_series_are_merged_across_blocks_and_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, table) = (dir.path(), table());
    let mut batches = Vec::new();
    // Even steps, then odd ones, then a stretch again: three parts that interleave.
    for (part, steps) in
        [(0..400_000).step_by(2), (1..400_000).step_by(2), (100_000..140_000).step_by(1)].into_iter().enumerate()
    {
        batches.push(steps.map(|step| (7 - part % 2 * 7, step, step as u64)).collect::<Vec<Logged>>());
        batches.push((0..50_000).map(|step| (1, step, part as u64)).collect());
    }
    let mut sink = ParquetSink::open(options(dir, 0, 1)).unwrap();
    feed(&mut sink, &batches, &table);
    sink.flush(&table).unwrap();
    let expected = model(&batches);
    assert_eq!(stored(&parts::list(dir).unwrap()), expected);
    sink.close(&table).unwrap();
    let parts = parts::list(dir).unwrap();
    assert_eq!((parts.len(), parts[0].rows), (1, expected.len()));
    assert_eq!(stored(&parts), expected);
    let columns = parts::read_series(&parts, "b", 99_990..=100_010).unwrap();
    let points = expected.range(("b".to_owned(), 99_990)..=("b".to_owned(), 100_010));
    assert_eq!(columns.steps, points.map(|((_, step), _)| *step).collect::<Vec<_>>());
}

#[test]
fn only_our_files_are_parts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let expected = overlapping_parts(dir);
    let foreign = ["part-7.parquet", "part-0000007.parquet", "notes.parquet", "part-000009.parquet.bak", ".x.tmp"];
    for name in foreign {
        fs::write(dir.join(name), "not ours").unwrap();
    }
    assert_holds(dir, &expected);
    parts::compact(dir, "run", 0).unwrap();
    assert_holds(dir, &expected);
    assert_eq!(files(dir).len(), foreign.len() + 1);
    assert!(parts::list(&dir.join("missing")).unwrap().is_empty());
}

#[test]
fn a_damaged_part_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    overlapping_parts(dir);
    let path = dir.join("part-000002.parquet");
    let whole = fs::read(&path).unwrap();
    for len in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        let error = parts::list(dir).unwrap_err();
        assert!(matches!(&error, Error::Damaged { path: named, .. } if *named == path), "{error}");
    }
    // Whatever is wrong inside a page is an error as well, and never a panic or an endless loop.
    for index in 4..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let _ = parts::list(dir).and_then(|parts| parts::for_each_series(&parts, |_, _| Ok(())));
    }
}

#[test]
fn a_part_of_a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part-000000.parquet");
    let version = KeyValue::new(names::KEY_FORMAT_VERSION.to_owned(), "99".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![version])).build();
    let schema = Arc::new(parse_message_type(names::MESSAGE).unwrap());
    let file = fs::File::create(&path).unwrap();
    SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap().close().unwrap();
    let error = parts::list(dir.path()).unwrap_err();
    assert!(matches!(error, Error::FormatVersion { found: 99, .. }), "{error}");
}

#[test]
fn a_reader_that_comes_during_compaction_sees_every_point() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let expected = overlapping_parts(dir);
    let mut listed = Some(parts::list(dir).unwrap());
    parts::compact(dir, "run", 0).unwrap();
    let mut calls = 0;
    let found = parts::with_parts(dir, |parts| {
        calls += 1;
        // The first list is from before the compaction.
        let parts = listed.take().unwrap_or_else(|| parts.to_vec());
        parts::read_series(&parts, "a", i64::MIN..=i64::MAX)
    });
    assert_eq!(calls, 2);
    let steps: Vec<i64> = expected.keys().filter(|(name, _)| name == "a").map(|(_, step)| *step).collect();
    assert_eq!(found.unwrap().steps, steps);
}
