//! Poolings over windows and over whole inputs; whether the largest value or the mean is taken is the layer's type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::axes::{self, Sizes};
use super::convolution::{Padding, windows};
use super::layer_type::LayerType;
use super::shape::{self, Misfit};

/// Arguments of a pooling over `N` axes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "PoolingArguments<N>")]
pub struct Pooling<const N: usize> {
    /// Size of the window along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Sizes<N>")]
    pub pool_size: [usize; N],
    /// Strides along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Sizes<N>")]
    pub strides: [usize; N],
    /// Padding at the border.
    pub padding: Padding,
}

/// As it is written: the default of `strides` is `pool_size`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PoolingArguments<const N: usize> {
    /// Size of the pooling window along each axis; 2 if not given.
    #[serde(with = "axes", default = "twos")]
    #[schemars(!default, with = "Option<Sizes<N>>")]
    pool_size: [usize; N],
    /// Strides along each axis; `pool_size` if not given.
    #[serde(default)]
    #[schemars(with = "Option<Sizes<N>>")]
    strides: Option<Strides<N>>,
    /// Padding at the border.
    #[serde(default)]
    padding: Padding,
}

#[derive(Deserialize)]
struct Strides<const N: usize>(#[serde(with = "axes")] [usize; N]);

const fn twos<const N: usize>() -> [usize; N] {
    [2; N]
}

impl<const N: usize> From<PoolingArguments<N>> for Pooling<N> {
    fn from(arguments: PoolingArguments<N>) -> Self {
        let PoolingArguments {
            pool_size,
            strides,
            padding,
        } = arguments;
        Self {
            pool_size,
            strides: strides.map_or(pool_size, |Strides(strides)| strides),
            padding,
        }
    }
}

impl<const N: usize> LayerType for Pooling<N> {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let (size, channels) = shape::windowed_axes::<N>(input)?;
        let size = windows(size, self.pool_size, self.strides, self.padding)?;
        Ok(size.into_iter().chain([channels]).collect())
    }
}

/// A pooling of each channel over all `N` axes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalPooling<const N: usize> {}

impl<const N: usize> LayerType for GlobalPooling<N> {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let (_, channels) = shape::windowed_axes::<N>(input)?;
        Ok(vec![channels])
    }
}
