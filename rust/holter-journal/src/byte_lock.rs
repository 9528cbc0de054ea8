//! Locks on byte ranges of an open file.
//!
//! Unlike POSIX locks, which belong to the process, these belong to the open file: they stay when the process
//! closes the same file elsewhere.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;

/// Locks a range of the file for shared use, without waiting.
///
/// # Errors
///
/// The operating system's error: the range is locked exclusively, or such locks are not supported here.
pub fn lock_shared(file: &File, range: Range<u64>) -> io::Result<()> {
    set_lock(file, libc::F_RDLCK, range)
}

/// Unlocks a range of the file.
///
/// # Errors
///
/// The operating system's error.
pub fn unlock(file: &File, range: Range<u64>) -> io::Result<()> {
    set_lock(file, libc::F_UNLCK, range)
}

fn set_lock(file: &File, kind: libc::c_int, range: Range<u64>) -> io::Result<()> {
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: range.start as libc::off_t,
        l_len: (range.end - range.start) as libc::off_t,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open, and the call reads `lock`, which outlives it, and writes nothing.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
