//! Rows and columns of an image, each repeated.

use trainyard_core::model::architecture::{Interpolation, UpSampling2D};

use super::{Operation, Output, Passed, Row, RowOperation, image_axes};
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct UpSample {
    /// Of the image that comes in: `[height, width, channels]`.
    image: [usize; 3],
    /// How often each row and each column is repeated.
    size: [usize; 2],
}

impl UpSample {
    pub(in crate::network) fn new(layer: &UpSampling2D, input: &[usize]) -> Self {
        let Interpolation::Nearest = layer.interpolation;
        Self {
            image: image_axes(input),
            size: layer.size,
        }
    }

    /// Calls `f` with the place of every pixel that comes out, and that of the pixel it is of.
    fn each_pixel(&self, mut f: impl FnMut(usize, usize)) {
        let [height, width, channels] = self.image;
        let [rows, columns] = self.size;
        let mut outer = 0;
        for y in 0..height * rows {
            for x in 0..width * columns {
                f(outer, (y / rows * width + x / columns) * channels);
                outer += channels;
            }
        }
    }
}

impl Operation for UpSample {
    /// A repeated zero has as its gradient the sum of zeros' gradients.
    fn keeps_relu_zeros(&self, input: bool) -> bool {
        input
    }
}

impl RowOperation for UpSample {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let [_, _, channels] = self.image;
        self.each_pixel(|outer, inner| {
            output.values[outer..outer + channels].copy_from_slice(&input[inner..inner + channels]);
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
        let [_, _, channels] = self.image;
        input_gradient.fill(0.0);
        self.each_pixel(|outer, inner| {
            let sums = input_gradient[inner..inner + channels].iter_mut();
            for (sum, part) in sums.zip(&gradient[outer..outer + channels]) {
                *sum += part;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: `keras.layers.UpSampling2D((2, 3))` as documented, worked by hand.
    #[test]
    fn rows_and_columns_are_repeated_channel_by_channel() {
        let layer = UpSampling2D {
            size: [2, 3],
            interpolation: Interpolation::Nearest,
        };
        let op = UpSample::new(&layer, &[1, 2, 2]);
        let mut places = Vec::new();
        op.each_pixel(|outer, inner| places.push((outer, inner)));
        let inner: Vec<usize> = places.iter().map(|&(_, inner)| inner).collect();
        assert_eq!(inner, [0, 0, 0, 2, 2, 2, 0, 0, 0, 2, 2, 2]);
        let outer: Vec<usize> = places.iter().map(|&(outer, _)| outer).collect();
        assert_eq!(outer, (0..24).step_by(2).collect::<Vec<_>>());
    }
}
