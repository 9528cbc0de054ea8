//! Property tests of buckets against a map: after any sequence of logs, flushes, reopens, crashes and damaged rollup
//! rows, a bucket contains the aggregates of its points.
#![allow(clippy::unwrap_used)]

mod run_support;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use holter::error::Error;
use holter::read::{Names, Reader};
use holter::record::recorder::Outcome;
use holter::record::session::Session;
use holter::rollup::{Bucket, Level};
use holter::store::manifest::Status;
use proptest::collection::vec;
use proptest::prelude::*;
use run_support::{copy, flush_only, open};
use rusqlite::Connection;
use tempfile::TempDir;

const NAMES: [&str; 3] = ["loss", "lr", "λ/ß"];
const DATABASE: &[&str] = &["sqlite"];
const PARTS: &[&str] = &["parquet"];

type Model = BTreeMap<&'static str, BTreeMap<i64, f64>>;

#[derive(Clone, Debug)]
enum Action {
    /// Single points of one series, in any order.
    Log(usize, Vec<(i64, f64)>),
    /// First step, number of points, and distance between steps.
    Stretch(usize, i64, i64, i64),
    /// Number of points and distance between steps after the last step, as in a training run.
    Continue(usize, i64, i64),
    Flush,
    Reopen,
    Crash,
    /// Deletes every nth rollup row.
    DropRows(i64),
    /// Damages a byte of every nth rollup row.
    DamageRows(i64, usize, u8),
    Check(Request),
}

/// The arguments of a read.
#[derive(Clone, Debug)]
struct Request {
    names: Vec<usize>,
    width: Option<i64>,
    max_buckets: usize,
    start: Option<i64>,
    stop: Option<i64>,
}

fn steps() -> impl Strategy<Value = i64> {
    let edges = [i64::MIN, i64::MIN + 1, i64::MIN + 511, -513, -512, -1, 0, 63, 64, 511, 512, i64::MAX - 1, i64::MAX];
    prop_oneof![
        10 => -10_000_i64..40_000,
        5 => -70_i64..600,
        1 => prop::sample::select(edges.to_vec()),
        1 => any::<i64>(),
    ]
}

fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        10 => -1e3..1e3,
        5 => (-50_i32..50).prop_map(f64::from),
        2 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, 1e150]),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    let names = prop_oneof![Just(vec![0, 1, 2]), vec(0..NAMES.len(), 1..4)];
    let widths: Vec<Option<i64>> =
        [1].into_iter().chain(Level::all().map(Level::width)).map(Some).chain([None; 12]).collect();
    let max_buckets = prop_oneof![1_usize..20, 100_usize..5_000, Just(usize::MAX)];
    let bound = || prop_oneof![Just(None), steps().prop_map(Some)];
    (names, prop::sample::select(widths), max_buckets, bound(), bound())
        .prop_map(|(names, width, max_buckets, start, stop)| Request { names, width, max_buckets, start, stop })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let name = || 0..NAMES.len();
    let strides = || prop_oneof![6 => Just(1_i64), 3 => 2_i64..20, 1 => 500_i64..100_000];
    vec(
        prop_oneof![
            4 => (name(), vec((steps(), values()), 1..30)).prop_map(|(name, points)| Action::Log(name, points)),
            3 => (name(), steps(), 1_i64..6_000, strides())
                .prop_map(|(name, first, count, stride)| Action::Stretch(name, first, count, stride)),
            6 => (name(), 1_i64..6_000, strides()).prop_map(|(name, count, stride)| Action::Continue(name, count, stride)),
            3 => Just(Action::Flush),
            1 => Just(Action::Reopen),
            1 => Just(Action::Crash),
            1 => (1_i64..5).prop_map(Action::DropRows),
            1 => (1_i64..5, any::<usize>(), 1_u8..=255).prop_map(|(every, at, flip)| Action::DamageRows(every, at, flip)),
            6 => requests().prop_map(Action::Check),
        ],
        1..40,
    )
}

struct Store {
    root: TempDir,
    number: usize,
    sinks: &'static [&'static str],
    session: Option<Session>,
    /// A long-lived reader that has read earlier states of the run.
    reader: Reader,
    model: Model,
}

