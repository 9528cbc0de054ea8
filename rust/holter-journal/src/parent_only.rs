//! An open file that forked children close.

use std::fs::File;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};

use crate::fork;

/// An open file that every forked child closes immediately, so that its locks end with this process.
#[derive(Debug)]
pub struct ParentOnly {
    file: Option<File>,
    generation: u64,
}

impl ParentOnly {
    /// Takes ownership of the file.
    pub fn new(file: File) -> Self {
        fork::close_in_children(file.as_raw_fd());
        Self { file: Some(file), generation: fork::generation() }
    }

    /// The file; `None` in a forked child.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| self.generation == fork::generation())
    }
}

impl Drop for ParentOnly {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.generation == fork::generation() {
            // A child that forks between the next two steps keeps the file open, but not locked.
            let _ = file.unlock();
            fork::keep_in_children(file.as_raw_fd());
        } else {
            // The fork handler has closed the descriptor, whose number may belong to another file now.
            let _ = file.into_raw_fd();
        }
    }
}
