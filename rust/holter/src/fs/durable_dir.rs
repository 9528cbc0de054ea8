//! Folders whose names last: a file is found after a loss of power if every name on the way to it is durable.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Creates the folder and those above it that are missing, and makes their names durable.
///
/// # Errors
///
/// [`Error::Io`] if one cannot be created, or its name not made durable.
pub(crate) fn create(path: &Path) -> Result<()> {
    let num_missing = path.ancestors().take_while(|folder| !is_here(folder) && !folder.exists()).count();
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    // The last one's also if it was there: whoever created it may have been killed before this.
    for folder in path.ancestors().take(num_missing.max(1)) {
        match folder.parent() {
            Some(parent) => sync(if is_here(parent) { Path::new(".") } else { parent })?,
            None => break,
        }
    }
    Ok(())
}

/// Makes the names in the folder durable.
///
/// # Errors
///
/// [`Error::Io`] if the system refuses.
pub(crate) fn sync(path: &Path) -> Result<()> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        // Some network file systems know no such thing for folders, and not every folder may be read.
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

/// Whether it is the folder that relative paths begin in.
fn is_here(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
