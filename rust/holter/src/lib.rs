//! The core of Holter.

#[cfg(not(holter_loom))]
pub mod attempt;
#[cfg(not(holter_loom))]
pub mod config;
#[cfg(not(holter_loom))]
pub mod downsample;
pub mod error;
#[cfg(not(holter_loom))]
pub mod health;
pub mod journal;
#[cfg(not(holter_loom))]
pub mod parts;
pub mod point;
#[cfg(not(holter_loom))]
pub mod reader;
#[cfg(not(holter_loom))]
pub mod recorder;
#[cfg(not(holter_loom))]
pub mod recover;
#[cfg(not(holter_loom))]
pub mod run_dir;
#[cfg(not(holter_loom))]
pub mod schema;
pub mod series;
#[cfg(not(holter_loom))]
pub mod sink;
mod sync;
#[cfg(not(holter_loom))]
pub mod table;
#[cfg(not(holter_loom))]
pub mod writer;
