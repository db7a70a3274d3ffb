//! What `trainyard-train` is told: its inputs as an action and its arguments as a program.

use std::path::PathBuf;

use clap::Parser;
use trainyard_fetch::CacheArgs;
use trainyard_runner::LogArgs;

/// Train the model that the configuration describes.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-train", version)]
pub struct Inputs {
    /// The configuration file. Paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "trainyard.toml")]
    pub config: PathBuf,
    /// Folder for results; the model goes to `model/` inside it.
    #[arg(long, value_name = "FOLDER", default_value = "trainyard-out")]
    pub out: PathBuf,
    /// Train for this many epochs instead of `[train] epochs`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Draw by this seed instead of `[train] seed`.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Compute with this many threads instead of one per core. The result of the kernels does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Go on from the checkpoint of a run that was cut off, where there is one. It must be of the same configuration and
    /// data; the end is the same as without the interruption.
    #[arg(long)]
    pub resume: bool,
    /// Train even where the folder already holds the model of exactly this configuration and data.
    #[arg(long)]
    pub force: bool,
    /// Print the configuration with all defaults filled in, and stop.
    #[arg(long)]
    pub print_config: bool,
    /// Print the key that changes exactly when training would give another model, and stop.
    #[arg(long)]
    pub content_key: bool,
    /// Where downloads are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
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
        "Changes exactly when training would give another model; a key for `actions/cache`.",
    ),
    (
        "skipped",
        "`true` when the folder already held this model, so that nothing was trained.",
    ),
];