impl Store {
    fn new(sinks: &'static [&'static str]) -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().join("0");
        let session = Some(open(&path, sinks, flush_only()));
        Self { reader: Reader::open(&path).unwrap(), root, number: 0, sinks, session, model: Model::new() }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join(self.number.to_string())
    }

    fn log(&mut self, name: usize, points: impl Iterator<Item = (i64, f64)>) {
        let recorder = self.session.as_ref().unwrap().recorder();
        let id = recorder.series(NAMES[name]).unwrap();
        let series = self.model.entry(NAMES[name]).or_default();
        for (step, value) in points {
            assert_eq!(recorder.record(id, step, value), Outcome::Accepted);
            series.insert(step, value);
        }
    }

    fn log_stretch(&mut self, name: usize, first: i64, count: i64, stride: i64) {
        let step = |i: i64| i.checked_mul(stride).and_then(|distance| first.checked_add(distance));
        self.log(name, (0..count).map_while(step).map(|step| (step, (step % 1009) as f64 * 0.125)));
    }

    fn run(&mut self, action: &Action) {
        match action {
            Action::Log(name, points) => self.log(*name, points.iter().copied()),
            Action::Stretch(name, first, count, stride) => self.log_stretch(*name, *first, *count, *stride),
            Action::Continue(name, count, stride) => {
                let last = self.model.get(NAMES[*name]).and_then(|series| series.last_key_value());
                let first = last.map_or(Some(0), |(last, _)| last.checked_add(1));
                if let Some(first) = first {
                    self.log_stretch(*name, first, *count, *stride);
                }
            }
            Action::Flush => self.session.as_ref().unwrap().flush(None).unwrap(),
            Action::Reopen => {
                self.close();
                self.session = Some(open(&self.path(), self.sinks, flush_only()));
            }
            Action::Crash => {
                let from = self.path();
                self.number += 1;
                copy(&from, self.path());
                self.reader = Reader::open(self.path()).unwrap();
                self.check_all();
                self.session = Some(open(&self.path(), self.sinks, flush_only()));
            }
            Action::DropRows(every) => self.change_rows(|rows| {
                rows.execute("DELETE FROM rollups WHERE (start / 512 + level) % ?1 = 0", [every]).unwrap();
            }),
            Action::DamageRows(every, at, flip) => self.change_rows(|rows| damage(rows, *every, *at, *flip)),
            Action::Check(request) => self.check(&self.reader, request),
        }
    }

    fn close(&mut self) {
        self.session.take().unwrap().close(Status::Finished).unwrap();
    }

    fn change_rows(&mut self, change: impl Fn(&Connection)) {
        if self.sinks == DATABASE {
            self.close();
            change(&Connection::open(self.path().join("metrics.sqlite")).unwrap());
            self.session = Some(open(&self.path(), self.sinks, flush_only()));
        }
    }

    /// Checks all steps at typical widths and at the widest width.
    fn check_all(&self) {
        let names: Vec<usize> = (0..NAMES.len()).collect();
        for width in [1, 64, 512, 4096, 32_768, 1 << 60] {
            let request = Request { names: names.clone(), width: Some(width), max_buckets: 1, start: None, stop: None };
            self.check(&self.reader, &request);
            self.check(&Reader::open(self.path()).unwrap(), &request);
        }
    }

    fn check(&self, reader: &Reader, request: &Request) {
        let names: Vec<String> = request.names.iter().map(|&name| NAMES[name].to_owned()).collect();
        let found =
            reader.buckets(Names::Exact(&names), request.width, request.max_buckets, request.start, request.stop);
        if let Some(unknown) = names.iter().find(|name| !self.model.contains_key(name.as_str())) {
            assert!(matches!(found, Err(Error::NoSeries(name)) if name == *unknown));
            return;
        }
        let (width, found) = found.unwrap();
        assert!(found.iter().map(|series| &series.name).eq(&names));
        assert_eq!(width, request.width.unwrap_or_else(|| self.narrowest(request)), "{request:?}");
        for series in found {
            let points = reader.series(&series.name, None, None).unwrap();
            assert!(points.steps.iter().eq(self.model[series.name.as_str()].keys()));
            let points = points.steps.into_iter().zip(points.values).zip(points.times_micros);
            let expected = expected(points.map(|((step, value), time)| (step, value, time)), width, &request.window());
            compare(&series.buckets, width, &expected);
        }
    }

    /// The smallest width with few enough buckets.
    fn narrowest(&self, request: &Request) -> i64 {
        let is_in_window = |step: &&i64| request.window().contains(&i128::from(**step));
        let all = request.names.iter().map(|&name| self.model[NAMES[name]].keys().filter(is_in_window));
        if all.clone().all(|steps| steps.count() <= request.max_buckets) {
            return 1;
        }
        let (first, last) = (all.clone().flatten().min().unwrap(), all.flatten().max().unwrap());
        let span = i128::from(*last) - i128::from(*first) + 1;
        let mut width: i128 = 64;
        while width < 1 << 60 && span > width.saturating_mul(request.max_buckets as i128) {
            width *= 8;
        }
        width as i64
    }
}

