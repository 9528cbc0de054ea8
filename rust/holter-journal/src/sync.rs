//! The atomics of `std`, or of loom during model checking. No other file depends on which of them is used.

#[cfg(holter_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(holter_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
