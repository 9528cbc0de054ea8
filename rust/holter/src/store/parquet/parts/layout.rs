//! File names, columns, and I/O errors of parts.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::store::schema::parquet as names;

pub(super) const PART_PREFIX: &str = "part-";
pub(super) const PART_SUFFIX: &str = ".parquet";
pub(super) const TMP_PREFIX: &str = ".part-";
pub(super) const TMP_SUFFIX: &str = ".parquet.tmp";
pub(super) const COLUMNS: [&str; 6] =
    [names::RUN, names::RANK, names::NAME, names::STEP, names::VALUE, names::TIMESTAMP];

pub(super) fn part_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PART_PREFIX}{number:06}{PART_SUFFIX}"))
}

pub(super) fn tmp_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{TMP_PREFIX}{number:06}{TMP_SUFFIX}"))
}

/// The index of the column `name`.
pub(super) fn position(name: &str) -> Option<usize> {
    COLUMNS.iter().position(|&column| column == name)
}

pub(super) fn part_number(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix(PART_PREFIX)?.strip_suffix(PART_SUFFIX)?;
    let number = digits.parse().ok()?;
    // Only names in the format of `part_path`: "part-7.parquet" is another file.
    (format!("{number:06}") == digits).then_some(number)
}

/// The I/O error in `error`, if it is one.
pub(super) fn io_source(error: ParquetError) -> Result<io::Error, ParquetError> {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => Ok(*source),
            Err(source) => Err(ParquetError::External(source)),
        },
        other => Err(other),
    }
}
