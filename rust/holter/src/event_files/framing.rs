//! TFRecord: the length of the data (8 bytes, little-endian), its masked CRC (4), the data, their masked CRC (4).

/// Bytes before the data: their length and its CRC.
pub(super) const HEADER: usize = 12;
/// Bytes after the data: their CRC.
pub(super) const FOOTER: usize = 4;

/// The length that a header states; `None` if its CRC does not match.
#[inline]
pub(super) fn data_length(header: &[u8; HEADER]) -> Option<u64> {
    let (length, crc) = header.split_first_chunk()?;
    (masked_crc(length) == crc).then(|| u64::from_le_bytes(*length))
}

/// The CRC-32C of `data`, rotated and offset as TFRecord stores it.
pub(super) fn masked_crc(data: &[u8]) -> [u8; FOOTER] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Encodes records, most of which have the length of the previous one.
pub(super) struct Encoder {
    file: Vec<u8>,
    header: [u8; HEADER],
}

impl Encoder {
    pub(super) fn with_capacity(num_bytes: usize) -> Self {
        Self { file: Vec::with_capacity(num_bytes), header: header(0) }
    }

    /// Appends a record whose data `push_data` appends.
    #[inline]
    pub(super) fn push(&mut self, push_data: impl FnOnce(&mut Vec<u8>)) {
        let file = &mut self.file;
        let start = file.len() + HEADER;
        file.extend_from_slice(&self.header);
        push_data(file);
        let length = (file.len() - start) as u64;
        if self.header[..8] != length.to_le_bytes() {
            self.header = header(length);
            file[start - HEADER..start].copy_from_slice(&self.header);
        }
        let crc = masked_crc(&file[start..]);
        file.extend_from_slice(&crc);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.file
    }
}

fn header(length: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&length.to_le_bytes());
    let crc = masked_crc(&header[..8]);
    header[8..].copy_from_slice(&crc);
    header
}
