//! The bytes of a table on their way to the CSV parser, watched for what the parser lets pass: a quote that is never
//! closed, text behind a closing quote, NUL bytes. Any of these can swallow rows without a word.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use super::TableProblem;

/// Where a cell stands while a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A cell begins here.
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell, which closes it unless a second one follows.
    Closed,
    /// Blanks behind the closing quote.
    Blank,
}

/// What was found, by the place of the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The quote at this place is never closed.
    Unclosed(u64),
    /// Text follows a closing quote.
    BehindQuote { at: u64, opened_at: u64 },
    /// A NUL byte.
    Nul(u64),
}

/// A table's bytes without a byte order mark.
#[derive(Debug)]
pub(super) struct Watched<R> {
    inner: R,
    delimiter: u8,
    state: State,
    /// Bytes seen.
    n_seen: u64,
    /// The quote that began the cell.
    opened_at: u64,
    finding: Option<Finding>,
}

impl Watched<File> {
    /// Opens the table at `path`, unless its first bytes show that it is something else.
    pub(super) fn open(path: &Path, delimiter: u8) -> io::Result<Result<Self, TableProblem>> {
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        file.by_ref().take(512).read_to_end(&mut head)?;
        if let Some(problem) = not_a_table(&head) {
            return Ok(Err(problem));
        }
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        file.seek(SeekFrom::Start(start as u64))?;
        Ok(Ok(Self::new(file, delimiter)))
    }
}

impl<R> Watched<R> {
    const fn new(inner: R, delimiter: u8) -> Self {
        Self {
            inner,
            delimiter,
            state: State::Start,
            n_seen: 0,
            opened_at: 0,
            finding: None,
        }
    }

    /// What was found so far, the first of it.
    pub(super) const fn finding(&self) -> Option<Finding> {
        self.finding
    }

    fn watch(&mut self, bytes: &[u8]) {
        if let Some(nul) = bytes.iter().position(|&byte| byte == 0) {
            self.finding
                .get_or_insert(Finding::Nul(self.n_seen + nul as u64));
        }
        let is_quoted = matches!(self.state, State::Quoted | State::Closed | State::Blank);
        if is_quoted || bytes.contains(&b'"') {
            for (place, &byte) in bytes.iter().enumerate() {
                self.step(byte, self.n_seen + place as u64);
            }
        } else if let Some(&last) = bytes.last() {
            // Most tables have no quotes; only the last byte matters to what follows.
            self.step(last, self.n_seen + bytes.len() as u64 - 1);
        }
        self.n_seen += bytes.len() as u64;
    }

    /// The parser's own grammar, which `csv_core` keeps to itself.
    fn step(&mut self, byte: u8, at: u64) {
        let ends_cell = byte == self.delimiter || matches!(byte, b'\r' | b'\n');
        self.state = match (self.state, byte) {
            (State::Start, b'"') => {
                self.opened_at = at;
                State::Quoted
            }
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) | (State::Closed, b'"') => State::Quoted,
            _ if ends_cell => State::Start,
            (State::Closed | State::Blank, b' ' | b'\t') => State::Blank,
            (State::Closed | State::Blank, _) => {
                let opened_at = self.opened_at;
                self.finding
                    .get_or_insert(Finding::BehindQuote { at, opened_at });
                State::Plain
            }
            (State::Start | State::Plain, _) => State::Plain,
        };
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(out)?;
        self.watch(&out[..n_read]);
        if n_read == 0 && !out.is_empty() && self.state == State::Quoted {
            self.finding
                .get_or_insert(Finding::Unclosed(self.opened_at));
        }
        Ok(n_read)
    }
}

