//! A map that mirrors the logged points, and comparisons of a reader's results with it.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use holter::read::Reader;
use holter::record::recorder::Outcome;
use holter::record::session::Session;

pub(crate) const SINKS: [&[&str]; 3] = [&["sqlite"], &["sqlite", "parquet", "summary"], &["parquet"]];

/// The logged values by name and step.
#[derive(Default)]
pub(crate) struct Model(pub(crate) BTreeMap<String, BTreeMap<i64, f64>>);

impl Model {
    pub(crate) fn log(&mut self, session: &Session, name: &str, step: i64, value: f64) {
        let id = session.recorder().series(name).unwrap();
        assert_eq!(session.recorder().record(id, step, value), Outcome::Accepted);
        self.0.entry(name.to_owned()).or_default().insert(step, value);
    }

    pub(crate) fn check(&self, path: &Path, state: &str) {
        self.check_with(&Reader::open(path).unwrap(), state);
    }

    pub(crate) fn check_with(&self, reader: &Reader, state: &str) {
        assert_eq!(reader.names(None).unwrap(), self.0.keys().cloned().collect::<Vec<_>>(), "{state}");
        for (name, points) in &self.0 {
            let found = reader.series(name, None, None).unwrap();
            assert_eq!(found.steps, points.keys().copied().collect::<Vec<_>>(), "{state}: {name}");
            assert_same(&found.values, points.values(), state);
            let now = holter_journal::Timestamp::now().micros();
            assert!(found.times_micros.iter().all(|&time| (now - 60_000_000..=now).contains(&time)), "{state}");
        }
        let all = reader.all_series(None).unwrap();
        assert!(all.iter().map(|(name, _)| name).eq(self.0.keys()), "{state}");
        for ((name, found), points) in all.iter().zip(self.0.values()) {
            assert!(found.steps.iter().eq(points.keys()), "{state}: {name}");
            assert_same(&found.values, points.values(), state);
        }
        self.check_facts(reader, state);
        self.check_table(reader, state);
    }

    fn check_facts(&self, reader: &Reader, state: &str) {
        let facts = reader.series_facts(None).unwrap();
        assert_eq!(facts.len(), self.0.len(), "{state}");
        for (facts, (name, points)) in facts.iter().zip(&self.0) {
            assert_eq!(&facts.name, name, "{state}");
            assert_eq!(facts.count, points.len() as u64, "{state}: {name}");
            let nonfinite = points.values().filter(|value| !value.is_finite()).count();
            assert_eq!(facts.nonfinite_count, nonfinite as u64, "{state}: {name}");
            let (last, value) = points.last_key_value().unwrap();
            assert_eq!((facts.first_step, facts.last_step), (*points.keys().next().unwrap(), *last), "{state}");
            assert_same(&[facts.last_value], [value], state);
            let finite = || points.iter().filter(|(_, value)| value.is_finite());
            let min = finite().min_by(|a, b| a.1.partial_cmp(b.1).unwrap().then(a.0.cmp(b.0)));
            let max = finite().max_by(|a, b| a.1.partial_cmp(b.1).unwrap().then(b.0.cmp(a.0)));
            let extreme = |point: Option<(&i64, &f64)>| point.map(|(&step, &value)| (value, step));
            assert_eq!((facts.min, facts.max), (extreme(min), extreme(max)), "{state}: {name}");
        }
    }

    fn check_table(&self, reader: &Reader, state: &str) {
        let (mut names, mut steps, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for batch in reader.table(None).unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.column(0).as_string::<i32>().value(0), reader.name());
            assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(0), 0);
            names.extend(batch.column(2).as_string::<i32>().iter().map(|name| name.unwrap().to_owned()));
            steps.extend_from_slice(batch.column(3).as_primitive::<Int64Type>().values());
            values.extend_from_slice(batch.column(4).as_primitive::<Float64Type>().values());
            assert!(batch.column(5).as_primitive::<TimestampMicrosecondType>().value(0) > 0);
        }
        let all =
            || self.0.iter().flat_map(|(name, points)| points.iter().map(move |(step, value)| (name, step, value)));
        assert!(names.iter().eq(all().map(|(name, ..)| name)), "{state}");
        assert!(steps.iter().eq(all().map(|(_, step, _)| step)), "{state}");
        assert_same(&values, all().map(|(.., value)| value), state);
    }
}

/// Treats NaN as equal to NaN, and -0.0 as equal to 0.0, because the database does not store the sign of zero.
fn assert_same<'a>(found: &[f64], expected: impl IntoIterator<Item = &'a f64>, state: &str) {
    let expected: Vec<f64> = expected.into_iter().copied().collect();
    assert_eq!(found.len(), expected.len(), "{state}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found == &expected || (found.is_nan() && expected.is_nan()), "{state}: {found} is not {expected}");
    }
}
