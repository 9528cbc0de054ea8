//! The atomics and threads of `std`, or of loom when it explores the interleavings.
//!
//! The only file that knows which of the two is in use.

#[cfg(holter_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(holter_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
