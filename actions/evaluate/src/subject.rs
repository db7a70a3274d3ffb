//! What is scored: a model on the test data, or another tool's predictions.

use std::path::Path;

use trainyard_core::config::{Config, EvaluateConfig, JudgingConfig};
use trainyard_core::evaluation::{DataReference, EpochRecord, ModelReference};
use trainyard_core::metrics::{ClassMetrics, Confusion, Metric, classify, regress};
use trainyard_core::model::{ModelManifest, Task};
use trainyard_ml::Threads;
use trainyard_ml::data::{Dataset, Folders, Labels, Split};
use trainyard_ml::predictions::{Answers, Predictions};
use trainyard_ml::predictor::{Predictor, by_class};
use trainyard_ml::store::{HISTORY_FILE, read_history};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::Inputs;

/// Answers, and where they came from.
pub(crate) struct Subject {
    pub(crate) task: Task,
    pub(crate) model: ModelReference,
    pub(crate) data: DataReference,
    pub(crate) config: EvaluateConfig,
    pub(crate) predictions: Predictions,
    pub(crate) history: Vec<EpochRecord>,
}

/// What the answers are worth.
pub(crate) struct Figures {
    pub(crate) metrics: Vec<Metric>,
    pub(crate) per_class: Vec<ClassMetrics>,
    pub(crate) confusion: Option<Confusion>,
    /// Identifiers of the rows predicted wrong.
    pub(crate) misses: Option<Vec<i64>>,
}

impl Subject {
    pub(crate) fn load(inputs: &Inputs) -> anyhow::Result<Self> {
        match &inputs.predictions {
            Some(path) => Self::of_predictions(inputs, path),
            None => Self::of_model(inputs),
        }
    }

    fn of_predictions(inputs: &Inputs, path: &Path) -> anyhow::Result<Self> {
        let config = match JudgingConfig::read(&inputs.config) {
            Err(trainyard_core::config::ConfigError::Unreadable(error)) if error.is_not_found() => {
                tracing::info!(
                    "there is no `{}`: scoring with defaults",
                    inputs.config.display()
                );
                JudgingConfig::default()
            }
            config => config.exit_code(ExitCode::Usage)?,
        };
        let task = inputs.task.map(Task::from).or(config.task);
        let task = task.unwrap_or(Task::Classification);
        let predictions =
            Predictions::read(path, task, config.classes.as_deref()).exit_code(ExitCode::Data)?;
        let name = inputs.name.clone().or(config.model_name);
        Ok(Self {
            task,
            model: ModelReference {
                name: name.unwrap_or_else(|| "model".to_owned()),
                digest: None,
                size_bytes: None,
            },
            data: DataReference {
                digest: predictions.digest.clone(),
                row_set_digest: predictions.row_set_digest(),
                n_rows: predictions.row_ids.len() as u64,
            },
            config: config.evaluate,
            predictions,
            history: Vec::new(),
        })
    }

    fn of_model(inputs: &Inputs) -> anyhow::Result<Self> {
        let config = Config::read(&inputs.config).exit_code(ExitCode::Usage)?;
        let default = inputs.out.join("model");
        let path = inputs.model.as_deref().unwrap_or(&default);
        let threads = Threads::new(inputs.threads.map(|threads| threads as usize));
        let predictor = Predictor::open(path, threads)
            .exit_code(ExitCode::Data)
            .hint("run `trainyard-train` first, or name the folder of a model with `--model`")?;
        let manifest = predictor.manifest();
        check_fit(&config, manifest, path)?;
        let base = inputs.config.parent().unwrap_or(Path::new(""));
        let downloads = inputs
            .cache
            .fetch(&Dataset::remotes(&config, Split::Test))?;
        let folders = Folders {
            base,
            downloads: &downloads,
        };
        let dataset = Dataset::load(&config, folders, Split::Test).exit_code(ExitCode::Data)?;
        if let Some(description) = &dataset.description {
            tracing::info!("{description}");
        }
        tracing::info!(
            "scoring `{}` ({}) on {} rows",
            manifest.name,
            predictor.digest().short(),
            dataset.n_rows()
        );
        let scores = predictor.score_dataset(&dataset);
        let history = path.join(HISTORY_FILE);
        let history = if history.exists() {
            read_history(&history).exit_code(ExitCode::Data)?
        } else {
            Vec::new()
        };
        let task = manifest.task;
        let digest = dataset.digest();
        Ok(Self {
            task,
            data: DataReference {
                digest: digest.clone(),
                row_set_digest: dataset.row_set_digest(),
                n_rows: dataset.n_rows() as u64,
            },
            predictions: Predictions {
                digest,
                row_ids: dataset.row_ids,
                labels: dataset.labels,
                answers: match task {
                    Task::Classification => {
                        Answers::Scores(by_class(&scores, predictor.n_outputs()).into_owned())
                    }
                    Task::Regression => Answers::Values(scores),
                },
                classes: manifest.class_names.clone().unwrap_or_default(),
            },
            model: ModelReference {
                name: manifest.name.clone(),
                digest: Some(predictor.digest().clone()),
                size_bytes: Some(predictor.folder().size_bytes),
            },
            config: config.evaluate,
            history,
        })
    }

    pub(crate) fn figures(&self) -> anyhow::Result<Figures> {
        let Predictions {
            row_ids,
            labels,
            answers,
            classes,
            ..
        } = &self.predictions;
        match (labels, answers) {
            (Labels::Value(labels), Answers::Values(values)) => Ok(Figures {
                metrics: regress(labels, values, &self.config).exit_code(ExitCode::Data)?,
                per_class: Vec::new(),
                confusion: None,
                misses: None,
            }),
            (Labels::Class(labels), answers) => {
                let scores = match answers {
                    Answers::Scores(scores) => Some(scores.as_slice()),
                    _ => None,
                };
                let predicted = self.predictions.predicted_classes().unwrap_or_default();
                let result = classify(labels, &predicted, scores, classes, &self.config)
                    .exit_code(ExitCode::Data)?;
                let misses = result.misses.iter().map(|&row| row_ids[row]).collect();
                Ok(Figures {
                    metrics: result.metrics,
                    per_class: result.per_class,
                    confusion: Some(result.confusion),
                    misses: Some(misses),
                })
            }
            (Labels::Value(_), _) => anyhow::bail!("numbers were labelled, but classes predicted"),
        }
    }
}

/// A model is scored by the configuration's test data only where both mean the same.
fn check_fit(config: &Config, manifest: &ModelManifest, folder: &Path) -> anyhow::Result<()> {
    let place = folder.display();
    let problem = if manifest.task != config.model.task {
        Some("was trained for another task than `[model] task`")
    } else if manifest.input.shape != config.model.input_shape {
        Some("takes rows of another shape than `[model] input_shape`")
    } else if manifest.class_names != config.data.classes {
        Some("has other classes, or in another order, than `[data] classes`")
    } else {
        None
    };
    match problem {
        Some(problem) => Err(anyhow::anyhow!("the model in `{place}` {problem}"))
            .exit_code(ExitCode::Data)
            .hint("train it again, or score it with the configuration that it was trained by"),
        None => Ok(()),
    }
}
