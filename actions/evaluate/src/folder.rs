//! The `evaluation/` folder: predictions, charts, page and flat metrics first, `evaluation.json` last.

use std::path::Path;

use trainyard_core::evaluation::{
    EVALUATION_FILE, Evaluation, MAX_LISTED_MISSES, METRICS_FILE, PREDICTIONS_FILE, SCHEMA_VERSION,
};
use trainyard_core::files;
use trainyard_core::model::FileEntry;
use trainyard_core::report;
use trainyard_ml::data::Labels;
use trainyard_ml::data::npz::{Array, write_npz};
use trainyard_ml::predictions::{Answers, Predictions};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::subject::{Figures, Subject};

/// The page for people.
pub(crate) const REPORT_FILE: &str = "report.html";

/// Writes the folder and returns what `evaluation.json` says.
pub(crate) fn write(
    folder: &Path,
    subject: Subject,
    figures: Figures,
    commit: Option<String>,
) -> anyhow::Result<Evaluation> {
    // An earlier result must not be taken for this one, should this one break off.
    files::remove(&folder.join(EVALUATION_FILE))?;
    let Subject {
        task,
        model,
        data,
        config,
        predictions,
        history,
    } = subject;
    let archive = archive(&predictions)?;
    files::write(&folder.join(PREDICTIONS_FILE), &archive)?;
    let Figures {
        metrics,
        per_class,
        confusion,
        misses,
    } = figures;
    let mut evaluation = Evaluation {
        schema_version: SCHEMA_VERSION,
        task,
        model,
        data,
        confidence: config.confidence,
        metrics,
        per_class,
        confusion,
        misses: misses.filter(|misses| misses.len() <= MAX_LISTED_MISSES),
        predictions: Some(FileEntry::measure(folder, PREDICTIONS_FILE)?),
        files: Vec::new(),
        history,
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit,
    };
    let mut siblings = vec![METRICS_FILE, REPORT_FILE];
    files::write_json(&folder.join(METRICS_FILE), &evaluation.flat_metrics())?;
    let page = report::evaluation_page(&evaluation).exit_code(ExitCode::Bug)?;
    files::write(&folder.join(REPORT_FILE), page.as_bytes())?;
    let charts = [
        (
            "charts/learning-curve.svg",
            report::learning_curve(&evaluation.history),
        ),
        (
            "charts/confusion-matrix.svg",
            evaluation
                .confusion
                .as_ref()
                .and_then(report::confusion_matrix),
        ),
    ];
    for (path, chart) in charts {
        match chart {
            Some(svg) => {
                files::write(&folder.join(path), svg.as_bytes())?;
                siblings.push(path);
            }
            None => files::remove(&folder.join(path))?,
        }
    }
    evaluation.files = siblings
        .into_iter()
        .map(|path| FileEntry::measure(folder, path))
        .collect::<Result<_, _>>()?;
    files::write_json(&folder.join(EVALUATION_FILE), &evaluation)?;
    Ok(evaluation)
}

/// `predictions.npz`: `row_id`, `label`, and `score`, or `predicted` where only classes were given.
fn archive(predictions: &Predictions) -> anyhow::Result<Vec<u8>> {
    let n_classes = predictions.classes.len().max(1);
    let row_id = Array::integers(predictions.row_ids.clone());
    let label = match &predictions.labels {
        Labels::Class(labels) => Array::integers(labels.iter().copied().map(i64::from).collect()),
        Labels::Value(labels) => Array::numbers(labels.clone()),
    };
    let (name, answer) = match &predictions.answers {
        Answers::Scores(scores) => ("score", Array::table(scores.clone(), n_classes)),
        Answers::Values(values) => ("score", Array::table(values.clone(), 1)),
        Answers::Classes(classes) => (
            "predicted",
            Array::integers(classes.iter().copied().map(i64::from).collect()),
        ),
    };
    write_npz(&[("row_id", &row_id), ("label", &label), (name, &answer)]).exit_code(ExitCode::Data)
}
