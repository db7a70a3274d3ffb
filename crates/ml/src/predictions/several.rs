//! Several labels a row: classes that are there or not (multilabel), or a number of each of several outputs.

use trainyard_core::config::{EvaluateConfig, ScoreKind, nearest_name};
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::{Labels, ScoreTable};
use trainyard_core::table::Table;

use super::binary::ThresholdError;
use super::columns::{
    AnswerColumns, Answers, Given, Resolved, ScoreColumns, SeveralColumns, numbers,
};
use super::flags::{self, Flags};
use super::labels::by_value_or_name;
use super::places::Places;
use super::problem::{Problem, refuse_other_threshold, some};

/// A class is predicted from this probability on, where the configuration gives no other.
const DEFAULT_THRESHOLD: f64 = 0.5;

impl AnswerColumns {
    /// What the file calls the column of `name`, the `idx`-th.
    fn title(&self, idx: usize, name: &str) -> String {
        match self.names {
            Some(_) => format!("{}{name}", self.prefix),
            None => format!("{}[:, {idx}]", self.prefix.trim_end_matches('_')),
        }
    }

    fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, Answers::len)
    }

    /// The columns in the order of `names`, each with what the file calls it; `names` are those of the labels.
    fn in_order(mut self, names: &[String]) -> Result<Vec<(String, Answers)>, Problem> {
        let titles: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(idx, name)| self.title(idx, name))
            .collect();
        let Some(own) = self.names.take() else {
            if self.columns.len() != names.len() {
                return Err(Problem::AnswerColumns {
                    array: self.prefix.trim_end_matches('_'),
                    n_columns: self.columns.len(),
                    n_names: names.len(),
                });
            }
            return Ok(titles.into_iter().zip(self.columns).collect());
        };
        let mut by_name: std::collections::BTreeMap<String, Answers> =
            own.into_iter().zip(self.columns).collect();
        let mut found = Vec::new();
        for (name, title) in names.iter().zip(titles) {
            match by_name.remove(name) {
                Some(column) => found.push((title, column)),
                None => {
                    return Err(missing(
                        title,
                        by_name.keys().map(String::as_str),
                        self.prefix,
                    ));
                }
            }
        }
        match by_name.into_keys().next() {
            Some(extra) => Err(extra_column(self.prefix, &extra, names)),
            None => Ok(found),
        }
    }
}

impl SeveralColumns {
    pub(super) fn n_rows(&self) -> usize {
        self.labels.n_rows()
    }

    /// What the columns come to, checked against each other.
    pub(super) fn resolve(
        self,
        given: &Given<'_>,
        evaluate: &EvaluateConfig,
        is_used: impl Fn(&str) -> bool,
        places: &Places,
    ) -> Result<Resolved, Problem> {
        self.check_names(is_used)?;
        let names = self.names(given.classes)?;
        let Self {
            labels,
            predicted,
            scores,
            ..
        } = self;
        let labels = labels.in_order(&names)?;
        let predicted = predicted
            .map(|columns| columns.in_order(&names))
            .transpose()?;
        if predicted.is_none() && scores.is_none() {
            return Err(Problem::NoAnswersOfSeveral);
        }
        let is_multilabel = match given.task {
            Some(PredictionTask::Regression) => false,
            Some(PredictionTask::Classification | PredictionTask::Multilabel) => true,
            None => scores.is_some() || are_sets(&labels, predicted.as_deref(), places)?,
        };
        if !is_multilabel {
            return of_outputs(labels, predicted, scores.as_ref(), names, evaluate, places);
        }
        let sets = Sets {
            labels,
            predicted,
            scores,
            names,
        };
        sets.resolve(evaluate, places)
    }

    fn check_names(&self, is_used: impl Fn(&str) -> bool) -> Result<(), Problem> {
        if let Some(column) = self.unmatched.iter().find(|column| !is_used(column)) {
            let of_labels = self.labels.names.iter().flatten();
            if let Some(name) = column.strip_prefix(self.labels.prefix) {
                return Err(Problem::NoCounterpart {
                    label: column.clone(),
                    name: name.to_owned(),
                    hint: did_you_mean(name, of_labels.map(String::as_str), self.labels.prefix),
                });
            }
            let prefix = PREDICTED;
            let name = column.strip_prefix(prefix).unwrap_or(column);
            let names: Vec<String> = of_labels.cloned().collect();
            return Err(extra_column(prefix, name, &names));
        }
        match self.labels.names.as_deref() {
            Some([only]) => Err(Problem::OneOfSeveral(only.clone())),
            _ => Ok(()),
        }
    }

