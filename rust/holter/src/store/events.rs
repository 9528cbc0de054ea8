//! `events.jsonl`: the alerts that rules raised, an object of strict JSON per line.
//!
//! The file is created with the first alert and bounded. A failing disk never affects the training: lines wait in
//! memory, at most as many as the file can have.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use holter_journal::{Step, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::error::{Error, Result};
use crate::fs::{json_lines, open_to_extend, open_to_read};
use crate::store::schema::FORMAT_VERSION;
use crate::store::time::iso_8601;

/// The maximum number of lines in the file.
pub const MAX_LINES: usize = 10_000;
/// The maximum length of the file in bytes, without its last line.
pub const MAX_BYTES: usize = 16 << 20;

/// The `rule` of the last line in a full file.
const LIMIT: &str = "limit";

/// How serious an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Informational.
    Info,
    /// May need attention.
    Warning,
    /// Something is wrong.
    Error,
}

/// One line of the file, without the version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When the point was logged, ISO 8601 UTC.
    pub time: String,
    /// How serious it is.
    pub level: Level,
    /// The series' name.
    pub series: Option<String>,
    /// The point's step.
    pub step: Option<Step>,
    /// The point's value, as from [`Event::json_value`].
    pub value: Value,
    /// The rule's kind.
    pub rule: String,
    /// Whether the rule stops the training.
    pub stop: bool,
    /// A description for people.
    pub message: String,
}

impl Event {
    /// The JSON form of a value: a number, or "nan", "inf" or "-inf".
    pub fn json_value(value: f64) -> Value {
        Number::from_f64(value).map_or_else(|| value_text(value).into(), Value::Number)
    }

    /// The last line of a full file.
    fn limit() -> Self {
        Self {
            time: iso_8601(Timestamp::now()),
            level: Level::Warning,
            series: None,
            step: None,
            value: Value::Null,
            rule: LIMIT.to_owned(),
            stop: false,
            message: "the file is full: further events are not written".to_owned(),
        }
    }

    /// The event as a line, without the newline.
    pub fn to_line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            version: u64,
            #[serde(flatten)]
            event: &'a Event,
        }
        serde_json::to_string(&Line { version: FORMAT_VERSION, event: self }).unwrap_or_default()
    }
}

/// The value as text: a number, "nan", "inf" or "-inf".
pub(crate) fn value_text(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { value.to_string() }
}

/// Appends to the file.
#[derive(Debug)]
pub(crate) struct EventsFile {
    path: PathBuf,
    open: Option<Open>,
    waiting: Vec<String>,
    waiting_bytes: usize,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// The length of the file up to the end of its last complete line.
    length: u64,
    num_lines: usize,
}

impl EventsFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, open: None, waiting: Vec::new(), waiting_bytes: 0 }
    }

    pub(crate) fn push(&mut self, line: String) {
        // More lines than the file can have would not be written anyway.
        if self.waiting.len() < MAX_LINES && self.waiting_bytes < MAX_BYTES {
            self.waiting_bytes += line.len() + 1;
            self.waiting.push(line);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Appends the waiting lines, as many as the file can have.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the lines keep waiting.
    pub(crate) fn write_waiting(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(open(&self.path).map_err(Error::io("open", &self.path))?),
        };
        let mut text = String::new();
        let mut num_lines = open.num_lines;
        for line in &self.waiting {
            if num_lines >= MAX_LINES {
                break;
            }
            let end = open.length as usize + text.len() + line.len() + 1;
            if num_lines + 1 == MAX_LINES || end >= MAX_BYTES {
                text.push_str(&Event::limit().to_line());
                text.push('\n');
                num_lines = MAX_LINES;
                break;
            }
            num_lines += 1;
            text.push_str(line);
            text.push('\n');
        }
        let written = open.file.seek(SeekFrom::Start(open.length)).and_then(|_| open.file.write_all(text.as_bytes()));
        if let Err(error) = written {
            // Removes an incomplete line; if this fails too, the next write overwrites it.
            let _ = open.file.set_len(open.length);
            return Err(Error::io("write", &self.path)(error));
        }
        open.length += text.len() as u64;
        open.num_lines = num_lines;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }
}

