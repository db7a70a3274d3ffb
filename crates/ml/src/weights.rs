//! Tensors as safetensors bytes, and back: 32-bit floats alone, as the kernels take them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read};

use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError, View};

use crate::kernels::Buffer;

/// A tensor as safetensors stores it: row-major, little-endian.
pub(crate) struct Floats<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
}

impl<'a> Floats<'a> {
    pub(crate) const fn new(shape: Vec<usize>, values: &'a [f32]) -> Self {
        Self { shape, values }
    }

    /// Without a shape of its own.
    pub(crate) fn flat(values: &'a [f32]) -> Self {
        Self::new(vec![values.len()], values)
    }
}

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(self.values) {
            *bytes = value.to_le_bytes();
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

/// The bytes of a file of named tensors. The same tensors give the same bytes, in whichever order they come.
pub(crate) fn serialise<'a>(
    tensors: impl IntoIterator<Item = (String, Floats<'a>)>,
) -> Result<Vec<u8>, SafeTensorError> {
    safetensors::serialize(tensors, None)
}

/// The values of a tensor; `None` where they are not 32-bit floats.
pub(crate) fn values(tensor: &TensorView<'_>) -> Option<Buffer> {
    if tensor.dtype() != Dtype::F32 {
        return None;
    }
    let bytes = tensor.data().as_chunks::<4>().0;
    let mut values = Buffer::zeros(bytes.len());
    for (value, bytes) in values.iter_mut().zip(bytes) {
        *value = f32::from_le_bytes(*bytes);
    }
    Some(values)
}

/// Bytes of a file read at a time: they stay in the processor's cache until they are values.
const READ_BYTES: usize = 64 << 10;

/// The longest header that is read, as the safetensors crate bounds it.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Named tensors that were read from a file.
#[derive(Default)]
pub(crate) struct Tensors(BTreeMap<String, Tensor>);

/// A tensor of a file.
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    /// `None` where they are not 32-bit floats.
    pub(crate) values: Option<Buffer>,
}

/// Why there are no tensors.
#[derive(Debug, thiserror::Error)]
pub enum ReadTensorsError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The header is none.
    #[error("its header is not that of safetensors: {0}")]
    Header(String),
    /// The tensors do not fill the file.
    #[error("its header does not tell where the tensors lie in its {n_bytes} bytes")]
    Places {
        /// Bytes of the file.
        n_bytes: u64,
    },
}

impl Tensors {
    /// Reads a file of `n_bytes` from its beginning to its end, and nothing of it twice: in memory are the values alone.
    ///
    /// The format is that of the safetensors crate: 8 bytes with the header's length, little-endian, the header as JSON, and the
    /// tensors one after the other without a gap.
    pub(crate) fn read(reader: &mut dyn Read, n_bytes: u64) -> Result<Self, ReadTensorsError> {
        let mut length = [0; 8];
        reader.read_exact(&mut length)?;
        let header_len = u64::from_le_bytes(length);
        let places = || ReadTensorsError::Places { n_bytes };
        let data_len = n_bytes
            .checked_sub(8)
            .and_then(|rest| rest.checked_sub(header_len))
            .filter(|_| header_len <= MAX_HEADER_BYTES)
            .ok_or_else(places)?;
        let mut header = Vec::new();
        reader.take(header_len).read_to_end(&mut header)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| ReadTensorsError::Header(error.to_string()))?;
        let tensors = metadata.tensors();
        let mut by_place: Vec<_> = tensors.iter().collect();
        by_place.sort_by_key(|(_, info)| info.data_offsets);
        let mut end = 0;
        let mut buffer = vec![0; READ_BYTES];
        let mut found = BTreeMap::new();
        for (name, info) in by_place {
            let (start, stop) = info.data_offsets;
            let n_values = info
                .shape
                .iter()
                .try_fold(1_usize, |n, &length| n.checked_mul(length));
            let n_bits = n_values.and_then(|n| n.checked_mul(info.dtype.bitsize()));
            let is_whole = stop
                .checked_sub(start)
                .and_then(|n_bytes| n_bytes.checked_mul(8))
                .is_some_and(|n| Some(n) == n_bits);
            if start != end || !is_whole || stop as u64 > data_len {
                return Err(places());
            }
            end = stop;
            let values = if info.dtype == Dtype::F32 {
                Some(read_values(reader, (stop - start) / 4, &mut buffer)?)
            } else {
                io::copy(&mut reader.take((stop - start) as u64), &mut io::sink())?;
                None
            };
            let shape = info.shape.clone();
            found.insert(name.clone(), Tensor { shape, values });
        }
        if end as u64 == data_len {
            Ok(Self(found))
        } else {
            Err(places())
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }
}

