//! `TFRecord`: the length of the data (8 bytes, little-endian), its masked CRC (4), the data, their masked CRC (4).

/// Bytes before the data: their length and its CRC.
pub(super) const HEADER: usize = 12;
/// Bytes after the data: their CRC.
pub(super) const FOOTER: usize = 4;

/// The length that a header states; `None` if its CRC does not match.
pub(super) fn data_length(header: [u8; HEADER]) -> Option<u64> {
    let (length, crc) = header.split_at(8);
    let length = <[u8; 8]>::try_from(length).ok()?;
    (masked_crc(&length) == crc).then(|| u64::from_le_bytes(length))
}

/// The CRC-32C of `data`, rotated and offset as `TFRecord` stores it.
pub(super) fn masked_crc(data: &[u8]) -> [u8; FOOTER] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Appends a record whose data `push_data` appends.
pub(super) fn push_record(file: &mut Vec<u8>, push_data: impl FnOnce(&mut Vec<u8>)) {
    let start = file.len();
    file.extend_from_slice(&[0; HEADER]);
    push_data(file);
    let length = ((file.len() - start - HEADER) as u64).to_le_bytes();
    file[start..start + 8].copy_from_slice(&length);
    file[start + 8..start + HEADER].copy_from_slice(&masked_crc(&length));
    let crc = masked_crc(&file[start + HEADER..]);
    file.extend_from_slice(&crc);
}
