//! How a session began: in which directory, and what it resumed.

use std::path::{Path, PathBuf};

use holter_journal::Step;
use serde_json::Value;

use crate::error::Result;
use crate::read::Reader;
use crate::store::facts::{Facts, Object};
use crate::store::manifest::{Manifest, Status};
use crate::store::run_dir::RunDir;

/// The most differences that [`Start::config_changes`] lists, and the longest value it shows.
const MAX_CHANGES: usize = 10;
const MAX_VALUE_CHARS: usize = 40;

/// How a session began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The run's name.
    pub name: String,
    /// The completed run at the requested path, if the session started a new one next to it.
    pub completed: Option<PathBuf>,
    /// How the previous attempt ended, if the session resumes a run.
    pub resumed: Option<Status>,
    /// Whether the session resumes a run without an explicit request.
    pub is_automatic: bool,
    /// The largest step of the resumed run.
    pub last_step: Option<Step>,
    /// The settings that differ from the previous attempt's, as in `lr: 0.1 -> 0.2`.
    pub config_changes: Vec<String>,
}

impl Start {
    pub(super) fn of(
        path: &Path,
        root: &Path,
        dir: &RunDir,
        manifest: &Manifest,
        facts: &Facts,
        is_new: bool,
    ) -> Result<Self> {
        let mut start =
            Self { name: manifest.name.clone(), completed: (path != root).then(|| path.to_owned()), ..Self::default() };
        if !is_new {
            let reader = Reader::open(dir.path())?;
            start.last_step = reader.series_facts(None)?.iter().map(|series| series.last_step).max();
            start.resumed = Some(manifest.status);
            if let (Some(before), Some(now)) = (&manifest.config, &facts.config) {
                start.config_changes = changes(before, now);
            }
        }
        Ok(start)
    }
}

/// The settings that differ, nested ones by dotted names.
fn changes(before: &Object, now: &Object) -> Vec<String> {
    let mut found = Vec::new();
    compare("", before, now, &mut found);
    if found.len() > MAX_CHANGES {
        let more = found.len() - MAX_CHANGES;
        found.truncate(MAX_CHANGES);
        found.push(format!("{more} more"));
    }
    found
}

fn compare(prefix: &str, before: &Object, now: &Object, found: &mut Vec<String>) {
    for key in now.keys() {
        match (before.get(key), now.get(key)) {
            (Some(Value::Object(before)), Some(Value::Object(now))) => {
                compare(&format!("{prefix}{key}."), before, now, found);
            }
            (before, now) if before != now => found.push(format!("{prefix}{key}: {} -> {}", text(before), text(now))),
            _ => {}
        }
    }
}

fn text(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(none)".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= MAX_VALUE_CHARS {
        return text;
    }
    text.chars().take(MAX_VALUE_CHARS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_name_nested_settings_and_both_values() {
        let object = |json: &str| serde_json::from_str::<Object>(json).expect("a JSON object");
        let before = object(r#"{"lr": 0.1, "model": {"dim": 8, "depth": 2}, "old": 1}"#);
        let now = object(r#"{"lr": 0.2, "model": {"dim": 8, "depth": 3}, "new": "x"}"#);
        // `old` may come from `update_config`, and stays.
        let expected = ["lr: 0.1 -> 0.2", "model.depth: 2 -> 3", "new: (none) -> \"x\""];
        assert_eq!(changes(&before, &now), expected);
        assert_eq!(changes(&before, &before), [""; 0]);
    }
}
