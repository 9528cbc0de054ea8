//! Reads the name column of a row group as runs of equal names.
//!
//! Rows are sorted by name, so a row group has few runs, and a dictionary of their names. Decoding runs costs almost
//! nothing, while one value per row would cost more than all other columns together.

use bytes::{Buf, Bytes};
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;

/// Consecutive rows with the same name.
#[derive(Debug, Clone)]
pub(crate) struct NameRun {
    /// The name, as UTF-8.
    pub(crate) name: Bytes,
    /// The number of rows.
    pub(crate) rows: usize,
}

type Decoded<T> = Result<T, ParquetError>;

/// The runs of a column chunk, in the order of its rows.
pub(crate) fn read_runs(pages: &mut dyn PageReader) -> Decoded<Vec<NameRun>> {
    let mut dictionary = Vec::new();
    let mut runs = Vec::new();
    while let Some(page) = pages.get_next_page()? {
        match page {
            Page::DictionaryPage { buf, num_values, .. } => dictionary = read_plain(buf, num_values as usize)?,
            // The column is required and flat: a page has values and no levels.
            Page::DataPage { buf, num_values, encoding, .. } | Page::DataPageV2 { buf, num_values, encoding, .. } => {
                read_data_page(buf, num_values as usize, encoding, &dictionary, &mut runs)?;
            }
        }
    }
    Ok(runs)
}

/// The distinct names of a column chunk: its dictionary, which the writer always completes.
pub(crate) fn read_distinct(pages: &mut dyn PageReader) -> Decoded<Vec<Bytes>> {
    match pages.get_next_page()? {
        Some(Page::DictionaryPage { buf, num_values, .. }) => read_plain(buf, num_values as usize),
        Some(_) => Err(damaged("the names have no dictionary")),
        None => Ok(Vec::new()),
    }
}

fn read_data_page(
    mut buf: Bytes,
    num_values: usize,
    encoding: Encoding,
    dictionary: &[Bytes],
    runs: &mut Vec<NameRun>,
) -> Decoded<()> {
    let mut add = |name: &Bytes, rows: usize| match runs.last_mut() {
        Some(last) if last.name == name => last.rows += rows,
        _ => runs.push(NameRun { name: name.clone(), rows }),
    };
    if encoding == Encoding::PLAIN {
        for name in read_plain(buf, num_values)? {
            add(&name, 1);
        }
        return Ok(());
    }
    if !matches!(encoding, Encoding::RLE_DICTIONARY) {
        return Err(damaged(&format!("the names have the unsupported encoding {encoding}")));
    }
    let bit_width = usize::from(buf.try_get_u8().map_err(|_| truncated())?);
    if bit_width > 32 {
        return Err(damaged("the indices of the names are not valid"));
    }
    let mut left = num_values;
    while left > 0 {
        let mut add_index = |index: usize, rows: usize| {
            let name = dictionary.get(index).ok_or_else(|| damaged("a name is not in its dictionary"))?;
            add(name, rows);
            Ok::<(), ParquetError>(())
        };
        let header = read_varint(&mut buf)?;
        if header & 1 == 0 {
            let rows = (header >> 1).min(left);
            let index = read_bits(&take(&mut buf, bit_width.div_ceil(8))?, 0, bit_width);
            add_index(index, rows)?;
            left -= rows;
        } else {
            let groups = header >> 1;
            let packed = take(&mut buf, groups.saturating_mul(bit_width))?;
            let count = groups.saturating_mul(8).min(left);
            for i in 0..count {
                add_index(read_bits(&packed, i * bit_width, bit_width), 1)?;
            }
            left -= count;
        }
        // An empty run would cause an endless loop.
        if header < 2 {
            return Err(damaged("the names have an empty run"));
        }
    }
    Ok(())
}

fn read_plain(mut buf: Bytes, num_values: usize) -> Decoded<Vec<Bytes>> {
    let mut values = Vec::with_capacity(num_values.min(buf.len()));
    for _ in 0..num_values {
        let len = buf.try_get_u32_le().map_err(|_| truncated())?;
        values.push(take(&mut buf, len as usize)?);
    }
    Ok(values)
}

fn read_varint(buf: &mut Bytes) -> Decoded<usize> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = buf.try_get_u8().map_err(|_| truncated())?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value as usize);
        }
    }
    Err(damaged("the names have a number that is too long"))
}

/// The `width` bits of `bytes` starting at bit `start`, least significant first; bits after the end are 0.
fn read_bits(bytes: &[u8], start: usize, width: usize) -> usize {
    let mut value = 0_u64;
    for (i, index) in (start / 8..(start + width).div_ceil(8)).enumerate() {
        value |= u64::from(bytes.get(index).copied().unwrap_or(0)) << (8 * i);
    }
    ((value >> (start % 8)) & ((1 << width) - 1)) as usize
}

fn take(buf: &mut Bytes, len: usize) -> Decoded<Bytes> {
    if len > buf.len() {
        return Err(truncated());
    }
    Ok(buf.split_to(len))
}

fn truncated() -> ParquetError {
    damaged("the names are truncated")
}

fn damaged(reason: &str) -> ParquetError {
    ParquetError::General(reason.to_owned())
}
