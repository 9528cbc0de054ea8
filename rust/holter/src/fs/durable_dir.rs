//! Durable directories: a file survives a power failure only if every name on its path is durable.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Creates a directory and its missing parents, and makes their names durable.
///
/// # Errors
///
/// [`Error::Io`] if a directory cannot be created or synced.
pub(crate) fn create(path: &Path) -> Result<()> {
    let num_missing = path.ancestors().take_while(|dir| !is_current(dir) && !dir.exists()).count();
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    // The last name also if the directory exists: the process that created it may have died before syncing.
    for dir in path.ancestors().take(num_missing.max(1)) {
        match dir.parent() {
            Some(parent) => sync(if is_current(parent) { Path::new(".") } else { parent })?,
            None => break,
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
///
/// # Errors
///
/// [`Error::Io`] if the sync fails.
pub(crate) fn sync(path: &Path) -> Result<()> {
    match File::open(path).and_then(|dir| dir.sync_all()) {
        // Some network file systems do not sync directories, and some directories cannot be opened.
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied
            ) =>
        {
            Err(Error::io("sync", path)(error))
        }
        _ => Ok(()),
    }
}

/// Whether the path is empty, which means the current directory.
fn is_current(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
