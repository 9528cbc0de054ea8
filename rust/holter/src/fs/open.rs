//! Opens untrusted files: writers do not follow symlinks, opening does not block on FIFOs, and sizes are bounded.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a file for reading and writing without truncating it, and creates it if it does not exist.
///
/// # Errors
///
/// Any I/O error; also if `path` is a symlink.
pub(crate) fn open_to_extend(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Creates a file and replaces an existing file or symlink.
///
/// # Errors
///
/// Any I/O error; also if `path` is a folder.
pub(crate) fn create_replacing(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// Opens a regular file for reading. Follows symlinks, because a copy of a run may consist of them.
///
/// # Errors
///
/// [`ErrorKind::IsADirectory`] if `path` is a folder, [`ErrorKind::InvalidInput`] if it is a FIFO or a device.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Reads a complete regular file of at most `max_bytes` bytes.
///
/// # Errors
///
/// [`ErrorKind::FileTooLarge`] if the file is longer; the errors of [`open_to_read`].
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

/// Rejects a folder that is a symlink, because writes to it would leave the run's folder.
///
/// # Errors
///
/// [`Error::Damaged`] if the folder is a symlink.
pub(crate) fn reject_symlink(folder: &Path) -> Result<()> {
    if folder.is_symlink() {
        return Err(Error::damaged(folder, "it is a symbolic link; a run's folders must be real folders"));
    }
    Ok(())
}
