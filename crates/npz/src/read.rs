//! Arrays in, from bytes or from a file, whatever tool wrote them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};

use zip::ZipArchive;

use crate::header::Header;
use crate::text::{decode_bytes, decode_text};
use crate::{Array, Values};

/// Bytes that are decoded at a time.
const CHUNK: usize = 1 << 18;

/// Reads every array of an `.npz`, by name without `.npy`. The error says what is wrong, in words.
pub fn read_npz(bytes: &[u8]) -> Result<BTreeMap<String, Array>, String> {
    read_npz_from(Cursor::new(bytes))
}

/// The same from a file, which is not held in memory beside its arrays.
pub fn read_npz_from(mut reader: impl Read + Seek) -> Result<BTreeMap<String, Array>, String> {
    let unreadable = |error: std::io::Error| format!("it cannot be read ({error})");
    let file_len = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
    reader.rewind().map_err(unreadable)?;
    let mut archive = ZipArchive::new(reader)
        .map_err(|error| format!("this is not an .npz file, or it is truncated ({error})"))?;
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
        let n_announced = entry.size();
        let n_there = entry.compressed_size().min(file_len);
        let array = read_npy_from(&mut entry, n_announced, n_there)
            .map_err(|problem| format!("the array `{name}`: {problem}"))?;
        // A byte more would show that there are more.
        let n_more = entry
            .read(&mut [0])
            .map_err(|error| format!("the array `{name}` is damaged ({error})"))?;
        if n_more > 0 {
            return Err(format!(
                "the array `{name}` is damaged: it has more than the {n_announced} bytes that the archive says"
            ));
        }
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
    let len = bytes.len() as u64;
    read_npy_from(&mut Cursor::new(bytes), len, len)
}

