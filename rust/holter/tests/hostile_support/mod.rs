//! Helpers for tests that modify files.

use twox_hash::XxHash3_64;

/// Updates the checksum in a journal's header to match its content.
pub(crate) fn update_checksum(journal: &mut [u8]) {
    let id = u64::from_le_bytes(std::array::from_fn(|i| journal[24 + i]));
    let check = XxHash3_64::oneshot_with_seed(id, &journal[..40]);
    journal[40..48].copy_from_slice(&check.to_le_bytes());
}
