//! The settings of a logger, as `holter._logger` passes them.

use std::path::PathBuf;

use holter::record::{self, Config, Overflow, Resume, SessionOptions};
use holter::store::Facts;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::to_py;

/// What `holter._logger.read_settings` returns.
#[derive(FromPyObject)]
pub(crate) struct Settings<'py> {
    path: PathBuf,
    pub(crate) name: Option<String>,
    pub(crate) rank: u32,
    resume: Bound<'py, PyString>,
    overflow: Bound<'py, PyString>,
    sinks: Vec<String>,
    summary_every: u64,
    journal_points: usize,
    alerts: String,
    pub(crate) webhook: Option<Bound<'py, PyAny>>,
    facts: String,
    is_enabled: bool,
}

impl Settings<'_> {
    /// The settings as the core's types; `None` if recording is disabled.
    pub(crate) fn options(&self, py: Python<'_>) -> PyResult<Option<SessionOptions>> {
        let resume = match self.resume.to_str()? {
            "auto" => Resume::Auto,
            "never" => Resume::Never,
            "allow" => Resume::Allow,
            "must" => Resume::Must,
            "newest" => Resume::Newest,
            other => return Err(not_among("resume", &["auto", "never", "allow", "must", "newest"], other)),
        };
        let overflow = match self.overflow.to_str()? {
            "block" => Overflow::Block,
            "drop" => Overflow::Drop,
            other => return Err(not_among("overflow", &["block", "drop"], other)),
        };
        let config = Config {
            overflow,
            sinks: self.sinks.clone(),
            summary_every: self.summary_every,
            journal_capacity: self.journal_points,
            alerts: record::alerts::parse_rules(&self.alerts).map_err(|error| to_py(py, &error))?,
            ..Config::default()
        };
        config.check().map_err(|error| to_py(py, &error))?;
        let facts = Facts::parse(&self.facts).map_err(|error| to_py(py, &error))?;
        Ok(self.is_enabled.then(|| SessionOptions {
            path: self.path.clone(),
            name: self.name.clone(),
            rank: self.rank,
            resume,
            config,
            facts,
        }))
    }
}

pub(crate) fn not_among(setting: &str, words: &[&str], found: &str) -> PyErr {
    PyValueError::new_err(format!("{setting} must be one of {words:?}, got {found:?}"))
}
