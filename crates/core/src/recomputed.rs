//! Whether an evaluation says what its predictions give: a figure that was edited is neither judged nor published by.

use std::collections::{BTreeSet, HashMap};
use std::io::Cursor;
use std::path::Path;

use serde_json::Value;

use crate::config::EvaluateConfig;
use crate::digest::Sha256Digest;
use crate::error_chain::in_one_line;
use crate::evaluation::{Evaluation, FoldTable};
use crate::figure::figure;
use crate::files;
use crate::fold_scores::{TrainingRows, measure_folds};
use crate::folds::FoldMethod;
use crate::measurement::{Fold, Measurement, MetricKey};
use crate::numeric_columns::measure_columns;
use crate::scored_rows::ScoredRows;
use crate::slices::{SliceMetrics, measure_slices};

/// Of the larger of two values: what another processor's arithmetic changes is less.
const TOLERANCE: f64 = 1e-9;

/// Measures the predictions in `folder` again, which `evaluation` was read from, on all rows, classes, columns, slices and folds, and
/// returns them; the error says what differs, as a clause.
///
/// Figures of folds of the training rows are not: those rows are not kept with the evaluation.
pub fn check(
    evaluation: &Evaluation,
    folder: &Path,
    configured: &EvaluateConfig,
) -> Result<ScoredRows, String> {
    let stored = evaluation.predictions.as_ref();
    let stored =
        stored.ok_or("the evaluation holds no predictions, so its figures cannot be recomputed")?;
    let bytes = files::read(&folder.join(&stored.path)).map_err(|error| in_one_line(&error))?;
    if Sha256Digest::of(&bytes) != stored.sha256 {
        return Err("the predictions have changed since the evaluation".to_owned());
    }
    let classes = evaluation.column_names();
    let classes = classes.ok_or("the evaluation names no classes")?;
    let rows = ScoredRows::read_archive(Cursor::new(bytes), evaluation.task, classes)?;
    let scoring = &evaluation.scoring;
    // What differs from the configuration is the concern of the rules that depend on it.
    let evaluate = evaluation.settings.as_ref().unwrap_or(configured);
    let measured = rows.measure(scoring).map_err(|error| in_one_line(&error))?;
    if evaluation.confusion.is_some() && evaluation.confusion != measured.confusion {
        return Err("its confusion matrix is not what its predictions give".to_owned());
    }
    let mut found = measured.measurements;
    let of_columns = measure_columns(&rows, &evaluate.columns, scoring.confidence);
    found.extend(of_columns.map_err(|error| in_one_line(&error))?);
    // Slices were measured by the metrics of the rules at that time, which may have changed since.
    let of_slices = evaluation.measurements.iter();
    let of_rules: BTreeSet<String> = of_slices
        .filter(|stated| stated.key.slice.is_some())
        .map(|stated| stated.key.metric.clone())
        .collect();
    let metrics = SliceMetrics {
        of_rules: &of_rules,
        columns: &evaluate.columns,
    };
    let of_slices = measure_slices(&rows, &evaluate.slices, metrics, scoring);
    found.extend(of_slices.map_err(|error| in_one_line(&error))?.measurements);
    let mut stated: Vec<&Measurement> = evaluation.measurements.iter().collect();
    match of_folds(evaluation, &rows, evaluate)? {
        Folds::Measured(of_folds) => found.extend(of_folds),
        Folds::OfTrainingRows => stated.retain(|stated| stated.key.fold.is_none()),
    }
    compare(&stated, &found)?;
    Ok(rows)
}

/// What the folds of an evaluation are.
enum Folds {
    /// Of the rows that were evaluated: what was measured again, which is nothing without folds.
    Measured(Vec<Measurement>),
    /// Of rows that are not kept with the evaluation.
    OfTrainingRows,
}

