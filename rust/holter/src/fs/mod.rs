//! Files and directories: safe opening, durable directories, JSON Lines, network file systems.

pub(crate) mod durable_dir;
pub(crate) mod json_lines;
mod open;
mod remote;

pub(crate) use open::{create_replacing, open_to_extend, open_to_read, read_bounded, reject_symlink};
pub(crate) use remote::is_remote;
