//! Convolutions, and how windows lie on an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::argument::{ArgumentError, yes};
use super::axes::{self, Sizes};
use super::layer_type::LayerType;
use super::parameter::{Parameter, Regularizer, check_regularizers, kernel_and_bias};
use super::shape::{self, Misfit, at_least_one};

/// Arguments of a convolution over `N` axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv<const N: usize> {
    /// Number of filters (output channels).
    pub filters: usize,
    /// Size of the kernel along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Sizes<N>")]
    pub kernel_size: [usize; N],
    /// Strides along each axis; 1 if not given.
    #[serde(with = "axes", default = "axes::ones")]
    #[schemars(!default, with = "Option<Sizes<N>>")]
    pub strides: [usize; N],
    /// Zero padding at the border.
    #[serde(default)]
    pub padding: Padding,
    /// Dilation rate along each axis; 1 if not given.
    #[serde(with = "axes", default = "axes::ones")]
    #[schemars(!default, with = "Option<Sizes<N>>")]
    pub dilation_rate: [usize; N],
    /// Activation function.
    #[serde(default)]
    pub activation: Activation,
    /// Whether to add a bias.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// Regulariser of the kernel, such as `{ l2 = 0.0001 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Regulariser of the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
}

impl<const N: usize> LayerType for Conv<N> {
    const EXAMPLE: &'static [&'static str] = &["filters = 32", "kernel_size = 3"];

    fn check(&self) -> Result<(), ArgumentError> {
        check_regularizers([self.kernel_regularizer, self.bias_regularizer])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let (size, _) = shape::windowed_axes::<N>(input)?;
        at_least_one(self.filters)?;
        let window = dilated(self.kernel_size, self.strides, self.dilation_rate)?;
        let size = windows(size, window, self.strides, self.padding)?;
        Ok(size.into_iter().chain([self.filters]).collect())
    }

    fn parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        let (_, channels) = shape::windowed_axes::<N>(input)?;
        kernel_and_bias(
            &self.kernel_size,
            [channels, self.filters],
            self.filters,
            self.use_bias,
            [self.kernel_regularizer, self.bias_regularizer],
        )
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}

/// Arguments of a depthwise convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseConv2D {
    /// Size of the kernel along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Sizes<2>")]
    pub kernel_size: [usize; 2],
    /// Strides along each axis; 1 if not given.
    #[serde(with = "axes", default = "axes::ones")]
    #[schemars(!default, with = "Option<Sizes<2>>")]
    pub strides: [usize; 2],
    /// Zero padding at the border.
    #[serde(default)]
    pub padding: Padding,
    /// Dilation rate along each axis; 1 if not given.
    #[serde(with = "axes", default = "axes::ones")]
    #[schemars(!default, with = "Option<Sizes<2>>")]
    pub dilation_rate: [usize; 2],
    /// Depth multiplier: output channels per input channel; 1 if not given.
    #[serde(default = "one")]
    pub depth_multiplier: usize,
    /// Activation function.
    #[serde(default)]
    pub activation: Activation,
    /// Whether to add a bias.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// Regulariser of the kernel, such as `{ l2 = 0.0001 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Regulariser of the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
}

const fn one() -> usize {
    1
}

impl LayerType for DepthwiseConv2D {
    const EXAMPLE: &'static [&'static str] = &["kernel_size = 3"];

    fn check(&self) -> Result<(), ArgumentError> {
        check_regularizers([self.kernel_regularizer, self.bias_regularizer])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let (size, channels) = shape::windowed_axes::<2>(input)?;
        at_least_one(self.depth_multiplier)?;
        let window = dilated(self.kernel_size, self.strides, self.dilation_rate)?;
        let [rows, columns] = windows(size, window, self.strides, self.padding)?;
        let channels = channels
            .checked_mul(self.depth_multiplier)
            .ok_or(Misfit::Size)?;
        Ok(vec![rows, columns, channels])
    }

    fn parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        let (_, channels) = shape::windowed_axes::<2>(input)?;
        kernel_and_bias(
            &self.kernel_size,
            [channels, self.depth_multiplier],
            channels * self.depth_multiplier,
            self.use_bias,
            [self.kernel_regularizer, self.bias_regularizer],
        )
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}

/// How a window meets the border, as in Keras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Windows lie wholly inside the input.
    #[default]
    Valid,
    /// Output size is input size divided by the stride, rounded up; an odd pad goes below and to the right.
    Same,
}

/// Number of zero rows or columns before and after an axis of `size` cells for Keras's `same` padding.
pub const fn same_padding(size: usize, window: usize, stride: usize) -> (usize, usize) {
    let n_windows = size.div_ceil(stride);
    let total = ((n_windows - 1) * stride + window).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// The cells that a window reaches over, dilation included.
pub fn effective_window<const N: usize>(
    window: [usize; N],
    dilation_rate: [usize; N],
) -> [usize; N] {
    std::array::from_fn(|axis| {
        window[axis].saturating_sub(1) * dilation_rate[axis] + window[axis].min(1)
    })
}

/// The window that a convolution reaches over, where its arguments go together.
fn dilated<const N: usize>(
    kernel_size: [usize; N],
    strides: [usize; N],
    dilation_rate: [usize; N],
) -> Result<[usize; N], Misfit> {
    for size in kernel_size.into_iter().chain(dilation_rate) {
        at_least_one(size)?;
    }
    if strides.iter().any(|stride| *stride > 1) && dilation_rate.iter().any(|rate| *rate > 1) {
        return Err(Misfit::StridedDilation);
    }
    Ok(effective_window(kernel_size, dilation_rate))
}

/// The number of windows along each axis.
pub(super) fn windows<const N: usize>(
    size: [usize; N],
    window: [usize; N],
    strides: [usize; N],
    padding: Padding,
) -> Result<[usize; N], Misfit> {
    for axis in window.into_iter().chain(strides).chain(size) {
        at_least_one(axis)?;
    }
    let mut counts = [0; N];
    for axis in 0..N {
        counts[axis] = match padding {
            Padding::Same => size[axis].div_ceil(strides[axis]),
            Padding::Valid => match size[axis].checked_sub(window[axis]) {
                Some(free) => free / strides[axis] + 1,
                None => {
                    return Err(Misfit::Window {
                        window: window.to_vec(),
                        shape: size.to_vec(),
                    });
                }
            },
        };
    }
    Ok(counts)
}