/// Measures the folds of `rows` again; their table must be the one in `evaluation`.
fn of_folds(
    evaluation: &Evaluation,
    rows: &ScoredRows,
    evaluate: &EvaluateConfig,
) -> Result<Folds, String> {
    let stated = match (&evaluation.folds, &rows.folds) {
        (None, None) => return Ok(Folds::Measured(Vec::new())),
        (Some(table), None) if table.of_training_rows => return Ok(Folds::OfTrainingRows),
        (Some(_), None) => {
            return Err("it has folds, which its predictions do not have".to_owned());
        }
        // Without them, a rule would judge the rows of all folds together.
        (None, Some(_)) => return Err("it has no folds, but its predictions have".to_owned()),
        (Some(table), Some(_)) if table.of_training_rows => {
            return Err(
                "it says that its folds are of the training rows, but its predictions have folds"
                    .to_owned(),
            );
        }
        (Some(table), Some(_)) => table,
    };
    let method = evaluate.cross_validation.as_ref();
    let is_by_time = method.is_some_and(|it| it.method == Some(FoldMethod::TimeSeriesSplit));
    let training = if is_by_time {
        TrainingRows::Earlier
    } else {
        TrainingRows::OtherFolds
    };
    // Which metrics are shown of each fold depended on the rules at that time.
    let of_single_folds = evaluation.measurements.iter();
    let shown = of_single_folds
        .filter(|stated| matches!(stated.key.fold, Some(Fold::Index(_))))
        .map(|stated| stated.key.metric.clone())
        .collect();
    let measured = measure_folds(rows, &evaluation.scoring, training, &shown);
    let measured = measured
        .map_err(|error| in_one_line(&error))?
        .ok_or("its predictions have no folds")?;
    let found = FoldTable {
        of_training_rows: false,
        ..measured.table
    };
    let document = |table: &FoldTable| serde_json::to_value(table).map_err(|it| it.to_string());
    if !is_same(&document(stated)?, &document(&found)?) {
        return Err(
            "its folds have other rows, or another deviation, than its predictions give".to_owned(),
        );
    }
    Ok(Folds::Measured(measured.measurements))
}

/// Every figure that is `stated` must be among those that were `found`, and the same.
fn compare(stated: &[&Measurement], found: &[Measurement]) -> Result<(), String> {
    // Thousands of classes have tens of thousands of figures.
    let found: HashMap<&MetricKey, &Measurement> =
        found.iter().map(|found| (&found.key, found)).collect();
    for stated in stated {
        let key = &stated.key;
        let Some(found) = found.get(key) else {
            return Err(format!("it holds {key}, which its predictions do not give"));
        };
        // With what intervals are computed from, which rules judge too.
        let all_of = |measurement: &Measurement| serde_json::to_value(measurement);
        let (Ok(of_stated), Ok(of_found)) = (all_of(stated), all_of(found)) else {
            return Err(format!("{key} cannot be compared"));
        };
        if is_same(&of_stated, &of_found) {
            continue;
        }
        let (said, given) = (figure(stated.value), figure(found.value));
        return Err(if said == given {
            format!("it says {key} has another interval, or other rows, than its predictions give")
        } else {
            format!("it says {key} is {said}, but its predictions give {given}")
        });
    }
    Ok(())
}

/// Whether two documents differ by no more than the last digits of their numbers.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64(), right.as_f64());
            left.zip(right).is_some_and(|(left, right)| {
                (left - right).abs() <= TOLERANCE * left.abs().max(right.abs())
            })
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| is_same(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| is_same(left, right))
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_was_edited_or_added_is_named() {
        let of = |metric: &str, value: f64| Measurement {
            n_rows: Some(100),
            ..Measurement::bare(MetricKey::overall(metric), value, None, None)
        };
        let found = [of("accuracy", 0.91), of("f1", 0.9)];
        let compare = |stated: &[Measurement]| {
            let stated: Vec<&Measurement> = stated.iter().collect();
            super::compare(&stated, &found)
        };
        assert_eq!(compare(&found), Ok(()));
        let nearly = [of("accuracy", 0.91 * (1.0 + 1e-12))];
        assert_eq!(compare(&nearly), Ok(()));
        let edited = compare(&[of("accuracy", 0.9999)]).unwrap_err();
        assert!(
            edited.contains("accuracy is 0.9999") && edited.contains("give 0.91"),
            "{edited}"
        );
        let other_rows = Measurement {
            n_rows: Some(1_000_000),
            ..of("accuracy", 0.91)
        };
        let other_rows = compare(&[other_rows]).unwrap_err();
        assert!(other_rows.contains("other rows"), "{other_rows}");
        let added = compare(&[of("auc", 0.99)]).unwrap_err();
        assert!(
            added.contains("auc, which its predictions do not give"),
            "{added}"
        );
    }
}
