//! Poolings over windows, steps and whole inputs.

use trainyard_core::model::architecture::{Padding, Pooling, effective_window, same_padding};

use super::{
    Marks, Needs, Operation, Output, Passed, Row, RowOperation, image_axes, n_channels, steps_axes,
};
use crate::kernels::pool::{self, Windows};
use crate::network::buffers::ShardBuffers;

/// Where the windows of a pooling lie.
#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct Pooled(Windows);

impl Pooled {
    pub(in crate::network) fn over_images(
        layer: &Pooling<2>,
        input: &[usize],
        output: &[usize],
    ) -> Self {
        let (input, output) = (image_axes(input), image_axes(output));
        Self(windows(
            input,
            output,
            layer.pool_size,
            layer.strides,
            [1, 1],
            layer.padding,
        ))
    }

    pub(in crate::network) fn over_steps(
        layer: &Pooling<1>,
        input: &[usize],
        output: &[usize],
    ) -> Self {
        let ([window], [strides]) = (layer.pool_size, layer.strides);
        let (input, output) = (steps_axes(input), steps_axes(output));
        Self(windows(
            input,
            output,
            [1, window],
            [1, strides],
            [1, 1],
            layer.padding,
        ))
    }

    /// One window over everything but the channels.
    pub(in crate::network) fn over_all(input: &[usize]) -> Self {
        let channels = n_channels(input);
        let n_cells = input.iter().rev().skip(1).product();
        let whole = [1, n_cells];
        Self(windows(
            [1, n_cells, channels],
            [1, 1, channels],
            whole,
            whole,
            [1, 1],
            Padding::Valid,
        ))
    }
}

/// The largest value of each window.
#[derive(Debug, Clone)]
pub(in crate::network) struct MaxPool {
    windows: Windows,
}

impl MaxPool {
    pub(in crate::network) const fn new(Pooled(windows): Pooled) -> Self {
        Self { windows }
    }

    pub(in crate::network) const fn windows(&self) -> &Windows {
        &self.windows
    }
}

impl Operation for MaxPool {
    fn needs(&self) -> Needs {
        Needs {
            marks: Marks::Places,
            ..Needs::default()
        }
    }

    /// The largest of values from a ReLU is zero only where all are.
    fn keeps_relu_zeros(&self, input: bool) -> bool {
        input
    }
}

impl RowOperation for MaxPool {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        pool::max_forward(&self.windows, input, output.values, output.places);
    }

    fn backward(
        &self,
        _at: Row<'_>,
        passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        if let Some(input_gradient) = input_gradient {
            pool::max_backward(&self.windows, passed.places, gradient, input_gradient);
        }
    }
}

/// The mean of each window.
#[derive(Debug, Clone)]
pub(in crate::network) struct AveragePool {
    windows: Windows,
}

impl AveragePool {
    pub(in crate::network) const fn new(Pooled(windows): Pooled) -> Self {
        Self { windows }
    }
}

impl Operation for AveragePool {}

impl RowOperation for AveragePool {
    fn forward(&self, _at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        pool::average_forward(&self.windows, input, output.values);
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
            pool::average_backward(&self.windows, gradient, input_gradient);
        }
    }
}

/// Where windows lie between images `[height, width, channels]`.
pub(super) fn windows(
    input: [usize; 3],
    output: [usize; 3],
    window: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Windows {
    let reach = effective_window(window, dilation);
    let before = |axis: usize| match padding {
        Padding::Valid => 0,
        Padding::Same => same_padding(input[axis], reach[axis], strides[axis]).0,
    };
    Windows {
        input: [input[0], input[1]],
        channels: input[2],
        window,
        strides,
        dilation,
        padding: [before(0), before(1)],
        output: [output[0], output[1]],
    }
}
