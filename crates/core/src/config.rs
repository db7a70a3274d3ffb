//! `trainyard.toml`: text in, a validated [`Config`] with every default filled in out.
//!
//! Errors carry line, column and the nearest valid name. Paths stay as written: relative to the configuration file.

mod changes;
mod checks;
mod cross_validation;
mod data;
mod deploy;
mod error;
mod evaluate;
mod image;
mod judging;
mod keras;
mod layers;
mod name;
mod optimizer;
mod ranking;
mod report;
mod schedule;
mod sign;
mod source;
mod threshold;
mod train;
mod training;
mod validate;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use changes::config_changes;
pub use cross_validation::CrossValidationConfig;
pub use data::{ColumnType, CsvConfig, DataConfig, DataFiles, DataFormat, Decimal, Missing};
pub use deploy::{AutoscaleConfig, CanaryConfig, DeployConfig};
use error::Problem;
pub use error::{ConfigError, nearest as nearest_name};
pub use evaluate::{
    Binning, Bins, ColumnConfig, EvaluateConfig, ROW_COLUMNS, ScoreKind, SliceConfig,
};
pub use image::{ImageCompression, ImageConfig, ImageFile, ReleaseMode};
pub use judging::{JudgingConfig, ModelFiles};
pub use layers::LayerTable;
pub use optimizer::{AdamSettings, Clip, Optimizer, OptimizerConfig, OptimizerKind, UpdateRule};
pub use ranking::RankingConfig;
pub use report::ReportConfig;
pub use schedule::{EarlyStoppingConfig, Monitor, Schedule, ScheduleConfig, ScheduleKind};
pub use sign::SignConfig;
pub use source::{Remote, Source};
pub use threshold::Threshold;
pub use train::TrainConfig;
pub use training::Training;

use crate::digest::Sha256Digest;
use crate::gate::{BaselinePlace, CompareRows, MissingBaseline, Rule, RuleGroup, RulesFrom};
use crate::model::Task;
use crate::model::architecture::NamedLayer;

/// The configuration's usual file name.
pub const FILE_NAME: &str = "trainyard.toml";

/// The whole of `trainyard.toml`; its sections follow the stages.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The network. Not needed if another tool trains.
    #[serde(default)]
    pub model: Option<ModelConfig>,
    /// The data. Not needed if another tool provides predictions or metrics.
    #[serde(default)]
    pub data: Option<DataConfig>,
    /// How the model is trained.
    #[serde(default)]
    pub train: TrainConfig,
    /// How the model is scored.
    #[serde(default)]
    pub evaluate: EvaluateConfig,
    /// The rules that the model must meet.
    #[serde(default)]
    pub gate: GateConfig,
    /// How the model is packaged.
    #[serde(default)]
    pub image: ImageConfig,
    /// How its image runs in a cluster.
    #[serde(default)]
    pub deploy: DeployConfig,
    /// Where results are indexed.
    #[serde(default)]
    pub report: ReportConfig,
}

/// A configuration with all that our own models need, in which nothing is left to be decided: every default is filled in
/// and every layer is resolved, so that nothing after it can fail on the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// The network.
    pub model: Model,
    /// Where rows come from.
    pub data: DataConfig,
    /// How the weights are found.
    pub train: Training,
    /// How the model is scored.
    pub evaluate: EvaluateConfig,
    /// What it must reach.
    pub gate: GateConfig,
    /// How it is packed.
    pub image: ImageConfig,
    /// How its image runs in a cluster.
    pub deploy: DeployConfig,
    /// Where results are indexed.
    pub report: ReportConfig,
}

/// The network, resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Names the model in reports, checks and the server's paths.
    pub name: String,
    /// What the output means.
    pub task: Task,
    /// Shape of one row as the first layer receives it, without the batch axis.
    pub input_shape: Vec<usize>,
    /// First to last, each with its name.
    pub layers: Vec<NamedLayer>,
}

