//! The element types of the Open Inference Protocol: what a value may be, and how it lies in binary data.

/// An element type whose values a network can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
}

use Datatype::{
    Bf16, Bool, Fp16, Fp32, Fp64, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64,
};

impl Datatype {
    const ALL: [(&'static str, Self); 13] = [
        ("BOOL", Bool),
        ("UINT8", Uint8),
        ("UINT16", Uint16),
        ("UINT32", Uint32),
        ("UINT64", Uint64),
        ("INT8", Int8),
        ("INT16", Int16),
        ("INT32", Int32),
        ("INT64", Int64),
        ("FP16", Fp16),
        ("BF16", Bf16),
        ("FP32", Fp32),
        ("FP64", Fp64),
    ];

    /// By the protocol's name, in its letters; `BYTES` and what is not known have no numbers.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut known = Self::ALL.into_iter();
        known.find(|(it, _)| *it == name).map(|(_, found)| found)
    }

    pub(crate) fn name(self) -> &'static str {
        let mut known = Self::ALL.into_iter();
        known
            .find(|(_, it)| *it == self)
            .map_or("", |(name, _)| name)
    }

    /// Of one element.
    pub(crate) const fn n_bytes(self) -> usize {
        match self {
            Bool | Uint8 | Int8 => 1,
            Uint16 | Int16 | Fp16 | Bf16 => 2,
            Uint32 | Int32 | Fp32 => 4,
            Uint64 | Int64 | Fp64 => 8,
        }
    }

    /// The smallest and largest value of an integer type.
    const fn range(self) -> Option<(f32, f32)> {
        Some(match self {
            Uint8 => (0.0, u8::MAX as f32),
            Uint16 => (0.0, u16::MAX as f32),
            Uint32 => (0.0, u32::MAX as f32),
            Uint64 => (0.0, u64::MAX as f32),
            Int8 => (i8::MIN as f32, i8::MAX as f32),
            Int16 => (i16::MIN as f32, i16::MAX as f32),
            Int32 => (i32::MIN as f32, i32::MAX as f32),
            Int64 => (i64::MIN as f32, i64::MAX as f32),
            Bool | Fp16 | Bf16 | Fp32 | Fp64 => return None,
        })
    }

    /// Whether JSON may hold values of this type, and these are some; the error says what is wrong, in words.
    pub(crate) fn check(self, values: &[f32], are_booleans: bool) -> Result<(), String> {
        if matches!(self, Fp16 | Bf16) {
            return Err(format!(
                "{} has no form in JSON; send FP32, or binary data",
                self.name()
            ));
        }
        if (self == Bool) != are_booleans {
            return Err(if are_booleans {
                format!(
                    "`true` and `false` are of the type BOOL, not {}",
                    self.name()
                )
            } else {
                "values of the type BOOL are `true` and `false`".to_owned()
            });
        }
        let Some((smallest, largest)) = self.range() else {
            return Ok(());
        };
        let is_one = |value: &f32| value.fract() == 0.0 && (smallest..=largest).contains(value);
        match values.iter().find(|value| !is_one(value)) {
            None => Ok(()),
            Some(value) => Err(format!("{value} is not a value of {}", self.name())),
        }
    }

    /// The element whose little-endian bytes these are.
    fn element(self, bytes: [u8; 8]) -> f32 {
        let [a, b, c, d, ..] = bytes;
        match self {
            Bool => f32::from(a != 0),
            Uint8 => f32::from(a),
            Int8 => f32::from(a.cast_signed()),
            Uint16 => f32::from(u16::from_le_bytes([a, b])),
            Int16 => f32::from(i16::from_le_bytes([a, b])),
            Uint32 => u32::from_le_bytes([a, b, c, d]) as f32,
            Int32 => i32::from_le_bytes([a, b, c, d]) as f32,
            Uint64 => u64::from_le_bytes(bytes) as f32,
            Int64 => i64::from_le_bytes(bytes) as f32,
            Fp16 => from_half(u16::from_le_bytes([a, b])),
            Bf16 => f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
            Fp32 => f32::from_le_bytes([a, b, c, d]),
            Fp64 => f64::from_le_bytes(bytes) as f32,
        }
    }
}

