//! Shapes through a network, and what does not fit.

use super::{Conv, Layer, NamedLayer, Padding};

/// Why layers do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The layer wants another number of axes.
    #[error("{layer} needs an input of {wanted}, but receives {shape:?}")]
    Rank {
        /// Type of the layer.
        layer: &'static str,
        /// The axes it wants, in words.
        wanted: &'static str,
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
    },
    /// The window is larger than the input.
    #[error("{layer} has a window of {window:?}, larger than its input of {shape:?}")]
    Window {
        /// Type of the layer.
        layer: &'static str,
        /// Size of the window, dilation included.
        window: Vec<usize>,
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
    },
    /// A size that must be at least one is zero, or so large that it overflows.
    #[error("{layer} has a size of zero or one too large to compute with")]
    Size {
        /// Type of the layer.
        layer: &'static str,
    },
    /// A shape of another number of values.
    #[error("Reshape cannot lay {shape:?} out as {target:?}")]
    Reshape {
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
        /// What it should become.
        target: Vec<i64>,
    },
    /// Keras does not take both at once.
    #[error("{layer} takes `strides` or `dilation_rate`, not both above 1")]
    StridedDilation {
        /// Type of the layer.
        layer: &'static str,
    },
}

impl Layer {
    /// The shape that this layer gives for one input of shape `input` (both without the batch axis).
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
        let layer = self.type_name();
        match self {
            Self::Conv1D(conv) => {
                let [steps, _] = sequence_axes(layer, input)?;
                let [steps] = convolved(layer, [steps], conv)?;
                Ok(vec![steps, conv.filters])
            }
            Self::Conv2D(conv) => {
                let [height, width, _] = image_axes(layer, input)?;
                let [rows, columns] = convolved(layer, [height, width], conv)?;
                Ok(vec![rows, columns, conv.filters])
            }
            Self::DepthwiseConv2D(conv) => {
                let [height, width, channels] = image_axes(layer, input)?;
                at_least_one(layer, conv.depth_multiplier)?;
                let window = effective_window(conv.kernel_size, conv.dilation_rate);
                let [rows, columns] =
                    windows(layer, [height, width], window, conv.strides, conv.padding)?;
                Ok(vec![rows, columns, channels * conv.depth_multiplier])
            }
            Self::MaxPooling1D(pool) | Self::AveragePooling1D(pool) => {
                let [steps, channels] = sequence_axes(layer, input)?;
                let [steps] = windows(layer, [steps], pool.pool_size, pool.strides, pool.padding)?;
                Ok(vec![steps, channels])
            }
            Self::MaxPooling2D(pool) | Self::AveragePooling2D(pool) => {
                let [height, width, channels] = image_axes(layer, input)?;
                let size = [height, width];
                let [rows, columns] =
                    windows(layer, size, pool.pool_size, pool.strides, pool.padding)?;
                Ok(vec![rows, columns, channels])
            }
            Self::GlobalMaxPooling1D | Self::GlobalAveragePooling1D => {
                let [_, channels] = sequence_axes(layer, input)?;
                Ok(vec![channels])
            }
            Self::GlobalMaxPooling2D | Self::GlobalAveragePooling2D => {
                let [_, _, channels] = image_axes(layer, input)?;
                Ok(vec![channels])
            }
            Self::Flatten => Ok(vec![n_values(layer, input)?]),
            Self::Reshape { target_shape } => reshaped(input, target_shape),
            Self::ZeroPadding2D {
                padding: [[top, bottom], [left, right]],
            } => {
                let [height, width, channels] = image_axes(layer, input)?;
                for size in [top, bottom, left, right] {
                    at_least_one(layer, size + 1)?;
                }
                Ok(vec![height + top + bottom, width + left + right, channels])
            }
            Self::Dense(dense) => {
                at_least_one(layer, dense.units)?;
                let Some((_, outer)) = input.split_last() else {
                    return Err(ShapeError::Rank {
                        layer,
                        wanted: "at least one axis",
                        shape: input.to_vec(),
                    });
                };
                Ok(outer.iter().copied().chain([dense.units]).collect())
            }
            Self::Embedding {
                input_dim,
                output_dim,
            } => {
                at_least_one(layer, *input_dim)?;
                at_least_one(layer, *output_dim)?;
                Ok(input.iter().copied().chain([*output_dim]).collect())
            }
            Self::BatchNormalization { .. }
            | Self::LayerNormalization { .. }
            | Self::Normalization => match input {
                [] => Err(ShapeError::Rank {
                    layer,
                    wanted: "at least one axis",
                    shape: Vec::new(),
                }),
                _ => Ok(input.to_vec()),
            },
            Self::Rescaling { .. } | Self::Dropout { .. } | Self::Activation { .. } => {
                Ok(input.to_vec())
            }
        }
    }
}

