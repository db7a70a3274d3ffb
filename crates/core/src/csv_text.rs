//! The bytes of a CSV table on their way to the parser, watched for what the parser lets pass: a quote that is never
//! closed, text behind a closing quote, NUL bytes. Any of these can swallow rows without a word, so every table that
//! is read, whatever it holds, is read through this.

use std::fmt;
use std::io::{self, BufRead, Read};

/// Where in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line, counted from 1.
    Line(u64),
    /// A byte, where the file could not be read again to count its lines.
    Byte(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Byte(byte) => write!(formatter, "byte {byte}"),
        }
    }
}

/// Why bytes are not the text of a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvTextProblem {
    /// No bytes, or nothing but a byte order mark.
    #[error("the file is empty")]
    Empty,
    /// What Excel calls Unicode text.
    #[error("this is UTF-16 text; save it as UTF-8 (in Excel: \"CSV UTF-8\")")]
    Utf16,
    /// Another kind of file.
    #[error("this {0}")]
    Other(&'static str),
    /// Another encoding.
    #[error("{place}: this is not UTF-8 text; save the file as UTF-8")]
    NotUtf8 {
        /// Where.
        place: Place,
    },
    /// The rest of the file is one cell.
    #[error(
        "{place}: a quote is opened here and never closed; close it, or write a quote that is text as `\"\"` in a quoted cell"
    )]
    Unclosed {
        /// Of the quote.
        place: Place,
    },
    /// Most often, a quote before it was never closed.
    #[error(
        "{place}: text follows the closing quote of the cell that is opened on {opened}; close that cell where it \
         ends, or write a quote that is text as `\"\"`"
    )]
    BehindQuote {
        /// Of the text.
        place: Place,
        /// Of the opening quote.
        opened: Place,
    },
    /// Binary, or UTF-16 in part.
    #[error("{place}: there is a NUL byte, so this is not plain text; save the file as UTF-8")]
    Nul {
        /// Where.
        place: Place,
    },
}

impl CsvTextProblem {
    /// Refuses `bytes`, a whole table in memory whose cells end at `delimiter`, where they are not plain text with closed quotes.
    pub fn check(bytes: &[u8], delimiter: u8) -> Result<(), Self> {
        if let Some(problem) = not_a_table(bytes) {
            return Err(problem);
        }
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        let mut watched = Watched::new(bytes, delimiter);
        // Pieces without quotes are passed over.
        for piece in bytes.chunks(1 << 12) {
            watched.watch(piece);
        }
        watched.end();
        let place = |at| Place::Line(line_in(bytes, at).expect("memory can be read"));
        match watched.finding() {
            Some(finding) => Err(finding.problem(place)),
            None => match std::str::from_utf8(bytes) {
                Ok(_) => Ok(()),
                Err(error) => Err(Self::NotUtf8 {
                    place: place(error.valid_up_to() as u64),
                }),
            },
        }
    }
}

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
pub enum Finding {
    /// The quote at this place is never closed.
    Unclosed(u64),
    /// Text follows a closing quote.
    BehindQuote {
        /// Of the text.
        at: u64,
        /// Of the opening quote.
        opened_at: u64,
    },
    /// A NUL byte.
    Nul(u64),
}

impl Finding {
    /// The same for people; `place` tells where a byte is.
    pub fn problem(self, place: impl Fn(u64) -> Place) -> CsvTextProblem {
        match self {
            Self::Unclosed(at) => CsvTextProblem::Unclosed { place: place(at) },
            Self::BehindQuote { at, opened_at } => CsvTextProblem::BehindQuote {
                place: place(at),
                opened: place(opened_at),
            },
            Self::Nul(at) => CsvTextProblem::Nul { place: place(at) },
        }
    }
}

/// A table's bytes without a byte order mark.
#[derive(Debug)]
pub struct Watched<R> {
    inner: R,
    delimiter: u8,
    state: State,
    /// Bytes seen.
    n_seen: u64,
    /// The quote that began the cell.
    opened_at: u64,
    finding: Option<Finding>,
}

impl<R> Watched<R> {
    /// The bytes of `inner`, from behind a byte order mark, of a table whose cells end at `delimiter`.
    pub const fn new(inner: R, delimiter: u8) -> Self {
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
    pub const fn finding(&self) -> Option<Finding> {
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

    /// Nothing follows.
    fn end(&mut self) {
        if self.state == State::Quoted {
            self.finding
                .get_or_insert(Finding::Unclosed(self.opened_at));
        }
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
        if n_read == 0 && !out.is_empty() {
            self.end();
        }
        Ok(n_read)
    }
}

/// UTF-8's byte order mark.
pub const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What a file is instead of a table, by its first bytes.
pub fn not_a_table(head: &[u8]) -> Option<CsvTextProblem> {
    // What follows the first bytes says nothing of the kind of file.
    let text = head
        .get(..512)
        .unwrap_or(head)
        .trim_ascii_start()
        .to_ascii_lowercase();
    Some(match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => CsvTextProblem::Utf16,
        // Without a mark every other byte of plain text is 0.
        [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..] => CsvTextProblem::Utf16,
        [0x1f, 0x8b, ..] => CsvTextProblem::Other("is compressed with gzip; unpack it first"),
        [b'P', b'K', 3, 4, ..] => CsvTextProblem::Other(
            "is a zip archive or an Excel workbook; save the sheet as CSV in UTF-8",
        ),
        [b'P', b'A', b'R', b'1', ..] => {
            CsvTextProblem::Other("is in Parquet's format; save it as CSV")
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => CsvTextProblem::Other(
            "is one NumPy array without a name; save the arrays by name into one `.npz` with `numpy.savez`",
        ),
        _ if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") => {
            CsvTextProblem::Other("is an HTML page; check the address that it was downloaded from")
        }
        _ if head.strip_prefix(BOM).unwrap_or(head).is_empty() => CsvTextProblem::Empty,
        _ => return None,
    })
}

/// The line of `text`, counted from 1 as editors do, of the first thing from the byte `at` on that is not a line end.
///
/// The parser's own count is short where lines end in `\r\n` and where lines are empty, since it says where it was before
/// it read the row.
pub fn line_in(text: impl BufRead, at: u64) -> io::Result<u64> {
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

    #[test]
    fn a_table_in_memory_is_refused_with_the_line() {
        let long = format!("a,b\n{}1,\"x\n2,3\n", "1,2\n".repeat(5000));
        for (text, expected) in [
            (&b"a,b\n1,\"2\"\n"[..], None),
            (b"\xEF\xBB\xBFa\n1\n", None),
            (b"\xEF\xBB\xBFa\n\"1\n", Some("line 2: a quote is opened")),
            (long.as_bytes(), Some("line 5002: a quote is opened")),
            (b"a\r\n\r\n1\0\r\n", Some("line 3: there is a NUL byte")),
            (b"a\nb\nc\xE9\n", Some("line 3: this is not UTF-8")),
            (b"\xFF\xFEa\0", Some("UTF-16")),
            (b"\x93NUMPY\x01\0", Some("numpy.savez")),
            (b"", Some("the file is empty")),
        ] {
            let found = CsvTextProblem::check(text, b',').map_err(|problem| problem.to_string());
            match (expected, found) {
                (None, Ok(())) => {}
                (Some(expected), Err(found)) => assert!(found.contains(expected), "{found}"),
                (expected, found) => panic!("{expected:?}, but {found:?}"),
            }
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