/// IEEE 754's binary16 as binary32, which holds each of its values.
fn from_half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    match exponent {
        // Multiples of 2^-24.
        0 => {
            let magnitude = fraction as f32 / 16_777_216.0;
            if sign == 0 { magnitude } else { -magnitude }
        }
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Elements that come as bytes, in pieces of any size.
#[derive(Debug)]
pub(crate) struct RawElements {
    datatype: Datatype,
    n_elements: usize,
    values: Vec<f32>,
    /// The beginning of the element that a piece broke off in.
    partial: [u8; 8],
    n_partial: usize,
}

impl RawElements {
    /// `n_elements` are to come.
    pub(crate) fn new(datatype: Datatype, n_elements: usize) -> Self {
        Self {
            datatype,
            n_elements,
            values: Vec::new(),
            partial: [0; 8],
            n_partial: 0,
        }
    }

    /// Reads on; more than was announced is an error, in words.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), String> {
        let size = self.datatype.n_bytes();
        let n_missing = (self.n_elements - self.values.len()) * size - self.n_partial;
        if piece.len() > n_missing {
            return Err(format!(
                "there are more bytes than the {} that are announced",
                self.n_elements * size
            ));
        }
        while self.n_partial > 0 && !piece.is_empty() {
            self.partial[self.n_partial] = piece[0];
            self.n_partial += 1;
            piece = &piece[1..];
            if self.n_partial == size {
                self.values.push(self.datatype.element(self.partial));
                self.n_partial = 0;
            }
        }
        let whole = piece.chunks_exact(size);
        let rest = whole.remainder();
        let datatype = self.datatype;
        self.values.extend(whole.map(|bytes| {
            let mut element = [0; 8];
            element[..size].copy_from_slice(bytes);
            datatype.element(element)
        }));
        if self.n_partial == 0 {
            self.partial[..rest.len()].copy_from_slice(rest);
            self.n_partial = rest.len();
        }
        Ok(())
    }

    /// The values, if all have come and are finite; the error says what is wrong, in words.
    pub(crate) fn finish(self) -> Result<Vec<f32>, String> {
        let size = self.datatype.n_bytes();
        if self.values.len() < self.n_elements {
            return Err(format!(
                "{} bytes are announced, and {} have come",
                self.n_elements * size,
                self.values.len() * size + self.n_partial
            ));
        }
        match self.values.iter().find(|value| !value.is_finite()) {
            None => Ok(self.values),
            Some(value) => Err(format!("{value} is not a finite number of 32 bits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datatype: Datatype, bytes: &[u8], piece: usize) -> Result<Vec<f32>, String> {
        let mut elements = RawElements::new(datatype, bytes.len() / datatype.n_bytes());
        for piece in bytes.chunks(piece) {
            elements.push(piece)?;
        }
        elements.finish()
    }

    #[test]
    fn elements_are_read_wherever_the_pieces_end() {
        let values = [1.5_f32, -2.0, 3.25];
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let doubles = values
            .iter()
            .flat_map(|value| f64::from(*value).to_le_bytes());
        let doubles: Vec<u8> = doubles.collect();
        for piece in 1..=doubles.len() {
            assert_eq!(read(Fp32, &bytes, piece).unwrap(), values);
            assert_eq!(read(Fp64, &doubles, piece).unwrap(), values);
        }
        assert_eq!(read(Int8, &[255, 1], 1).unwrap(), [-1.0, 1.0]);
        assert_eq!(read(Uint16, &[1, 2], 1).unwrap(), [513.0]);
        assert_eq!(read(Bool, &[0, 7], 2).unwrap(), [0.0, 1.0]);
        let mut few = RawElements::new(Fp32, 2);
        few.push(&[0; 5]).unwrap();
        assert!(
            few.push(&[0; 4])
                .unwrap_err()
                .contains("more bytes than the 8")
        );
        assert!(
            few.finish()
                .unwrap_err()
                .contains("8 bytes are announced, and 5")
        );
        assert!(
            read(Fp32, &f32::NAN.to_le_bytes(), 4)
                .unwrap_err()
                .contains("finite")
        );
    }

    /// Independent source: values of the standard's table (binary16 of 1, -2, the largest, the smallest normal and subnormal).
    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x8000, -0.0),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(from_half(bits).to_bits(), f32::to_bits(value), "{bits:x}");
        }
        assert!(from_half(0x7c00).is_infinite() && from_half(0x7e00).is_nan());
        assert_eq!(read(Bf16, &[0x80, 0x3f], 2).unwrap(), [1.0]);
    }

    #[test]
    fn values_are_of_their_type() {
        for (datatype, value, is_one) in [
            (Int32, 0.5, false),
            (Uint8, 999.0, false),
            (Uint8, -1.0, false),
            (Uint8, 255.0, true),
            (Int8, 300.0, false),
            (Int8, -128.0, true),
            (Fp64, 0.5, true),
            (Fp16, 0.5, false),
            (Bool, 1.0, false),
        ] {
            assert_eq!(
                datatype.check(&[1.0, value], false).is_ok(),
                is_one,
                "{datatype:?} {value}"
            );
        }
        assert_eq!(Bool.check(&[1.0], true), Ok(()));
        assert!(Fp32.check(&[1.0], true).is_err());
    }
}
