//! A measurement, not a test: `cargo test --release --test parquet_speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;
use std::time::Duration;

use holter::series_table::SeriesTable;
use holter::store::batch::Batch;
use holter::store::parquet::parts;
use holter::store::parquet::{ParquetOptions, ParquetSink};
use holter::store::sink::Sink;
use holter_journal::{Point, SeriesId, Timestamp};
use rustix::time::{ClockId, clock_gettime};

const SERIES: usize = 1_000;
const STEPS_PER_PART: usize = 1_000;
const PARTS: usize = 10;
const BATCH: usize = 100_000;

/// CPU time of the thread, so that other work on the machine has little effect.
struct Cpu(Duration);

impl Cpu {
    fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Self(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.checked_sub(self.0).unwrap()
    }
}

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// 60 % float32 noise, 20 % float64 noise, 10 % a schedule, 10 % integers.
fn value(series: usize, step: usize, noise: &mut Noise) -> f64 {
    match series % 10 {
        0..=5 => f64::from((noise.next() + noise.next() + noise.next()) as f32),
        6 | 7 => noise.next() * noise.next(),
        8 => 3e-4 * (0.5 + 0.5 * (step as f64 / 1e4).cos()),
        _ => (step * 4096) as f64,
    }
}

fn batches(part: usize, noise: &mut Noise) -> Vec<Batch> {
    let mut points = Vec::with_capacity(SERIES * STEPS_PER_PART);
    for step in part * STEPS_PER_PART..(part + 1) * STEPS_PER_PART {
        let jitter = (noise.next() * 2e5) as usize;
        for series in 0..SERIES {
            let micros = 1_700_000_000_000_000 + ((step * 1_000_000 + jitter + series * 90) / 4_000 * 4_000) as i64;
            points.push(Point {
                series: SeriesId::new(series).unwrap(),
                step: step as i64,
                value: value(series, step, noise),
                time: Timestamp::from_micros(micros),
            });
        }
    }
    let start = part * SERIES * STEPS_PER_PART;
    let slices = points.chunks(BATCH).enumerate();
    slices
        .map(|(i, slice)| {
            let first = (start + i * BATCH) as u64;
            Batch::new(first..first + slice.len() as u64, slice)
        })
        .collect()
}

/// The total size of the files in a directory.
fn bytes(dir: impl AsRef<Path>) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Millions of points per second.
fn rate(points: usize, time: Duration) -> f64 {
    points as f64 / time.as_secs_f64() / 1e6
}

/// Measures listing and reading.
fn report_reads(dir: &Path, what: &str, out: &mut impl Write) {
    let start = Cpu::now();
    let listed = parts::list(dir).unwrap();
    let list = start.elapsed();
    let start = Cpu::now();
    let series = parts::read_series(&listed, "train/layer_100/grad_norm_2", i64::MIN..=i64::MAX).unwrap();
    let read_series = start.elapsed();
    let start = Cpu::now();
    let names = parts::names(&listed).unwrap();
    let read_names = start.elapsed();
    let start = Cpu::now();
    let at_step = parts::read_step(&listed, 5_432).unwrap();
    let (files, read_step) = (listed.len(), start.elapsed());
    assert_eq!((series.len(), names.len(), at_step.len()), (STEPS_PER_PART * PARTS, SERIES, SERIES));
    writeln!(out, "{what} ({files}): list {list:?}, series {read_series:?}, names {read_names:?}, step {read_step:?}")
        .unwrap();
}

#[test]
#[ignore = "a measurement"]
fn speed_and_size() {
    let names = (0..SERIES).map(|i| format!("train/layer_{:03}/grad_norm_{}", i / 4, i % 4));
    let table = SeriesTable::from_names(names);
    let dir = std::env::var("PARQUET_SPEED_DIR").map_or_else(|_| tempfile::tempdir().unwrap().keep(), Into::into);
    let mut options = ParquetOptions::new(&dir, "run-2", 7);
    options.rows_per_part = 1 << 30;
    let mut sink = ParquetSink::open(options).unwrap();
    let mut noise = Noise(88_172_645_463_325_252);
    let mut out = stderr();
    let (mut append, mut roll) = (Vec::new(), Vec::new());
    for part in 0..PARTS {
        let batches = batches(part, &mut noise);
        let start = Cpu::now();
        for batch in &batches {
            sink.append(batch, &table).unwrap();
        }
        append.push(start.elapsed());
        let start = Cpu::now();
        sink.flush(&table).unwrap();
        roll.push(start.elapsed());
    }
    let points = SERIES * STEPS_PER_PART;
    let both: Vec<Duration> = append.iter().zip(&roll).map(|(a, b)| *a + *b).collect();
    for (what, mut times) in [("append", append), ("roll", roll), ("append + roll", both)] {
        times.sort_unstable();
        let median = times[times.len() / 2];
        let (best, worst) = (rate(points, times[0]), rate(points, times[times.len() - 1]));
        writeln!(out, "{what}: {:.2} M/s (best {best:.2}, worst {worst:.2})", rate(points, median)).unwrap();
    }
    writeln!(out, "parts: {:.3} B/pt", bytes(&dir) as f64 / (points * PARTS) as f64).unwrap();
    let start = Cpu::now();
    let mut read = 0;
    parts::for_each_series(&parts::list(&dir).unwrap(), |_, columns| {
        read += columns.len();
        Ok(())
    })
    .unwrap();
    writeln!(out, "merge only: {:.2} M/s", rate(read, start.elapsed())).unwrap();
    for what in ["parts", "compacted"] {
        if what == "compacted" {
            let start = Cpu::now();
            sink.close(&table).unwrap();
            writeln!(out, "compact: {:.2} M/s", rate(read, start.elapsed())).unwrap();
            writeln!(out, "compacted: {:.3} B/pt", bytes(&dir) as f64 / (points * PARTS) as f64).unwrap();
        }
        report_reads(&dir, what, &mut out);
    }
}
