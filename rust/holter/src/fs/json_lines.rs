//! JSON Lines files. A crash may have truncated the last line.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// The end of the last complete line; a crash truncated anything after it.
pub(crate) fn end_of_last_line(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    Ok(last_newline(file, length)?.map_or(0, |position| position + 1))
}

/// The position of the last newline before `end`.
fn last_newline(file: &File, end: u64) -> io::Result<Option<u64>> {
    const CHUNK: u64 = 1 << 16;
    let mut end = end;
    let mut bytes = vec![0; CHUNK as usize];
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let chunk = &mut bytes[..(end - start) as usize];
        file.read_exact_at(chunk, start)?;
        if let Some(index) = chunk.iter().rposition(|&byte| byte == b'\n') {
            return Ok(Some(start + index as u64));
        }
        end = start;
    }
    Ok(None)
}
