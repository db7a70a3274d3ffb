//! Shapes through a network, and what does not fit.

/// Why a layer does not fit what it receives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{layer} {misfit}")]
pub struct ShapeError {
    /// Type of the layer.
    pub layer: &'static str,
    /// What does not fit.
    pub misfit: Misfit,
}

/// What does not fit; reads on from the type of the layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The layer wants another number of axes.
    #[error("needs an input of {wanted}, but receives {shape:?}")]
    Rank {
        /// The axes it wants, in words.
        wanted: &'static str,
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
    },
    /// The window is larger than the input.
    #[error("has a window of {window:?}, larger than its input of {shape:?}")]
    Window {
        /// Size of the window, dilation included.
        window: Vec<usize>,
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
    },
    /// A size that must be at least one is zero, or so large that it overflows.
    #[error("has a size of zero or one too large to compute with")]
    Size,
    /// A shape of another number of values.
    #[error("cannot lay {shape:?} out as {target:?}")]
    Reshape {
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
        /// What it should become.
        target: Vec<i64>,
    },
    /// Keras does not take both at once.
    #[error("takes `strides` or `dilation_rate`, not both above 1")]
    StridedDilation,
}

impl Misfit {
    pub(super) const fn of(self, layer: &'static str) -> ShapeError {
        ShapeError {
            layer,
            misfit: self,
        }
    }
}

/// The sizes of the `N` axes over which windows move, and the number of channels.
pub(super) fn windowed_axes<const N: usize>(
    shape: &[usize],
) -> Result<([usize; N], usize), Misfit> {
    let rank = || Misfit::Rank {
        wanted: match N {
            1 => "[steps, channels]",
            _ => "[height, width, channels]",
        },
        shape: shape.to_vec(),
    };
    let (channels, size) = shape.split_last().ok_or_else(rank)?;
    let size = <[usize; N]>::try_from(size).map_err(|_| rank())?;
    Ok((size, *channels))
}

/// Size of the last axis.
pub(super) fn n_channels(shape: &[usize]) -> Result<usize, Misfit> {
    shape.last().copied().ok_or_else(|| Misfit::Rank {
        wanted: "at least one axis",
        shape: shape.to_vec(),
    })
}

pub(super) const fn at_least_one(size: usize) -> Result<(), Misfit> {
    if size == 0 || size > 1 << 24 {
        Err(Misfit::Size)
    } else {
        Ok(())
    }
}

/// Number of values of one row, at most 2^31.
pub(super) fn n_values(shape: &[usize]) -> Result<usize, Misfit> {
    let size = shape
        .iter()
        .try_fold(1_usize, |size, &axis| size.checked_mul(axis));
    size.filter(|size| *size <= 1 << 31).ok_or(Misfit::Size)
}
