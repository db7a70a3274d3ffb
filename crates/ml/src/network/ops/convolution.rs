//! Convolutions over images and steps, with their activation and the maximum pooling behind it where one is.

use trainyard_core::model::architecture::{Activation, Conv};

use super::pool::windows;
use super::{
    Marks, Needs, Operation, Output, Passed, Places, Row, RowOperation, image_axes, is_relu,
    kernel_and_bias, steps_axes,
};
use crate::kernels::activation;
use crate::kernels::conv::{self, Conv2d};
use crate::kernels::grey_conv::{self, GreyConv};
use crate::kernels::pool::{self, Windows};
use crate::network::buffers::ShardBuffers;

#[derive(Debug, Clone)]
pub(in crate::network) struct Convolution {
    conv: Box<Conv2d>,
    activation: Activation,
    pooling: Pooling,
    kernel: usize,
    bias: Option<usize>,
}

#[derive(Debug, Clone)]
enum Pooling {
    None,
    /// The largest value of each window: taken before a monotone activation, so that the larger image is never kept.
    Behind(Windows),
    /// Convolution, ReLU and pooling in one kernel, of a network that begins so: it gives no gradient by its input.
    InOne(GreyConv),
}

impl Convolution {
    pub(in crate::network) fn over_images(
        layer: &Conv<2>,
        input: &[usize],
        output: &[usize],
        activation: Activation,
        places: &mut Places,
    ) -> Self {
        Self::new(
            layer,
            image_axes(input),
            image_axes(output),
            activation,
            places,
        )
    }

    pub(in crate::network) fn over_steps(
        layer: &Conv<1>,
        input: &[usize],
        output: &[usize],
        activation: Activation,
        places: &mut Places,
    ) -> Self {
        let along = |[size]: [usize; 1]| [1, size];
        let layer = Conv {
            filters: layer.filters,
            kernel_size: along(layer.kernel_size),
            strides: along(layer.strides),
            padding: layer.padding,
            dilation_rate: along(layer.dilation_rate),
            activation: layer.activation,
            use_bias: layer.use_bias,
            kernel_regularizer: layer.kernel_regularizer,
            bias_regularizer: layer.bias_regularizer,
        };
        Self::new(
            &layer,
            steps_axes(input),
            steps_axes(output),
            activation,
            places,
        )
    }

    fn new(
        layer: &Conv<2>,
        input: [usize; 3],
        output: [usize; 3],
        activation: Activation,
        places: &mut Places,
    ) -> Self {
        let windows = windows(
            input,
            output,
            layer.kernel_size,
            layer.strides,
            layer.dilation_rate,
            layer.padding,
        );
        Self {
            conv: Box::new(Conv2d::new(windows, layer.filters)),
            activation,
            pooling: Pooling::None,
            kernel: places.take(),
            bias: places.take_if(layer.use_bias),
        }
    }

    /// Takes the maximum pooling that follows in, where that changes nothing but the work; says whether it did.
    pub(in crate::network) fn join(&mut self, windows: &Windows) -> bool {
        let joins =
            matches!(self.pooling, Pooling::None) && activation::is_monotone(self.activation);
        if joins {
            self.pooling = Pooling::Behind(*windows);
        }
        joins
    }

    /// Uses the kernel for the usual first layers over grey images where this is one.
    pub(in crate::network) fn begin_network(&mut self) {
        let Pooling::Behind(pool) = &self.pooling else {
            return;
        };
        if is_relu(self.activation)
            && let Some(grey) = GreyConv::new(&self.conv.windows, self.conv.filters, pool)
        {
            self.pooling = Pooling::InOne(grey);
        }
    }

    /// Whether one kernel does convolution, activation and pooling.
    #[cfg(test)]
    pub(in crate::network) const fn is_in_one(&self) -> bool {
        matches!(self.pooling, Pooling::InOne(_))
    }
}

impl Operation for Convolution {
    fn parameters(&self) -> Vec<usize> {
        [self.kernel].into_iter().chain(self.bias).collect()
    }

    fn needs(&self) -> Needs {
        let (image, marks) = match self.pooling {
            Pooling::None => (0, Marks::None),
            Pooling::Behind(_) => (self.conv.output_len(), Marks::Places),
            Pooling::InOne(_) => (0, Marks::Cells),
        };
        Needs {
            scratch: self.conv.scratch_len(),
            image,
            marks,
            ..Needs::default()
        }
    }

    /// The largest of values from a ReLU is zero only where all are.
    fn keeps_relu_zeros(&self, _input: bool) -> bool {
        is_relu(self.activation)
    }
}

impl RowOperation for Convolution {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, buffers: &mut ShardBuffers) {
        let Output {
            values: out,
            places,
            cells,
        } = output;
        let kernel = &*at.parameters[self.kernel];
        let bias = at.optional(self.bias);
        let conv = &self.conv;
        match &self.pooling {
            Pooling::InOne(sizes) => {
                let parameters = grey_conv::Parameters { kernel, bias };
                grey_conv::forward(*sizes, input, parameters, out, cells);
                return;
            }
            Pooling::Behind(windows) => {
                let image = &mut buffers.image[..conv.output_len()];
                conv.forward(input, kernel, bias, image, &mut buffers.scratch);
                pool::max_forward(windows, image, out, places);
            }
            Pooling::None => conv.forward(input, kernel, bias, out, &mut buffers.scratch),
        }
        activation::forward(self.activation, out, conv.filters);
    }

    fn backward(
        &self,
        at: Row<'_>,
        passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        buffers: &mut ShardBuffers,
    ) {
        let ShardBuffers {
            scratch,
            image,
            partials,
            ..
        } = buffers;
        let (by_kernel, by_bias) = kernel_and_bias(partials, self.kernel, self.bias);
        if let Pooling::InOne(sizes) = &self.pooling {
            let Passed { input, cells, .. } = passed;
            grey_conv::backward(*sizes, input, cells, gradient, by_kernel, by_bias);
            return;
        }
        activation::backward(self.activation, &[], passed.output, gradient, 1);
        // The gradient by the bias is a sum over all positions, most of which pooling passed over.
        if let Some(sums) = by_bias {
            conv::add_rows(gradient, sums);
        }
        let gradient = match &self.pooling {
            Pooling::Behind(windows) => {
                let image = &mut image[..self.conv.output_len()];
                pool::max_backward(windows, passed.places, gradient, image);
                image
            }
            Pooling::None | Pooling::InOne(_) => gradient,
        };
        let kernel = &at.parameters[self.kernel];
        self.conv.backward(
            passed.input,
            kernel,
            gradient,
            by_kernel,
            input_gradient,
            scratch,
        );
    }
}
