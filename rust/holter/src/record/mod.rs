//! Records a run.
//!
//! | Module | Runs on |
//! |---|---|
//! | [`recorder`], [`health`] | the training threads: accepts points and appends them to the journal |
//! | [`writer`], [`alerts`] | the writer's thread: drains the journal, watches the rules, feeds the sinks |
//! | [`session`], [`start`], `target`, [`config`] | the thread that opens and closes the run |

pub mod alerts;
pub mod config;
pub mod health;
pub mod recorder;
pub mod session;
pub mod start;
mod target;
pub mod writer;

pub use config::{Config, Overflow, Pace, Resume};
pub use health::Health;
pub use recorder::{NoRoom, Outcome, Recorder};
pub use session::{Session, SessionOptions};
pub use start::Start;
