//! Dropout: random zeroes in training, the identity otherwise.

use trainyard_core::model::architecture::Dropout;

use super::{Operation, Output, Passed, Row, RowOperation};
use crate::network::buffers::ShardBuffers;
use crate::network::mode::Mode;
use crate::random::{Purpose, Stream};

#[derive(Debug, Clone)]
pub(in crate::network) struct DropOut {
    rate: f32,
}

impl DropOut {
    pub(in crate::network) const fn new(layer: &Dropout) -> Self {
        Self {
            rate: layer.rate as f32,
        }
    }

    /// Zeroes a share of the values and scales the others; forward and backward are the same.
    fn apply(&self, at: Row<'_>, values: &mut [f32]) {
        let (seed, step) = match at.mode {
            Mode::Score => return,
            Mode::Train { seed, step } => (seed, step),
        };
        let scale = 1.0 / (1.0 - self.rate);
        let part = (at.layer_idx as u32) << 20 | at.row_idx as u32;
        let mut stream = Stream::part(seed, Purpose::Dropout, step, part);
        values.iter_mut().for_each(|value| {
            *value *= if stream.uniform() < self.rate {
                0.0
            } else {
                scale
            };
        });
    }
}

impl Operation for DropOut {
    fn keeps_relu_zeros(&self, input: bool) -> bool {
        input
    }
}

impl RowOperation for DropOut {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        output.values.copy_from_slice(input);
        self.apply(at, output.values);
    }

    fn backward(
        &self,
        at: Row<'_>,
        _passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        if let Some(input_gradient) = input_gradient {
            input_gradient.copy_from_slice(gradient);
            self.apply(at, input_gradient);
        }
    }
}