/// Reads an `.npy` of `n_announced` bytes; `n_there` are surely there, so that room is made for them at once.
fn read_npy_from(reader: &mut impl Read, n_announced: u64, n_there: u64) -> Result<Array, String> {
    let mut elements = Rest {
        reader,
        n_left: n_announced,
        n_there,
    };
    let magic = elements.take(6)?;
    if magic != b"\x93NUMPY" {
        return Err("this is not an .npy array: it does not begin with \\x93NUMPY".to_owned());
    }
    let cut_off = |_| "the header is cut off".to_owned();
    let version = elements.take(2).map_err(cut_off)?;
    let header_len = match version.first() {
        Some(1) => {
            let len = elements.take(2).map_err(cut_off)?;
            usize::from(u16::from_le_bytes([len[0], len[1]]))
        }
        Some(2 | 3) => {
            let len = elements.take(4).map_err(cut_off)?;
            u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize
        }
        Some(version) => return Err(format!("version {version} of the format is not known")),
        None => return Err("the header is cut off".to_owned()),
    };
    let header = elements.take(header_len).map_err(cut_off)?;
    let header = std::str::from_utf8(&header).map_err(|_| "the header is not text".to_owned())?;
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
        "f4" => Values::F32(elements.decode::<4, f32>(n, is_big, f32::from_le_bytes)?),
        "f2" => Values::F32(
            elements.decode::<2, f32>(n, is_big, |b| widen_half(u16::from_le_bytes(b)))?,
        ),
        "f8" => Values::F64(elements.decode::<8, f64>(n, is_big, f64::from_le_bytes)?),
        "i8" => Values::I64(elements.decode::<8, i64>(n, is_big, i64::from_le_bytes)?),
        "i4" => {
            Values::I64(elements.decode::<4, i64>(n, is_big, |b| i32::from_le_bytes(b).into())?)
        }
        "i2" => {
            Values::I64(elements.decode::<2, i64>(n, is_big, |b| i16::from_le_bytes(b).into())?)
        }
        "i1" => Values::I64(elements.decode::<1, i64>(n, is_big, |b| i8::from_le_bytes(b).into())?),
        "u4" => {
            Values::I64(elements.decode::<4, i64>(n, is_big, |b| u32::from_le_bytes(b).into())?)
        }
        "u2" => {
            Values::I64(elements.decode::<2, i64>(n, is_big, |b| u16::from_le_bytes(b).into())?)
        }
        "u1" => Values::U8(elements.decode::<1, u8>(n, is_big, |[b]| b)?),
        "b1" => Values::I64(elements.decode::<1, i64>(n, is_big, |[b]| b.into())?),
        "u8" => {
            let values = elements.decode::<8, u64>(n, is_big, u64::from_le_bytes)?;
            let signed: Result<Vec<i64>, _> = values.into_iter().map(i64::try_from).collect();
            Values::I64(signed.map_err(|_| "an integer is above 2^63 - 1".to_owned())?)
        }
        _ => match code
            .split_at_checked(1)
            .map(|(kind, width)| (kind, width.parse::<usize>()))
        {
            Some(("U", Ok(width))) => {
                Values::Text(decode_text(&elements.rest()?, n, width, is_big)?)
            }
            Some(("S", Ok(width))) => Values::Text(decode_bytes(&elements.rest()?, n, width)?),
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

/// What is left of an array's bytes.
struct Rest<'a, R> {
    reader: &'a mut R,
    /// Bytes announced.
    n_left: u64,
    /// Bytes that the file has for it.
    n_there: u64,
}

impl<R: Read> Rest<'_, R> {
    /// The next `n` bytes.
    fn take(&mut self, n: usize) -> Result<Vec<u8>, String> {
        if n as u64 > self.n_left {
            return Err(format!(
                "{n} bytes are announced, but {} follow",
                self.n_left
            ));
        }
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(n as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("it is damaged ({error})"))?;
        if bytes.len() < n {
            return Err(self.damage());
        }
        self.n_left -= n as u64;
        Ok(bytes)
    }

    /// All that is left.
    fn rest(&mut self) -> Result<Vec<u8>, String> {
        match usize::try_from(self.n_left) {
            Ok(n) => self.take(n),
            Err(_) => Err(self.damage()),
        }
    }

    /// All that is left, as `n` elements of `N` bytes each.
    fn decode<const N: usize, T>(
        &mut self,
        n: usize,
        is_big: bool,
        convert: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, String> {
        if n.checked_mul(N).map(|len| len as u64) != Some(self.n_left) {
            return Err(format!(
                "it is damaged, or cut off: {n} elements of {N} bytes are announced, but {} bytes follow",
                self.n_left
            ));
        }
        let mut values = Vec::with_capacity(n.min(self.n_there as usize / N + 1));
        let mut buffer = vec![0; (CHUNK - CHUNK % N).min(n * N)];
        let mut n_bytes_left = n * N;
        while n_bytes_left > 0 {
            let chunk_len = buffer.len().min(n_bytes_left);
            let chunk = &mut buffer[..chunk_len];
            self.reader
                .read_exact(chunk)
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => self.damage(),
                    _ => format!("it is damaged ({error})"),
                })?;
            n_bytes_left -= chunk_len;
            let elements = chunk.as_chunks().0.iter();
            // Two loops: the usual one is a copy.
            if is_big {
                values.extend(elements.map(|bytes: &[u8; N]| {
                    let mut bytes = *bytes;
                    bytes.reverse();
                    convert(bytes)
                }));
            } else {
                values.extend(elements.map(|bytes: &[u8; N]| convert(*bytes)));
            }
        }
        self.n_left = 0;
        Ok(values)
    }

    fn damage(&self) -> String {
        format!(
            "it is damaged: the {} bytes that the archive says are not all there",
            self.n_left
        )
    }
}

/// What a type is that holds no plain numbers, and what to do.
fn unreadable(descr: &str, code: &str) -> String {
    let what = match code.as_bytes().first() {
        Some(b'c') => "complex numbers; save real and imaginary part as columns of their own",
        Some(b'O') => {
            "Python objects; save a plain array: of texts `array.astype(str)`, of numbers `array.astype(\"float64\")`"
        }
        Some(b'a') => "text; save numbers (`array.astype(\"float32\")`)",
        Some(b'M' | b'm') => "times; save numbers (`array.astype(\"int64\")`)",
        _ => {
            "a type that is not read; save as float32, float64 or an integer type (`array.astype(\"float32\")`)"
        }
    };
    format!("elements of type `{descr}` are {what}")
}

/// The number that the 16 bits of IEEE 754's binary16 stand for; of NaN, the same payload.
pub(super) fn widen_half(bits: u16) -> f32 {
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