/// Reads `n_values` through `buffer`.
fn read_values(reader: &mut dyn Read, n_values: usize, buffer: &mut [u8]) -> io::Result<Buffer> {
    let mut values = Buffer::zeros(n_values);
    for values in values.chunks_mut(buffer.len() / 4) {
        let bytes = &mut buffer[..values.len() * 4];
        reader.read_exact(bytes)?;
        for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn tensors_come_back_bit_by_bit_and_in_any_order_give_the_same_bytes() {
        let (first, second) = ([1.5, -0.0, f32::MIN_POSITIVE, 3.0e38], [0.1]);
        let named = |name: &str, shape, values| (name.to_owned(), Floats::new(shape, values));
        let bytes = serialise([
            named("b/kernel", vec![2, 2], &first),
            named("a/bias", vec![1], &second),
        ])
        .unwrap();
        let other = serialise([
            named("a/bias", vec![1], &second),
            named("b/kernel", vec![2, 2], &first),
        ]);
        assert_eq!(bytes, other.unwrap());
        let archive = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = archive.tensor("b/kernel").unwrap();
        assert_eq!(tensor.shape(), [2, 2]);
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&values(&tensor).unwrap()), bits(&first));
    }

    /// Independent source: the safetensors crate, which wrote the file.
    #[test]
    fn a_file_is_read_as_the_safetensors_crate_reads_it() {
        let (large, small) = (vec![0.5; 40_000], [1.5, -0.0]);
        let named = |name: &str, shape, values| (name.to_owned(), Floats::new(shape, values));
        let bytes = serialise([
            named("z", vec![2, 20_000], &large),
            named("a", vec![2, 1], &small),
            named("empty", vec![0], &[]),
        ])
        .unwrap();
        let of = |bytes: &[u8]| Tensors::read(&mut &*bytes, bytes.len() as u64);
        let mut tensors = of(&bytes).unwrap();
        let archive = SafeTensors::deserialize(&bytes).unwrap();
        for (name, view) in archive.tensors() {
            let Tensor { shape, values } = tensors.take(&name).unwrap();
            assert_eq!(shape, view.shape());
            assert_eq!(values, super::values(&view));
        }
        assert_eq!(tensors.names().count(), 0);
        // Cut, or with bytes behind the last tensor, at any place.
        for len in [0, 7, 8, 20, bytes.len() - 1] {
            assert!(of(&bytes[..len]).is_err(), "{len}");
            assert!(SafeTensors::deserialize(&bytes[..len]).is_err());
        }
        assert!(of(&[&bytes[..], b"!"].concat()).is_err());
    }

    /// What a header may say wrongly; the safetensors crate refuses each too.
    #[test]
    fn tensors_that_overlap_or_leave_gaps_are_refused() {
        let file = |header: &str, n_data: usize| {
            let length = (header.len() as u64).to_le_bytes();
            [&length, header.as_bytes(), &vec![0; n_data]].concat()
        };
        let of = |start: usize, stop: usize, shape: &str| {
            format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{stop}]}}}}"#)
        };
        let huge = format!("[{}, 4]", u64::MAX / 4);
        for (header, n_data, is_right) in [
            (of(0, 8, "[2]"), 8, true),
            (of(4, 12, "[2]"), 12, false),
            (of(0, 8, "[3]"), 8, false),
            (of(0, 8, "[2]"), 4, false),
            (of(8, 0, "[2]"), 8, false),
            (of(0, 8, &huge), 8, false),
            ("{}".to_owned(), 4, false),
            ("[]".to_owned(), 0, false),
        ] {
            let bytes = file(&header, n_data);
            let read = Tensors::read(&mut bytes.as_slice(), bytes.len() as u64);
            assert_eq!(read.is_ok(), is_right, "{header}");
            assert_eq!(SafeTensors::deserialize(&bytes).is_ok(), is_right);
        }
        let long = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
        assert!(Tensors::read(&mut long.as_slice(), 10).is_err());
    }

    #[test]
    fn other_types_are_not_taken_for_floats() {
        let data = [0; 8];
        let view = TensorView::new(Dtype::F64, vec![1], &data).unwrap();
        assert!(values(&view).is_none());
    }
}
