use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::read::widen_half;
use super::*;

proptest! {
    #[test]
    fn what_is_written_is_read_back(rows in 0..5_usize, columns in 1..5_usize, seed in any::<i64>()) {
        let ids = Array::integers((0..rows as i64).map(|i| seed.wrapping_mul(i)).collect());
        let scores = Array::table((0..rows * columns).map(|i| i as f32 * 0.1).collect(), columns);
        let bytes = write_npz(&[("row_id", &ids), ("score", &scores)]).unwrap();
        prop_assert_eq!(&bytes, &write_npz(&[("row_id", &ids), ("score", &scores)]).unwrap());
        let arrays = read_npz(&bytes).unwrap();
        prop_assert_eq!(&arrays["row_id"], &ids);
        prop_assert_eq!(&arrays["score"], &scores);
    }

    #[test]
    fn any_bytes_give_an_array_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_npz(&bytes);
        let _ = read_npy(&[b"\x93NUMPY\x01\x00\x20\x00", &bytes[..]].concat());
    }

    #[test]
    fn any_header_gives_an_array_or_an_error(header in "(\\{|\\}|'descr'|'shape'|'fortran_order'|:|True|'<f4'|\\(|\\)|9|,| )*") {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        let _ = read_npy(&bytes);
    }
}

/// By the definition: (-1)^sign x 2^(exponent - 15) x 1.fraction, below that a fraction of 2^-14.
#[test]
fn every_half_is_the_number_that_it_stands_for() {
    for bits in 0..=u16::MAX {
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let magnitude = match exponent {
            0 => fraction / 1024.0 * 2.0_f64.powi(-14),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1.0 + fraction / 1024.0) * 2.0_f64.powi(exponent - 15),
        };
        let (found, expected) = (f64::from(widen_half(bits)), sign * magnitude);
        assert!(
            found == expected || found.is_nan() && expected.is_nan(),
            "{bits:#06x}"
        );
        assert_eq!(found.is_sign_negative(), bits >> 15 == 1, "{bits:#06x}");
    }
}

/// An array of two elements of any type, as NumPy would write it.
fn npy_of(descr: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

#[test]
fn every_type_of_number_is_read_in_either_byte_order() {
    for (descr, elements, expected) in [
        ("<f2", &[0x00, 0x3e, 0x00, 0xc0][..], [1.5, -2.0]),
        (">f2", &[0x3e, 0x00, 0xc0, 0x00], [1.5, -2.0]),
        ("|i1", &[1, 0xff], [1.0, -1.0]),
        ("|u1", &[1, 0xff], [1.0, 255.0]),
        ("|b1", &[0, 1], [0.0, 1.0]),
        ("<i2", &[1, 0, 0xff, 0xff], [1.0, -1.0]),
        (">u2", &[0, 1, 0xff, 0xff], [1.0, 65535.0]),
        (">i4", &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], [1.0, -1.0]),
        (
            "<u4",
            &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [1.0, 4_294_967_295.0],
        ),
        (">f4", &[0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0], [1.5, -2.0]),
    ] {
        let array = read_npy(&npy_of(descr, elements)).unwrap();
        assert_eq!(array.to_f64().unwrap(), expected, "{descr}");
    }
}

#[test]
fn what_is_not_a_number_is_refused_by_name() {
    for (descr, expected) in [
        ("<c8", "`<c8` are complex numbers"),
        (">c16", "`>c16` are complex numbers"),
        ("|O", "`|O` are Python objects"),
        ("<M8[ns]", "`<M8[ns]` are times"),
        ("<f16", "`<f16` are a type that is not read"),
    ] {
        let error = read_npy(&npy_of(descr, &[0; 32])).unwrap_err();
        assert!(error.contains(expected), "{descr}: {error}");
    }
}

#[test]
fn an_archive_that_lies_about_a_size_is_refused() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file("x.npy", options).unwrap();
    let array = Array::table(vec![0.0; 4096], 2);
    archive.write_all(&write_npy(&array)).unwrap();
    let honest = archive.finish().unwrap().into_inner();
    let size = write_npy(&array).len() as u32;
    assert_eq!(read_npz(&honest).unwrap()["x"], array);
    for claimed in [size - 1, size + 1, 64, 1 << 30] {
        let mut lying = honest.clone();
        let places: Vec<usize> = (0..lying.len() - 3)
            .filter(|&at| lying[at..at + 4] == size.to_le_bytes())
            .collect();
        assert_eq!(places.len(), 2, "in the local and the central header");
        for at in places {
            lying[at..at + 4].copy_from_slice(&claimed.to_le_bytes());
        }
        let error = read_npz(&lying).unwrap_err();
        assert!(
            error.contains("the array `x`")
                && (error.contains("is damaged") || error.contains("is cut off")),
            "{claimed}: {error}"
        );
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = write_npy(&Array::table(vec![1.0, 2.0, 3.0, 4.0], 2));
    assert_eq!((bytes.len() - 16) % 64, 0);
    for len in 0..bytes.len() {
        assert!(read_npy(&bytes[..len]).is_err(), "{len}");
    }
}

/// Independent source: `tests/fixtures/npz/make.py`, by NumPy 2.4.
#[test]
fn every_layout_that_numpy_writes_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/npz/");
    for file in ["stored.npz", "deflated.npz"] {
        let arrays = read_npz(&std::fs::read(format!("{folder}{file}")).unwrap()).unwrap();
        assert_eq!(arrays.len(), 16, "{file}");
        for (name, array) in arrays {
            let expected: Vec<f64> = if name.starts_with("bool") {
                vec![0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
            } else {
                (0..6).map(f64::from).collect()
            };
            assert_eq!(
                (array.to_f64().unwrap(), &array.shape[..]),
                (expected, &[2, 3][..]),
                "{file}: {name}"
            );
        }
    }
    for version in 1..=3 {
        let array =
            read_npy(&std::fs::read(format!("{folder}version{version}.npy")).unwrap()).unwrap();
        assert_eq!(
            array.to_f64().unwrap(),
            [0.0, 1.0, 2.0],
            "version {version}"
        );
    }
    let strings = read_npy(&std::fs::read(format!("{folder}strings.npy")).unwrap()).unwrap();
    assert_eq!(
        strings.values,
        Values::Text(vec!["a".to_owned(), "b".to_owned()])
    );
}
