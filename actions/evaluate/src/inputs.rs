//! What `trainyard-evaluate` is told: its inputs as an action and its arguments as a program.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use trainyard_core::model::Task;
use trainyard_fetch::CacheArgs;
use trainyard_runner::LogArgs;

/// Score a model, or another tool's predictions, on rows that training never saw.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-evaluate", version)]
pub struct Inputs {
    /// The configuration file. Paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "trainyard.toml")]
    pub config: PathBuf,
    /// Folder for results; the evaluation goes to `evaluation/` inside it.
    #[arg(long, value_name = "FOLDER", default_value = "trainyard-out")]
    pub out: PathBuf,
    /// Score the model in this folder instead of the one in `model/` of the results' folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "predictions")]
    pub model: Option<PathBuf>,
    /// Score these predictions (CSV or npz, from any tool) instead of a model. The configuration may then be absent,
    /// or have no `[model]` and `[data]`.
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// With predictions: the model's name in reports, where the configuration gives none.
    #[arg(long, value_name = "NAME", requires = "predictions")]
    pub name: Option<String>,
    /// With predictions: what is predicted, where the configuration does not say.
    #[arg(long, value_enum, value_name = "TASK", requires = "predictions")]
    pub task: Option<TaskInput>,
    /// Compute with this many threads instead of one per core. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Where downloads are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What predictions mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskInput {
    /// One of several classes.
    Classification,
    /// A number.
    Regression,
}

impl From<TaskInput> for Task {
    fn from(task: TaskInput) -> Self {
        match task {
            TaskInput::Classification => Self::Classification,
            TaskInput::Regression => Self::Regression,
        }
    }
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("evaluation", "Folder of the evaluation."),
    ("metrics", "The headline metrics as a JSON object."),
    ("report", "The evaluation as a self-contained HTML page."),
    (
        "model-digest",
        "Digest of the model that was scored; empty for predictions.",
    ),
];
