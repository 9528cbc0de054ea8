//! Maps series names to [`SeriesId`]s.
//!
//! The table lives as long as a session. A lookup takes a lock, so the hot path keeps the id instead; the writer holds the
//! lock only while it clones a reference to a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use holter_journal::SeriesId;

/// The longest name in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 65_535;

/// Checks that `name` is a valid series name: not empty, not too long, without NUL.
///
/// # Errors
///
/// [`Error::InvalidName`] states the reason.
pub fn check_name(name: &str) -> Result<()> {
    let invalid = |reason: String| Err(Error::InvalidName(reason));
    if name.is_empty() {
        return invalid("a series name must not be empty".to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        let start: String = name.chars().take(40).collect();
        return invalid(format!(
            "a series name has at most {MAX_NAME_BYTES} bytes, got {} bytes that start with {start:?}",
            name.len()
        ));
    }
    if name.contains('\0') {
        return invalid(format!("a series name must not contain NUL, got {name:?}"));
    }
    Ok(())
}

/// The names of a session, in the order of their ids.
#[derive(Debug, Default)]
pub struct SeriesTable {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ids: HashMap<Arc<str>, SeriesId>,
    names: Vec<Arc<str>>,
}

impl SeriesTable {
    /// A table with these names, for the journal of an earlier session.
    pub fn from_names(names: impl IntoIterator<Item = String>) -> Self {
        let table = Self::default();
        {
            let mut inner = table.lock();
            for name in names {
                let name: Arc<str> = name.into();
                if let Some(id) = SeriesId::new(inner.names.len()) {
                    inner.ids.insert(Arc::clone(&name), id);
                    inner.names.push(name);
                }
            }
        }
        table
    }

    /// The id of `name`; a new name is first passed to `journal_name`, and gets an id only if that succeeds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`], [`Error::TooManySeries`], or the error of `journal_name`.
    pub fn resolve(&self, name: &str, journal_name: impl FnOnce(SeriesId, &str) -> Result<()>) -> Result<SeriesId> {
        let mut inner = self.lock();
        if let Some(&id) = inner.ids.get(name) {
            return Ok(id);
        }
        check_name(name)?;
        let id = SeriesId::new(inner.names.len()).ok_or(Error::TooManySeries)?;
        journal_name(id, name)?;
        let name: Arc<str> = name.into();
        inner.ids.insert(Arc::clone(&name), id);
        inner.names.push(name);
        Ok(id)
    }

    /// The name of `id`, if the table has it.
    pub fn name(&self, id: SeriesId) -> Option<Arc<str>> {
        self.lock().names.get(id.index()).map(Arc::clone)
    }

    /// How many names the table has.
    pub fn len(&self) -> usize {
        self.lock().names.len()
    }

    /// Whether the table has no names.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
