//! `run.json`: circumstances of a run, outside the model's digest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `run.json`: circumstances of a run, outside the model's digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    pub commit: Option<String>,
    /// Where it ran: `github-actions`, `jenkins`, `travis`, `local`.
    pub ci: String,
    /// Inputs of the run that overrode its configuration, as `epochs = 1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overriding_inputs: Vec<String>,
    /// Number of threads used.
    pub n_threads: usize,
    /// Whole run, from start to the written model.
    pub total_s: f64,
    /// Each epoch.
    pub epoch_s: Vec<f64>,
    /// Operating system and processor architecture.
    pub platform: String,
}