    /// The names of classes or outputs in the order in which they are kept: that of `declared`, else sorted, so that the order of
    /// columns in a file does not matter; of an array, that of its columns.
    fn names(&self, declared: Option<&[String]>) -> Result<Vec<String>, Problem> {
        let n_columns = self.labels.columns.len();
        match (&self.labels.names, declared) {
            (None, None) => Ok((0..n_columns).map(|idx| idx.to_string()).collect()),
            (None, Some(declared)) if declared.len() != n_columns => Err(Problem::AnswerColumns {
                array: "label",
                n_columns,
                n_names: declared.len(),
            }),
            (None, Some(declared)) => Ok(declared.to_vec()),
            (Some(names), None) => {
                let mut names = names.clone();
                names.sort_by(|left, right| by_value_or_name(left, right));
                Ok(names)
            }
            (Some(names), Some(declared)) => {
                if let Some(class) = declared.iter().find(|class| !names.contains(class)) {
                    let title = format!("{}{class}", self.labels.prefix);
                    let spare = names.iter().filter(|name| !declared.contains(name));
                    return Err(missing(
                        title,
                        spare.map(String::as_str),
                        self.labels.prefix,
                    ));
                }
                match names.iter().find(|name| !declared.contains(name)) {
                    Some(extra) => Err(Problem::ColumnOfNoClass {
                        column: format!("{}{extra}", self.labels.prefix),
                    }),
                    None => Ok(declared.to_vec()),
                }
            }
        }
    }
}

/// What the names of the columns of predictions begin with.
pub(super) const PREDICTED: &str = "predicted_";

/// What those of labels begin with.
pub(super) const LABEL: &str = "label_";

fn missing<'a>(
    column: String,
    spare: impl Iterator<Item = &'a str>,
    prefix: &'static str,
) -> Problem {
    let name = column.strip_prefix(prefix).unwrap_or(&column);
    let hint = did_you_mean(name, spare, prefix);
    Problem::NoColumnOfSeveral { column, hint }
}

fn extra_column(prefix: &'static str, name: &str, names: &[String]) -> Problem {
    Problem::ExtraColumn {
        column: format!("{prefix}{name}"),
        label: format!("{LABEL}{name}"),
        hint: did_you_mean(name, names.iter().map(String::as_str), prefix),
    }
}

/// The column that may be meant, as an addition to an error.
fn did_you_mean<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
    prefix: &'static str,
) -> String {
    nearest_name(name, names).map_or_else(String::new, |near| format!("; is it `{prefix}{near}`?"))
}

/// Whether the columns are sets of classes, where nothing but their cells tells: all are 0 or 1, and not numbers of outputs.
fn are_sets(
    labels: &[(String, Answers)],
    predicted: Option<&[(String, Answers)]>,
    places: &Places,
) -> Result<bool, Problem> {
    let other = |columns: &[(String, Answers)]| {
        let of_column = |(title, column): &(String, Answers)| {
            let (row, cell) = flags::other_than_flag(column)?;
            Some((title.clone(), row, cell))
        };
        columns.iter().find_map(of_column)
    };
    let fraction = |cell: &str| {
        let value = cell.parse::<f64>();
        value.is_ok_and(|value| value.is_finite() && value.fract() != 0.0)
    };
    let Some((column, row, cell)) = other(labels) else {
        return match predicted.and_then(other) {
            None => Ok(true),
            Some((column, row, cell)) => Err(Problem::SetsOrNumbers {
                place: places.of(row),
                column,
                cell,
            }),
        };
    };
    let has_fraction = labels.iter().any(|(_, column)| column.any(fraction));
    if has_fraction {
        return Ok(false);
    }
    Err(Problem::NotFlag {
        place: places.of(row),
        hint: if cell.parse::<f64>().is_ok_and(f64::is_finite) {
            "; for numbers to predict, set the task to `regression`"
        } else {
            ""
        },
        column,
        cell,
    })
}

/// A number of each output.
fn of_outputs(
    labels: Vec<(String, Answers)>,
    predicted: Option<Vec<(String, Answers)>>,
    scores: Option<&ScoreColumns>,
    names: Vec<String>,
    evaluate: &EvaluateConfig,
    places: &Places,
) -> Result<Resolved, Problem> {
    if evaluate.positive_class.is_some() || evaluate.threshold.is_some() {
        return Err(ThresholdError::Regression.into());
    }
    let Some(predicted) = predicted else {
        return Err(Problem::NoPredictedOutputs);
    };
    if scores.is_some() {
        return Err(Problem::ScoresOfNumbers);
    }
    let table = |columns: Vec<(String, Answers)>| {
        let columns = columns
            .into_iter()
            .map(|(title, column)| numbers(column, &title, places));
        let columns: Vec<Vec<f64>> = columns.collect::<Result<_, _>>()?;
        Ok::<_, Problem>(Table::of_columns(&columns).expect("columns of one file are equally long"))
    };
    Ok(Resolved {
        labels: Labels::Values(table(labels)?),
        predicted: Labels::Values(table(predicted)?),
        scores: None,
        classes: names,
        threshold: None,
    })
}

