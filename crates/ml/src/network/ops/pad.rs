//! Rows and columns of zeros around an image.

use trainyard_core::model::architecture::ZeroPadding2D;

use super::{Operation, Output, Passed, Row, RowOperation, image_axes};
use crate::kernels::pool;
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct Pad {
    /// `[height, width, channels]`.
    image: [usize; 3],
    /// Rows above and columns to the left.
    before: [usize; 2],
    /// Of the frame.
    width: usize,
}

impl Pad {
    pub(in crate::network) fn new(layer: &ZeroPadding2D, input: &[usize]) -> Self {
        let image = image_axes(input);
        let [[top, _], [left, right]] = layer.padding;
        Self {
            image,
            before: [top, left],
            width: left + image[1] + right,
        }
    }
}

impl Operation for Pad {}

impl RowOperation for Pad {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let out = output.values;
        out.fill(0.0);
        pool::each_framed_row(self.image, self.before, self.width, |inner, outer, len| {
            out[outer..outer + len].copy_from_slice(&input[inner..inner + len]);
        });
    }

    fn backward(
        &self,
        _at: Row<'_>,
        _passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        let Some(input_gradient) = input_gradient else {
            return;
        };
        pool::each_framed_row(self.image, self.before, self.width, |inner, outer, len| {
            input_gradient[inner..inner + len].copy_from_slice(&gradient[outer..outer + len]);
        });
    }
}
