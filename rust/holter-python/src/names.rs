//! Maps Python strings to series ids, first by the identity of the string object, then by its content.
//!
//! A training loop passes the same string objects repeatedly, so most lookups compare one pointer. The table keeps a reference
//! to each string that it maps by identity, so that no other string can get its address.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use holter::SeriesId;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};

/// Pairs of entries in the table. A pair holds two names before one of them is evicted.
const PAIRS: usize = 1 << 13;
/// An entry is the address, of which the lowest four bits are zero, above the id.
const ID_BITS: u32 = 21;
const ADDRESS_ALIGN_BITS: u32 = 4;

pub(crate) struct Names {
    entries: Box<[AtomicU64]>,
    /// Keeps the string of the entry with the same index alive.
    kept: Mutex<Vec<Option<Py<PyAny>>>>,
    by_content: Py<PyDict>,
}

impl Names {
    pub(crate) fn new(py: Python<'_>) -> Self {
        Self {
            entries: (0..PAIRS * 2).map(|_| AtomicU64::new(0)).collect(),
            kept: Mutex::new((0..PAIRS * 2).map(|_| None).collect()),
            by_content: PyDict::new(py).unbind(),
        }
    }

    /// The id of this string object.
    #[inline]
    pub(crate) fn by_identity(&self, name: &Bound<'_, PyAny>) -> Option<SeriesId> {
        let key = key(name)?;
        let pair = pair(key);
        for entry in &self.entries[pair..pair + 2] {
            let entry = entry.load(Ordering::Relaxed);
            if entry >> ID_BITS == key {
                return SeriesId::new((entry & ((1 << ID_BITS) - 1)) as usize);
            }
        }
        None
    }

    /// The id of an equal string, which is then also mapped by identity.
    pub(crate) fn by_content(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<SeriesId>> {
        let Some(index) = self.by_content.bind(name.py()).get_item(name)? else { return Ok(None) };
        let id = SeriesId::new(index.extract::<usize>()?);
        if let Some(id) = id {
            self.keep(name, id);
        }
        Ok(id)
    }

    /// Maps a name by content and identity.
    pub(crate) fn insert(&self, name: &Bound<'_, PyAny>, id: SeriesId) -> PyResult<()> {
        let py = name.py();
        self.by_content.bind(py).set_item(name, PyInt::new(py, id.index()))?;
        self.keep(name, id);
        Ok(())
    }

    fn keep(&self, name: &Bound<'_, PyAny>, id: SeriesId) {
        let (Some(key), true) = (key(name), id.index() < 1 << ID_BITS) else { return };
        let pair = pair(key);
        let is_free = |index: &usize| self.entries[*index].load(Ordering::Relaxed) == 0;
        // Which name of a full pair is evicted depends on a bit of the address.
        let index = [pair, pair + 1].into_iter().find(is_free).unwrap_or(pair + (key as usize >> 13 & 1));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.entries[index].store(key << ID_BITS | id.index() as u64, Ordering::Relaxed);
        kept[index] = Some(name.clone().unbind());
    }
}

/// The address as stored in an entry, or `None` if it does not fit; the name is then mapped by content only.
#[inline]
fn key(name: &Bound<'_, PyAny>) -> Option<u64> {
    let address = name.as_ptr() as usize as u64;
    let fits = address.trailing_zeros() >= ADDRESS_ALIGN_BITS && address >> (64 - ID_BITS + ADDRESS_ALIGN_BITS) == 0;
    fits.then_some(address >> ADDRESS_ALIGN_BITS)
}

#[inline]
fn pair(key: u64) -> usize {
    // Strings of equal size are equally spaced in memory; the multiplication spreads them.
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - PAIRS.trailing_zeros())) as usize * 2
}