/// Opens the file and removes an incomplete last line. Does not follow a symbolic link.
fn open(path: &Path) -> io::Result<Open> {
    let mut file = open_to_extend(path)?;
    let length = json_lines::end_of_last_line(&file)?;
    file.set_len(length)?;
    let mut num_lines = MAX_LINES;
    if length < MAX_BYTES as u64 {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole_lines = text.split_inclusive(|&byte| byte == b'\n');
        // A file that is too long ends with the same line as one with too many lines.
        if !whole_lines.clone().next_back().is_some_and(is_limit) {
            num_lines = whole_lines.count();
        }
    }
    Ok(Open { file, length, num_lines })
}

/// Whether this line marks a full file.
fn is_limit(line: &[u8]) -> bool {
    serde_json::from_slice::<Event>(line).is_ok_and(|event| event.rule == LIMIT)
}

/// The complete lines of an events file; empty if the file does not exist.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read.
pub fn read_lines(path: &Path) -> Result<Vec<String>> {
    let file = match open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES as u64 + (1 << 20)).read_to_end(&mut text).map_err(Error::io("read", path))?;
    text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for the last line of a full file.
    const FULL: &str = "limit";
    const LONG: usize = 1 << 20;

    fn lines(count: usize, length: usize) -> impl Iterator<Item = String> {
        (0..count).map(move |number| {
            let number = number.to_string();
            "x".repeat(length.saturating_sub(number.len())) + &number
        })
    }

    /// Writes the lines one by one, or all at once as after a failure, and returns the lines of the file.
    fn written(path: &Path, lines: impl Iterator<Item = String>, one_by_one: bool) -> Vec<String> {
        let mut file = EventsFile::new(path.to_owned());
        for line in lines {
            file.push(line);
            if one_by_one {
                file.write_waiting().expect("the disk has room");
            }
        }
        file.write_waiting().expect("the disk has room");
        assert!(!file.is_waiting());
        let mut found = read_lines(path).expect("the file exists");
        if let Some(last) = found.last_mut().filter(|last| is_limit(last.as_bytes())) {
            FULL.clone_into(last);
        }
        found
    }

    #[test]
    fn too_many_lines_or_bytes_end_with_one_limit_line() {
        for (count, length, kept) in [(MAX_LINES + 5, 10, MAX_LINES - 1), (40, LONG, 15)] {
            for one_by_one in [true, false] {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().join("events");
                let mut expected: Vec<String> = lines(kept, length).collect();
                expected.push(FULL.to_owned());
                assert!(written(&path, lines(count, length), one_by_one) == expected, "{count} of {length}");
                // The next session appends nothing, even if there is room.
                assert!(written(&path, lines(3, 1), one_by_one) == expected, "{count} of {length}, again");
            }
        }
    }

    #[test]
    fn exactly_full_file_gets_a_limit_line_with_the_next_event() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, last) in [("short", LONG - 2), ("exact", LONG - 1), ("long", LONG)] {
            let path = dir.path().join(name);
            let first = || lines(15, LONG - 1).chain(lines(1, last));
            let found = written(&path, first().chain(lines(1, 10)), false);
            let is_full = 15 * LONG + last + 1 >= MAX_BYTES;
            let mut expected: Vec<String> = first().take(if is_full { 15 } else { 16 }).collect();
            expected.push(FULL.to_owned());
            assert!(found == expected, "{name}: {} lines", found.len());
        }
    }

    #[test]
    fn waiting_lines_are_bounded_like_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        for (count, length) in [(3 * MAX_LINES, 10), (40, LONG)] {
            let mut file = EventsFile::new(dir.path().to_owned());
            for line in lines(count, length) {
                file.push(line);
            }
            file.write_waiting().expect_err("it is a directory");
            assert!(file.waiting.len() <= MAX_LINES && file.waiting_bytes <= MAX_BYTES + LONG);
        }
    }

    #[test]
    fn incomplete_last_line_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        std::fs::write(&path, "whole\nhal").expect("the disk has room");
        assert_eq!(read_lines(&path).expect("the file exists"), ["whole"]);
        assert_eq!(written(&path, lines(1, 2), true), ["whole", "x0"]);
    }
}
