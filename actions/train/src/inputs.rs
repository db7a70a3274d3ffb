//! The inputs of the action, which are the options of `trainyard-train`.

use clap::Parser;
use trainyard_fetch::DataArgs;
use trainyard_runner::StageArgs;
use trainyard_telemetry::ElasticsearchArgs;

/// Train the model that the configuration describes.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-train", version)]
pub struct Inputs {
    /// What every stage takes.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Number of epochs, instead of `[train] epochs`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Random seed, instead of `[train] seed`.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Number of threads, instead of one per core. The result of the kernels does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Resume from the checkpoint of an interrupted run, if there is one. Configuration and data must be the same; the
    /// result is the same as without the interruption. Finished folds of a cross-validation are found without it.
    #[arg(long)]
    pub resume: bool,
    /// Train even if the output folder already holds the results of exactly this configuration and data.
    #[arg(long)]
    pub force: bool,
    /// Print the configuration with all defaults filled in, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// Print the key that changes exactly when training would give another model or cross-validation, and exit.
    #[arg(long)]
    pub content_key: bool,
    /// Downloads of data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Where results are indexed.
    #[command(flatten)]
    pub elasticsearch: ElasticsearchArgs,
}

impl Inputs {
    /// The inputs that decide the weights instead of the configuration, as it would write them.
    pub(crate) fn overriding(&self) -> Vec<String> {
        let epochs = self.epochs.map(|epochs| format!("epochs = {epochs}"));
        let seed = self.seed.map(|seed| format!("seed = {seed}"));
        epochs.into_iter().chain(seed).collect()
    }
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("model", "Folder of the model."),
    (
        "model-digest",
        "Digest of `model.json` and the weights, `sha256:…`.",
    ),
    (
        "content-key",
        "Changes exactly when training would give another model or cross-validation; a key for `actions/cache`.",
    ),
    (
        "skipped",
        "`true` if the output folder already held this model and its cross-validation, so training was skipped.",
    ),
    (
        "cross-validation",
        "Folder of the cross-validation; empty without `[evaluate.cross_validation]`.",
    ),
];
