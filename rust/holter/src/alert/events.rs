//! `events.jsonl`: what the rules said, one object of strict JSON a line.
//!
//! Made when there is something to say, bounded, and never a reason for the training to fail: what the disk
//! refuses waits in memory, at most as much of it as the file may have.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files;
use crate::lines;
use crate::schema::event;

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
    /// How long the file is up to the end of its last whole line.
    length: u64,
    num_lines: usize,
}

impl EventsFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, open: None, waiting: Vec::new(), waiting_bytes: 0 }
    }

    pub(crate) fn push(&mut self, line: String) {
        // What is more than the file may have would only be left out of it.
        if self.waiting.len() < event::MAX_LINES && self.waiting_bytes < event::MAX_BYTES {
            self.waiting_bytes += line.len() + 1;
            self.waiting.push(line);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Appends the lines that wait, as many as the file may have.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the lines go on waiting.
    pub(crate) fn write_waiting(&mut self, limit_line: impl FnOnce() -> String) -> Result<()> {
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
            if num_lines >= event::MAX_LINES {
                break;
            }
            let end = open.length as usize + text.len() + line.len() + 1;
            if num_lines + 1 == event::MAX_LINES || end >= event::MAX_BYTES {
                text.push_str(&limit_line());
                text.push('\n');
                num_lines = event::MAX_LINES;
                break;
            }
            num_lines += 1;
            text.push_str(line);
            text.push('\n');
        }
        let written = open.file.seek(SeekFrom::Start(open.length)).and_then(|_| open.file.write_all(text.as_bytes()));
        if let Err(error) = written {
            // Half a line must not stay; if this fails too, the next write goes over it.
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

/// Opens the file, and takes half a line off its end. A symbolic link is not followed.
fn open(path: &Path) -> io::Result<Open> {
    let mut file = files::open_to_extend(path)?;
    let length = lines::end_of_last_line(&file)?;
    file.set_len(length)?;
    let mut num_lines = event::MAX_LINES;
    if length < event::MAX_BYTES as u64 {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole_lines = text.split_inclusive(|&byte| byte == b'\n');
        // One that has become too long ends with the same line as one of too many lines.
        if !whole_lines.clone().next_back().is_some_and(is_limit) {
            num_lines = whole_lines.count();
        }
    }
    Ok(Open { file, length, num_lines })
}

/// Whether nothing is to be appended behind this line.
fn is_limit(line: &[u8]) -> bool {
    let found: Option<Map<String, Value>> = serde_json::from_slice(line).ok();
    found.is_some_and(|object| object.get(event::RULE).is_some_and(|rule| rule == event::LIMIT))
}

/// The whole lines of an events file; none where there is no file.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read.
pub fn read_lines(path: &Path) -> Result<Vec<String>> {
    let file = match files::open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let mut text = Vec::new();
    file.take(event::MAX_BYTES as u64 + (1 << 20)).read_to_end(&mut text).map_err(Error::io("read", path))?;
    text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: &str = r#"{"rule":"limit"}"#;
    const LONG: usize = 1 << 20;

    fn lines(count: usize, length: usize) -> impl Iterator<Item = String> {
        (0..count).map(move |number| {
            let number = number.to_string();
            "x".repeat(length.saturating_sub(number.len())) + &number
        })
    }

    /// Writes the lines one by one, or all at once as after a refusal, and returns the file's.
    fn written(path: &Path, lines: impl Iterator<Item = String>, one_by_one: bool) -> Vec<String> {
        let mut file = EventsFile::new(path.to_owned());
        for line in lines {
            file.push(line);
            if one_by_one {
                file.write_waiting(|| LIMIT.to_owned()).expect("the disk has room");
            }
        }
        file.write_waiting(|| LIMIT.to_owned()).expect("the disk has room");
        assert!(!file.is_waiting());
        read_lines(path).expect("the file is there")
    }

    #[test]
    fn a_file_ends_with_one_limit_line_when_it_has_too_many_lines_or_too_long_ones() {
        for (count, length, kept) in [(event::MAX_LINES + 5, 10, event::MAX_LINES - 1), (40, LONG, 15)] {
            for one_by_one in [true, false] {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().join("events");
                let mut expected: Vec<String> = lines(kept, length).collect();
                expected.push(LIMIT.to_owned());
                assert!(written(&path, lines(count, length), one_by_one) == expected, "{count} of {length}");
                // The next attempt appends nothing, however short, and however much room the limit line has left.
                assert!(written(&path, lines(3, 1), one_by_one) == expected, "{count} of {length}, again");
            }
        }
    }

    #[test]
    fn a_file_that_is_exactly_full_has_a_limit_line_when_there_is_more() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, last) in [("short", LONG - 2), ("exact", LONG - 1), ("long", LONG)] {
            let path = dir.path().join(name);
            let first = || lines(15, LONG - 1).chain(lines(1, last));
            let found = written(&path, first().chain(lines(1, 10)), false);
            let is_full = 15 * LONG + last + 1 >= event::MAX_BYTES;
            let mut expected: Vec<String> = first().take(if is_full { 15 } else { 16 }).collect();
            expected.push(LIMIT.to_owned());
            assert!(found == expected, "{name}: {} lines", found.len());
        }
    }

    #[test]
    fn a_refused_file_keeps_no_more_in_memory_than_it_may_have() {
        let dir = tempfile::tempdir().expect("a directory");
        for (count, length) in [(3 * event::MAX_LINES, 10), (40, LONG)] {
            let mut file = EventsFile::new(dir.path().to_owned());
            for line in lines(count, length) {
                file.push(line);
            }
            file.write_waiting(|| LIMIT.to_owned()).expect_err("it is a directory");
            assert!(file.waiting.len() <= event::MAX_LINES && file.waiting_bytes <= event::MAX_BYTES + LONG);
        }
    }

    #[test]
    fn half_a_line_is_written_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        std::fs::write(&path, "whole\nhal").expect("the disk has room");
        assert_eq!(read_lines(&path).expect("the file is there"), ["whole"]);
        assert_eq!(written(&path, lines(1, 2), true), ["whole", "x0"]);
    }
}
