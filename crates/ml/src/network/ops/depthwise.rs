//! Convolutions of each channel on its own, with their activation.

use trainyard_core::model::architecture::{Activation, DepthwiseConv2D};

use super::pool::windows;
use super::{
    Operation, Output, Passed, Places, Row, RowOperation, image_axes, is_relu, kernel_and_bias,
};
use crate::kernels::pool::Windows;
use crate::kernels::{activation, depthwise};
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct Depthwise {
    windows: Windows,
    multiplier: usize,
    activation: Activation,
    kernel: usize,
    bias: Option<usize>,
}

impl Depthwise {
    pub(in crate::network) fn new(
        layer: &DepthwiseConv2D,
        input: &[usize],
        output: &[usize],
        activation: Activation,
        places: &mut Places,
    ) -> Self {
        Self {
            windows: windows(
                image_axes(input),
                image_axes(output),
                layer.kernel_size,
                layer.strides,
                layer.dilation_rate,
                layer.padding,
            ),
            multiplier: layer.depth_multiplier,
            activation,
            kernel: places.take(),
            bias: places.take_if(layer.use_bias),
        }
    }
}

impl Operation for Depthwise {
    fn parameters(&self) -> Vec<usize> {
        [self.kernel].into_iter().chain(self.bias).collect()
    }

    fn keeps_relu_zeros(&self, _input: bool) -> bool {
        is_relu(self.activation)
    }
}

impl RowOperation for Depthwise {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let out = output.values;
        let kernel = &at.parameters[self.kernel];
        let bias = at.optional(self.bias);
        depthwise::forward(&self.windows, self.multiplier, input, kernel, bias, out);
        activation::forward(self.activation, out, 1);
    }

    fn backward(
        &self,
        at: Row<'_>,
        passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        buffers: &mut ShardBuffers,
    ) {
        let (by_kernel, by_bias) = kernel_and_bias(&mut buffers.partials, self.kernel, self.bias);
        activation::backward(self.activation, &[], passed.output, gradient, 1);
        depthwise::backward(
            &self.windows,
            self.multiplier,
            passed.input,
            &at.parameters[self.kernel],
            gradient,
            by_kernel,
            by_bias,
            input_gradient,
        );
    }
}
