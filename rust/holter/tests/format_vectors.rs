//! Checks that this code writes the test vectors of `docs/on-disk-format.md`. `rollup/row.rs` tests the vector of a
//! rollup row.
#![allow(clippy::unwrap_used)]

use std::fs;

use holter::series_table::SeriesTable;
use holter::store::batch::Batch;
use holter::store::events::{Event, Level};
use holter::store::sink::Sink as _;
use holter::store::summary::SummarySink;
use holter_journal::{Journal, Origin, Point, SeriesId, Timestamp};
use twox_hash::XxHash3_64;

const DOCUMENT: &str = include_str!("../../../docs/on-disk-format.md");
const ID: u64 = 0x0123_4567_89AB_CDEF;
const STARTED: i64 = 1_769_000_445_123_000;

/// The content of the fenced block `name`.
fn vector(name: &str) -> Vec<&'static str> {
    let is_start = |line: &&str| line.starts_with("```") && line.ends_with(&format!(" {name}"));
    let mut lines = DOCUMENT.lines();
    lines.find(is_start).unwrap_or_else(|| panic!("no vector {name}"));
    lines.take_while(|line| !line.starts_with("```")).collect()
}

/// Bytes as the document shows them: sixteen per line.
fn hex(bytes: &[u8]) -> Vec<String> {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(16).map(line).collect()
}

#[test]
fn xxh3_vectors() {
    let long = "0123456789".repeat(30);
    let inputs = [
        (r#""""#, "", 0),
        (r#""train/loss""#, "train/loss", 0),
        (r#""train/loss""#, "train/loss", ID),
        (r#""0123456789" repeated 30 times"#, &long, ID),
    ];
    let lines = inputs.map(|(shown, input, seed)| {
        format!("{shown} {seed:016x} {:016x}", XxHash3_64::oneshot_with_seed(seed, input.as_bytes()))
    });
    assert_eq!(vector("xxh3"), lines);
}

#[test]
fn journal_vectors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.holter");
    let origin = Origin { id: ID, started: Timestamp::from_micros(STARTED), pid: 4242 };
    let journal = Journal::create(&path, 8, origin).unwrap();
    let series = SeriesId::new(0).unwrap();
    journal.append_name(series, "train/loss").unwrap();
    let time = Timestamp::from_micros(STARTED + 1_500_000);
    journal.append(&Point { series, step: 100, value: 0.5, time }).unwrap();
    let bytes = fs::read(path).unwrap();
    let names_at = 4096 + 8 * 32;
    assert_eq!(vector("journal-header"), hex(&bytes[..48]));
    assert_eq!(vector("journal-slot"), hex(&bytes[4096..4096 + 32]));
    assert_eq!(vector("journal-name"), hex(&bytes[names_at..names_at + 18]));
}

#[test]
fn event_vector() {
    let event = Event {
        time: "2026-01-21T13:00:45.123000Z".to_owned(),
        level: Level::Error,
        series: Some("train/loss".to_owned()),
        step: Some(100),
        value: Event::json_value(f64::NAN),
        rule: "non_finite".to_owned(),
        stop: true,
        message: "the value is nan".to_owned(),
    };
    assert_eq!(vector("event"), [event.to_line()]);
}

#[test]
fn summary_vector() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.jsonl");
    let names = ["train/loss", "step"];
    let table = SeriesTable::from_names(names.map(str::to_owned));
    let points: Vec<Point> = [f64::NAN, 7.0]
        .into_iter()
        .enumerate()
        .map(|(index, value)| Point {
            series: SeriesId::new(index).unwrap(),
            step: 100,
            value,
            time: Timestamp::from_micros(STARTED),
        })
        .collect();
    let mut sink = SummarySink::open(&path, 100).unwrap();
    sink.append(&Batch::new(0..2, &points), &table).unwrap();
    sink.flush(&table).unwrap();
    assert_eq!(vector("summary"), fs::read_to_string(path).unwrap().lines().collect::<Vec<_>>());
}