/// Columns of classes that are there or not.
struct Sets {
    labels: Vec<(String, Answers)>,
    predicted: Option<Vec<(String, Answers)>>,
    scores: Option<ScoreColumns>,
    names: Vec<String>,
}

impl Sets {
    fn resolve(self, evaluate: &EvaluateConfig, places: &Places) -> Result<Resolved, Problem> {
        if evaluate.threshold_aim().is_some() {
            return Err(ThresholdError::AimOfSets.into());
        }
        if evaluate.positive_class.is_some() {
            return Err(ThresholdError::PositiveOfSets.into());
        }
        let Self {
            labels,
            predicted,
            scores,
            names,
        } = self;
        let table = |columns: Vec<(String, Answers)>| {
            let columns = columns.iter().map(|(title, column)| {
                Flags {
                    title,
                    column,
                    places,
                }
                .read()
            });
            let columns: Vec<Vec<bool>> = columns.collect::<Result<_, _>>()?;
            Ok::<_, Problem>(
                Table::of_columns(&columns).expect("columns of one file are equally long"),
            )
        };
        let labels = table(labels)?;
        let predicted = predicted.map(table).transpose()?;
        let scores = scores.map(|scores| probabilities(scores, &names, evaluate.scores, places));
        let scores = scores.transpose()?;
        let fixed = evaluate.fixed_threshold();
        let threshold = fixed.unwrap_or(DEFAULT_THRESHOLD);
        let above = scores.as_ref().map(|scores| {
            let scores = scores.as_scores();
            let cells = (0..scores.len()).map(|idx| scores.at(idx) >= threshold);
            Table::new(cells.collect(), names.len()).expect("a score of each class")
        });
        let (predicted, threshold) = match (predicted, above, fixed) {
            (None, None, _) => return Err(Problem::NoAnswersOfSeveral),
            (Some(_), None, Some(_)) => return Err(ThresholdError::NoScores.into()),
            (None, Some(above), _) => (above, Some(threshold)),
            (Some(predicted), Some(above), Some(threshold)) => {
                refuse_other_threshold(predicted.rows(), above.rows(), threshold, places)?;
                (predicted, Some(threshold))
            }
            (Some(predicted), _, None) => (predicted, None),
        };
        Ok(Resolved {
            labels: Labels::Sets(labels),
            predicted: Labels::Sets(predicted),
            scores,
            classes: names,
            threshold,
        })
    }
}

/// A probability of each class by itself, in the order of `names`.
fn probabilities(
    scores: ScoreColumns,
    names: &[String],
    kind: ScoreKind,
    places: &Places,
) -> Result<ScoreTable, Problem> {
    let is_array = matches!(scores, ScoreColumns::Array { .. });
    if let ScoreColumns::Named(columns) = &scores {
        let own = || columns.iter().map(|(name, _)| name.as_str());
        if let Some(name) = names
            .iter()
            .find(|name| own().all(|own| own != name.as_str()))
        {
            let spare = own().filter(|own| names.iter().all(|name| name != own));
            return Err(missing(format!("score_{name}"), spare, "score_"));
        }
        if let Some(extra) = own().find(|own| names.iter().all(|name| name != own)) {
            return Err(extra_column("score_", extra, names));
        }
    }
    let scores = scores.in_order(names)?;
    let wrong = |idx: usize, value: f64| {
        let column = idx % names.len();
        Problem::NotProbability {
            place: places.of(idx / names.len()),
            column: if is_array {
                format!("score[:, {column}]")
            } else {
                format!("score_{}", names[column])
            },
            cell: value.to_string(),
        }
    };
    let all = scores.as_scores();
    let mut values = (0..all.len()).map(|idx| all.at(idx));
    match kind {
        ScoreKind::Probabilities => {
            let is_wrong = |value: f64| !(0.0..=1.0).contains(&value);
            match values.position(is_wrong) {
                Some(idx) => Err(wrong(idx, all.at(idx))),
                None => Ok(scores),
            }
        }
        ScoreKind::Logits => {
            let values: Vec<f64> = values.collect();
            if let Some(idx) = values.iter().position(|value| !value.is_finite()) {
                return Err(Problem::NotFinite {
                    place: places.of(idx / names.len()),
                    column: format!("score_{}", names[idx % names.len()]),
                    cell: values[idx].to_string(),
                });
            }
            let sigmoid = |value: f64| 1.0 / (1.0 + (-value).exp());
            Ok(ScoreTable::F64(values.into_iter().map(sigmoid).collect()))
        }
    }
}

/// The names of columns, as an error lists them.
pub(super) fn listed(prefix: &str, names: &[String]) -> String {
    let titles: Vec<String> = names
        .iter()
        .map(|name| format!("`{prefix}{name}`"))
        .collect();
    some(titles.iter().map(String::as_str))
}
