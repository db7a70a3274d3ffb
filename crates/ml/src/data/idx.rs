//! The IDX format of MNIST: bytes in, an array out.
//!
//! Layout: two zero bytes, element type, number of axes, each axis as a big-endian u32, then the elements, big-endian
//! and row-major. Compressed files are recognised by gzip's magic bytes. Memory grows with the bytes that are really
//! there, never with what a header claims.

use std::io::Read as _;

use trainyard_npz::{bytes as encode, numbers as decode};

/// An array of any number of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Axes, outermost first.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub values: Values,
}

/// Elements of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Type 0x08.
    U8(Vec<u8>),
    /// Type 0x09.
    I8(Vec<i8>),
    /// Type 0x0B.
    I16(Vec<i16>),
    /// Type 0x0C.
    I32(Vec<i32>),
    /// Type 0x0D.
    F32(Vec<f32>),
    /// Type 0x0E.
    F64(Vec<f64>),
}

impl Values {
    /// The elements as f64, which holds every one of these types exactly.
    pub fn into_f64(self) -> Vec<f64> {
        match self {
            Self::U8(values) => values.into_iter().map(f64::from).collect(),
            Self::I8(values) => values.into_iter().map(f64::from).collect(),
            Self::I16(values) => values.into_iter().map(f64::from).collect(),
            Self::I32(values) => values.into_iter().map(f64::from).collect(),
            Self::F32(values) => values.into_iter().map(f64::from).collect(),
            Self::F64(values) => values,
        }
    }
}

/// Reads an IDX file, compressed or not. The error says what is wrong, in words.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return parse_plain(bytes);
    }
    let mut plain = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    match decoder.read_to_end(&mut plain) {
        Ok(_) => parse_plain(&plain),
        Err(error) => Err(format!(
            "the gzip stream is damaged or cut off after {} bytes of content ({error})",
            plain.len()
        )),
    }
}

/// The shape of a plain file of bytes, and where its elements begin; `None` for elements of another type.
pub(crate) fn bytes_header(file: &mut std::fs::File) -> Result<Option<(Vec<usize>, u64)>, String> {
    use std::io::{Seek as _, SeekFrom};
    let mut read = || -> std::io::Result<(Vec<u8>, u64)> {
        file.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        std::io::Read::take(&mut *file, 4 + 4 * 255).read_to_end(&mut head)?;
        Ok((head, file.seek(SeekFrom::End(0))?))
    };
    let (head, size_bytes) =
        read().map_err(|error| format!("the header cannot be read ({error})"))?;
    let Some(([0, 0, 0x08, n_axes], rest)) = head.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let n_axes = usize::from(*n_axes);
    let Some(axes) = rest.get(..4 * n_axes).filter(|axes| !axes.is_empty()) else {
        return Ok(None);
    };
    let shape = decode(axes, |axis| u32::from_be_bytes(axis) as usize);
    let offset = (4 + 4 * n_axes) as u64;
    let n_values = shape
        .iter()
        .try_fold(1_u64, |n, &axis| n.checked_mul(axis as u64));
    let n_there = size_bytes - offset.min(size_bytes);
    if n_values != Some(n_there) {
        return Err(format!(
            "the shape {shape:?} does not fit the {n_there} bytes of elements that follow"
        ));
    }
    Ok(Some((shape, offset)))
}

