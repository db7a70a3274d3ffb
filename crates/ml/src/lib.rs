//! Datasets, networks, training and scoring: configuration and files in, a model folder or scores out.
//!
//! Synchronous, no network. Results are decided by configuration, data, seed and instruction set alone, whatever the
//! number of threads.

pub mod data;
pub mod kernels;
pub mod network;
pub mod optimizer;
pub mod predictions;
pub mod random;
pub mod score;
pub mod store;
pub mod train;

mod threads;

pub use threads::Threads;

/// The instructions that arithmetic runs on here, as `model.json` records them: `x86_64 avx2 fma`.
pub fn instruction_set() -> String {
    let architecture = std::env::consts::ARCH;
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        let detected = features.iter().filter(|(_, is_there)| *is_there);
        detected.fold(architecture.to_owned(), |text, (name, _)| {
            format!("{text} {name}")
        })
    }
    #[cfg(not(target_arch = "x86_64"))]
    architecture.to_owned()
}
