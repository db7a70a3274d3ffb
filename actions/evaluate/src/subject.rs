//! What is scored: a model on the test data, or another tool's predictions.

use std::collections::BTreeMap;
use std::path::Path;

use trainyard_core::config::{
    Config, ConfigError, EvaluateConfig, JudgingConfig, ROW_COLUMNS, ReportConfig,
};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::{
    AppliedThreshold, EpochRecord, ModelReference, NAMELESS, OTHER_TRAINING, TrainingReference,
};
use trainyard_core::files;
use trainyard_core::metrics::Scoring;
use trainyard_core::model::{Loss, ModelManifest, Origin, RunRecord, Task};
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::{Column, ScoreTable};
use trainyard_ml::Threads;
use trainyard_ml::data::{Dataset, Split};
use trainyard_ml::predictions::{Given, Predictions, predict_by_threshold};
use trainyard_ml::predictor::{Predictor, by_class};
use trainyard_ml::store::{HISTORY_FILE, RUN_FILE, read_history};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::Inputs;
use crate::cross_validated::CrossValidated;
use crate::parts::{Parts, Scores};
use crate::threshold::{self, Validation};

/// Predictions, and where they came from.
pub(crate) struct Subject {
    pub(crate) model: ModelReference,
    pub(crate) predictions: Predictions,
    pub(crate) scoring: Scoring,
    /// From which score on the positive class is predicted, where not the class with the highest score is.
    pub(crate) threshold: Option<AppliedThreshold>,
    pub(crate) history: Vec<EpochRecord>,
    /// Inputs that overrode the configuration, here and in training.
    pub(crate) overriding_inputs: Vec<String>,
    /// `[evaluate]` as it is written.
    pub(crate) settings: EvaluateConfig,
    /// What is measured beside the metrics of all rows.
    pub(crate) parts: Parts,
    /// `[report]`.
    pub(crate) report: ReportConfig,
}

impl Subject {
    pub(crate) fn load(inputs: &Inputs) -> anyhow::Result<Self> {
        match &inputs.predictions {
            Some(path) => Self::of_predictions(inputs, path),
            None => Self::of_model(inputs),
        }
    }

    fn of_predictions(inputs: &Inputs, path: &Path) -> anyhow::Result<Self> {
        let config = match JudgingConfig::read(&inputs.stage.config) {
            Err(ConfigError::Unreadable(error)) if error.is_not_found() => {
                tracing::info!(
                    "there is no `{}`: scoring with defaults",
                    inputs.stage.config.display()
                );
                JudgingConfig::default()
            }
            config => config.exit_code(ExitCode::Usage)?,
        };
        let classes = config.classes.as_deref();
        let from = inputs.threshold_from.as_deref();
        let validation = Validation::read(from, &config.evaluate, classes)?;
        let evaluate = threshold::settled(&config.evaluate, validation.as_ref())?;
        // What is ranked are numbers.
        let ranked = evaluate
            .ranking
            .as_ref()
            .map(|_| PredictionTask::Regression);
        let task = inputs.task.map(PredictionTask::from);
        if ranked.is_some() && task.is_some_and(|task| task != PredictionTask::Regression) {
            return Err(anyhow::anyhow!(
                "`[evaluate.ranking]` ranks rows by numbers, and `--task` asks for classes"
            ))
            .exit_code(ExitCode::Usage)
            .hint("leave out `--task`, or `[evaluate.ranking]`");
        }
        let given = Given {
            task: ranked.or(task).or(config.task.map(PredictionTask::from)),
            classes,
            evaluate: Some(&evaluate),
        };
        let mut predictions = Predictions::read(path, &given).exit_code(ExitCode::Data)?;
        let threshold = threshold::applied(&evaluate, validation, &mut predictions)?;
        let name = inputs.name.clone().or(config.model_name);
        Ok(Self {
            model: ModelReference {
                name: name.unwrap_or_else(|| NAMELESS.to_owned()),
                digest: None,
                size_bytes: None,
                training: None,
            },
            scoring: scoring(default_objective(predictions.rows.task()), &config.evaluate),
            predictions,
            threshold,
            history: Vec::new(),
            overriding_inputs: Vec::new(),
            settings: config.evaluate.clone(),
            parts: Parts::of(config.evaluate, &config.gate, None),
            report: config.report,
        })
    }

