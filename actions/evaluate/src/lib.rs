//! The `evaluate` stage: a model and test data, or predictions, in; `evaluation/` out. It never sees a baseline.

mod brief;
mod cross_validated;
mod folder;
mod inputs;
mod parts;
mod seeds;
mod subject;
mod threshold;

use std::thread;

use trainyard_core::config::ReportConfig;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::figure::{self, count, figure, percent};
use trainyard_core::files;
use trainyard_core::measurement::Measurement;
use trainyard_core::report;
use trainyard_core::results::ResultFolder;
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};
use trainyard_telemetry::Teller;

pub use inputs::{Inputs, OUTPUTS, TaskInput};
use subject::Subject;

/// Runs the stage.
pub fn evaluate(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("evaluate", &inputs.stage.log)?;
    let path = inputs.stage.out.join("evaluation");
    let results = ResultFolder::begin(&path, EVALUATION_FILE)?;
    folder::remove_files(results.path())?;
    let subject = Subject::load(&inputs)?;
    // The disk and the processor each have their own work.
    let (scores, stored) = thread::scope(|scope| {
        let stored = scope.spawn(|| folder::store(&results, &subject.predictions));
        let scores = subject.measure();
        (scores, stored.join().expect("writing does not panic"))
    });
    let commit = stage.context.head_sha.clone();
    let seeds = inputs.seeds.as_deref();
    let report_config = subject.report.clone();
    let evaluation = folder::write(&results, subject, scores?, stored?, commit, seeds)?;
    for note in &evaluation.notes {
        tracing::info!("{note}");
    }
    let absent = evaluation.absent_classes();
    if !absent.is_empty() {
        tracing::warn!(
            "neither labelled nor predicted here, so left out of averages: {}",
            absent.join(", ")
        );
    }
    tracing::info!("wrote `{}`", path.display());

    stage.set_path_output("evaluation", &path)?;
    let metrics = serde_json::to_string(&evaluation.flat_metrics()).exit_code(ExitCode::Bug)?;
    stage.set_output("metrics", metrics)?;
    stage.set_path_output("report", &path.join(folder::REPORT_FILE))?;
    let digest = evaluation.model.digest.as_ref();
    stage.set_output(
        "model-digest",
        digest.map(ToString::to_string).unwrap_or_default(),
    )?;
    stage.print(&table(&evaluation))?;
    stage.summarise(&summary(&evaluation));
    tell(&mut stage, &inputs, &report_config, &evaluation);
    Ok(ExitCode::Success)
}

/// Indexes evaluation and measurements, where there is an Elasticsearch to index them in.
fn tell(stage: &mut Stage, inputs: &Inputs, config: &ReportConfig, evaluation: &Evaluation) {
    let context = stage.context.clone();
    let teller = Teller {
        args: &inputs.elasticsearch,
        config,
        ca: inputs.data.ca.as_deref(),
        context: &context,
        service: "trainyard-evaluate",
    };
    let path = inputs.stage.out.join("evaluation").join(EVALUATION_FILE);
    teller.tell(stage, |circumstances| match files::measure(&path) {
        Ok((digest, _)) => circumstances.evaluation(evaluation, &digest),
        Err(error) => {
            tracing::warn!("the evaluation is not indexed: {}", in_one_line(&error));
            Vec::new()
        }
    });
}

/// The headline metrics for a terminal, one a line; then the worst slices and the folds.
fn table(evaluation: &Evaluation) -> String {
    let parts = brief::folds(evaluation)
        .into_iter()
        .chain(brief::seeds(evaluation))
        .chain(brief::slices(evaluation))
        .chain(brief::segments(evaluation));
    let parts: String = parts.map(|part| format!("\n{}", part.plain())).collect();
    headline(evaluation) + &parts
}

/// The headline metrics for a terminal, one a line.
fn headline(evaluation: &Evaluation) -> String {
    let width = |text: fn(&Measurement) -> usize| evaluation.shown().map(text).max().unwrap_or(0);
    let name_width = width(|found| found.key.metric.len());
    let value_width = width(|found| figure(found.value).len());
    evaluation
        .shown()
        .map(|found| {
            let line = format!(
                "{:name_width$}  {:value_width$}  {}",
                found.key.metric,
                figure(found.value),
                interval(found)
            );
            format!("{}\n", line.trim_end())
        })
        .collect()
}

fn summary(evaluation: &Evaluation) -> String {
    let rows: String = evaluation
        .shown()
        .map(|found| {
            format!(
                "| {} | {} | {} |\n",
                report::escape(&found.key.metric),
                figure(found.value),
                report::escape(&interval(found))
            )
        })
        .collect();
    let parts = brief::folds(evaluation)
        .into_iter()
        .chain(brief::seeds(evaluation))
        .chain(brief::slices(evaluation))
        .chain(brief::segments(evaluation));
    let parts: String = parts.map(|part| format!("\n{}", part.markdown())).collect();
    format!(
        "### Evaluated · {}\n\nOn {}.\n\n| Metric | Value | {} % interval |\n| :-- | --: | :-: |\n{rows}{parts}\n{}",
        report::escape(&evaluation.model.name),
        count(evaluation.data.rows.n_rows, "row"),
        percent(evaluation.scoring.confidence),
        report::reliability_markdown(evaluation),
    )
}

/// The interval, or why there is none.
pub(crate) fn interval(found: &Measurement) -> String {
    match (&found.interval, &found.no_interval) {
        (Some(interval), _) => figure::interval(interval),
        (None, Some(reason)) => format!("no interval: {reason}"),
        (None, None) => String::new(),
    }
}
