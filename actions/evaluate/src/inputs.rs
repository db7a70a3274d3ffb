//! The inputs of the action, which are the options of `trainyard-evaluate`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, ValueEnum};
use trainyard_core::prediction_task::PredictionTask;
use trainyard_fetch::DataArgs;
use trainyard_runner::StageArgs;
use trainyard_telemetry::ElasticsearchArgs;

/// Score a model, or another tool's predictions, on rows that training never saw.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-evaluate", version)]
pub struct Inputs {
    /// What every stage takes.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Score the model in this folder instead of `model/` in the output folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "predictions")]
    pub model: Option<PathBuf>,
    /// Score these predictions (CSV or npz, from any tool) instead of a model. The configuration may then be absent,
    /// or lack `[model]` and `[data]`.
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// With predictions: the model's name in reports; overrides `[model] name`.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), requires = "predictions")]
    pub name: Option<String>,
    /// With predictions: what is predicted; overrides `[model] task`.
    #[arg(long, value_enum, value_name = "TASK", requires = "predictions")]
    pub task: Option<TaskInput>,
    /// Where `[evaluate] threshold` states an aim: choose the threshold on these predictions for validation rows (CSV or npz),
    /// none of which is a test row. A model that `train` made brings its own.
    #[arg(long, value_name = "FILE")]
    pub threshold_from: Option<PathBuf>,
    /// Say how much each metric differs from seed to seed: by the evaluations in the folders below this one, made with the same
    /// configuration under other seeds on the same rows.
    #[arg(long, value_name = "FOLDER")]
    pub seeds: Option<PathBuf>,
    /// Number of threads, instead of one per core. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Downloads of data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Where results are indexed.
    #[command(flatten)]
    pub elasticsearch: ElasticsearchArgs,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskInput {
    /// One of several classes.
    Classification,
    /// Any number of several classes.
    Multilabel,
    /// A number, or one of each of several outputs.
    Regression,
}

impl From<TaskInput> for PredictionTask {
    fn from(task: TaskInput) -> Self {
        match task {
            TaskInput::Classification => Self::Classification,
            TaskInput::Multilabel => Self::Multilabel,
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
