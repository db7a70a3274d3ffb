//! Columns as they stand in a file, before classes have indices.

use std::collections::{BTreeMap, HashSet};

use trainyard_core::config::{EvaluateConfig, ScoreKind};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::metrics::predictions as predicted_classes;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::{Labels, ScoreTable};

use super::binary::{self, ThresholdError};
use super::coded::Coded;
use super::further;
use super::labels::{self, Texts};
use super::logits::{self, Scale};
use super::places::Places;
use super::problem::{Problem, shortened, some};
use super::several::SeveralColumns;

/// What is known about predictions before their file is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// What they mean; by default classes, unless the file plainly holds numbers to predict.
    pub task: Option<PredictionTask>,
    /// Names of the classes, in the order of the columns of an array of scores.
    pub classes: Option<&'a [String]>,
    /// `[evaluate]`; by default as an empty one.
    pub evaluate: Option<&'a EvaluateConfig>,
}

/// Labels or predictions as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answers {
    /// As text: of a table, or of an array of texts or integers.
    Texts(Coded),
    /// Of an array of numbers that need not be whole.
    Numbers(Vec<f64>),
}

impl Answers {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Texts(cells) => cells.len(),
            Self::Numbers(cells) => cells.len(),
        }
    }

    /// Whether any cell is such a text.
    pub(super) fn any(&self, is_it: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Texts(cells) => cells.distinct().iter().any(|text| is_it(text)),
            Self::Numbers(cells) => cells.iter().any(|cell| is_it(&cell.to_string())),
        }
    }

    fn into_texts(self) -> Coded {
        match self {
            Self::Texts(cells) => cells,
            Self::Numbers(cells) => Coded::of_numbers(&cells),
        }
    }
}

/// Any other column as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    /// As text: of a table, or of an array of texts or integers.
    Texts(Vec<String>),
    /// Of an array of numbers that need not be whole.
    Numbers(Vec<f64>),
}

/// Scores as they stand in a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ScoreColumns {
    /// Columns of a table, named by class.
    Named(Vec<(String, Vec<f64>)>),
    /// An array `[n_rows, n_columns]`, whose columns are in the order of the classes.
    Array {
        scores: ScoreTable,
        n_columns: usize,
    },
}

/// A column as it stands in the file, and whether it says itself that it is one of rows.
#[derive(Debug)]
pub(super) struct FurtherColumn {
    pub(super) cells: Cells,
    /// Always in a table; in an archive by `column/` before its name. Other arrays count where the configuration names them.
    pub(super) is_of_rows: bool,
}

/// Labels, predictions and scores, one or several labels a row.
#[derive(Debug)]
pub(super) enum AnswerForm {
    One(OneColumn),
    Several(SeveralColumns),
}

/// One label a row, and what was predicted for it.
#[derive(Debug)]
pub(super) struct OneColumn {
    pub(super) labels: Answers,
    pub(super) predicted: Option<Answers>,
    pub(super) scores: Option<ScoreColumns>,
    /// Columns of a table called `label_<name>` beside `label`: further columns, where the configuration names them.
    pub(super) beside: Vec<String>,
}

/// The columns that matter.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) row_ids: Option<Vec<String>>,
    pub(super) answers: AnswerForm,
    pub(super) weights: Option<Cells>,
    pub(super) groups: Option<Cells>,
    pub(super) folds: Option<Cells>,
    pub(super) further: BTreeMap<String, FurtherColumn>,
    /// Digests of the columns that tell rows without ids apart.
    pub(super) others: BTreeMap<String, Sha256Digest>,
    pub(super) places: Places,
}

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
        let is_used = |column: &str| further::is_used(column, evaluate);
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
        let positive_idx = binary::positive_idx(evaluate.positive_class.as_deref(), &classes)?;
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
                    refuse_other_threshold(&indices, expected, *threshold, places)?;
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

/// Finite numbers, exactly as they are written.
pub(super) fn numbers(
    answers: Answers,
    column: &str,
    places: &Places,
) -> Result<Vec<f64>, Problem> {
    let cells = match answers {
        Answers::Numbers(numbers) => {
            refuse_not_finite(&numbers, column, places)?;
            return Ok(numbers);
        }
        Answers::Texts(cells) => cells,
    };
    let number = |(code, text): (usize, &String)| match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Problem::NotFinite {
            place: places.of(cells.first_row(code)),
            column: column.to_owned(),
            cell: shortened(text),
        }),
    };
    let distinct = cells.distinct().iter().enumerate().map(number);
    let distinct: Vec<f64> = distinct.collect::<Result<_, _>>()?;
    Ok(cells
        .codes()
        .iter()
        .map(|&code| distinct[code as usize])
        .collect())
}

