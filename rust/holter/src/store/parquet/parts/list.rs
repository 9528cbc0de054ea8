//! Lists the parts of a folder, whatever is written or merged there at the same time.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::layout::{TMP_PREFIX, TMP_SUFFIX, part_number, part_path};
use super::part::Part;
use crate::error::{Error, Result};

/// How long a folder is listed again and again while parts are merged: each that goes spoils a list.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

/// The parts of `dir`, oldest points first: of equal (name, step) the later part has the newer value.
///
/// Files of other names are ignored, so are parts that another one replaces. A folder that does not
/// exist has no parts.
///
/// # Errors
///
/// [`Error::Damaged`] names a part that cannot be read, [`Error::FormatVersion`] one that is newer
/// than this code; [`Error::Io`] when the folder or a file cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Part>> {
    let since = Instant::now();
    loop {
        let numbers = part_numbers(dir)?;
        let opened: Result<Vec<Part>> =
            numbers.iter().map(|&number| Part::open(part_path(dir, number), number)).collect();
        // Listing a folder is no snapshot: a part that appears while another goes may be missed.
        let is_stable = part_numbers(dir)? == numbers;
        let is_last = since.elapsed() > PATIENCE;
        match opened {
            Ok(parts) if is_stable || is_last => return Ok(in_order(parts)),
            Err(error) if is_last || !is_gone(&error) => return Err(error),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// Calls `read` with the parts of `dir`, and again with a new list when a part was merged away meanwhile.
///
/// # Errors
///
/// As [`list`], and what `read` returns.
pub fn with_parts<T>(dir: &Path, mut read: impl FnMut(&[Part]) -> Result<T>) -> Result<T> {
    let since = Instant::now();
    loop {
        match read(&list(dir)?) {
            Err(error) if is_gone(&error) && since.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// One past the largest sequence number of journal `journal_id` in `parts`, or `None` when none came
/// through it.
pub fn durable_until(parts: &[Part], journal_id: u64) -> Option<u64> {
    let of_journal = parts.iter().filter(|part| part.journal_id == Some(journal_id));
    of_journal.map(|part| part.sequences.end).max()
}

/// Removes from `dir` what a killed writer left: unfinished files, and parts that another one replaces.
///
/// # Errors
///
/// As [`list`], and [`Error::Io`] when a file cannot be removed.
pub fn clean_up(dir: &Path) -> Result<()> {
    for name in file_names(dir)? {
        if name.starts_with(TMP_PREFIX) && name.ends_with(TMP_SUFFIX) {
            remove(&dir.join(name))?;
        }
    }
    let numbers = part_numbers(dir)?;
    if numbers.len() > 1 {
        let kept: Vec<u64> = list(dir)?.iter().map(|part| part.number).collect();
        for number in numbers.into_iter().filter(|number| !kept.contains(number)) {
            remove(&part_path(dir, number))?;
        }
    }
    Ok(())
}

/// The number of the next part: larger than all that are there.
pub(crate) fn next_number(dir: &Path) -> Result<u64> {
    Ok(part_numbers(dir)?.last().map_or(0, |number| number + 1))
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn part_numbers(dir: &Path) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = file_names(dir)?.iter().filter_map(|name| part_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn file_names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

fn in_order(mut parts: Vec<Part>) -> Vec<Part> {
    let replaced: Vec<u64> = parts.iter().flat_map(|part| part.replaces.iter().copied()).collect();
    parts.retain(|part| !replaced.contains(&part.number));
    parts.sort_by_key(|part| (part.order, part.number));
    parts
}

/// Whether a file was there when the folder was listed and is not any more.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}
