//! The cached extremes of long series with replaced points, which require a new search.
#![allow(clippy::unwrap_used)]

mod run_support;

use holter::read::Reader;
use holter::record::recorder::Outcome;
use holter::record::session::Session;
use holter::store::manifest::Status;
use run_support::{flush_only, open};
use tempfile::TempDir;

/// The value at `step` of a curve that falls until step 50,000 and then rises.
fn curve(step: i64) -> f64 {
    (step - 50_000).abs() as f64
}

fn log(session: &Session, points: impl Iterator<Item = (i64, f64)>) {
    let id = session.recorder().series("loss").unwrap();
    for (step, value) in points {
        assert_eq!(session.recorder().record(id, step, value), Outcome::Accepted);
    }
}

/// Catches an extreme that is not recomputed after its point was replaced. The search uses rollups.
#[test]
fn replaced_extremes_are_recomputed() {
    for sinks in [&["sqlite"][..], &["parquet"]] {
        let scratch = TempDir::new().unwrap();
        let mut session = open(scratch.path(), sinks, flush_only());
        let reader = Reader::open(scratch.path()).unwrap();
        let check = |min: (f64, i64), max: (f64, i64), state: &str| {
            let facts = reader.series_facts(None).unwrap();
            assert_eq!((facts[0].min, facts[0].max), (Some(min), Some(max)), "{sinks:?}: {state}");
        };
        log(&session, (0..100_001).map(|step| (step, curve(step))));
        session.flush(None).unwrap();
        check((0.0, 50_000), (50_000.0, 0), "flushed");

        log(&session, [(50_000, 7.5), (0, f64::NAN)].into_iter());
        check((1.0, 49_999), (50_000.0, 100_000), "replaced in the journal");
        session.flush(None).unwrap();
        check((1.0, 49_999), (50_000.0, 100_000), "replaced and flushed");

        log(&session, [(49_999, f64::INFINITY), (100_000, f64::NEG_INFINITY)].into_iter());
        session.close(Status::Finished).unwrap();
        check((1.0, 50_001), (49_999.0, 1), "replaced and closed");

        session = open(scratch.path(), sinks, flush_only());
        log(&session, (0..100_001).map(|step| (step, -1.0)));
        log(&session, [(40, -1.5)].into_iter());
        check((-1.5, 40), (-1.0, 0), "all replaced");
        session.close(Status::Finished).unwrap();
        check((-1.5, 40), (-1.0, 0), "all replaced and closed");

        session = open(scratch.path(), sinks, flush_only());
        log(&session, (0..100_001).map(|step| (step, f64::NAN)));
        session.close(Status::Finished).unwrap();
        let facts = reader.series_facts(None).unwrap();
        assert_eq!((facts[0].min, facts[0].max), (None, None), "{sinks:?}: without finite values");
    }
}