/// UTF-8's byte order mark.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What files that are taken for tables begin with.
fn not_a_table(head: &[u8]) -> Option<TableProblem> {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    Some(match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => TableProblem::Utf16,
        // Without a mark every other byte of plain text is 0.
        [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..] => TableProblem::Utf16,
        [0x1f, 0x8b, ..] => TableProblem::Other("is compressed with gzip; unpack it first"),
        [b'P', b'K', 3, 4, ..] => TableProblem::Other(
            "is a zip archive or an Excel workbook; save the sheet as CSV in UTF-8",
        ),
        [b'P', b'A', b'R', b'1', ..] => {
            TableProblem::Other("is in Parquet's format; save it as CSV")
        }
        _ if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") => {
            TableProblem::Other("is an HTML page; check the address that it was downloaded from")
        }
        _ if head.strip_prefix(BOM).unwrap_or(head).is_empty() => TableProblem::Empty,
        _ => return None,
    })
}

/// The line, counted from 1 as editors do, of the first thing from the byte `at` on that is not a line end.
///
/// The parser's own count is short where lines end in `\r\n` and where lines are empty, since it says where it was before
/// it read the row. So the file is read again, once an error needs it. `at` counts from behind a byte order mark, which
/// holds no line end.
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

fn line_in(text: impl BufRead, at: u64) -> io::Result<u64> {
    let mut line = 1;
    let mut last = 0;
    for (place, byte) in text.bytes().enumerate() {
        let byte = byte?;
        let is_line_end = matches!(byte, b'\r' | b'\n');
        if place as u64 >= at && !is_line_end {
            break;
        }
        // `\r\n` is one.
        if is_line_end && (last, byte) != (b'\r', b'\n') {
            line += 1;
        }
        last = byte;
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finding(text: &str, chunk: usize) -> Option<Finding> {
        let mut watched = Watched::new(text.as_bytes(), b',');
        let mut buffer = vec![0; chunk];
        while watched.read(&mut buffer).unwrap() > 0 {}
        watched.finding()
    }

    #[test]
    fn quotes_are_followed_across_buffers() {
        for chunk in [1, 2, 3, 100] {
            for (text, expected) in [
                ("a,b\n\"1\",\"2\"\"3\"\n", None),
                ("a,5\" pipe\n", None),
                ("\"a\" ,b\n", None),
                ("\"a\nb\"\n", None),
                ("\"a\"", None),
                ("\"\",\"\"\r\n", None),
                ("a,\"b\n1,2\n", Some(Finding::Unclosed(2))),
                ("a,\"b\"\"\n1,2\n", Some(Finding::Unclosed(2))),
                (
                    "a\n\"b\n1,\"2\"\n",
                    Some(Finding::BehindQuote {
                        at: 8,
                        opened_at: 2,
                    }),
                ),
                ("a,b\0c\n", Some(Finding::Nul(3))),
            ] {
                assert_eq!(finding(text, chunk), expected, "{text:?} by {chunk}");
            }
        }
    }

    #[test]
    fn lines_are_counted_as_editors_do() {
        for (text, at, expected) in [
            ("a\nb\nc\n", 2, 2),
            // Where the parser says that it was: before `\n` of `\r\n`.
            ("a\r\nb\r\nc\r\n", 2, 2),
            ("a\r\nb\r\nc\r\n", 5, 3),
            ("a\r\n\"x\r\ny\"\r\nc\r\n", 10, 4),
            ("a\n\n\nb\n", 2, 4),
            ("a\rb\rc", 2, 2),
        ] {
            assert_eq!(
                line_in(text.as_bytes(), at).unwrap(),
                expected,
                "{text:?} at {at}"
            );
        }
    }

    proptest! {
        /// The parser's and our own idea of quotes are the same: what is not complained about comes back whole.
        #[test]
        fn what_passes_is_what_was_written(cells in prop::collection::vec("[a\", \r\n]{0,5}", 1..12), chunk in 1..9_usize) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(finding(&text, chunk), None);
            let cut = finding(&text[..text.len() - 2], chunk);
            prop_assert!(matches!(cut, Some(Finding::Unclosed(_))), "{:?}", cut);
        }
    }
}
