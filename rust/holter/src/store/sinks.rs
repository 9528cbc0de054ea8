//! The sinks of a run, for a writer or a recovery.

use crate::error::{Error, Result};
use crate::store::schema::sink;
use crate::store::sink::{Derived, Primary};

/// The sinks of a run.
pub struct Sinks {
    /// The sink that must have a point before the journal releases it.
    pub primary: Box<dyn Primary>,
    /// The sinks derived from it.
    pub derived: Vec<Box<dyn Derived>>,
}

impl Sinks {
    /// The names of the sinks, the primary sink first.
    pub fn names(&self) -> Vec<&'static str> {
        std::iter::once(self.primary.name()).chain(self.derived.iter().map(|sink| sink.name())).collect()
    }
}

/// Checks that the names are names of sinks, and that at least one stores every point.
///
/// # Errors
///
/// [`Error::InvalidConfig`].
pub fn check_sink_names(names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| !sink::ALL.contains(&name.as_str())) {
        return Err(Error::InvalidConfig(format!("sinks must be among {:?}, got {name:?}", sink::ALL)));
    }
    if !names.iter().any(|name| name == sink::SQLITE || name == sink::PARQUET) {
        let (sqlite, parquet) = (sink::SQLITE, sink::PARQUET);
        return Err(Error::InvalidConfig(format!(
            "sinks must include {sqlite:?} or {parquet:?}, which store every point, got {names:?}"
        )));
    }
    Ok(())
}
