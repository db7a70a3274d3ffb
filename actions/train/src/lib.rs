//! The `train` stage: `trainyard.toml` and data in, `model/` out.

mod cross_validation;
mod inputs;
mod interrupt;
mod progress;

use std::path::{Path, PathBuf};
use std::time::Instant;

use trainyard_core::config::Config;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::folds::{CROSS_VALIDATION_FILE, CrossValidation};
use trainyard_core::model::{Engine, MANIFEST_FILE, ModelFolder, Origin, RunRecord, TrainedOrigin};
use trainyard_core::results::ResultFolder;
use trainyard_core::threshold::ChosenThreshold;
use trainyard_ml::chosen_threshold;
use trainyard_ml::data::{Dataset, Split};
use trainyard_ml::store::{self, HISTORY_FILE, RUN_FILE, TrainingRows};
use trainyard_ml::train::{
    self, Checkpoint, CheckpointError, EngineError, Event, Flow, Job, Outcome, Subject, TrainError,
};
use trainyard_ml::{Threads, input_summary, instruction_set, learning_rates, prediction_summary};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};
use trainyard_telemetry::{Teller, Trained};

pub use inputs::{Inputs, OUTPUTS};
use interrupt::Interrupt;

/// The folder of a cross-validation, beside the model's.
const CROSS_VALIDATION_FOLDER: &str = "cross-validation";

/// Version of Trainyard.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the stage.
pub fn train(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("train", &inputs.stage.log)?;
    let start = Instant::now();
    let folder = inputs.stage.out.join("model");
    // What only asks touches nothing.
    let results = if inputs.print_config || inputs.content_key {
        None
    } else {
        let model = ResultFolder::begin(&folder, MANIFEST_FILE)?;
        let folds = model.beside(CROSS_VALIDATION_FOLDER, CROSS_VALIDATION_FILE)?;
        Some((model, folds))
    };
    let config = configuration(&inputs)?;
    if inputs.print_config {
        stage.print(&toml::to_string_pretty(&config).exit_code(ExitCode::Bug)?)?;
        return Ok(ExitCode::Success);
    }
    train::check_engine(&config).exit_code(ExitCode::Usage)?;
    let dataset = inputs
        .data
        .load(&inputs.stage, &config, Split::Train, None)?;
    let data_digest = dataset.digest();
    let content_key = content_key(&config, &data_digest)?;
    stage.set_output("content-key", content_key.hex())?;
    if inputs.content_key {
        stage.print(&format!("{}\n", content_key.hex()))?;
        return Ok(ExitCode::Success);
    }
    let validation = split(&config, &dataset);
    let validation = validation.as_ref().map(|(_, validation)| validation);
    chosen_threshold::check(&config, validation).exit_code(ExitCode::Usage)?;
    // Before anything is trained: rows that cannot be divided are not found out hours later.
    let folds = cross_validation::plan(&config, &dataset)?;

    let (results, fold_results) =
        results.expect("a run that trains has put its earlier results aside");
    let run = Run {
        stage: &stage,
        inputs: &inputs,
        config: &config,
        dataset: &dataset,
        subject: Subject {
            config: config.training_value().exit_code(ExitCode::Usage)?,
            data_digest,
            trainyard_version: VERSION.to_owned(),
            instruction_set: instruction_set(),
        },
        threads: Threads::new(config.train.threads),
        interrupt: Interrupt::listen(),
        start,
    };
    let finished = finished(&results, &config, &run.subject.data_digest)?.filter(|_| !inputs.force);
    let is_restored = finished.is_some();
    let mut is_skipped = is_restored;
    let model = match finished {
        Some(model) => {
            tracing::info!(
                "`{}` already holds the model of this configuration and data: nothing to train",
                folder.display()
            );
            store::record_inputs(&folder, &inputs.overriding()).exit_code(ExitCode::Data)?;
            model
        }
        None => match run.train_model(&results)? {
            Ending::Finished(model) => model,
            Ending::Stopped(code) => return Ok(code),
        },
    };
    let cross_validation = match &folds {
        None => None,
        Some(folds) => {
            let job = cross_validation::Job {
                config: &config,
                dataset: &dataset,
                folds,
                subject: &run.subject,
                kept: run.checkpoint().join("folds"),
                is_forced: inputs.force,
            };
            if let Some(finished) = job.finished(&fold_results)? {
                tracing::info!(
                    "`{}` already holds this cross-validation",
                    fold_results.path().display()
                );
                Some(finished)
            } else {
                is_skipped = false;
                match job.run(&fold_results, &run.threads, &run.interrupt)? {
                    Ending::Finished(finished) => Some(finished),
                    Ending::Stopped(code) => {
                        run.say_how_to_go_on();
                        return Ok(code);
                    }
                }
            }
        }
    };
    if cross_validation.is_some() {
        stage.set_path_output("cross-validation", fold_results.path())?;
    }
    finish(&stage, &model, cross_validation.as_ref(), is_skipped)?;
    tell(&mut stage, &inputs, &config, &model, is_restored);
    Ok(ExitCode::Success)
}

