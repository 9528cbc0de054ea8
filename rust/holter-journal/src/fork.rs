//! Detects forked processes, and closes in them the files that only the parent may hold.
//!
//! A child shares its parent's mapped journal and inherits the descriptor of the run's lock. Without this module, it could
//! write into its parent's ring, and would keep the run locked after the parent's death.

use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// The most files of a process that can be registered for closing in its children.
const MAX_FILES: usize = 256;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static DESCRIPTORS: [AtomicI32; MAX_FILES] = [const { AtomicI32::new(-1) }; MAX_FILES];

/// The number of forks between the process that loaded Holter and this one.
///
/// If the number differs from an earlier one, this code runs in a child.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Registers an atfork handler that increments [`generation`] in every child.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `in_child` only performs atomic operations and close(2), which are allowed between fork and exec, and it lives
        // as long as the process. The call fails only if memory is exhausted; children are then not detected.
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
            // SAFETY: the descriptor belongs to a `ParentOnly`, which never uses or closes it in this process, the child.
            unsafe { libc::close(descriptor) };
        }
    }
}
