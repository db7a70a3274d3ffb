//! Normalisation by figures of the training rows, which `network::fit` takes before training.

use super::{Operation, Output, Passed, Places, Row, RowOperation, n_channels};
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct Normalize {
    pub(in crate::network) n_channels: usize,
    /// Place of the means among the network's tensors.
    pub(in crate::network) mean: usize,
    pub(in crate::network) variance: usize,
}

impl Normalize {
    pub(in crate::network) fn new(input: &[usize], places: &mut Places) -> Self {
        Self {
            n_channels: n_channels(input),
            mean: places.take(),
            variance: places.take(),
        }
    }
}

impl Operation for Normalize {
    fn parameters(&self) -> Vec<usize> {
        vec![self.mean, self.variance]
    }
}

impl RowOperation for Normalize {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let [mean, variance] = [self.mean, self.variance].map(|idx| &*at.parameters[idx]);
        let rows = input
            .chunks_exact(self.n_channels)
            .zip(output.values.chunks_exact_mut(self.n_channels));
        for (row, out) in rows {
            for (channel, (out, value)) in out.iter_mut().zip(row).enumerate() {
                *out = (value - mean[channel]) / scale_of(variance[channel]);
            }
        }
    }

    fn backward(
        &self,
        at: Row<'_>,
        _passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        let Some(input_gradient) = input_gradient else {
            return;
        };
        let variance = &at.parameters[self.variance];
        for (idx, (out, gradient)) in input_gradient.iter_mut().zip(&*gradient).enumerate() {
            *out = gradient / scale_of(variance[idx % self.n_channels]);
        }
    }
}

/// What Keras's Normalization divides by: the deviation, but never less than its epsilon.
fn scale_of(variance: f32) -> f32 {
    variance.sqrt().max(1e-7)
}
