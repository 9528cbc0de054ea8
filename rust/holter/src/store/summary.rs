//! The summary sink: a flat object of strict JSON per summary step, for tools that read JSON Lines.
//!
//! The line of a step is written when the run is [`GRACE_STEPS`] past it, because values may come late. Values that come
//! later still get another line with the same step. Lines can be rebuilt from the primary sink, so they wait in memory
//! until then, and the journal does not wait for them.

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
use crate::store::schema::{self, FORMAT_VERSION};
use crate::store::sink::{Derived, Primary, Sink};
use holter_journal::Step;

/// How many steps the run moves past a step before the line of that step is written.
pub const GRACE_STEPS: i64 = 10;

/// How many finished lines wait in memory while the disk fails.
const MAX_WAITING_LINES: usize = 1024;

/// The maximum number of values that are rebuilt from the primary sink.
const MAX_REBUILT_VALUES: usize = 1 << 22;

/// How many bytes at the end of the file are read to find the lines that exist.
const MAX_TAIL_BYTES: u64 = 64 << 20;

const STEP: &str = "step";
const FORMAT_VERSION_KEY: &str = "format_version";
const NONFINITE: &str = "nonfinite";
/// Keys of a line that are not series.
const RESERVED: [&str; 3] = [STEP, FORMAT_VERSION_KEY, NONFINITE];

/// Writes the summary lines.
pub struct SummarySink {
    path: PathBuf,
    file: File,
    /// The length of the file up to the end of its last complete line.
    length: u64,
    every: Step,
    /// The values of steps whose line is not finished, in the order they were logged.
    open_steps: BTreeMap<Step, Vec<(String, f64)>>,
    waiting: VecDeque<String>,
    /// The largest step of any point.
    last_step: Option<Step>,
    /// One past the last sequence number that was appended.
    end: u64,
}

impl SummarySink {
    /// Opens the file, and creates it if it does not exist. Does not follow a symbolic link. An incomplete last line is
    /// overwritten later.
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
            end: 0,
        })
    }

    /// Finishes the lines of the steps up to `last`.
    fn finish_steps(&mut self, last: Step) {
        while let Some(entry) = self.open_steps.first_entry()
            && *entry.key() <= last
        {
            let (step, values) = entry.remove_entry();
            self.push_line(step, &values);
        }
    }

    fn push_line(&mut self, step: Step, values: &[(String, f64)]) {
        let is_first = self.length == 0 && self.waiting.is_empty();
        self.waiting.push_back(line(step, values, is_first));
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
            // Removes an incomplete line; if this fails too, the next write overwrites it.
            let _ = self.file.set_len(self.length);
            return Err(Error::io("write", &self.path)(error));
        }
        self.length += text.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Removes from `missing` the values that existing lines contain; the last line of a step counts.
    fn remove_written(&self, missing: &mut BTreeMap<Step, BTreeMap<String, f64>>) -> Result<()> {
        let mut written: BTreeMap<Step, Map<String, Value>> = BTreeMap::new();
        let text = tail(&self.file, self.length).map_err(Error::io("read", &self.path))?;
        for line in text.split(|&byte| byte == b'\n') {
            // Other lines are ignored.
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
        self.end = batch.sequences().end;
        match self.write_waiting() {
            Err(error) if self.waiting.len() > MAX_WAITING_LINES => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes also the lines of unfinished steps, since everything that is marked as derived must be in the file.
    fn flush(&mut self, _series: &SeriesTable) -> Result<()> {
        self.finish_steps(Step::MAX);
        self.write_waiting()?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    /// Appended points count as durable, since they can be rebuilt from the primary sink at any time.
    fn committed(&self) -> u64 {
        self.end
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
                    if step.rem_euclid(self.every) == 0 && count < MAX_REBUILT_VALUES {
                        missing.entry(step).or_default().insert(name.to_string(), value);
                        count += 1;
                    }
                }
            }
            Ok(())
        })?;
        self.remove_written(&mut missing)?;
        // The primary sink has the values of unfinished steps too.
        self.open_steps.clear();
        for (step, values) in missing {
            self.push_line(step, &Vec::from_iter(values));
        }
        self.write_waiting()?;
        self.end = primary.committed();
        Ok(())
    }
}

/// The line of a step: the values by name, with NaN and infinities as null and named under a key of their own. The
/// first line of a file has the format version.
fn line(step: Step, values: &[(String, f64)], is_first: bool) -> String {
    let mut object = Map::new();
    let mut nonfinite = Map::new();
    object.insert(STEP.to_owned(), step.into());
    if is_first {
        object.insert(FORMAT_VERSION_KEY.to_owned(), FORMAT_VERSION.into());
    }
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

/// The key of a series: its name, with a slash in front if it is a reserved key after any slashes.
fn key(name: &str) -> String {
    if RESERVED.contains(&name.trim_start_matches('/')) { format!("/{name}") } else { name.to_owned() }
}

/// The name of a value that is not finite.
fn nonfinite_word(value: f64) -> &'static str {
    if value.is_nan() {
        "nan"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

/// The value in JSON: a number, or null if it is not finite.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// The end of the file, which contains the lines that could be missing values.
fn tail(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let start = length.saturating_sub(MAX_TAIL_BYTES);
    let mut text = vec![0; (length - start) as usize];
    file.read_exact_at(&mut text, start)?;
    Ok(text)
}