/// Indexes run and epochs, where there is an Elasticsearch to index them in.
fn tell(
    stage: &mut Stage,
    inputs: &Inputs,
    config: &Config,
    model: &ModelFolder,
    is_restored: bool,
) {
    let context = stage.context.clone();
    let teller = Teller {
        args: &inputs.elasticsearch,
        config: &config.report,
        ca: inputs.data.ca.as_deref(),
        context: &context,
        service: "trainyard-train",
    };
    teller.tell(stage, |circumstances| {
        // Both lie outside of the model's digest, and a model that was restored may lack them.
        let run = files::read_json(&model.path.join(RUN_FILE), "record of a run").ok();
        let history = store::read_history(&model.path.join(HISTORY_FILE)).unwrap_or_default();
        let n_rows = match &model.manifest.origin {
            Origin::Trained(origin) => origin.training.n_rows,
            Origin::Imported(_) => 0,
        };
        let trained = Trained {
            model,
            run: run.as_ref(),
            history: &history,
            learning_rates: &learning_rates(&config.train, n_rows, &history),
            is_restored,
        };
        trained.documents(circumstances)
    });
}

/// The rows that are trained on, and those held out for validation, where there are any.
fn split(config: &Config, dataset: &Dataset) -> Option<(Dataset, Dataset)> {
    dataset.split_validation(config.data.validation_fraction, config.train.seed)
}

/// How a piece of work ended.
enum Ending<T> {
    /// With its result.
    Finished(T),
    /// By a signal, to be resumed later.
    Stopped(ExitCode),
}

/// What all of a run's work is about and done with.
struct Run<'a> {
    stage: &'a Stage,
    inputs: &'a Inputs,
    config: &'a Config,
    dataset: &'a Dataset,
    subject: Subject,
    threads: Threads,
    interrupt: Interrupt,
    start: Instant,
}

