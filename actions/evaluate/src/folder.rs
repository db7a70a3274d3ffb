//! The `evaluation/` folder: predictions, charts, page and flat metrics first, `evaluation.json` last.

use std::path::Path;

use trainyard_core::evaluation::{DataReference, Evaluation, METRICS_FILE, SCHEMA_VERSION};
use trainyard_core::files;
use trainyard_core::model::FileEntry;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::report;
use trainyard_core::results::ResultFolder;
use trainyard_core::row_set::RowSet;
use trainyard_ml::predictions::{Predictions, RowOrder};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::parts::Scores;
use crate::subject::Subject;

/// The page for people.
pub(crate) const REPORT_FILE: &str = "report.html";

/// The flat metrics as OpenMetrics' text, for GitLab.
const OPEN_METRICS_FILE: &str = "metrics.txt";

/// What may lie beside `evaluation.json`, in its order there.
const SIBLINGS: [&str; 9] = [
    METRICS_FILE,
    OPEN_METRICS_FILE,
    REPORT_FILE,
    "charts/learning-curve.svg",
    "charts/folds.svg",
    "charts/reliability.svg",
    "charts/roc.svg",
    "charts/precision-recall.svg",
    "charts/confusion-matrix.svg",
];

/// Removes the files of an earlier evaluation: beside one that breaks off they would say what it did not find.
pub(crate) fn remove_files(folder: &Path) -> anyhow::Result<()> {
    for path in SIBLINGS {
        files::remove(&folder.join(path))?;
    }
    Ok(())
}

/// The rows as they lie in the folder.
pub(crate) struct Stored {
    file: FileEntry,
    rows: RowSet,
    order: RowOrder,
}

/// Writes the rows of `predictions` into the folder.
pub(crate) fn store(results: &ResultFolder, predictions: &Predictions) -> anyhow::Result<Stored> {
    let (rows, order) = predictions.row_set();
    let file = predictions.write(results.path())?;
    Ok(Stored { file, rows, order })
}

/// Writes the rest of the folder and returns what `evaluation.json` says.
pub(crate) fn write(
    results: &ResultFolder,
    subject: Subject,
    scores: Scores,
    stored: Stored,
    commit: Option<String>,
    seeds: Option<&Path>,
) -> anyhow::Result<Evaluation> {
    let folder = results.path();
    let Subject {
        model,
        predictions,
        scoring,
        threshold,
        history,
        overriding_inputs,
        settings,
        parts: _,
        report: _,
    } = subject;
    let Scores {
        measured,
        slices,
        weak_segments,
        folds,
    } = scores;
    let Stored { file, rows, order } = stored;
    let missed_rows = order.mask(&measured.misses);
    let is_classifier = predictions.rows.task() != PredictionTask::Regression;
    let mut notes = [predictions.notes, measured.notes].concat();
    let is_of_training_rows = folds.as_ref().is_some_and(|folds| folds.of_training_rows);
    let is_chosen = threshold
        .as_ref()
        .is_some_and(|found| found.chosen.is_some());
    if is_chosen && is_of_training_rows {
        notes.push(
            "The folds are scored without the threshold, by the class with the higher score: it was chosen on rows that training may have seen."
                .to_owned(),
        );
    }
    let mut evaluation = Evaluation {
        schema_version: SCHEMA_VERSION,
        task: predictions.rows.task(),
        model,
        data: DataReference {
            digest: predictions.digest,
            rows,
        },
        scoring,
        settings: Some(settings),
        threshold,
        measurements: measured.measurements,
        undefined: measured.undefined,
        slices,
        weak_segments,
        folds,
        seeds: None,
        confusion: measured.confusion,
        reliability: measured.reliability,
        curves: measured.curves,
        missed_rows: is_classifier.then_some(missed_rows),
        classes: measured.classes,
        outputs: predictions.rows.outputs().to_vec(),
        predictions: Some(file),
        files: Vec::new(),
        history,
        notes,
        overriding_inputs,
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit,
    };
    if let Some(seeds) = seeds {
        crate::seeds::add(&mut evaluation, seeds, folder)?;
    }
    evaluation.files = write_siblings(folder, &evaluation)?;
    results.finish_by_line(&evaluation)?;
    Ok(evaluation)
}

/// What lies beside `evaluation.json` for people and other tools.
fn write_siblings(folder: &Path, evaluation: &Evaluation) -> anyhow::Result<Vec<FileEntry>> {
    let metrics = files::json_bytes(&evaluation.flat_metrics()).exit_code(ExitCode::Bug)?;
    let page = report::evaluation_page(evaluation).exit_code(ExitCode::Bug)?;
    let confusion = evaluation.confusion.as_ref();
    let contents = [
        Some(metrics),
        Some(report::open_metrics(evaluation).into_bytes()),
        Some(page.into_bytes()),
        report::learning_curve(&evaluation.history).map(String::into_bytes),
        report::FoldFigures::of(evaluation)
            .and_then(|figures| report::fold_chart(&figures))
            .map(String::into_bytes),
        evaluation
            .reliability
            .as_ref()
            .and_then(report::reliability_chart)
            .map(String::into_bytes),
        report::roc_chart(&evaluation.curves).map(String::into_bytes),
        report::precision_recall_chart(&evaluation.curves).map(String::into_bytes),
        confusion
            .and_then(report::confusion_matrix)
            .map(String::into_bytes),
    ];
    let mut entries = Vec::new();
    for (path, content) in SIBLINGS.into_iter().zip(contents) {
        let Some(content) = content else {
            continue;
        };
        files::write(&folder.join(path), &content)?;
        entries.push(FileEntry::of_bytes(path, &content));
    }
    Ok(entries)
}