impl Request {
    fn window(&self) -> Range<i128> {
        self.start.unwrap_or(i64::MIN).into()..self.stop.map_or(i128::from(i64::MAX) + 1, i128::from)
    }
}

/// A point's step, value and time.
type Point = (i64, f64, i64);

/// All points of each bucket that overlaps the window, by bucket number.
fn expected(points: impl Iterator<Item = Point>, width: i64, window: &Range<i128>) -> BTreeMap<i64, Vec<Point>> {
    let mut all: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
    for point in points {
        all.entry(point.0.div_euclid(width)).or_default().push(point);
    }
    all.retain(|&bucket, _| {
        let first = i128::from(bucket) * i128::from(width);
        !window.is_empty() && first < window.end && window.start < first + i128::from(width)
    });
    all
}

fn compare(found: &[Bucket], width: i64, expected: &BTreeMap<i64, Vec<Point>>) {
    assert!(found.iter().map(|bucket| bucket.last_step.div_euclid(width)).eq(expected.keys().copied()));
    for (found, points) in found.iter().zip(expected.values()) {
        let (last_step, last, last_time_micros) = points[points.len() - 1];
        assert_eq!((found.last_step, found.last_time_micros), (last_step, last_time_micros));
        assert!(found.last == last || (found.last.is_nan() && last.is_nan()));
        let finite: Vec<f64> = points.iter().map(|point| point.1).filter(|value| value.is_finite()).collect();
        assert_eq!(found.count, points.len() as u64);
        assert_eq!(found.nonfinite_count, (points.len() - finite.len()) as u64);
        if finite.is_empty() {
            assert!(found.min.is_nan() && found.max.is_nan());
        } else {
            assert_eq!(found.min, finite.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(found.max, finite.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
        assert_near(found.sum, finite.iter().copied());
        assert_near(found.square_sum, finite.iter().map(|value| value * value));
    }
}

/// Asserts that `found` is the sum of the terms, to twelve digits of the sum of their magnitudes.
fn assert_near(found: f64, terms: impl Iterator<Item = f64> + Clone) {
    let (sum, size): (f64, f64) = (terms.clone().sum(), terms.map(f64::abs).sum());
    assert!((found - sum).abs() <= 1e-12 * size, "{found} is not {sum}");
}

/// Flips bits of one byte of every nth row, or truncates the row at that byte.
fn damage(rows: &Connection, every: i64, at: usize, flip: u8) {
    type Found = ((i64, i64, i64), Vec<u8>);
    let mut select = rows.prepare("SELECT series_id, level, start, buckets FROM rollups").unwrap();
    let found: Vec<Found> = select
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for ((series, level, start), mut bytes) in found.into_iter().step_by(every as usize) {
        let at = at % bytes.len();
        if flip == 255 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        rows.execute(
            "UPDATE rollups SET buckets = ?4 WHERE series_id = ?1 AND level = ?2 AND start = ?3",
            rusqlite::params![series, level, start, bytes],
        )
        .unwrap();
    }
}

fn play(actions: &[Action], sinks: &'static [&'static str]) {
    let mut store = Store::new(sinks);
    for action in actions {
        store.run(action);
    }
    store.check_all();
    store.close();
    store.check_all();
}

/// The number of cases from `PROPTEST_CASES`. The default is low because each case opens and reads a run several times.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches a row that is used although it is damaged or its points were replaced.
    #[test]
    fn buckets_are_the_aggregates_of_their_points(actions in actions()) {
        play(&actions, DATABASE);
    }

    #[test]
    fn buckets_of_parts_are_the_aggregates_of_their_points(actions in actions()) {
        play(&actions, PARTS);
    }
}

/// Catches a reader that looks up every possible row because the stored range of steps is false.
#[test]
fn file_with_a_false_range_of_steps_is_read_in_time() {
    let mut store = Store::new(DATABASE);
    store.log_stretch(0, 0, 2_000, 1);
    store.close();
    let rows = Connection::open(store.path().join("metrics.sqlite")).unwrap();
    rows.execute("UPDATE series SET count = ?1, first_step = ?2, last_step = ?3", [i64::MAX, i64::MIN, i64::MAX])
        .unwrap();
    drop(rows);
    let since = Instant::now();
    let names = [NAMES[0].to_owned()];
    let (_, found) = store.reader.buckets(Names::Exact(&names), Some(64), 1, None, None).unwrap();
    assert_eq!(found[0].buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 2_000);
    assert!(since.elapsed() < Duration::from_secs(10));
}
