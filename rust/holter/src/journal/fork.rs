//! What a forked child must know: that the journal it sees belongs to its parent.
//!
//! The child shares the mapped file and inherits the descriptor that holds the run's lock. Without
//! care it would write into its parent's ring, and keep a dead parent's run locked.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// How many runs can be open in a process for their locks to be let go of in its children.
const MAX_LOCKS: usize = 256;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static LOCKS: [AtomicI32; MAX_LOCKS] = [const { AtomicI32::new(-1) }; MAX_LOCKS];

/// How many forks this process is away from the one that loaded Holter.
///
/// Whoever keeps the number and finds another one later is in a child.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Sees to it that [`generation`] changes in every child from now on.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `in_child` does nothing but atomic operations and close(2), which are allowed
        // between fork and exec, and it lives as long as the process. The call can only fail for want
        // of memory; then children are not recognised, and nothing else breaks.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for lock in &LOCKS {
        let descriptor = lock.swap(-1, Ordering::Relaxed);
        if descriptor >= 0 {
            // SAFETY: the descriptor is that of a `ParentOnly`, which in this process, the child,
            // never uses or closes it again.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// An open file, whose lock a forked child lets go of at once.
#[derive(Debug)]
pub struct ParentOnly {
    file: Option<File>,
    generation: u64,
}

impl ParentOnly {
    /// Takes the file over.
    pub fn new(file: File) -> Self {
        watch();
        let descriptor = file.as_raw_fd();
        for lock in &LOCKS {
            if lock.compare_exchange(-1, descriptor, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                break;
            }
        }
        Self { file: Some(file), generation: generation() }
    }
}

impl ParentOnly {
    /// What the system knows of the file; `None` in a child, or if it does not say.
    pub fn metadata(&self) -> Option<Metadata> {
        self.file.as_ref().filter(|_| self.generation == generation())?.metadata().ok()
    }

    /// Locks a range of the file for shared use. Unlike a lock of the process, it stays when the process
    /// closes the file elsewhere.
    ///
    /// # Errors
    ///
    /// What the system answers: somebody has locked the range exclusively, or there are no such locks here.
    pub fn share_range(&self, start: u64, length: u64) -> io::Result<()> {
        self.lock_range(libc::F_RDLCK, start, length)
    }

    /// Lets go of a range of the file.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn release_range(&self, start: u64, length: u64) -> io::Result<()> {
        self.lock_range(libc::F_UNLCK, start, length)
    }

    fn lock_range(&self, kind: libc::c_int, start: u64, length: u64) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.generation == generation()) else { return Ok(()) };
        let range = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: start as libc::off_t,
            l_len: length as libc::off_t,
            l_pid: 0,
        };
        // SAFETY: the descriptor is open, and the call reads `range`, which outlives it, and writes nothing.
        let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for ParentOnly {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.generation != generation() {
            // The descriptor was closed in `in_child`, and its number may be another file's by now.
            let _ = file.into_raw_fd();
            return;
        }
        let descriptor = file.as_raw_fd();
        for lock in &LOCKS {
            if lock.compare_exchange(descriptor, -1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                break;
            }
        }
    }
}