/// `[model]`: the network, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The model's name in reports, checks and the server's paths: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What is predicted.
    #[serde(default = "default_task")]
    pub task: Task,
    /// A file with the output of Keras 2's or 3's `model.to_json()`, for a model whose layers form a chain; relative to
    /// this file. Replaces `input_shape` and `layers`. Its `compile` settings are ignored; `[train]` holds instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keras: Option<PathBuf>,
    /// Shape of one input row, without the batch axis: `[28, 28, 1]`.
    #[serde(default)]
    pub input_shape: Vec<usize>,
    /// The layers of a Sequential network, first to last.
    #[serde(default)]
    pub layers: Vec<LayerTable>,
    /// Patterns of the files that decide what the model is, beside this file, its data and the workflow: `["src/**"]`;
    /// relative to this file. A change of none of them need not train again (`gate --if-unchanged`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
}

/// `[gate]`: the rules that the model must meet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// What to compare with: an `evaluation.json` or a flat JSON of metrics, relative to the configuration file; or
    /// `oci://HOST/NAME`, with `:TAG` or `@DIGEST` or without: the evaluation attached to that image, by default of its
    /// highest version, where GitHub has no record of an earlier commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub baseline: Option<BaselinePlace>,
    /// What happens if the baseline cannot be read: the file is missing or invalid, or a request failed.
    pub on_missing_baseline: MissingBaseline,
    /// Whose rules judge a pull request.
    pub rules_from: RulesFrom,
    /// Which rows a change is computed on where the baseline was scored on other rows.
    pub compare_rows: CompareRows,
    /// With `compare_rows = "common"`: how many of the baseline's rows may be gone or relabelled before a change can no
    /// longer be judged.
    pub max_rows_lost: u64,
    /// Guard against many looks at one test set: the k-th model that is judged on the same rows is tested at the level
    /// α / (k (k + 1)) wherever a rule asks for `confidence`, α being that of one end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sequential: bool,
    /// Branches beside the default branch whose commits later ones are compared with: names or patterns such as
    /// `release/*`. Only the default branch's configuration is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub baseline_branches: Vec<String>,
    /// The rules. Each is judged on its own; the worst outcome is the verdict.
    pub rules: Vec<Rule>,
    /// Groups of rules of which some must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<RuleGroup>,
}

const fn default_task() -> Task {
    Task::Classification
}

impl ConfigFile {
    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|source| ConfigError::from_toml(path, text, &source))
    }

    /// What it comes to; `base` is the folder of the file.
    fn resolve(self, base: &Path) -> Result<Config, Problem> {
        let Self {
            model,
            data,
            train,
            evaluate,
            gate,
            image,
            deploy,
            report,
        } = self;
        let missing = |section: &str| {
            Problem::at(&[section], "this section is missing").hint(format!(
                "add `[{section}]`; only judging another tool's predictions or metrics works without it"
            ))
        };
        let model = model.ok_or_else(|| missing("model"))?;
        let data = data.ok_or_else(|| missing("data"))?;
        let is_keras = model.keras.is_some();
        let model = model.resolve(base)?;
        let has_validation = data.validation_fraction > 0.0;
        let train = train.resolve(model.task, data.classes.as_deref(), has_validation)?;
        let gate = gate.resolve(&evaluate)?;
        let evaluate = evaluate.resolve(model.task);
        let config = Config {
            model,
            data,
            train,
            evaluate,
            gate,
            image,
            deploy,
            report,
        };
        match config.validate() {
            Ok(()) => Ok(config),
            Err(problem) if is_keras => Err(problem.in_keras(&config.model.layers)),
            Err(problem) => Err(problem),
        }
    }
}

