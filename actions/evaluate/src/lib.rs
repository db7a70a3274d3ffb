//! The `evaluate` stage: a model and test data, or predictions, in; `evaluation/` out. It never sees a baseline.

mod folder;
mod inputs;
mod subject;

use trainyard_core::evaluation::Evaluation;
use trainyard_core::gate::figure;
use trainyard_core::report;
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

pub use inputs::{Inputs, OUTPUTS, TaskInput};
use subject::Subject;

/// Runs the stage.
pub fn evaluate(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let stage = Stage::start("evaluate", &inputs.log)?;
    let subject = Subject::load(&inputs)?;
    let figures = subject.figures()?;
    let path = inputs.out.join("evaluation");
    let commit = stage.context.head_sha.clone();
    let evaluation = folder::write(&path, subject, figures, commit)?;
    tracing::info!("wrote `{}`", path.display());

    stage.set_output("evaluation", path.display())?;
    let metrics = serde_json::to_string(&evaluation.flat_metrics()).exit_code(ExitCode::Bug)?;
    stage.set_output("metrics", metrics)?;
    stage.set_output("report", path.join(folder::REPORT_FILE).display())?;
    let digest = evaluation.model.digest.as_ref();
    stage.set_output(
        "model-digest",
        digest.map(ToString::to_string).unwrap_or_default(),
    )?;
    stage.print(&table(&evaluation))?;
    stage.summarise(&summary(&evaluation));
    Ok(ExitCode::Success)
}

/// The headline metrics for a terminal, one a line.
fn table(evaluation: &Evaluation) -> String {
    let width = evaluation
        .metrics
        .iter()
        .map(|metric| metric.name.len())
        .max()
        .unwrap_or(0);
    evaluation
        .metrics
        .iter()
        .map(|metric| {
            let (value, interval) = value_and_interval(metric);
            let line = format!("{:width$}  {value:8}  {interval}", metric.name);
            format!("{}\n", line.trim_end())
        })
        .collect()
}

fn summary(evaluation: &Evaluation) -> String {
    let rows: String = evaluation
        .metrics
        .iter()
        .map(|metric| {
            let (value, interval) = value_and_interval(metric);
            format!(
                "| {} | {value} | {interval} |\n",
                report::escape(&metric.name)
            )
        })
        .collect();
    format!(
        "### Evaluated · {}\n\nOn {} rows that training never saw.\n\n| Metric | Value | {} % interval |\n| :-- | --: | :-: |\n{rows}",
        report::escape(&evaluation.model.name),
        evaluation.data.n_rows,
        figure(evaluation.confidence * 100.0),
    )
}

fn value_and_interval(metric: &trainyard_core::metrics::Metric) -> (String, String) {
    let interval = metric
        .interval
        .map(|interval| format!("{} – {}", figure(interval.lower), figure(interval.upper)));
    (figure(metric.value), interval.unwrap_or_default())
}