    fn of_model(inputs: &Inputs) -> anyhow::Result<Self> {
        let config = Config::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
        let default = inputs.stage.out.join("model");
        let path = inputs.model.as_deref().unwrap_or(&default);
        let threads = Threads::new(inputs.threads.map(|threads| threads as usize));
        let predictor = Predictor::open(path, threads)
            .exit_code(ExitCode::Data)
            .hint("run `trainyard-train` first, or name the folder of a model with `--model`")?;
        let manifest = predictor.manifest();
        check_fit(&config, manifest, path)?;
        if config.evaluate.ranking.is_some() {
            return Err(anyhow::anyhow!(
                "`[evaluate.ranking]` is for predictions files, and a model is scored"
            ))
            .exit_code(ExitCode::Usage)
            .hint(
                "write the model's scores with their groups, and score them with `--predictions`",
            );
        }
        let dataset = inputs.data.load(
            &inputs.stage,
            &config,
            Split::Test,
            manifest.columns.as_deref(),
        )?;
        tracing::info!(
            "scoring `{}` ({}) on {} rows",
            manifest.name,
            predictor.digest().short(),
            dataset.n_rows()
        );
        let scores = predictor
            .score_dataset(&dataset)
            .exit_code(ExitCode::Data)?;
        let history = path.join(HISTORY_FILE);
        let history = if history.exists() {
            read_history(&history).exit_code(ExitCode::Data)?
        } else {
            Vec::new()
        };
        let digest = dataset.digest();
        let row_ids = dataset.row_ids.clone();
        let overriding_inputs = overriding_inputs(inputs, &config, manifest, path)?;
        let features = sliced_features(&dataset, &config.evaluate)?;
        let columns = dataset.column_digests().exit_code(ExitCode::Data)?;
        let mut predictions = match manifest.task {
            Task::Classification => {
                let scores = by_class(&scores, predictor.n_outputs()).into_owned();
                let classes = manifest.class_names.clone().unwrap_or_default();
                Predictions::of_scores(dataset.labels, ScoreTable::F32(scores), classes, digest)
            }
            Task::Regression => {
                let values = scores.into_iter().map(f64::from).collect();
                Predictions::of_values(dataset.labels, values, digest)
            }
        };
        predictions
            .notes
            .extend(notes(manifest, &overriding_inputs, &predictions.digest));
        predictions.rows.row_ids = row_ids;
        predictions.raw_columns = columns;
        predictions.rows.columns = features;
        let from = inputs.threshold_from.as_deref();
        let classes = manifest.class_names.as_deref();
        let validation = Validation::read(from, &config.evaluate, classes)?;
        let of_model = manifest.threshold.as_ref();
        let (evaluate, threshold) =
            threshold::of_model(&config.evaluate, validation, of_model, &mut predictions)?;
        predict_by_threshold(
            &mut predictions.rows,
            evaluate.positive_class.as_deref(),
            evaluate.fixed_threshold(),
        )
        .exit_code(ExitCode::Usage)?;
        // Another model than the configuration's has no cross-validation here.
        let cross_validated = match &inputs.model {
            None => CrossValidated::load(&inputs.stage.out, &config, manifest)?,
            Some(_) => None,
        };
        let objective = match &manifest.origin {
            Origin::Trained(trained) => trained.loss,
            Origin::Imported(_) => default_objective(manifest.task.into()),
        };
        Ok(Self {
            predictions,
            threshold,
            model: ModelReference {
                name: manifest.name.clone(),
                digest: Some(predictor.digest().clone()),
                size_bytes: Some(predictor.folder().size_bytes),
                training: training(&config, manifest)?,
            },
            scoring: scoring(objective, &config.evaluate),
            history,
            overriding_inputs,
            settings: config.evaluate.clone(),
            parts: Parts::of(config.evaluate, &config.gate, cross_validated),
            report: config.report,
        })
    }