impl Config {
    /// Reads and validates `text`; `path` is named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        ConfigFile::parse(text, path)?
            .resolve(path.parent().unwrap_or(Path::new("")))
            .map_err(|problem| problem.located(path, text))
    }

    /// Reads and validates the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = crate::files::read_text(path).map_err(ConfigError::Unreadable)?;
        Self::parse(&text, path)
    }

    /// Everything here that decides the weights and a chosen threshold, as JSON; paths, threads, rules and packing do not.
    pub fn training_value(&self) -> Result<serde_json::Value, ConfigError> {
        let Self {
            model,
            data,
            train,
            evaluate,
            gate: _,
            image: _,
            deploy: _,
            report: _,
        } = self;
        let train = Training {
            threads: None,
            ..train.clone()
        };
        let mut value = serde_json::json!({
            "model": {
                "name": &model.name,
                "task": model.task,
                "input_shape": &model.input_shape,
                "layers": &model.layers,
            },
            "data": {
                "classes": &data.classes,
                "preprocessing": &data.preprocessing,
                "validation_fraction": data.validation_fraction,
                "max_train_rows": data.max_train_rows,
                "csv": &data.csv,
                "resize": data.resize,
            },
            "train": serde_json::to_value(train).map_err(ConfigError::Digest)?,
        });
        // A threshold that is chosen on validation rows is part of the model.
        if let Some(aim) = evaluate.threshold_aim() {
            value["threshold"] = serde_json::json!({
                "aim": aim,
                "positive_class": &evaluate.positive_class,
            });
        }
        Ok(value)
    }

    /// Digest of [`Config::training_value`].
    pub fn training_digest(&self) -> Result<Sha256Digest, ConfigError> {
        Sha256Digest::of_json(&self.training_value()?).map_err(ConfigError::Digest)
    }

    /// The same without `[train] seed`: equal for configurations that differ by their seed alone.
    pub fn seedless_training_digest(&self) -> Result<Sha256Digest, ConfigError> {
        let mut value = self.training_value()?;
        if let Some(train) = value["train"].as_object_mut() {
            train.remove("seed");
        }
        Sha256Digest::of_json(&value).map_err(ConfigError::Digest)
    }
}

impl EvaluateConfig {
    fn resolve(self, task: Task) -> Self {
        let cross_validation = self.cross_validation.map(|folds| folds.resolve(task));
        Self {
            cross_validation,
            ..self
        }
    }
}

impl ModelConfig {
    /// The network that is described here or in the file that `keras` names.
    fn resolve(self, base: &Path) -> Result<Model, Problem> {
        let Self {
            name,
            task,
            keras,
            input_shape,
            layers,
            sources: _,
        } = self;
        let (input_shape, layers) = match keras {
            None => (input_shape, layers::resolve(&layers)?),
            Some(_) if !(layers.is_empty() && input_shape.is_empty()) => {
                return Err(Problem::at(
                    &["model", "keras"],
                    "replaces `input_shape` and `layers`",
                )
                .hint("remove one or the other"));
            }
            Some(file) => {
                let model = keras::read(&base.join(file)).map_err(|error| {
                    let problem = Problem::at(&["model", "keras"], error.to_string());
                    match error.hint() {
                        Some(hint) => problem.hint(hint),
                        None => problem,
                    }
                })?;
                (model.input_shape, model.layers)
            }
        };
        Ok(Model {
            name,
            task,
            input_shape,
            layers,
        })
    }
}

impl GateConfig {
    /// The rules with the directions that `[[evaluate.columns]]` state.
    fn resolve(mut self, evaluate: &EvaluateConfig) -> Result<Self, Problem> {
        let has_folds = evaluate.cross_validation.is_some();
        for (rule_idx, rule) in self.rules.iter().enumerate() {
            if let Some(problem) = rule.problem_of_paired_method(self.compare_rows, has_folds) {
                let place = ["gate", "rules", &rule_idx.to_string(), "confidence"];
                return Err(Problem::at(&place, problem));
            }
        }
        for (rule_idx, rule) in self.rules.iter_mut().enumerate() {
            let column = evaluate.column_of(&rule.metric);
            let Some(known) = column.and_then(|column| column.direction) else {
                continue;
            };
            if rule.direction.is_some_and(|stated| stated != known) {
                let place = ["gate", "rules", &rule_idx.to_string(), "direction"];
                let problem = "contradicts the direction of that column in `[[evaluate.columns]]`";
                return Err(Problem::at(&place, problem).hint("remove one of the two"));
            }
            rule.direction = Some(known);
        }
        Ok(self)
    }

    /// Digest of all that judges, by which a report can tell that a change weakened its own judge.
    pub fn rules_digest(&self) -> Result<Sha256Digest, ConfigError> {
        let Self {
            baseline: _,
            on_missing_baseline,
            rules_from: _,
            compare_rows,
            max_rows_lost,
            sequential,
            baseline_branches: _,
            rules,
            groups,
        } = self;
        let judging = (
            on_missing_baseline,
            compare_rows,
            max_rows_lost,
            sequential,
            rules,
            groups,
        );
        Sha256Digest::of_json(&judging).map_err(ConfigError::Digest)
    }
}

/// The line, counted from 1, on which the value at `path` stands in `text`: `["gate", "rules", "0"]`.
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    error::span_of(text, path).map(|span| error::position(text, span.start).0)
}

#[cfg(test)]
mod tests;
