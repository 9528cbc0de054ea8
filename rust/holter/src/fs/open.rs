//! How a run's files are opened, whose names somebody else may have taken: no link is followed by whoever writes,
//! nobody is waited for at the other end of a pipe, and a size is believed as far as it is sensible.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a file to go on with it, and creates it if there is none.
///
/// # Errors
///
/// Also where the name is a symbolic link's.
pub(crate) fn open_to_extend(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Creates a file in the place of whatever has its name, be it a symbolic link.
///
/// # Errors
///
/// Also where a folder has the name.
pub(crate) fn create_replacing(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// Opens a regular file to read it. A symbolic link is followed: a copy of a run may consist of them.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] where the name is a pipe's, a device's or a folder's.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// Reads a regular file whole, if it is not longer than `max_bytes`.
///
/// # Errors
///
/// [`ErrorKind::FileTooLarge`] if it is, and as [`open_to_read`].
pub(crate) fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

/// Refuses a folder that is a symbolic link: what is written into it would lie outside of the run.
///
/// # Errors
///
/// [`Error::Damaged`] if it is one.
pub(crate) fn reject_symlink(folder: &Path) -> Result<()> {
    if folder.is_symlink() {
        return Err(Error::damaged(
            folder,
            "it is a symbolic link, and a run is written into folders of its own alone",
        ));
    }
    Ok(())
}