    /// Every metric that the predictions allow, of all rows and of parts of them.
    pub(crate) fn measure(&self) -> anyhow::Result<Scores> {
        self.parts.measure(&self.predictions.rows, &self.scoring)
    }
}

/// How the configuration has rows scored.
fn scoring(objective: Loss, evaluate: &EvaluateConfig) -> Scoring {
    Scoring {
        positive_class: evaluate.positive_class.clone(),
        top_k: evaluate.top_k,
        ranking_k: evaluate.ranking.as_ref().map(|ranking| ranking.k),
        ..Scoring::new(objective, evaluate.confidence)
    }
}

/// What the model was trained by, where that is `config` but for the seed.
fn training(
    config: &Config,
    manifest: &ModelManifest,
) -> anyhow::Result<Option<TrainingReference>> {
    let Origin::Trained(trained) = &manifest.origin else {
        return Ok(None);
    };
    let mut of_seed = config.clone();
    of_seed.train.seed = trained.seed;
    let wanted = of_seed.training_digest().exit_code(ExitCode::Usage)?;
    if wanted != trained.config_digest {
        return Ok(None);
    }
    Ok(Some(TrainingReference {
        config_digest: config
            .seedless_training_digest()
            .exit_code(ExitCode::Usage)?,
        data_digest: trained.data_digest.clone(),
    }))
}

/// The features of the test data by which rows are cut into slices.
fn sliced_features(
    dataset: &Dataset,
    evaluate: &EvaluateConfig,
) -> anyhow::Result<BTreeMap<String, Column>> {
    let mut features = BTreeMap::new();
    for name in evaluate.slices.iter().flat_map(|slice| &slice.columns) {
        if ROW_COLUMNS.contains(&name.as_str()) {
            continue;
        }
        let Some(values) = dataset.feature(name).exit_code(ExitCode::Data)? else {
            let problem = format!(
                "`[[evaluate.slices]]` names `{name}`, which is not a feature of the test data"
            );
            return Err(anyhow::anyhow!(problem))
                .exit_code(ExitCode::Usage)
                .hint(
                    "a model of ours is sliced by `label`, `predicted` and features that are columns of a table; \
                     for other columns, score a predictions file with `--predictions`",
                );
        };
        features.insert(name.clone(), Column::Numbers(values));
    }
    Ok(features)
}

/// What readers should know about the model and the rows.
fn notes(
    manifest: &ModelManifest,
    overriding_inputs: &[String],
    data_digest: &Sha256Digest,
) -> Vec<String> {
    let mut notes = Vec::new();
    if !overriding_inputs.is_empty() {
        notes.push(format!(
            "This is not the configuration's model: {}.",
            overriding_inputs.join(", ")
        ));
    }
    if let Origin::Trained(trained) = &manifest.origin
        && trained.data_digest == *data_digest
    {
        notes.push(
            "The test data are the training data, so these numbers say nothing about new rows."
                .to_owned(),
        );
    }
    notes
}

/// The inputs by which the model is another than the configuration's.
fn overriding_inputs(
    inputs: &Inputs,
    config: &Config,
    manifest: &ModelManifest,
    folder: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut overriding = Vec::new();
    if let Some(model) = &inputs.model {
        overriding.push(format!("model = {}", model.display()));
    }
    let Origin::Trained(trained) = &manifest.origin else {
        return Ok(overriding);
    };
    if trained.config_digest != config.training_digest().exit_code(ExitCode::Usage)? {
        // The names alone come from a file outside the model's digest, which may be missing.
        let run = files::read_json::<RunRecord>(&folder.join(RUN_FILE), "record of a run").ok();
        let named = run.map_or_else(Vec::new, |run| run.overriding_inputs);
        if named.is_empty() {
            overriding.push(OTHER_TRAINING.to_owned());
        }
        overriding.extend(named);
    }
    Ok(overriding)
}

/// What another tool's training is taken to have minimised.
const fn default_objective(task: PredictionTask) -> Loss {
    match task {
        PredictionTask::Classification => Loss::SparseCategoricalCrossentropy,
        PredictionTask::Multilabel => Loss::BinaryCrossentropy,
        PredictionTask::Regression => Loss::MeanSquaredError,
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
