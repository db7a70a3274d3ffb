//! NumPy's `.npy` and `.npz`: bytes from any tool in, arrays out; and our own predictions, written reproducibly.
//!
//! Reads versions 1 to 3, C and Fortran order, either byte order, stored and deflated entries. Memory grows with the
//! bytes that are really there, never with what a header claims.
//! Format: NEP 1 and `numpy.lib.format`.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

mod elements;

use elements::encode;
pub use elements::{decode as numbers, encode as bytes};

/// An array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Axes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub values: Values,
}

/// Elements of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `<i8` and every narrower integer but bytes, and booleans.
    I64(Vec<i64>),
    /// `|u1`.
    U8(Vec<u8>),
    /// `<f4`, and `<f2`, of which it holds every number.
    F32(Vec<f32>),
    /// `<f8`.
    F64(Vec<f64>),
    /// `<U…`, and `|S…` that is UTF-8.
    Text(Vec<String>),
}

impl Array {
    /// A row of integers.
    pub fn integers(values: Vec<i64>) -> Self {
        Self {
            shape: vec![values.len()],
            values: Values::I64(values),
        }
    }

    /// A row of numbers.
    pub fn numbers(values: Vec<f64>) -> Self {
        Self {
            shape: vec![values.len()],
            values: Values::F64(values),
        }
    }

    /// A table of `n_columns` columns.
    pub fn table(values: Vec<f32>, n_columns: usize) -> Self {
        Self {
            shape: vec![values.len() / n_columns.max(1), n_columns],
            values: Values::F32(values),
        }
    }

    /// The elements as f64; `None` where they are text.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        Some(match &self.values {
            Values::I64(values) => values.iter().map(|&value| value as f64).collect(),
            Values::U8(values) => values.iter().copied().map(f64::from).collect(),
            Values::F32(values) => values.iter().copied().map(f64::from).collect(),
            Values::F64(values) => values.clone(),
            Values::Text(_) => return None,
        })
    }

    /// The elements as f32; `None` where they are text.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match &self.values {
            Values::F32(values) => Some(values.clone()),
            _ => Some(
                self.to_f64()?
                    .into_iter()
                    .map(|value| value as f32)
                    .collect(),
            ),
        }
    }
}

/// Writes arrays as an `.npz`: stored, in the given order, with a fixed time, so that the same arrays give the same bytes.
pub fn write_npz(arrays: &[(&str, &Array)]) -> Result<Vec<u8>, zip::result::ZipError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (name, array) in arrays {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&write_npy(array))?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Writes an array as `.npy`, version 1, C order, little-endian.
pub fn write_npy(array: &Array) -> Vec<u8> {
    let (descr, elements): (String, Vec<u8>) = match &array.values {
        Values::U8(values) => ("|u1".to_owned(), values.clone()),
        Values::I64(values) => ("<i8".to_owned(), encode(values, i64::to_le_bytes)),
        Values::F32(values) => ("<f4".to_owned(), encode(values, f32::to_le_bytes)),
        Values::F64(values) => ("<f8".to_owned(), encode(values, f64::to_le_bytes)),
        Values::Text(values) => encode_text(values),
    };
    let axes: String = array.shape.iter().map(|axis| format!("{axis}, ")).collect();
    let axes = if array.shape.len() == 1 {
        axes.trim_end()
    } else {
        axes.trim_end_matches(", ")
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    // Magic, version and length take 10 bytes; the header ends in a newline at a multiple of 64.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

/// Reads every array of an `.npz`, by name without `.npy`. The error says what is wrong, in words.
pub fn read_npz(bytes: &[u8]) -> Result<BTreeMap<String, Array>, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| format!("this is no .npz, or it is cut off ({error})"))?;
    let mut arrays = BTreeMap::new();
    for idx in 0..archive.len() {
        let mut entry = archive
            .by_index(idx)
            .map_err(|error| format!("entry {idx} cannot be read ({error})"))?;
        let name = entry
            .name()
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| format!("entry {idx} has no valid name ({error})"))?;
        let Some(name) = name.strip_suffix(".npy") else {
            continue;
        };
        let mut content = Vec::new();
        let announced = entry.size();
        // One byte more would show that there are more; a small entry must not unpack to what fills the memory.
        entry
            .by_ref()
            .take(announced.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| format!("the array `{name}` is damaged ({error})"))?;
        if content.len() as u64 != announced {
            return Err(format!(
                "the array `{name}` is damaged: it has not the {announced} bytes that the archive says"
            ));
        }
        let array =
            read_npy(&content).map_err(|problem| format!("the array `{name}`: {problem}"))?;
        arrays.insert(name.to_owned(), array);
    }
    if arrays.is_empty() {
        Err("there is no array in it".to_owned())
    } else {
        Ok(arrays)
    }
}