impl Run<'_> {
    /// The folder of what is not finished.
    fn checkpoint(&self) -> PathBuf {
        self.inputs.stage.out.join("checkpoint")
    }

    /// Trains the model on all training rows and writes its folder.
    fn train_model(&self, results: &ResultFolder) -> anyhow::Result<Ending<ModelFolder>> {
        let Self {
            stage,
            inputs,
            config,
            dataset,
            subject,
            threads,
            interrupt,
            start,
        } = self;
        let split = split(config, dataset);
        let (rows, validation) = match &split {
            Some((rows, validation)) => (rows, Some(validation)),
            None => (*dataset, None),
        };
        tracing::info!(
            "training `{}` on {} rows with {} threads",
            config.model.name,
            rows.n_rows(),
            threads.count()
        );
        if config.train.engine == Engine::Candle {
            tracing::info!(
                "candle computes: the weights are reproducible on this machine and with this number of threads alone"
            );
        }
        let place = self.checkpoint();
        let checkpoint = if inputs.resume {
            resumable(&place, subject)?
        } else {
            None
        };
        let mut progress = progress::Progress::new(config.train.epochs);
        let job = Job {
            config,
            rows,
            validation,
            threads,
        };
        let mut saved = Ok(());
        let outcome = train::train(job, checkpoint, |event| {
            progress.observe(&event);
            if let Event::Epoch { checkpoint, .. } = &event {
                saved = checkpoint.save(&place, subject);
            }
            if saved.is_err() || interrupt.exit_code().is_some() {
                Flow::Stop
            } else {
                Flow::Continue
            }
        });
        progress.finish();
        saved.exit_code(ExitCode::Data)?;
        let code = outcome.as_ref().err().map_or(ExitCode::Bug, code_of);
        let trained = match outcome.exit_code(code)? {
            Outcome::Finished(trained) => trained,
            Outcome::Stopped(checkpoint) => {
                checkpoint.save(&place, subject).exit_code(ExitCode::Data)?;
                let (n_epochs, n_batches) = checkpoint.position();
                tracing::warn!("stopped after {n_epochs} epochs and {n_batches} batches");
                self.say_how_to_go_on();
                let code = interrupt.exit_code().unwrap_or(ExitCode::Terminated);
                return Ok(Ending::Stopped(code));
            }
        };

        let run = RunRecord {
            schema_version: 1,
            trainyard_version: VERSION.to_owned(),
            commit: stage.context.head_sha.clone(),
            ci: format!("{:?}", stage.context.provider).to_lowercase(),
            overriding_inputs: inputs.overriding(),
            n_threads: threads.count(),
            total_s: start.elapsed().as_secs_f64(),
            epoch_s: trained.epoch_s.clone(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        };
        let threshold = chosen_threshold::of_network(config, &trained.network, validation, threads)
            .exit_code(ExitCode::Data)?;
        match threshold.as_ref().map(ChosenThreshold::sentence) {
            Some(Ok(sentence)) => tracing::info!("{sentence}"),
            // The model is kept: training again would not help, and `evaluate` refuses to judge it by another threshold.
            Some(Err(problem)) => tracing::warn!("`[evaluate] threshold` is not met: {problem}"),
            None => {}
        }
        let predictions = prediction_summary::summarise(
            &trained.network,
            rows,
            validation,
            config.data.classes.as_deref(),
            threshold.as_ref(),
            threads,
        );
        let rows = TrainingRows {
            data_digest: subject.data_digest.clone(),
            n_rows: rows.n_rows(),
            n_validation_rows: validation.map_or(0, Dataset::n_rows),
            columns: rows.columns.clone(),
            threshold,
            input_summary: input_summary::summarise(rows).exit_code(ExitCode::Data)?,
            prediction_summary: predictions.exit_code(ExitCode::Data)?,
        };
        let model =
            store::write_model(results, config, &trained, rows, &run).exit_code(ExitCode::Data)?;
        Checkpoint::remove(&place).exit_code(ExitCode::Data)?;
        tracing::info!("wrote `{}`, {}", results.path().display(), model.digest);
        Ok(Ending::Finished(model))
    }

    fn say_how_to_go_on(&self) {
        tracing::warn!(
            "go on with `trainyard-train --config {} --out {} --resume`",
            self.inputs.stage.config.display(),
            self.inputs.stage.out.display()
        );
    }
}

/// The exit code of a training that failed.
const fn code_of(error: &TrainError) -> ExitCode {
    match error {
        TrainError::NotFinite { .. } | TrainError::Checkpoint(_) | TrainError::Data(_) => {
            ExitCode::Data
        }
        TrainError::Engine(EngineError::Candle(_)) => ExitCode::Bug,
        _ => ExitCode::Usage,
    }
}

/// The checkpoint to go on from, where there is one.
fn resumable(folder: &Path, subject: &Subject) -> anyhow::Result<Option<Checkpoint>> {
    let found = Checkpoint::open(folder, subject);
    let code = match &found {
        // What was asked for does not fit what is there.
        Err(CheckpointError::Other { .. }) => ExitCode::Usage,
        _ => ExitCode::Data,
    };
    let found = found
        .exit_code(code)
        .hint("leave out `--resume` to train from the start")?;
    let Some((checkpoint, instruction_set)) = found else {
        tracing::info!(
            "there is no checkpoint in `{}`: training from the start",
            folder.display()
        );
        return Ok(None);
    };
    if instruction_set != subject.instruction_set {
        tracing::warn!(
            "the checkpoint was computed on `{instruction_set}` and this machine is `{}`: the last bits may differ",
            subject.instruction_set
        );
    }
    let (n_epochs, n_batches) = checkpoint.position();
    tracing::info!("going on after {n_epochs} epochs and {n_batches} batches");
    Ok(Some(checkpoint))
}

