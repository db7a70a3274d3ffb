//! A fixed factor and offset.

use trainyard_core::model::architecture::Rescaling;

use super::{Operation, Output, Passed, Row, RowOperation};
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct Rescale {
    scale: f32,
    offset: f32,
}

impl Rescale {
    pub(in crate::network) const fn new(layer: &Rescaling) -> Self {
        Self {
            scale: layer.scale as f32,
            offset: layer.offset as f32,
        }
    }
}

impl Operation for Rescale {}

impl RowOperation for Rescale {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let values = output.values.iter_mut().zip(input);
        values.for_each(|(out, value)| *out = value * self.scale + self.offset);
    }

    fn backward(
        &self,
        _at: Row<'_>,
        _passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        if let Some(input_gradient) = input_gradient {
            let values = input_gradient.iter_mut().zip(&*gradient);
            values.for_each(|(out, value)| *out = value * self.scale);
        }
    }
}
