//! What judging needs of `trainyard.toml`, which is less than training needs.

use std::path::{Path, PathBuf};

use super::data::check_classes;
use super::{
    Config, ConfigError, ConfigFile, DataFiles, DeployConfig, EvaluateConfig, GateConfig,
    ImageConfig, ModelConfig, ReportConfig,
};
use crate::digest::Sha256Digest;
use crate::gate::BaselinePlace;
use crate::model::Task;

/// The configuration as `gate` and `evaluate --predictions` see it: another tool's model needs no `[model]` and `[data]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JudgingConfig {
    /// `[model] name`, where there is one.
    pub model_name: Option<String>,
    /// `[model] task`, where there is a model.
    pub task: Option<Task>,
    /// The task that an evaluation must be of: not where it was merely left at its default for another tool's model.
    pub required_task: Option<Task>,
    /// Digest of the settings that decide the weights, without the seed, where a network is described.
    pub training: Option<Sha256Digest>,
    /// `[data] classes`, where there are any.
    pub classes: Option<Vec<String>>,
    /// How predictions are scored.
    pub evaluate: EvaluateConfig,
    /// What the model must reach.
    pub gate: GateConfig,
    /// How registries are reached, where the baseline lies in one.
    pub image: ImageConfig,
    /// How an image runs in a cluster.
    pub deploy: DeployConfig,
    /// Where results are indexed.
    pub report: ReportConfig,
    /// What decides what the model is.
    pub files: ModelFiles,
}

/// The files that decide what a model is and what it is judged by, as the configuration names them: relative to its folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelFiles {
    /// Files and folders: data, a network in Keras's form, a baseline.
    pub paths: Vec<PathBuf>,
    /// `[model] sources`; absent where the configuration does not say.
    pub patterns: Option<Vec<String>>,
}

impl ModelFiles {
    fn of(file: &ConfigFile) -> Self {
        let data = file.data.iter().flat_map(|data| [&data.train, &data.test]);
        let data = data.flat_map(DataFiles::local_paths).map(Path::to_owned);
        let model = file.model.as_ref();
        let baseline = file.gate.baseline.as_ref().and_then(BaselinePlace::file);
        Self {
            paths: data
                .chain(model.and_then(|model| model.keras.clone()))
                .chain(baseline.map(Path::to_owned))
                .chain(
                    file.gate
                        .rules
                        .iter()
                        .filter_map(|rule| rule.must_pass.clone()),
                )
                .collect(),
            patterns: model.and_then(|model| model.sources.clone()),
        }
    }
}

impl JudgingConfig {
    /// Reads and validates `text`; `path` is named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile::parse(text, path)?;
        let files = ModelFiles::of(&file);
        // Classes and a name alone describe another tool's model.
        let has_network = |model: &ModelConfig| !model.layers.is_empty() || model.keras.is_some();
        if file.model.as_ref().is_some_and(has_network) && file.data.is_some() {
            return Ok(Self {
                files,
                ..Self::of(Config::parse(text, path)?)?
            });
        }
        let ConfigFile {
            model,
            data,
            evaluate,
            gate,
            image,
            deploy,
            report,
            ..
        } = file;
        let classes = data.and_then(|data| data.classes);
        let gate = check_classes(classes.as_deref().unwrap_or_default())
            .and_then(|()| evaluate.validate(classes.as_deref()))
            .and_then(|()| gate.resolve(&evaluate))
            .and_then(|gate| gate.validate().map(|()| gate))
            .and_then(|gate| deploy.validate().map(|()| gate))
            .and_then(|gate| report.validate().map(|()| gate))
            .map_err(|problem| problem.located(path, text))?;
        Ok(Self {
            model_name: model.as_ref().map(|model| model.name.clone()),
            required_task: model
                .as_ref()
                .map(|model| model.task)
                .filter(|task| *task == Task::Regression),
            task: model.map(|model| model.task),
            training: None,
            classes,
            evaluate,
            gate,
            image,
            deploy,
            report,
            files,
        })
    }

    /// Reads and validates the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = crate::files::read_text(path).map_err(ConfigError::Unreadable)?;
        Self::parse(&text, path)
    }

    /// What judging needs of `config`.
    pub fn of(config: Config) -> Result<Self, ConfigError> {
        let training = config.seedless_training_digest()?;
        let Config {
            model,
            data,
            evaluate,
            gate,
            image,
            deploy,
            report,
            ..
        } = config;
        Ok(Self {
            model_name: Some(model.name),
            task: Some(model.task),
            // What is ranked are numbers, whatever the model's task.
            required_task: evaluate.ranking.is_none().then_some(model.task),
            training: Some(training),
            classes: data.classes,
            evaluate,
            gate,
            image,
            deploy,
            report,
            files: ModelFiles::default(),
        })
    }
}
