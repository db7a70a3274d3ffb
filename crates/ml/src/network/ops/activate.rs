//! An activation function that is a step of its own, and keeps its input for the gradient.

use trainyard_core::model::architecture::Activation;

use super::{Operation, Output, Passed, Row, RowOperation, is_relu};
use crate::kernels::activation;
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct Activate {
    function: Activation,
    n_columns: usize,
}

impl Activate {
    /// `shape` is that of the values, over whose last axis softmax runs.
    pub(in crate::network) fn new(function: Activation, shape: &[usize]) -> Self {
        Self {
            function,
            // A row of one value has no axes.
            n_columns: shape.last().copied().unwrap_or(1),
        }
    }
}

impl Operation for Activate {
    fn keeps_relu_zeros(&self, _input: bool) -> bool {
        is_relu(self.function)
    }
}

impl RowOperation for Activate {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        output.values.copy_from_slice(input);
        activation::forward(self.function, output.values, self.n_columns);
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
        let Passed { input, output, .. } = passed;
        activation::backward(self.function, input, output, gradient, self.n_columns);
        input_gradient.copy_from_slice(gradient);
    }
}
