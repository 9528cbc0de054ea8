//! The parts that a folder has, for programs that copy or check the files.

use std::path::Path;

use super::layout::part_path;
use super::list::part_numbers;
use super::part::Part;
use crate::error::Result;

/// The facts of one part, from its footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFacts {
    /// The name of the file in its folder.
    pub file_name: String,
    /// The number in that name.
    pub number: u64,
    /// The numbers of the parts that this one was merged from.
    pub replaces: Vec<u64>,
    /// The number of rows.
    pub rows: usize,
}

/// The readable parts of `dir`, ascending by number, including those that another part replaces.
///
/// Unlike [`list`](super::list()), this skips parts that are damaged, that cannot be opened, or that are removed
/// while the folder is read. A folder that does not exist has no parts.
///
/// # Errors
///
/// [`Error::Io`](crate::error::Error::Io) if the folder cannot be read.
pub fn report(dir: &Path) -> Result<Vec<PartFacts>> {
    let numbers = part_numbers(dir)?;
    Ok(numbers.into_iter().filter_map(|number| facts(dir, number)).collect())
}

fn facts(dir: &Path, number: u64) -> Option<PartFacts> {
    let path = part_path(dir, number);
    let file_name = path.file_name()?.to_str()?.to_owned();
    let Part { replaces, rows, .. } = Part::open(path, number).ok()?;
    Some(PartFacts { file_name, number, replaces, rows })
}
