//! Lists the parts in a directory, also while parts are written or merged.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::layout::{TMP_PREFIX, TMP_SUFFIX, part_number, part_path};
use super::part::Part;
use crate::error::{Error, Result};

/// How long to retry listing while parts are merged, since each removal invalidates a listing.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

/// The parts of `dir`, oldest points first: of equal (name, step) the later part has the newer value.
///
/// Ignores files with other names and replaced parts. A directory that does not exist has no parts.
///
/// # Errors
///
/// [`Error::Damaged`] for a part that is not valid, [`Error::FormatVersion`] for a part of a newer version,
/// [`Error::Io`] if the directory or a file cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Part>> {
    let since = Instant::now();
    loop {
        let numbers = part_numbers(dir)?;
        let opened: Result<Vec<Part>> =
            numbers.iter().map(|&number| Part::open(part_path(dir, number), number)).collect();
        // A directory listing is not atomic: it can miss a part that appears while another is removed.
        let is_stable = part_numbers(dir)? == numbers;
        let is_last = since.elapsed() > PATIENCE;
        match opened {
            Ok(parts) if is_stable || is_last => return Ok(in_order(parts)),
            Err(error) if is_last || !is_gone(&error) => return Err(error),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// Calls `read` with the parts of `dir`, and retries with a new list if a part was removed by a merge.
///
/// # Errors
///
/// Those of [`list`] and of `read`.
pub fn with_parts<T>(dir: &Path, mut read: impl FnMut(&[Part]) -> Result<T>) -> Result<T> {
    let since = Instant::now();
    loop {
        match read(&list(dir)?) {
            Err(error) if is_gone(&error) && since.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// One past the largest sequence number of the journal `journal_id` in `parts`; `None` if none has points from it.
pub fn durable_until(parts: &[Part], journal_id: u64) -> Option<u64> {
    let of_journal = parts.iter().filter(|part| part.journal_id == Some(journal_id));
    of_journal.map(|part| part.sequences.end).max()
}

/// Removes what a killed writer left in `dir`: unfinished files and replaced parts.
///
/// # Errors
///
/// Those of [`list`], and [`Error::Io`] if a file cannot be removed.
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

/// The number of the next part, larger than all existing numbers.
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

/// Whether a listed file has been removed.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}
