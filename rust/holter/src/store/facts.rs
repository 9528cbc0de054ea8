//! Facts that the caller adds to the manifest.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A JSON object whose keys keep their order.
pub type Object = Map<String, Value>;

/// What the caller adds to the manifest: host, configuration and any other key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Facts {
    /// The machine that records.
    pub host: Option<String>,
    /// What the user wants kept with the run, such as hyperparameters. If `None`, the run keeps what it has.
    pub config: Option<Object>,
    /// All other keys, such as `git`, `command_line`, `versions` and `tags`.
    #[serde(flatten)]
    pub extra: Object,
}

impl Facts {
    /// Parses the text of a JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if it is not a JSON object, or if it has a key that Holter itself sets.
    pub fn parse(json: &str) -> Result<Self> {
        let facts: Self = serde_json::from_str(json)
            .map_err(|error| Error::InvalidConfig(format!("a run's facts must be a JSON object: {error}")))?;
        facts.check()?;
        Ok(facts)
    }

    /// Rejects keys that Holter sets, which the file would have twice.
    pub(crate) fn check(&self) -> Result<()> {
        const OWN_KEYS: [&str; 15] = [
            "format_version",
            "id",
            "name",
            "rank",
            "created",
            "started_micros",
            "status",
            "finished",
            "sinks",
            "summary_every",
            "journal",
            "journal_note",
            "pid",
            "dropped",
            "attempts",
        ];
        match OWN_KEYS.into_iter().find(|&key| self.extra.contains_key(key)) {
            Some(key) => {
                Err(Error::InvalidConfig(format!("a run's facts must not have the key {key:?}, which Holter sets")))
            }
            None => Ok(()),
        }
    }
}

/// Parses the text of a JSON object.
///
/// # Errors
///
/// [`Error::InvalidConfig`] if it is not a JSON object.
pub fn parse_object(json: &str) -> Result<Object> {
    serde_json::from_str(json)
        .map_err(|error| Error::InvalidConfig(format!("a configuration must be a JSON object: {error}")))
}