fn refuse_not_finite(numbers: &[f64], column: &str, places: &Places) -> Result<(), Problem> {
    match numbers.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(row) => Err(Problem::NotFinite {
            place: places.of(row),
            column: column.to_owned(),
            cell: numbers[row].to_string(),
        }),
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
        Scale::Probabilities => Ok(in_order),
        Scale::Logits => logits::softmax(&in_order, classes, places),
    }
}

/// Refuses predictions that are not those of the threshold in force.
fn refuse_other_threshold(
    predicted: &[u32],
    expected: &[u32],
    threshold: f64,
    places: &Places,
) -> Result<(), Problem> {
    let pairs = predicted.iter().zip(expected).enumerate();
    let mut others = pairs.filter(|(_, (predicted, expected))| predicted != expected);
    let Some((first, _)) = others.next() else {
        return Ok(());
    };
    Err(Problem::OtherThreshold {
        place: places.of(first),
        threshold,
        n_other: 1 + others.count(),
        n_rows: predicted.len(),
    })
}

/// What the columns come to.
pub(super) struct Resolved {
    pub(super) labels: Labels,
    pub(super) predicted: Labels,
    pub(super) scores: Option<ScoreTable>,
    pub(super) classes: Vec<String>,
    /// Of multilabel rows: from which score on each class is predicted, where scores decide.
    pub(super) threshold: Option<f64>,
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

impl ScoreColumns {
    const fn n_columns(&self) -> usize {
        match self {
            Self::Named(columns) => columns.len(),
            Self::Array { n_columns, .. } => *n_columns,
        }
    }

    /// The classes of a file that lists none: those of its columns. Columns of an array have no names, so labels must say
    /// by their number which is theirs.
    fn class_names(&self, labels: &Texts<'_>) -> Result<Vec<String>, Problem> {
        match self {
            Self::Named(columns) => Ok(columns.iter().map(|(class, _)| class.clone()).collect()),
            Self::Array { n_columns, .. } => {
                let classes: Vec<String> = (0..*n_columns).map(|idx| idx.to_string()).collect();
                let is_numbered = |label: &&str| {
                    let whole = label.strip_suffix(".0").unwrap_or(label);
                    classes.iter().any(|class| class == whole)
                };
                match labels.distinct().iter().find(|label| !is_numbered(label)) {
                    Some(label) => Err(Problem::UnnamedColumns {
                        n_columns: *n_columns,
                        label: shortened(label),
                    }),
                    None => Ok(classes),
                }
            }
        }
    }

    /// Scores by row, in the order of `classes`: columns of a table by their names, those of an array as they stand.
    pub(super) fn in_order(self, classes: &[String]) -> Result<ScoreTable, Problem> {
        match self {
            Self::Array { scores, n_columns } => {
                if n_columns == classes.len() {
                    return Ok(scores);
                }
                Err(Problem::ScoreColumns {
                    n_columns,
                    n_classes: classes.len(),
                    hint: if n_columns == 1 && classes.len() == 2 {
                        "; say whose it is by `[evaluate] positive_class`, or write a column a class, `1 - p` and `p`"
                    } else {
                        ""
                    },
                })
            }
            Self::Named(columns) => {
                if let Some((extra, _)) = columns.iter().find(|(name, _)| !classes.contains(name)) {
                    let is_missing =
                        |class: &&String| columns.iter().all(|(name, _)| name != *class);
                    return Err(match classes.iter().find(is_missing) {
                        Some(class) => no_score_column(class, &columns),
                        None => Problem::ExtraScoreColumn(extra.clone()),
                    });
                }
                let column = |class: &String| {
                    let found = columns.iter().find(|(name, _)| name == class);
                    found
                        .map(|(_, values)| values)
                        .ok_or_else(|| no_score_column(class, &columns))
                };
                let in_order: Vec<&Vec<f64>> =
                    classes.iter().map(column).collect::<Result<_, _>>()?;
                let n_rows = in_order.first().map_or(0, |values| values.len());
                let by_row =
                    (0..n_rows).flat_map(|row| in_order.iter().map(move |values| values[row]));
                Ok(ScoreTable::F64(by_row.collect()))
            }
        }
    }
}

fn no_score_column(class: &str, columns: &[(String, Vec<f64>)]) -> Problem {
    Problem::NoScoreColumn {
        class: class.to_owned(),
        found: some(columns.iter().map(|(name, _)| name.as_str())),
    }
}
