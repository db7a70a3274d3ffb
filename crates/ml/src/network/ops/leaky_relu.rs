//! A ReLU that lets a share of negative values through.

use trainyard_core::model::architecture::LeakyReLU;

use super::{Operation, Output, Passed, Row, RowOperation};
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct LeakyRelu {
    slope: f32,
}

impl LeakyRelu {
    pub(in crate::network) const fn new(layer: &LeakyReLU) -> Self {
        Self {
            slope: layer.negative_slope as f32,
        }
    }
}

impl Operation for LeakyRelu {}

impl RowOperation for LeakyRelu {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        for (out, &x) in output.values.iter_mut().zip(input) {
            *out = if x < 0.0 { self.slope * x } else { x };
        }
    }

    fn backward(
        &self,
        _at: Row<'_>,
        passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        let Some(input_gradient) = input_gradient else {
            return;
        };
        let values = input_gradient.iter_mut().zip(&*gradient).zip(passed.input);
        for ((out, g), &x) in values {
            *out = if x < 0.0 { self.slope * g } else { *g };
        }
    }
}
