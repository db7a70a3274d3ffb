//! Labels, predictions and scores as they stand in a file in, class indices, numbers and probabilities out, checked against each other.

use std::collections::HashSet;

use trainyard_core::config::{EvaluateConfig, ScoreKind};
use trainyard_core::metrics::predictions as predicted_classes;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::{Labels, ScoreTable};

use super::binary::{self, ThresholdError};
use super::columns::{
    AnswerForm, Answers, Columns, Given, OneColumn, Resolved, ScoreColumns, numbers,
    refuse_not_finite,
};
use super::further;
use super::labels::{self, Texts};
use super::logits::{self, Scale};
use super::places::Places;
use super::problem::{Problem, refuse_other_threshold, shortened};

impl Columns {
    /// Number of rows; 0 once the answers are resolved.
    fn n_rows(&self) -> usize {
        match &self.answers {
            AnswerForm::One(columns) => columns.labels.len(),
            AnswerForm::Several(columns) => columns.n_rows(),
        }
    }

    /// Labels, predictions and scores, resolved and checked against each other, and taken out of the columns.
    pub(super) fn resolve(&mut self, given: &Given<'_>) -> Result<Resolved, Problem> {
        if self.n_rows() == 0 {
            return Err(Problem::NoRows);
        }
        if let Some(row_ids) = &self.row_ids {
            let mut seen = HashSet::new();
            if let Some(row) = row_ids.iter().position(|row_id| !seen.insert(row_id)) {
                return Err(Problem::RowIdTwice {
                    place: self.places.of(row),
                    row_id: shortened(&row_ids[row]),
                });
            }
        }
        let default = EvaluateConfig::default();
        let evaluate = given.evaluate.unwrap_or(&default);
        let is_used = |column: &str| further::is_used(column, evaluate, true);
        let none = OneColumn {
            labels: Answers::Numbers(Vec::new()),
            predicted: None,
            scores: None,
            beside: Vec::new(),
        };
        let columns = match std::mem::replace(&mut self.answers, AnswerForm::One(none)) {
            AnswerForm::Several(columns) => {
                return columns.resolve(given, evaluate, is_used, &self.places);
            }
            AnswerForm::One(columns) => columns,
        };
        let OneColumn {
            labels,
            predicted,
            scores,
            beside,
        } = columns;
        if let Some(column) = beside.into_iter().find(|column| !is_used(column)) {
            return Err(Problem::LabelBeside(column));
        }
        let answered = Answered {
            labels,
            predicted,
            scores,
            places: &self.places,
        };
        let has_class = evaluate.positive_class.is_some();
        match given.task {
            Some(PredictionTask::Multilabel) => Err(Problem::OneOfMultilabel),
            Some(PredictionTask::Regression) if has_class || evaluate.threshold.is_some() => {
                Err(ThresholdError::Regression.into())
            }
            Some(PredictionTask::Regression) => answered.resolve_numbers(),
            _ if evaluate.fixed_threshold().is_some() && !has_class => {
                Err(ThresholdError::NoPositive.into())
            }
            task => answered.resolve_classes(given.classes, task.is_some(), evaluate),
        }
    }
}

/// What is right, and what was predicted, as it stands in a file.
struct Answered<'a> {
    labels: Answers,
    predicted: Option<Answers>,
    scores: Option<ScoreColumns>,
    places: &'a Places,
}

