//! The `train` stage: `trainyard.toml` and data in, `model/` out.

mod inputs;
mod interrupt;
mod progress;

use std::path::Path;
use std::time::Instant;

use trainyard_core::config::Config;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::{Engine, MANIFEST_FILE, ModelFolder, Origin, RunRecord, TrainedOrigin};
use trainyard_core::results::ResultFolder;
use trainyard_ml::data::{Dataset, Split};
use trainyard_ml::input_summary::summarise;
use trainyard_ml::store::{self, HISTORY_FILE, TrainingRows};
use trainyard_ml::train::{
    self, Checkpoint, CheckpointError, EngineError, Event, Flow, Job, Outcome, Subject, TrainError,
};
use trainyard_ml::{Threads, instruction_set};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

pub use inputs::{Inputs, OUTPUTS};
use interrupt::Interrupt;

/// Version of Trainyard.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the stage.
pub fn train(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let stage = Stage::start("train", &inputs.stage.log)?;
    let start = Instant::now();
    let folder = inputs.stage.out.join("model");
    // What only asks touches nothing.
    let results = if inputs.print_config || inputs.content_key {
        None
    } else {
        Some(ResultFolder::begin(&folder, MANIFEST_FILE)?)
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

    let results = results.expect("a run that trains has put its earlier result aside");
    if let Some(model) = finished(&results, &config, &data_digest)?.filter(|_| !inputs.force) {
        tracing::info!(
            "`{}` already holds the model of this configuration and data: nothing to train",
            folder.display()
        );
        finish(&stage, &model, true)?;
        return Ok(ExitCode::Success);
    }

    let threads = Threads::new(config.train.threads);
    let split = dataset.split_validation(config.data.validation_fraction, config.train.seed);
    let (rows, validation) = match &split {
        Some((rows, validation)) => (rows, Some(validation)),
        None => (&dataset, None),
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
    let place = inputs.stage.out.join("checkpoint");
    let subject = Subject {
        config: config.training_value().exit_code(ExitCode::Usage)?,
        data_digest: data_digest.clone(),
        trainyard_version: VERSION.to_owned(),
        instruction_set: instruction_set(),
    };
    let checkpoint = if inputs.resume {
        resumable(&place, &subject)?
    } else {
        None
    };
    let interrupt = Interrupt::listen();
    let mut progress = progress::Progress::new(config.train.epochs);
    let job = Job {
        config: &config,
        rows,
        validation,
        threads: &threads,
    };
    let mut saved = Ok(());
    let outcome = train::train(job, checkpoint, |event| {
        progress.observe(&event);
        if let Event::Epoch { checkpoint, .. } = &event {
            saved = checkpoint.save(&place, &subject);
        }
        if saved.is_err() || interrupt.exit_code().is_some() {
            Flow::Stop
        } else {
            Flow::Continue
        }
    });
    progress.finish();
    saved.exit_code(ExitCode::Data)?;
    let code = match &outcome {
        Err(TrainError::NotFinite { .. } | TrainError::Checkpoint(_) | TrainError::Data(_)) => {
            ExitCode::Data
        }
        Err(TrainError::Engine(EngineError::Candle(_))) => ExitCode::Bug,
        _ => ExitCode::Usage,
    };
    let trained = match outcome.exit_code(code)? {
        Outcome::Finished(trained) => trained,
        Outcome::Stopped(checkpoint) => {
            checkpoint
                .save(&place, &subject)
                .exit_code(ExitCode::Data)?;
            let (n_epochs, n_batches) = checkpoint.position();
            tracing::warn!(
                "stopped after {n_epochs} epochs and {n_batches} batches; go on with `trainyard-train --config {} --out {} --resume`",
                inputs.stage.config.display(),
                inputs.stage.out.display()
            );
            return Ok(interrupt.exit_code().unwrap_or(ExitCode::Terminated));
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
    let rows = TrainingRows {
        data_digest,
        n_rows: rows.n_rows(),
        n_validation_rows: validation.map_or(0, Dataset::n_rows),
        columns: rows.columns.clone(),
        input_summary: summarise(rows).exit_code(ExitCode::Data)?,
    };
    let model =
        store::write_model(&results, &config, &trained, rows, &run).exit_code(ExitCode::Data)?;
    Checkpoint::remove(&place).exit_code(ExitCode::Data)?;
    tracing::info!("wrote `{}`, {}", folder.display(), model.digest);
    finish(&stage, &model, false)?;
    Ok(ExitCode::Success)
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

/// Changes exactly when training would give another model.
fn content_key(config: &Config, data_digest: &Sha256Digest) -> anyhow::Result<Sha256Digest> {
    let config_digest = config.training_digest().exit_code(ExitCode::Usage)?;
    let text = format!(
        "{config_digest}\n{data_digest}\n{VERSION}\n{}\n",
        instruction_set()
    );
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
fn finish(stage: &Stage, model: &ModelFolder, is_skipped: bool) -> anyhow::Result<()> {
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
