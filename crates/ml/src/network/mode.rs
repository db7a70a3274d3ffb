//! What a pass over a batch is for.

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is the identity, and batch normalisation goes by its moving averages.
    Score,
    /// Dropout draws by the seed and the number of the optimiser step.
    Train {
        /// The run's seed.
        seed: u64,
        /// Optimiser steps before this one.
        step: u32,
    },
}
