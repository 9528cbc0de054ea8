//! Durable folders: a file survives a power failure only if every directory entry on its path is durable.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Creates the folder and its missing parents, and syncs their directory entries.
///
/// # Errors
///
/// [`Error::Io`] if a folder cannot be created or synced.
pub(crate) fn create(path: &Path) -> Result<()> {
    let num_missing = path.ancestors().take_while(|folder| !is_current_dir(folder) && !folder.exists()).count();
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    // Sync the entry of an existing folder too: the process that created it may have been killed before the sync.
    for folder in path.ancestors().take(num_missing.max(1)) {
        match folder.parent() {
            Some(parent) => sync(if is_current_dir(parent) { Path::new(".") } else { parent })?,
            None => break,
        }
    }
    Ok(())
}

/// Syncs the folder's directory entries.
///
/// # Errors
///
/// [`Error::Io`] if the sync fails.
pub(crate) fn sync(path: &Path) -> Result<()> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        // Some network file systems cannot sync folders, and a folder may be unreadable.
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
fn is_current_dir(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