/// The input shape of every layer, then the shape of the output: `layers.len() + 1` shapes.
///
/// On failure the index of the layer that does not fit comes with the reason.
pub fn shapes(
    layers: &[NamedLayer],
    input: &[usize],
) -> Result<Vec<Vec<usize>>, (usize, ShapeError)> {
    let mut shapes = vec![input.to_vec()];
    for (layer_idx, named) in layers.iter().enumerate() {
        let shape = named
            .layer
            .output_shape(&shapes[layer_idx])
            .and_then(|shape| n_values(named.layer.type_name(), &shape).map(|_| shape))
            .map_err(|error| (layer_idx, error))?;
        shapes.push(shape);
    }
    Ok(shapes)
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

pub(super) fn image_axes(layer: &'static str, shape: &[usize]) -> Result<[usize; 3], ShapeError> {
    <[usize; 3]>::try_from(shape).map_err(|_| ShapeError::Rank {
        layer,
        wanted: "[height, width, channels]",
        shape: shape.to_vec(),
    })
}

pub(super) fn sequence_axes(
    layer: &'static str,
    shape: &[usize],
) -> Result<[usize; 2], ShapeError> {
    <[usize; 2]>::try_from(shape).map_err(|_| ShapeError::Rank {
        layer,
        wanted: "[steps, channels]",
        shape: shape.to_vec(),
    })
}

fn at_least_one(layer: &'static str, size: usize) -> Result<(), ShapeError> {
    if size == 0 || size > 1 << 24 {
        Err(ShapeError::Size { layer })
    } else {
        Ok(())
    }
}

/// Number of values of one row, at most 2^31.
fn n_values(layer: &'static str, shape: &[usize]) -> Result<usize, ShapeError> {
    let size = shape
        .iter()
        .try_fold(1_usize, |size, &axis| size.checked_mul(axis));
    size.filter(|size| *size <= 1 << 31)
        .ok_or(ShapeError::Size { layer })
}

fn reshaped(input: &[usize], target: &[i64]) -> Result<Vec<usize>, ShapeError> {
    let mismatch = || ShapeError::Reshape {
        shape: input.to_vec(),
        target: target.to_vec(),
    };
    let n_values = n_values("Reshape", input)?;
    let known = target.iter().filter(|axis| **axis != -1);
    let known = known.map(|axis| usize::try_from(*axis).ok().filter(|axis| *axis > 0));
    let product = known
        .clone()
        .try_fold(1_usize, |product, axis| product.checked_mul(axis?))
        .ok_or_else(mismatch)?;
    let n_free = target.iter().filter(|axis| **axis == -1).count();
    let fits = match n_free {
        0 => product == n_values,
        1 => n_values.is_multiple_of(product),
        _ => false,
    };
    if !fits {
        return Err(mismatch());
    }
    let axis = |axis: &i64| usize::try_from(*axis).unwrap_or(n_values / product);
    Ok(target.iter().map(axis).collect())
}

fn convolved<const N: usize>(
    layer: &'static str,
    size: [usize; N],
    conv: &Conv<N>,
) -> Result<[usize; N], ShapeError> {
    at_least_one(layer, conv.filters)?;
    for rate in conv.dilation_rate {
        at_least_one(layer, rate)?;
    }
    if conv.strides.iter().any(|stride| *stride > 1)
        && conv.dilation_rate.iter().any(|rate| *rate > 1)
    {
        return Err(ShapeError::StridedDilation { layer });
    }
    let window = effective_window(conv.kernel_size, conv.dilation_rate);
    windows(layer, size, window, conv.strides, conv.padding)
}

fn windows<const N: usize>(
    layer: &'static str,
    size: [usize; N],
    window: [usize; N],
    strides: [usize; N],
    padding: Padding,
) -> Result<[usize; N], ShapeError> {
    for axis in window.into_iter().chain(strides).chain(size) {
        at_least_one(layer, axis)?;
    }
    let mut counts = [0; N];
    for axis in 0..N {
        counts[axis] = match padding {
            Padding::Same => size[axis].div_ceil(strides[axis]),
            Padding::Valid => match size[axis].checked_sub(window[axis]) {
                Some(free) => free / strides[axis] + 1,
                None => {
                    return Err(ShapeError::Window {
                        layer,
                        window: window.to_vec(),
                        shape: size.to_vec(),
                    });
                }
            },
        };
    }
    Ok(counts)
}