impl Answered<'_> {
    fn resolve_numbers(self) -> Result<Resolved, Problem> {
        let labels = numbers(self.labels, "label", self.places)?;
        let predicted = match (self.predicted, &self.scores) {
            (Some(predicted), _) => numbers(predicted, "predicted", self.places)?,
            (None, Some(scores)) => one_column(scores).ok_or(Problem::NoPredictedNumbers)?,
            (None, None) => return Err(Problem::NoPredictedNumbers),
        };
        Ok(Resolved {
            labels: Labels::Value(labels),
            predicted: Labels::Value(predicted),
            scores: None,
            classes: Vec::new(),
            threshold: None,
        })
    }

    fn resolve_classes(
        self,
        declared: Option<&[String]>,
        is_certain: bool,
        evaluate: &EvaluateConfig,
    ) -> Result<Resolved, Problem> {
        let places = self.places;
        let texts = |answers: Answers, name: &'static str| {
            if let Answers::Numbers(numbers) = &answers {
                refuse_not_finite(numbers, name, places)?;
            }
            Ok::<_, Problem>(answers.into_texts())
        };
        let labels = texts(self.labels, "label")?;
        let predicted = self.predicted.map(|cells| texts(cells, "predicted"));
        let predicted = predicted.transpose()?;
        let labels = Texts {
            name: "label",
            cells: &labels,
            places,
        };
        let predicted = predicted.as_ref().map(|cells| Texts {
            name: "predicted",
            cells,
            places,
        });
        labels.check(declared)?;
        if let Some(predicted) = &predicted {
            predicted.check(declared)?;
        }
        if declared.is_none() && !is_certain {
            labels::refuse_regression(&labels, predicted.as_ref())?;
        }
        let (classes, is_declared) = match (declared, &self.scores) {
            (Some(classes), _) => (classes.to_vec(), true),
            (None, Some(scores)) if scores.n_columns() > 1 => (scores.class_names(&labels)?, true),
            (None, _) => (labels::found_classes(&labels, predicted.as_ref()), false),
        };
        let positive_idx = binary::positive_idx(
            evaluate.positive_class.as_deref(),
            evaluate.threshold.is_some(),
            &classes,
        )?;
        let label_indices = labels.indices(&classes)?;
        let scores = self.scores;
        let scores =
            scores.map(|scores| probabilities(scores, &classes, positive_idx, evaluate, places));
        let scores = scores.transpose()?;
        let by_threshold = match (positive_idx.zip(evaluate.fixed_threshold()), &scores) {
            (None, _) => None,
            (Some(_), None) => return Err(ThresholdError::NoScores.into()),
            (Some((idx, threshold)), Some(scores)) => {
                Some((binary::above(scores, idx, threshold), threshold))
            }
        };
        let predicted_indices = match (&predicted, &scores) {
            (Some(predicted), _) => {
                let indices = predicted.indices(&classes)?;
                labels::refuse_mismatch(&label_indices, &indices, &classes, is_declared)?;
                if let Some((expected, threshold)) = &by_threshold {
                    refuse_other_threshold(indices.iter(), expected.iter(), *threshold, places)?;
                }
                indices
            }
            (None, Some(scores)) => match by_threshold {
                Some((indices, _)) => indices,
                None => predicted_classes(scores.as_scores(), classes.len()),
            },
            (None, None) => return Err(Problem::NoAnswers),
        };
        Ok(Resolved {
            labels: Labels::Class(label_indices),
            predicted: Labels::Class(predicted_indices),
            scores,
            classes,
            threshold: None,
        })
    }
}

/// A probability of each class, in the order of `classes`.
fn probabilities(
    scores: ScoreColumns,
    classes: &[String],
    positive_idx: Option<usize>,
    evaluate: &EvaluateConfig,
    places: &Places,
) -> Result<ScoreTable, Problem> {
    let scale = match evaluate.scores {
        ScoreKind::Probabilities => Scale::Probabilities,
        ScoreKind::Logits => Scale::Logits,
    };
    if let (Some(values), [_, _]) = (one_column(&scores), classes) {
        let of_class = match &scores {
            ScoreColumns::Named(columns) => columns
                .first()
                .and_then(|(name, _)| classes.iter().position(|class| class == name)),
            ScoreColumns::Array { .. } => positive_idx,
        };
        if let Some(idx) = of_class {
            return logits::of_one_column(&values, idx, scale, places);
        }
    }
    let in_order = scores.in_order(classes)?;
    match scale {
        Scale::Probabilities => {
            logits::refuse_others(&in_order, classes, places)?;
            Ok(in_order)
        }
        Scale::Logits => {
            logits::refuse_probabilities(&in_order, classes.len())?;
            logits::softmax(&in_order, classes, places)
        }
    }
}

/// The scores of a file with one column of them, which for a regression are its predictions.
fn one_column(scores: &ScoreColumns) -> Option<Vec<f64>> {
    match scores {
        ScoreColumns::Named(columns) => match columns.as_slice() {
            [(_, values)] => Some(values.clone()),
            _ => None,
        },
        ScoreColumns::Array {
            scores,
            n_columns: 1,
        } => Some(match scores {
            ScoreTable::F32(values) => values.iter().copied().map(f64::from).collect(),
            ScoreTable::F64(values) => values.clone(),
        }),
        ScoreColumns::Array { .. } => None,
    }
}
