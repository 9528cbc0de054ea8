//! One flat line of strict JSON for each summary step, for tools that read JSON lines.
//!
//! A step's line is written when the run is [`GRACE_STEPS`] past it, since values may come late. What
//! comes later still gets a further line of the same step. Everything here can be made again from the
//! primary, so lines are kept in memory until then and the journal does not wait for them.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};
use crate::fs::json_lines;
use crate::fs::open_to_extend;
use crate::series_table::SeriesTable;
use crate::store::batch::Batch;
use crate::store::schema;
use crate::store::sink::{Derived, Primary, Sink};
use holter_journal::Step;

/// How far the run goes past a step before the step's line is written.
pub const GRACE_STEPS: i64 = 10;

/// How many finished lines wait in memory for a disk that refuses.
const MAX_WAITING_LINES: usize = 1024;

/// How many values are looked for in the primary sink at most when lines are made again.
const MAX_REMADE_VALUES: usize = 1 << 22;

/// How much of the file is looked at to see which lines need not be made again.
const MAX_TAIL_BYTES: u64 = 64 << 20;

const STEP: &str = "step";
const NONFINITE: &str = "nonfinite";

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
    /// Opens the file, creating it if there is none, and takes half a line off its end. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened.
    pub fn open(path: &Path, every: u64) -> Result<Self> {
        let file = open_to_extend(path).map_err(Error::io("open", path))?;
        let length = json_lines::end_of_last_line(&file).map_err(Error::io("read", path))?;
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

    /// Takes from `missing` what the lines that are there say already; the last line of a step counts.
    fn leave_out_written(&self, missing: &mut BTreeMap<Step, BTreeMap<String, f64>>) -> Result<()> {
        let mut written: BTreeMap<Step, Map<String, Value>> = BTreeMap::new();
        let text = tail(&self.file, self.length).map_err(Error::io("read", &self.path))?;
        for line in text.split(|&byte| byte == b'\n') {
            // What is no line of ours is left alone.
            let Ok(Value::Object(line)) = serde_json::from_slice(line) else { continue };
            let Some(step) = line.get(STEP).and_then(Value::as_i64) else { continue };
            if missing.contains_key(&step) {
                written.entry(step).or_default().extend(line);
            }
        }
        for (step, line) in written {
            let Some(values) = missing.get_mut(&step) else { continue };
            let words = line.get(NONFINITE).and_then(Value::as_object);
            values.retain(|name, value| {
                let key = key(name);
                let word = words.and_then(|words| words.get(&key)).and_then(Value::as_str);
                line.get(&key) != Some(&number(*value)) || (!value.is_finite() && word != Some(nonfinite_word(*value)))
            });
            if values.is_empty() {
                missing.remove(&step);
            }
        }
        Ok(())
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

    /// Writes a line also for the steps that are not over: what is marked as derived has to be there.
    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        self.finish_steps(Step::MAX);
        self.write_waiting()?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    /// What was taken counts as durable, for it can be made again from the primary sink at any time.
    fn committed(&self) -> u64 {
        self.taken_until
    }

    fn close(&mut self, series: &SeriesTable) -> Result<()> {
        self.flush(series)
    }
}

impl Derived for SummarySink {
    fn catch_up(&mut self, primary: &mut dyn Primary) -> Result<()> {
        self.write_waiting()?;
        let mut missing: BTreeMap<Step, BTreeMap<String, f64>> = BTreeMap::new();
        let mut count = 0;
        primary.underived(&mut |batch, series| {
            for points in batch.by_series() {
                let Some(name) = series.name(points.series) else { continue };
                for (&step, &value) in points.steps.iter().zip(points.values) {
                    if step.rem_euclid(self.every) == 0 && count < MAX_REMADE_VALUES {
                        missing.entry(step).or_default().insert(name.to_string(), value);
                        count += 1;
                    }
                }
            }
            Ok(())
        })?;
        self.leave_out_written(&mut missing)?;
        // The primary sink has what is open, too.
        self.open_steps.clear();
        for (step, values) in missing {
            self.waiting.push_back(line(step, &Vec::from_iter(values)));
        }
        self.write_waiting()?;
        self.taken_until = primary.committed();
        Ok(())
    }
}

/// The step's line: the values by name, NaN and infinities as null and named apart.
fn line(step: Step, values: &[(String, f64)]) -> String {
    let mut object = Map::new();
    let mut nonfinite = Map::new();
    object.insert(STEP.to_owned(), step.into());
    for (name, value) in values {
        let (key, number) = (key(name), number(*value));
        if number.is_null() {
            nonfinite.insert(key.clone(), nonfinite_word(*value).into());
        } else {
            nonfinite.remove(&key);
        }
        object.insert(key, number);
    }
    if !nonfinite.is_empty() {
        object.insert(NONFINITE.to_owned(), nonfinite.into());
    }
    Value::Object(object).to_string()
}

/// A series' key: its name, behind a slash if a line has a key of that name for itself.
fn key(name: &str) -> String {
    if name == STEP || name == NONFINITE { format!("/{name}") } else { name.to_owned() }
}

/// What a value that is not finite is called.
fn nonfinite_word(value: f64) -> &'static str {
    if value.is_nan() {
        "nan"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

/// The value as JSON has it: a number, or null where it is not finite.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// The last lines, as many as are worth looking at: what is before them is long written.
fn tail(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let start = length.saturating_sub(MAX_TAIL_BYTES);
    let mut text = vec![0; (length - start) as usize];
    file.read_exact_at(&mut text, start)?;
    Ok(text)
}
