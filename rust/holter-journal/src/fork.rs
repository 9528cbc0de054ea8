//! Detects forked children, and closes in them the files that only the parent may hold.
//!
//! A child shares its parent's mapped journal and inherits the descriptor that holds the run's lock. Without
//! care it would write into its parent's ring, and keep the run locked after its parent has died.

use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// How many files can be registered in a process to be closed in its children.
const MAX_FILES: usize = 256;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static DESCRIPTORS: [AtomicI32; MAX_FILES] = [const { AtomicI32::new(-1) }; MAX_FILES];

/// How many forks this process is away from the process that loaded Holter.
///
/// Code that keeps the number and later reads another one runs in a child.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Registers an atfork handler that increments [`generation`] in every child.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `in_child` does nothing but atomic operations and close(2), which are allowed
        // between fork and exec, and it lives as long as the process. The call can only fail for want
        // of memory; then children are not recognized, and nothing else breaks.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Registers a descriptor to be closed in every child, which must never use or close it itself.
pub(crate) fn close_in_children(descriptor: i32) {
    watch();
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(-1, descriptor, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            break;
        }
    }
}

/// Undoes [`close_in_children`], before the descriptor is closed in this process.
pub(crate) fn keep_in_children(descriptor: i32) {
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(descriptor, -1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            break;
        }
    }
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for slot in &DESCRIPTORS {
        let descriptor = slot.swap(-1, Ordering::Relaxed);
        if descriptor >= 0 {
            // SAFETY: the descriptor is that of a `ParentOnly`, which in this process, the child,
            // never uses or closes it again.
            unsafe { libc::close(descriptor) };
        }
    }
}
