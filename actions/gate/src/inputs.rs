//! What `trainyard-gate` is told: its inputs as an action and its arguments as a program.

use std::path::PathBuf;

use clap::Parser;
use trainyard_runner::LogArgs;

/// Judge an evaluation by the rules in the configuration.
///
/// Ends with 0 for `pass` and `warn`, 1 for `fail` and 3 for `inconclusive`.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-gate", version)]
pub struct Inputs {
    /// The configuration file with `[[gate.rules]]`. Paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "trainyard.toml")]
    pub config: PathBuf,
    /// Folder for results; the verdict goes to `verdict/` inside it.
    #[arg(long, value_name = "FOLDER", default_value = "trainyard-out")]
    pub out: PathBuf,
    /// Judge the evaluation in this folder instead of the one in `evaluation/` of the results' folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "metrics")]
    pub evaluation: Option<PathBuf>,
    /// Judge this JSON of metrics from any tool (DVC's layout) instead of an evaluation.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Compare with this `evaluation.json` or JSON of metrics instead of `[gate] baseline`.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("verdict", "`pass`, `warn`, `inconclusive` or `fail`."),
    (
        "title",
        "The verdict in one line, with model and headline metric.",
    ),
    ("verdict-folder", "Folder of the verdict."),
    ("comment", "The report as Markdown."),
    ("junit", "The rules as JUnit XML."),
    (
        "model-digest",
        "Digest of the model that was judged; empty where only its metrics were.",
    ),
];
