//! What somebody needs who makes files that pass for ours.

/// Gives a journal's header the checksum that belongs to it.
pub(crate) fn sealed(journal: &mut [u8]) {
    const LENGTH: u64 = 40;
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| journal[at + i]));
    let sum = (0..40)
        .step_by(8)
        .fold((word(24) ^ LENGTH).wrapping_mul(PRIME), |sum, at| (sum ^ (sum >> 32) ^ word(at)).wrapping_mul(PRIME));
    journal[40..48].copy_from_slice(&(sum ^ (sum >> 29)).to_le_bytes());
}