/// Reads an `.npy`. The error says what is wrong, in words.
pub fn read_npy(bytes: &[u8]) -> Result<Array, String> {
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or("this is no .npy: it does not begin with \\x93NUMPY")?;
    let cut_off = "the header is cut off";
    let (header_len, rest) = match rest {
        [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [1..=3, ..] | [] => return Err(cut_off.to_owned()),
        [version, ..] => return Err(format!("version {version} of the format is not known")),
    };
    if header_len > rest.len() {
        return Err(cut_off.to_owned());
    }
    let (header, elements) = rest.split_at(header_len);
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text".to_owned())?;
    let Header {
        descr,
        is_fortran,
        shape,
    } = Header::parse(header)?;
    let n = shape
        .iter()
        .try_fold(1_usize, |n, &axis| n.checked_mul(axis))
        .ok_or("the shape overflows")?;
    let (is_big, code) = match descr.split_at_checked(1) {
        Some((">", code)) => (true, code),
        Some(("<" | "|" | "=", code)) => (false, code),
        _ => return Err(format!("the type `{descr}` is not known")),
    };
    let values = match code {
        "f4" => Values::F32(decode::<4, f32>(elements, n, is_big, f32::from_le_bytes)?),
        "f2" => Values::F32(decode::<2, f32>(elements, n, is_big, |b| {
            widen_half(u16::from_le_bytes(b))
        })?),
        "f8" => Values::F64(decode::<8, f64>(elements, n, is_big, f64::from_le_bytes)?),
        "i8" => Values::I64(decode::<8, i64>(elements, n, is_big, i64::from_le_bytes)?),
        "i4" => Values::I64(decode::<4, i64>(elements, n, is_big, |b| {
            i32::from_le_bytes(b).into()
        })?),
        "i2" => Values::I64(decode::<2, i64>(elements, n, is_big, |b| {
            i16::from_le_bytes(b).into()
        })?),
        "i1" => Values::I64(decode::<1, i64>(elements, n, is_big, |b| {
            i8::from_le_bytes(b).into()
        })?),
        "u4" => Values::I64(decode::<4, i64>(elements, n, is_big, |b| {
            u32::from_le_bytes(b).into()
        })?),
        "u2" => Values::I64(decode::<2, i64>(elements, n, is_big, |b| {
            u16::from_le_bytes(b).into()
        })?),
        "u1" => Values::U8(decode::<1, u8>(elements, n, is_big, |[b]| b)?),
        "b1" => Values::I64(decode::<1, i64>(elements, n, is_big, |[b]| b.into())?),
        "u8" => {
            let values = decode::<8, u64>(elements, n, is_big, u64::from_le_bytes)?;
            let signed: Result<Vec<i64>, _> = values.into_iter().map(i64::try_from).collect();
            Values::I64(signed.map_err(|_| "an integer is above 2^63 - 1".to_owned())?)
        }
        _ => match code
            .split_at_checked(1)
            .map(|(kind, width)| (kind, width.parse::<usize>()))
        {
            Some(("U", Ok(width))) => Values::Text(decode_text(elements, n, width, is_big)?),
            Some(("S", Ok(width))) => Values::Text(decode_bytes(elements, n, width)?),
            _ => return Err(unreadable(&descr, code)),
        },
    };
    let values =
        if is_fortran && shape.len() > 1 {
            match values {
                Values::I64(values) => Values::I64(row_major(&values, &shape)),
                Values::U8(values) => Values::U8(row_major(&values, &shape)),
                Values::F32(values) => Values::F32(row_major(&values, &shape)),
                Values::F64(values) => Values::F64(row_major(&values, &shape)),
                Values::Text(_) => return Err(
                    "text in Fortran order with more than one axis is not read; save a row of text"
                        .to_owned(),
                ),
            }
        } else {
            values
        };
    Ok(Array { shape, values })
}

/// Text as NumPy writes it: as many characters of four bytes each as the longest has, filled up with zeros.
fn encode_text(values: &[String]) -> (String, Vec<u8>) {
    let width = values.iter().map(|text| text.chars().count()).max();
    let width = width.unwrap_or(0).max(1);
    let mut bytes = Vec::with_capacity(values.len() * width * 4);
    for text in values {
        let padding = width - text.chars().count();
        let characters = text.chars().chain(std::iter::repeat_n('\0', padding));
        bytes.extend(characters.flat_map(|c| u32::from(c).to_le_bytes()));
    }
    (format!("<U{width}"), bytes)
}

fn decode_text(
    elements: &[u8],
    n: usize,
    width: usize,
    is_big: bool,
) -> Result<Vec<String>, String> {
    check_len(elements, n, width.checked_mul(4))?;
    let code = |bytes: &[u8; 4]| {
        let bytes = *bytes;
        char::from_u32(if is_big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    };
    let text = |element: &[u8]| {
        let text: Option<String> = element.as_chunks().0.iter().map(code).collect();
        text.map(|text| text.trim_end_matches('\0').to_owned())
    };
    let texts: Option<Vec<String>> = (0..n)
        .map(|idx| text(&elements[idx * width * 4..(idx + 1) * width * 4]))
        .collect();
    texts.ok_or_else(|| "a text holds what is not a character".to_owned())
}

fn decode_bytes(elements: &[u8], n: usize, width: usize) -> Result<Vec<String>, String> {
    check_len(elements, n, Some(width))?;
    let text = |element: &[u8]| {
        let text = std::str::from_utf8(element).ok()?;
        Some(text.trim_end_matches('\0').to_owned())
    };
    let texts: Option<Vec<String>> = (0..n)
        .map(|idx| text(&elements[idx * width..(idx + 1) * width]))
        .collect();
    texts.ok_or_else(|| {
        "a text of bytes is not UTF-8; save it as text (`array.astype(str)`)".to_owned()
    })
}

fn check_len(elements: &[u8], n: usize, width: Option<usize>) -> Result<(), String> {
    // Without a width, any number of texts would fit no bytes.
    let width = width.filter(|&width| width > 0 || n == 0);
    if width.and_then(|width| n.checked_mul(width)) == Some(elements.len()) {
        return Ok(());
    }
    Err(format!(
        "{n} texts are announced, but {} bytes follow",
        elements.len()
    ))
}

/// What a type is that holds no plain numbers, and what to do.
fn unreadable(descr: &str, code: &str) -> String {
    let what = match code.as_bytes().first() {
        Some(b'c') => "complex numbers; save real and imaginary part as columns of their own",
        Some(b'O') => "Python objects; save a plain array (`array.astype(\"float32\")`)",
        Some(b'a') => "text; save numbers (`array.astype(\"float32\")`)",
        Some(b'M' | b'm') => "times; save numbers (`array.astype(\"int64\")`)",
        _ => {
            "a type that is not read; save as float32, float64 or an integer type (`array.astype(\"float32\")`)"
        }
    };
    format!("elements of type `{descr}` are {what}")
}

/// The number that the 16 bits of IEEE 754's binary16 stand for; of NaN, the same payload.
fn widen_half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Zero and subnormal numbers: a whole number of 2^-24, which f32 holds exactly.
        0 => f32::from_bits(sign | (fraction as f32 * 2.0_f32.powi(-24)).to_bits()),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        // The exponents' biases are 15 and 127.
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// What the Python dictionary of a header says.
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            let quoted = [format!("'{key}'"), format!("\"{key}\"")];
            let after = quoted
                .iter()
                .find_map(|key| text.split_once(key.as_str()).map(|(_, after)| after));
            after
                .and_then(|after| after.trim_start().strip_prefix(':'))
                .map(str::trim_start)
        };
        let descr = value("descr")
            .and_then(|text| {
                let quote = text
                    .chars()
                    .next()
                    .filter(|quote| matches!(quote, '\'' | '"'))?;
                text[1..]
                    .split_once(quote)
                    .map(|(descr, _)| descr.to_owned())
            })
            .ok_or("the header names no plain element type")?;
        let is_fortran = match value("fortran_order") {
            Some(text) if text.starts_with("True") => true,
            Some(text) if text.starts_with("False") => false,
            _ => return Err("the header does not say `fortran_order`".to_owned()),
        };
        let axes = value("shape")
            .and_then(|text| text.strip_prefix('('))
            .and_then(|text| text.split_once(')'))
            .map(|(axes, _)| axes)
            .ok_or("the header says no `shape`")?;
        let axes = axes
            .split(',')
            .map(str::trim)
            .filter(|axis| !axis.is_empty());
        let shape: Result<Vec<usize>, _> = axes
            .map(|axis| axis.trim_end_matches('L').parse())
            .collect();
        Ok(Self {
            descr,
            is_fortran,
            shape: shape.map_err(|_| "the `shape` is not a list of sizes".to_owned())?,
        })
    }
}

fn decode<const N: usize, T>(
    elements: &[u8],
    n: usize,
    is_big: bool,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    if n.checked_mul(N) != Some(elements.len()) {
        return Err(format!(
            "{n} elements of {N} bytes are announced, but {} bytes follow",
            elements.len()
        ));
    }
    Ok(elements::decode(elements, |mut bytes: [u8; N]| {
        if is_big {
            bytes.reverse();
        }
        convert(bytes)
    }))
}

/// Elements in Fortran order, first axis fastest, put in C order.
fn row_major<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let place = |mut idx: usize| {
        let mut place = 0;
        for axis in (0..shape.len()).rev() {
            place += idx % shape[axis] * strides[axis];
            idx /= shape[axis];
        }
        place
    };
    (0..values.len()).map(|idx| values[place(idx)]).collect()
}

#[cfg(test)]
mod tests;
