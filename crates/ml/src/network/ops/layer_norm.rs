//! Layer normalisation: each row's last axis to mean 0 and variance 1.

use trainyard_core::model::architecture::LayerNormalization;

use super::{Operation, Output, Passed, Places, Row, RowOperation, n_channels, two_of};
use crate::kernels::norm;
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct LayerNorm {
    n_columns: usize,
    epsilon: f64,
    gamma: Option<usize>,
    beta: Option<usize>,
}

impl LayerNorm {
    pub(in crate::network) fn new(
        layer: &LayerNormalization,
        input: &[usize],
        places: &mut Places,
    ) -> Self {
        Self {
            n_columns: n_channels(input),
            epsilon: layer.epsilon,
            gamma: places.take_if(layer.scale),
            beta: places.take_if(layer.center),
        }
    }
}

impl Operation for LayerNorm {
    fn parameters(&self) -> Vec<usize> {
        self.gamma.into_iter().chain(self.beta).collect()
    }
}

impl RowOperation for LayerNorm {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let (gamma, beta) = (at.optional(self.gamma), at.optional(self.beta));
        let out = output.values;
        norm::layer_forward(input, out, gamma, beta, self.n_columns, self.epsilon);
    }

    fn backward(
        &self,
        at: Row<'_>,
        passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        buffers: &mut ShardBuffers,
    ) {
        let [by_gamma, by_beta] = two_of(&mut buffers.partials, [self.gamma, self.beta]);
        norm::layer_backward(
            passed.input,
            gradient,
            input_gradient,
            at.optional(self.gamma),
            by_gamma,
            by_beta,
            self.n_columns,
            self.epsilon,
        );
    }
}
