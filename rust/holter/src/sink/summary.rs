//! One flat line of strict JSON for each summary step, for tools that read JSON lines.
//!
//! A step's line is written when the run is [`GRACE_STEPS`] past it, since values may come late. What
//! comes later still gets a further line of the same step. Everything here can be made again from the
//! truth, so lines are kept in memory until then and the journal does not wait for them.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};

use super::{Batch, Derived, Sink, Truth};
use crate::error::{Error, Result};
use crate::point::Step;
use crate::schema;
use crate::series::SeriesTable;

/// How far the run goes past a step before the step's line is written.
pub const GRACE_STEPS: i64 = 10;

/// How many finished lines wait in memory for a disk that refuses.
const MAX_WAITING_LINES: usize = 1024;

/// How many lines are made again from the truth at most: each is a look at every series.
const MAX_REMADE_LINES: i64 = 10_000;

/// Writes the summary lines.
pub struct SummarySink {
    path: PathBuf,
    file: File,
    /// How long the file is up to the end of its last whole line.
    length: u64,
    every: Step,
    /// The values of steps whose line is not written yet, in the order they came.
    open_steps: BTreeMap<Step, Vec<(String, f64)>>,
    waiting: VecDeque<String>,
    /// The largest step that any point had.
    last_step: Option<Step>,
    taken_until: u64,
}

impl SummarySink {
    /// Opens the file, creating it if there is none, and takes half a line off its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened.
    pub fn open(path: &Path, every: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io("open", path))?;
        let length = end_of_last_line(&file).map_err(Error::io("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            every: i64::try_from(every).unwrap_or(i64::MAX),
            open_steps: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_step: None,
            taken_until: 0,
        })
    }

    /// Turns the steps up to `last` into lines.
    fn finish_steps(&mut self, last: Step) {
        while let Some(entry) = self.open_steps.first_entry()
            && *entry.key() <= last
        {
            let (step, values) = entry.remove_entry();
            self.waiting.push_back(line(step, &values));
        }
    }

    fn write_waiting(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for line in &self.waiting {
            text.push_str(line);
            text.push('\n');
        }
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(text.as_bytes()));
        if let Err(error) = written {
            // Half a line must not stay; if this fails too, the next attempt overwrites it.
            let _ = self.file.set_len(self.length);
            return Err(Error::io("write", &self.path)(error));
        }
        self.length += text.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// The step of the last line.
    fn last_line_step(&self) -> Result<Option<Step>> {
        let line = last_line(&self.file, self.length).map_err(Error::io("read", &self.path))?;
        let parsed: Option<Value> = serde_json::from_slice(&line).ok();
        Ok(parsed.and_then(|line| line.get("step").and_then(Value::as_i64)))
    }
}

impl Sink for SummarySink {
    fn name(&self) -> &'static str {
        schema::sink::SUMMARY
    }

    fn append(&mut self, batch: &Batch, series: &SeriesTable) -> Result<()> {
        if self.waiting.len() > MAX_WAITING_LINES {
            self.write_waiting()?;
        }
        for points in batch.by_series() {
            let Some(&last) = points.steps.last() else { continue };
            self.last_step = self.last_step.max(Some(last));
            for (&step, &value) in points.steps.iter().zip(points.values) {
                if step.rem_euclid(self.every) != 0 {
                    continue;
                }
                let Some(name) = series.name(points.series) else { continue };
                self.open_steps.entry(step).or_default().push((name.to_string(), value));
            }
        }
        if let Some(last) = self.last_step {
            self.finish_steps(last.saturating_sub(GRACE_STEPS));
        }
        self.taken_until = batch.sequences().end;
        match self.write_waiting() {
            Err(error) if self.waiting.len() > MAX_WAITING_LINES => Err(error),
            _ => Ok(()),
        }
    }

    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        self.write_waiting()?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    /// What was taken counts as durable, for it can be made again from the truth at any time.
    fn committed(&self) -> u64 {
        self.taken_until
    }

    fn close(&mut self, series: &SeriesTable) -> Result<()> {
        self.finish_steps(Step::MAX);
        self.flush(series)
    }
}

impl Derived for SummarySink {
    fn catch_up(&mut self, truth: &mut dyn Truth) -> Result<()> {
        self.write_waiting()?;
        let (Some(last), written) = (truth.last_step()?, self.last_line_step()?) else { return Ok(()) };
        let last = last - last.rem_euclid(self.every);
        let earliest = last.saturating_sub(self.every.saturating_mul(MAX_REMADE_LINES));
        let mut step = match written {
            Some(written) => written.saturating_add(self.every).max(earliest),
            None => earliest.max(0),
        };
        step -= step.rem_euclid(self.every);
        while step <= last {
            let values = truth.values_at(step)?;
            if !values.is_empty() {
                self.waiting.push_back(line(step, &values));
                self.write_waiting()?;
            }
            let Some(next) = step.checked_add(self.every) else { break };
            step = next;
        }
        self.open_steps.retain(|&open, _| open > last);
        self.taken_until = truth.committed();
        Ok(())
    }
}

/// The step's line: the values by name, NaN and infinities as null and named apart.
///
/// A series called `step` or `nonfinite` has a slash put before its name, since a line has these keys.
fn line(step: Step, values: &[(String, f64)]) -> String {
    let mut object = Map::new();
    let mut nonfinite = Map::new();
    object.insert("step".to_owned(), step.into());
    for (name, value) in values {
        let key = if name == "step" || name == "nonfinite" { format!("/{name}") } else { name.clone() };
        let number = Number::from_f64(*value).map_or(Value::Null, Value::Number);
        if number.is_null() {
            let word = if value.is_nan() {
                "nan"
            } else if *value > 0.0 {
                "inf"
            } else {
                "-inf"
            };
            nonfinite.insert(key.clone(), word.into());
        } else {
            nonfinite.remove(&key);
        }
        object.insert(key, number);
    }
    if !nonfinite.is_empty() {
        object.insert("nonfinite".to_owned(), nonfinite.into());
    }
    Value::Object(object).to_string()
}

/// Where the last whole line ends; what is behind it was cut off by a crash.
fn end_of_last_line(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    Ok(last_newline(file, length)?.map_or(0, |position| position + 1))
}

fn last_line(file: &File, length: u64) -> io::Result<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let start = last_newline(file, length - 1)?.map_or(0, |position| position + 1);
    let mut line = vec![0; (length - start) as usize];
    file.read_exact_at(&mut line, start)?;
    Ok(line)
}

/// The position of the last newline before `end`.
fn last_newline(file: &File, end: u64) -> io::Result<Option<u64>> {
    const CHUNK: u64 = 1 << 16;
    let mut end = end;
    let mut bytes = vec![0; CHUNK as usize];
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let chunk = &mut bytes[..(end - start) as usize];
        file.read_exact_at(chunk, start)?;
        if let Some(index) = chunk.iter().rposition(|&byte| byte == b'\n') {
            return Ok(Some(start + index as u64));
        }
        end = start;
    }
    Ok(None)
}
