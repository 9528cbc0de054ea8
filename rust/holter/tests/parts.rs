//! Parquet parts: compaction, interrupted compaction, foreign files, damage, missing field ids, and newer formats.
#![allow(clippy::unwrap_used)]

mod parquet_support;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use holter::error::Error;
use holter::store::parquet::ParquetSink;
use holter::store::parquet::parts;
use holter::store::schema::parquet as names;
use holter::store::sink::Sink;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::BasicTypeInfo;
use parquet_support::{JOURNAL, Logged, assert_holds, feed, files, model, options, overlapping_parts, stored, table};

#[test]
fn interrupted_compaction_neither_loses_nor_repeats_points() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = overlapping_parts(before.path());
    for name in files(before.path()) {
        fs::copy(before.path().join(&name), after.path().join(&name)).unwrap();
    }
    parts::compact(after.path(), "run", 0).unwrap();
    let (inputs, merged) = (files(before.path()), files(after.path()));
    assert_eq!(merged, ["part-000005.parquet"]);
    // The merged part has a temporary name until it is complete; then the inputs are removed in order.
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
    // Even steps, odd steps, and a repeated range of steps: three interleaved parts.
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
fn other_files_are_not_parts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let expected = overlapping_parts(dir);
    let foreign = ["part-7.parquet", "part-0000007.parquet", "notes.parquet", "part-000009.parquet.bak", ".x.tmp"];
    for name in foreign {
        fs::write(dir.join(name), "another file").unwrap();
    }
    assert_holds(dir, &expected);
    parts::compact(dir, "run", 0).unwrap();
    assert_holds(dir, &expected);
    assert_eq!(files(dir).len(), foreign.len() + 1);
    assert!(parts::list(&dir.join("missing")).unwrap().is_empty());
}

#[test]
fn error_for_a_damaged_part_names_the_file() {
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
    // Damage inside a page is an error too, never a panic or an endless loop.
    for index in 4..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let _ = parts::list(dir).and_then(|parts| parts::for_each_series(&parts, |_, _| Ok(())));
    }
}

/// The field ids in the schema of a part.
fn field_ids(path: &Path) -> Vec<Option<i32>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    fields
        .iter()
        .map(|field| Some(field.get_basic_info()).filter(|info| info.has_id()).map(BasicTypeInfo::id))
        .collect()
}

fn write_column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, None, None).unwrap();
    column.close().unwrap();
}

/// Writes a part with one point, in a schema without field ids.
fn write_without_ids(path: &Path, name: &str, step: i64, value: f64) {
    let message = (1..=6).fold(names::MESSAGE.to_owned(), |message, id| message.replace(&format!(" = {id}"), ""));
    let version = KeyValue::new(names::KEY_FORMAT_VERSION.to_owned(), "1".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![version])).build();
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    write_column::<ByteArrayType>(&mut group, &[ByteArray::from("run")]);
    write_column::<Int32Type>(&mut group, &[0]);
    write_column::<ByteArrayType>(&mut group, &[ByteArray::from(name)]);
    write_column::<Int64Type>(&mut group, &[step]);
    write_column::<DoubleType>(&mut group, &[value]);
    write_column::<Int64Type>(&mut group, &[7]);
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parts_have_field_ids_and_are_read_without_them() {
    let ids: Vec<Option<i32>> = (1..=6).map(Some).collect();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut expected = overlapping_parts(dir);
    for name in files(dir) {
        assert_eq!(field_ids(&dir.join(name)), ids);
    }
    let other = dir.join("part-000005.parquet");
    write_without_ids(&other, "a", 1_000_000, 0.5);
    assert_eq!(field_ids(&other), [None; 6]);
    expected.insert(("a".to_owned(), 1_000_000), (0.5_f64.to_bits(), 7));
    assert_holds(dir, &expected);
    parts::compact(dir, "run", 0).unwrap();
    assert_holds(dir, &expected);
    assert_eq!(files(dir).len(), 1);
    assert_eq!(field_ids(&dir.join(&files(dir)[0])), ids);
}

#[test]
fn part_of_a_newer_format_is_rejected() {
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
fn reading_during_compaction_finds_every_point() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let expected = overlapping_parts(dir);
    let mut listed = Some(parts::list(dir).unwrap());
    parts::compact(dir, "run", 0).unwrap();
    let mut calls = 0;
    let found = parts::with_parts(dir, |parts| {
        calls += 1;
        // The first list is outdated: it was made before the compaction.
        let parts = listed.take().unwrap_or_else(|| parts.to_vec());
        parts::read_series(&parts, "a", i64::MIN..=i64::MAX)
    });
    assert_eq!(calls, 2);
    let steps: Vec<i64> = expected.keys().filter(|(name, _)| name == "a").map(|(_, step)| *step).collect();
    assert_eq!(found.unwrap().steps, steps);
}