fn parse_plain(bytes: &[u8]) -> Result<Array, String> {
    let Some(([zero_0, zero_1, element_type, n_axes], rest)) = bytes.split_first_chunk::<4>()
    else {
        return Err(format!(
            "an IDX file begins with 4 bytes, but there are only {}",
            bytes.len()
        ));
    };
    if [*zero_0, *zero_1] != [0, 0] {
        return Err("this is not an IDX file: it does not begin with two zero bytes".to_owned());
    }
    let element_len = match element_type {
        0x08 | 0x09 => 1,
        0x0B => 2,
        0x0C | 0x0D => 4,
        0x0E => 8,
        other => return Err(format!("0x{other:02x} is not an IDX element type")),
    };
    let n_axes = usize::from(*n_axes);
    if n_axes == 0 || rest.len() < 4 * n_axes {
        return Err(format!(
            "the header says {n_axes} axes, which take {} bytes, but {} follow",
            4 * n_axes,
            rest.len()
        ));
    }
    let (axes, elements) = rest.split_at(4 * n_axes);
    let shape = decode(axes, |axis| u32::from_be_bytes(axis) as usize);
    let expected = shape
        .iter()
        .try_fold(element_len, |size: usize, &axis| size.checked_mul(axis));
    if expected != Some(elements.len()) {
        let expected = expected.map_or_else(
            || "more than memory can hold".to_owned(),
            |size| size.to_string(),
        );
        return Err(format!(
            "the shape {shape:?} takes {expected} bytes of elements, but {} follow",
            elements.len()
        ));
    }
    let values = match element_type {
        0x08 => Values::U8(elements.to_vec()),
        0x09 => Values::I8(elements.iter().map(|&byte| byte.cast_signed()).collect()),
        0x0B => Values::I16(decode(elements, i16::from_be_bytes)),
        0x0C => Values::I32(decode(elements, i32::from_be_bytes)),
        0x0D => Values::F32(decode(elements, f32::from_be_bytes)),
        _ => Values::F64(decode(elements, f64::from_be_bytes)),
    };
    Ok(Array { shape, values })
}

/// Writes an array as an IDX file, uncompressed.
pub fn write(array: &Array) -> Vec<u8> {
    let (element_type, elements): (u8, Vec<u8>) = match &array.values {
        Values::U8(values) => (0x08, values.clone()),
        Values::I8(values) => (
            0x09,
            values.iter().map(|value| value.cast_unsigned()).collect(),
        ),
        Values::I16(values) => (0x0B, encode(values, i16::to_be_bytes)),
        Values::I32(values) => (0x0C, encode(values, i32::to_be_bytes)),
        Values::F32(values) => (0x0D, encode(values, f32::to_be_bytes)),
        Values::F64(values) => (0x0E, encode(values, f64::to_be_bytes)),
    };
    let mut bytes = vec![0, 0, element_type, array.shape.len() as u8];
    bytes.extend(encode(&array.shape, |axis| (axis as u32).to_be_bytes()));
    bytes.extend(elements);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn any_array() -> impl Strategy<Value = Array> {
        let shape = prop::collection::vec(0..5_usize, 1..4);
        (shape, 0..6_u8, any::<u64>()).prop_map(|(shape, kind, seed)| {
            let n: usize = shape.iter().product();
            let numbers = (0..n as u64).map(|i| seed.wrapping_mul(i + 1));
            let values = match kind {
                0 => Values::U8(numbers.map(|x| x as u8).collect()),
                1 => Values::I8(numbers.map(|x| x as i8).collect()),
                2 => Values::I16(numbers.map(|x| x as i16).collect()),
                3 => Values::I32(numbers.map(|x| x as i32).collect()),
                4 => Values::F32(numbers.map(|x| x as f32).collect()),
                _ => Values::F64(numbers.map(|x| x as f64).collect()),
            };
            Array { shape, values }
        })
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(array in any_array()) {
            let bytes = write(&array);
            prop_assert_eq!(parse(&bytes), Ok(array.clone()));
            prop_assert_eq!(parse(&gzip(&bytes)), Ok(array));
        }

        #[test]
        fn any_bytes_give_an_array_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_is_refused() {
        let whole = write(&Array {
            shape: vec![2, 3],
            values: Values::I16(vec![1, 2, 3, 4, 5, 6]),
        });
        let compressed = gzip(&whole);
        for bytes in [&whole, &compressed] {
            for len in 0..bytes.len() {
                assert!(
                    parse(&bytes[..len]).is_err(),
                    "{len} of {} bytes",
                    bytes.len()
                );
            }
        }
        assert!(
            parse(&[&whole[..], &[0]].concat())
                .unwrap_err()
                .contains("takes 12 bytes of elements, but 13 follow")
        );
    }

    #[test]
    fn a_huge_header_costs_no_memory() {
        let header = [
            0, 0, 0x0E, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        ];
        assert!(
            parse(&header)
                .unwrap_err()
                .contains("more than memory can hold")
        );
        assert!(parse(&header[..12]).unwrap_err().contains("3 axes"));
        assert!(
            parse(b"PK\x03\x04")
                .unwrap_err()
                .contains("not an IDX file")
        );
        assert!(
            parse(&[0, 0, 7, 1, 0, 0, 0, 0])
                .unwrap_err()
                .contains("0x07")
        );
    }
}
