//! Tensors as safetensors bytes, and back: 32-bit floats alone, as the kernels take them.

use std::borrow::Cow;

use safetensors::tensor::TensorView;
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

    #[test]
    fn other_types_are_not_taken_for_floats() {
        let data = [0; 8];
        let view = TensorView::new(Dtype::F64, vec![1], &data).unwrap();
        assert!(values(&view).is_none());
    }
}
