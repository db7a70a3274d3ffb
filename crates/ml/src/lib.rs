//! Datasets, networks, training and scoring: configuration and files in, a model folder or scores out.
//!
//! Synchronous, no network. Results are decided by configuration, data, seed and instruction set alone, whatever the
//! number of threads.

pub mod chosen_threshold;
pub mod data;
mod engine;
pub mod input_summary;
pub mod kernels;
pub mod network;
pub mod optimizer;
pub mod prediction_summary;
pub mod predictions;
pub mod predictor;
pub use trainyard_core::random;
mod schedule;
pub mod store;
pub mod train;

mod threads;
mod weights;

pub use schedule::learning_rates;
pub use threads::Threads;

/// The instructions that arithmetic runs on here, as `model.json` records them: `x86_64 fma`.
pub fn instruction_set() -> String {
    let isa = kernels::isa::Isa::detect().name();
    format!("{} {isa}", std::env::consts::ARCH)
}