/// The configuration with the inputs' overrides.
fn configuration(inputs: &Inputs) -> anyhow::Result<Config> {
    let mut config = Config::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
    if let Some(epochs) = inputs.epochs {
        config.train.epochs = epochs as usize;
    }
    config.train.seed = inputs.seed.unwrap_or(config.train.seed);
    config.train.threads = inputs
        .threads
        .map(|threads| threads as usize)
        .or(config.train.threads);
    Ok(config)
}

/// Changes exactly when training would give another model or cross-validation.
fn content_key(config: &Config, data_digest: &Sha256Digest) -> anyhow::Result<Sha256Digest> {
    let config_digest = config.training_digest().exit_code(ExitCode::Usage)?;
    let mut text = format!(
        "{config_digest}\n{data_digest}\n{VERSION}\n{}\n",
        instruction_set()
    );
    // Without one the key is the model's alone.
    if let Some(folds) = &config.evaluate.cross_validation {
        let digest = Sha256Digest::of_json(folds).exit_code(ExitCode::Bug)?;
        text.extend([digest.as_str(), "\n"]);
    }
    Ok(Sha256Digest::of(text.as_bytes()))
}

/// The model that was put aside, when it is whole and the one that training would give; it is then a result again.
fn finished(
    results: &ResultFolder,
    config: &Config,
    data_digest: &Sha256Digest,
) -> anyhow::Result<Option<ModelFolder>> {
    if !results.restore()? {
        return Ok(None);
    }
    let is_same = |model: &ModelFolder, config_digest: &Sha256Digest| match &model.manifest.origin {
        Origin::Trained(origin) => {
            origin.config_digest == *config_digest
                && origin.data_digest == *data_digest
                && origin.instruction_set == instruction_set()
                && origin.trainyard_version == VERSION
        }
        Origin::Imported(_) => false,
    };
    let config_digest = config.training_digest().exit_code(ExitCode::Usage)?;
    match ModelFolder::open(results.path()) {
        Ok(model) if is_same(&model, &config_digest) => Ok(Some(model)),
        // Another model, or one that is damaged: aside again.
        _ => {
            results.put_aside()?;
            Ok(None)
        }
    }
}

/// Outputs and summary.
fn finish(
    stage: &Stage,
    model: &ModelFolder,
    cross_validation: Option<&CrossValidation>,
    is_skipped: bool,
) -> anyhow::Result<()> {
    stage.set_path_output("model", &model.path)?;
    stage.set_output("model-digest", &model.digest)?;
    stage.set_output("skipped", is_skipped)?;
    let manifest = &model.manifest;
    let mut rows = vec![("Model", format!("`{}`", model.digest.short()))];
    if let Origin::Trained(TrainedOrigin {
        engine, training, ..
    }) = &manifest.origin
    {
        rows.extend([
            ("Parameters", training.n_parameters.to_string()),
            (
                "Rows",
                format!(
                    "{} and {} for validation",
                    training.n_rows, training.n_validation_rows
                ),
            ),
            (
                "Epochs",
                format!("{} of batch {}", training.epochs, training.batch_size),
            ),
            ("Optimizer", training.optimizer.clone()),
            ("Training loss", format!("{:.4}", training.final_loss)),
        ]);
        if *engine != Engine::default() {
            rows.push(("Engine", engine.name().to_owned()));
        }
    }
    if let Ok(history) = store::read_history(&model.path.join(HISTORY_FILE)) {
        let last = history.last();
        rows.extend(
            last.and_then(|record| record.val_loss)
                .map(|loss| ("Validation loss", format!("{loss:.4}"))),
        );
        let accuracy = last.and_then(|record| record.val_accuracy);
        rows.extend(accuracy.map(|accuracy| ("Validation accuracy", format!("{accuracy:.4}"))));
    }
    rows.extend(cross_validation.map(|folds| {
        let n_folds = folds.folds.len();
        let text = format!("{n_folds} folds by `{}`", folds.method.name());
        ("Cross-validation", text)
    }));
    let title = if is_skipped {
        "Model restored"
    } else {
        "Trained"
    };
    let table: String = rows
        .iter()
        .map(|(name, value)| format!("| {name} | {value} |\n"))
        .collect();
    let name = trainyard_core::report::escape(&manifest.name);
    stage.summarise(&format!(
        "### {title} · {name}\n\n| | |\n| :-- | :-- |\n{table}"
    ));
    Ok(())
}
