//! The ranks of a run: each is a separate run below the run's directory, and any rank may be missing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::run::Reader;
use crate::error::{Error, Result};
use crate::store::run_dir::RunDir;
use crate::store::schema::file;

/// Lists the ranks that have recorded in the directory `run`, ascending.
///
/// Rank 0 is included only if it has recorded. Directories with similar names are ignored.
///
/// # Errors
///
/// [`Error::NoRun`] if the directory does not exist, [`Error::Io`] if it cannot be listed.
pub fn ranks(run: impl AsRef<Path>) -> Result<Vec<u32>> {
    let run = run.as_ref();
    let mut ranks = if RunDir::new(run).exists() { vec![0] } else { Vec::new() };
    let entries = fs::read_dir(run).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NoRun(run.to_owned()),
        _ => Error::io("list", run)(error),
    })?;
    for entry in entries {
        ranks.extend(rank_at(&entry.map_err(Error::io("list", run))?.path()));
    }
    ranks.sort_unstable();
    Ok(ranks)
}

/// Opens the rank `rank` of the run in the directory `run`.
///
/// # Errors
///
/// The errors of [`Reader::open`].
pub fn open_rank(run: impl AsRef<Path>, rank: u32) -> Result<Reader> {
    let run = run.as_ref();
    if rank == 0 { Reader::open(run) } else { Reader::open(run.join(file::rank_dir(rank))) }
}

/// The rank, above 0, that has recorded in this subdirectory of a run.
pub(super) fn rank_at(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let rank = name.strip_prefix("rank-")?.parse().ok().filter(|&rank| rank > 0)?;
    (name == file::rank_dir(rank) && RunDir::new(path).exists()).then_some(rank)
}
