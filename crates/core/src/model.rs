//! `model.json`: what a model is, and the digest that names it.
//!
//! It holds no time, host, thread count, commit or digest of itself, so that the same inputs give the same bytes;
//! those go to `run.json` ([`RunRecord`]), outside the digest.

pub mod architecture;
mod artifact;
mod file_entry;
mod folder;
mod input_summary;
mod loss;
mod manifest;
mod origin;
mod prediction_summary;
mod preprocessing;
mod run;

pub use artifact::{Artifact, NetworkArtifact, OnnxArtifact};
pub use file_entry::FileEntry;
pub use folder::{ModelError, ModelFolder};
pub use input_summary::{Histogram, InputSummary, RowSummary, SummaryScope, ValueSummary};
pub use loss::Loss;
pub use manifest::{ModelManifest, Task, TensorSpec};
pub use origin::{Engine, ImportProof, ImportedOrigin, Origin, TrainedOrigin, TrainingSummary};
pub use prediction_summary::{PredictedDistribution, PredictedRows, PredictionSummary};
pub use preprocessing::Preprocessing;
pub use run::RunRecord;

/// The version of `model.json` that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The manifest's file name in a model folder.
pub const MANIFEST_FILE: &str = "model.json";

/// The weights' file name in a model folder.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

#[cfg(test)]
mod tests;
