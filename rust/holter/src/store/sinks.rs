//! The set of sinks that a writer or a recovery holds.

use crate::error::{Error, Result};
use crate::store::schema::sink;
use crate::store::sink::{Derived, Primary};

/// The sinks of a run.
pub struct Sinks {
    /// The sink that decides what the journal may release.
    pub primary: Box<dyn Primary>,
    /// The sinks derived from it.
    pub derived: Vec<Box<dyn Derived>>,
}

impl Sinks {
    /// The sinks' names, the primary sink first.
    pub fn names(&self) -> Vec<&'static str> {
        std::iter::once(self.primary.name()).chain(self.derived.iter().map(|sink| sink.name())).collect()
    }
}

/// Checks that the names are those of sinks, and that at least one of them keeps every point.
///
/// # Errors
///
/// [`Error::InvalidConfig`].
pub fn check_sink_names(names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| !sink::ALL.contains(&name.as_str())) {
        return Err(Error::InvalidConfig(format!("sinks are among {:?}, got {name:?}", sink::ALL)));
    }
    if !names.iter().any(|name| name == sink::SQLITE || name == sink::PARQUET) {
        let (sqlite, parquet) = (sink::SQLITE, sink::PARQUET);
        return Err(Error::InvalidConfig(format!(
            "sinks need {sqlite:?} or {parquet:?}, which keep every point, got {names:?}"
        )));
    }
    Ok(())
}
