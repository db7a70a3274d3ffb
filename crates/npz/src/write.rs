//! Arrays out: the same arrays always give the same bytes.

use std::io::{Cursor, Seek, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::{Array, Values};

/// Elements that are encoded at a time.
const CHUNK: usize = 1 << 15;

/// Elements to be written, wherever they are.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// As `|u1`.
    U8(&'a [u8]),
    /// As `<i8`.
    I64(&'a [i64]),
    /// As `<i8` too.
    U32(&'a [u32]),
    /// As `<f4`.
    F32(&'a [f32]),
    /// As `<f8`.
    F64(&'a [f64]),
    /// As `<U…`.
    Text(&'a [String]),
}

impl<'a> From<&'a Values> for Elements<'a> {
    fn from(values: &'a Values) -> Self {
        match values {
            Values::U8(values) => Self::U8(values),
            Values::I64(values) => Self::I64(values),
            Values::F32(values) => Self::F32(values),
            Values::F64(values) => Self::F64(values),
            Values::Text(values) => Self::Text(values),
        }
    }
}

/// Writes arrays as an `.npz`: stored, in the given order, with a fixed time, so that the same arrays give the same bytes.
pub fn write_npz(arrays: &[(&str, &Array)]) -> Result<Vec<u8>, ZipError> {
    let mut bytes = Cursor::new(Vec::new());
    let arrays: Vec<(&str, Vec<usize>, Elements<'_>)> = arrays
        .iter()
        .map(|(name, array)| (*name, array.shape.clone(), Elements::from(&array.values)))
        .collect();
    write_npz_to(&mut bytes, &arrays)?;
    Ok(bytes.into_inner())
}

/// The same to a file: name, shape and elements of each array, none of which is held a second time.
pub fn write_npz_to(
    writer: impl Write + Seek,
    arrays: &[(&str, Vec<usize>, Elements<'_>)],
) -> Result<(), ZipError> {
    let mut archive = ZipWriter::new(writer);
    for (name, shape, elements) in arrays {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            // The archive's format asks for larger fields, which must be chosen before.
            .large_file(elements.n_bytes() >= u64::from(u32::MAX))
            .unix_permissions(0o644);
        archive.start_file(format!("{name}.npy"), options)?;
        write_npy_to(&mut archive, shape, *elements)?;
    }
    archive.finish()?;
    Ok(())
}

/// Writes an array as `.npy`, version 1, C order, little-endian.
pub fn write_npy(array: &Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_npy_to(&mut bytes, &array.shape, (&array.values).into())
        .expect("a vector takes every byte");
    bytes
}

fn write_npy_to(
    writer: &mut impl Write,
    shape: &[usize],
    elements: Elements<'_>,
) -> std::io::Result<()> {
    let width = elements.text_width();
    let descr = match elements {
        Elements::U8(_) => "|u1".to_owned(),
        Elements::I64(_) | Elements::U32(_) => "<i8".to_owned(),
        Elements::F32(_) => "<f4".to_owned(),
        Elements::F64(_) => "<f8".to_owned(),
        Elements::Text(_) => format!("<U{width}"),
    };
    let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    let axes = if shape.len() == 1 {
        axes.trim_end()
    } else {
        axes.trim_end_matches(", ")
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    // Magic, version and length take 10 bytes; the header ends in a newline at a multiple of 64.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding % 64));
    header.push('\n');
    writer.write_all(b"\x93NUMPY\x01\x00")?;
    writer.write_all(&(header.len() as u16).to_le_bytes())?;
    writer.write_all(header.as_bytes())?;
    match elements {
        Elements::U8(values) => writer.write_all(values),
        Elements::I64(values) => encode(writer, values, |value| value.to_le_bytes()),
        Elements::U32(values) => encode(writer, values, |value| i64::from(value).to_le_bytes()),
        Elements::F32(values) => encode(writer, values, f32::to_le_bytes),
        Elements::F64(values) => encode(writer, values, f64::to_le_bytes),
        Elements::Text(values) => values
            .iter()
            .try_for_each(|text| writer.write_all(&encode_text(text, width))),
    }
}

impl Elements<'_> {
    /// Bytes that they take.
    fn n_bytes(&self) -> u64 {
        let (n, width) = match self {
            Self::U8(values) => (values.len(), 1),
            Self::I64(values) => (values.len(), 8),
            Self::U32(values) => (values.len(), 8),
            Self::F32(values) => (values.len(), 4),
            Self::F64(values) => (values.len(), 8),
            Self::Text(values) => (values.len(), 4 * self.text_width()),
        };
        n as u64 * width as u64
    }

    /// Characters of the longest text, at least 1.
    fn text_width(&self) -> usize {
        match self {
            Self::Text(values) => {
                let width = values.iter().map(|text| text.chars().count()).max();
                width.unwrap_or(0).max(1)
            }
            _ => 0,
        }
    }
}

fn encode<const N: usize, T: Copy>(
    writer: &mut impl Write,
    values: &[T],
    to: impl Fn(T) -> [u8; N],
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK.min(values.len()) * N);
    for chunk in values.chunks(CHUNK) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(|value| to(*value)));
        writer.write_all(&buffer)?;
    }
    Ok(())
}

/// Text as NumPy writes it: four bytes a character, filled up with zeros to `width` characters.
fn encode_text(text: &str, width: usize) -> Vec<u8> {
    let padding = width - text.chars().count();
    let characters = text.chars().chain(std::iter::repeat_n('\0', padding));
    characters
        .flat_map(|c| u32::from(c).to_le_bytes())
        .collect()
}
