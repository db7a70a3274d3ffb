//! A table's file, opened for the CSV parser, and the lines of what is wrong in it.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use trainyard_core::csv_text::{BOM, CsvTextProblem, Watched, line_in, not_a_table};

/// Opens the table at `path`, unless its first bytes show that it is something else.
pub(super) fn open(
    path: &Path,
    delimiter: u8,
) -> io::Result<Result<Watched<File>, CsvTextProblem>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(512).read_to_end(&mut head)?;
    if let Some(problem) = not_a_table(&head) {
        return Ok(Err(problem));
    }
    let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
    file.seek(SeekFrom::Start(start as u64))?;
    Ok(Ok(Watched::new(file, delimiter)))
}

/// The line, counted from 1 as editors do, of the first thing from the byte `at` on that is not a line end. The file is read
/// again, once an error needs it. `at` counts from behind a byte order mark, which holds no line end.
pub(super) fn line_of(path: &Path, at: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref()
        .take(BOM.len() as u64)
        .read_to_end(&mut head)?;
    let start = if head == BOM { BOM.len() } else { 0 };
    file.seek(SeekFrom::Start(start as u64))?;
    line_in(BufReader::new(file), at)
}
