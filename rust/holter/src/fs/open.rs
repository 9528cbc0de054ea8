//! Opens untrusted files: no symbolic links for writing, no blocking on FIFOs, bounded sizes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a file for appending, and creates it if it does not exist.
///
/// # Errors
///
/// Also if the path is a symbolic link.
pub(crate) fn open_to_extend(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Creates a file, and replaces any file or symbolic link of this name.
///
/// # Errors
///
/// Also if the path is a directory.
pub(crate) fn create_replacing(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// Opens a regular file for reading. Follows a symbolic link, since a copy of a run may consist of links.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] or [`ErrorKind::IsADirectory`] if the path is not a regular file.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Reads a regular file completely if it has at most `max_bytes`.
///
/// # Errors
///
/// [`ErrorKind::FileTooLarge`] if it is longer, or an error of [`open_to_read`].
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

/// Rejects a directory that is a symbolic link: files in it would be outside the run.
///
/// # Errors
///
/// [`Error::Damaged`] if it is one.
pub(crate) fn reject_symlink(dir: &Path) -> Result<()> {
    if dir.is_symlink() {
        return Err(Error::damaged(dir, "it is a symbolic link, and a run is written only to its own directories"));
    }
    Ok(())
}
