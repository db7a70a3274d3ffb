//! Labelled rows with what was predicted for them: all that metrics, slices and comparisons are computed from, whichever file or
//! model it came from.

mod archive;
mod label_texts;

use std::collections::BTreeMap;

use crate::metrics::ranking::RankedItems;
use crate::metrics::{
    ClassifiedRows, Measured, MetricError, OutputRows, Scores, Scoring, SetRows, ValuedRows,
    add_quantiles, classify, measure_outputs, measure_sets, quantile_of, rank, regress,
};
use crate::prediction_task::PredictionTask;
use crate::table::Table;

pub use archive::COLUMN_PREFIX;
pub use label_texts::LabelTexts;

/// Labelled rows and what was predicted for them. All columns have one entry a row, in one order.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredRows {
    /// Identifies each row, any text; absent where rows are known by their position alone.
    pub row_ids: Option<Vec<String>>,
    /// What is right.
    pub labels: Labels,
    /// What was predicted, in the same form.
    pub predicted: Labels,
    /// A score of each class, `[n_rows, n_classes]`, where there are any. Those of a row sum to 1, but for [`Labels::Sets`], where each is
    /// a probability by itself.
    pub scores: Option<ScoreTable>,
    /// Names of the classes, in the order of their indices; of [`Labels::Values`] those of the outputs; empty for one number a row.
    pub classes: Vec<String>,
    /// How much each row counts, finite and not negative; absent where all count the same.
    pub weights: Option<Vec<f64>>,
    /// Which rows belong together, such as those of one patient; absent where rows are independent.
    pub groups: Option<Vec<String>>,
    /// The fold of cross-validation that each row was held out in, from 0.
    pub folds: Option<Vec<u32>>,
    /// Further columns, by name: what slices and metrics of columns are made of.
    pub columns: BTreeMap<String, Column>,
}

/// Labels or predictions, one a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Class indices.
    Class(Vec<u32>),
    /// Numbers to predict.
    Value(Vec<f64>),
    /// Which classes are there, `[n_rows, n_classes]`.
    Sets(Table<bool>),
    /// A number of each output, `[n_rows, n_outputs]`.
    Values(Table<f64>),
}

/// A score of each class, `[n_rows, n_classes]`, row-major, as precise as it was read.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreTable {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// A further column, one entry a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Texts, as they are written.
    Texts(Vec<String>),
    /// Finite numbers.
    Numbers(Vec<f64>),
}

impl ScoredRows {
    /// Rows with labels and predictions alone.
    pub const fn new(labels: Labels, predicted: Labels, classes: Vec<String>) -> Self {
        Self {
            row_ids: None,
            labels,
            predicted,
            scores: None,
            classes,
            weights: None,
            groups: None,
            folds: None,
            columns: BTreeMap::new(),
        }
    }

    /// Number of rows.
    pub const fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// What the predictions mean.
    pub const fn task(&self) -> PredictionTask {
        match self.labels {
            Labels::Class(_) => PredictionTask::Classification,
            Labels::Sets(_) => PredictionTask::Multilabel,
            Labels::Value(_) | Labels::Values(_) => PredictionTask::Regression,
        }
    }

    /// Names of the outputs, where several numbers are predicted; else empty.
    pub fn outputs(&self) -> &[String] {
        match self.labels {
            Labels::Values(_) => &self.classes,
            Labels::Class(_) | Labels::Value(_) | Labels::Sets(_) => &[],
        }
    }

    /// Whether each row has several labels, one a column.
    pub const fn has_several_labels(&self) -> bool {
        matches!(self.labels, Labels::Sets(_) | Labels::Values(_))
    }

    /// Whether the row is predicted right: its class, or the whole set of its classes. `None` for numbers.
    pub fn is_right(&self, row: usize) -> Option<bool> {
        match (&self.labels, &self.predicted) {
            (Labels::Class(labels), Labels::Class(predicted)) => {
                Some(labels[row] == predicted[row])
            }
            (Labels::Sets(labels), Labels::Sets(predicted)) => {
                Some(labels.row(row) == predicted.row(row))
            }
            _ => None,
        }
    }

    /// The rows with these indices, in this order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter();
        Self {
            row_ids: gathered(self.row_ids.as_deref(), rows),
            folds: gathered(self.folds.as_deref(), rows),
            columns: columns
                .map(|(name, column)| (name.clone(), column.gather(rows)))
                .collect(),
            ..self.gather_measured(rows)
        }
    }

    /// What metrics are computed from, of the rows with these indices: without ids, folds and further columns but predicted quantiles.
    #[must_use]
    pub fn gather_measured(&self, rows: &[usize]) -> Self {
        Self {
            row_ids: None,
            labels: self.labels.gather(rows),
            predicted: self.predicted.gather(rows),
            scores: self
                .scores
                .as_ref()
                .map(|scores| scores.gather(rows, self.classes.len())),
            classes: self.classes.clone(),
            weights: gathered(self.weights.as_deref(), rows),
            groups: gathered(self.groups.as_deref(), rows),
            folds: None,
            columns: self
                .columns
                .iter()
                .filter(|(name, _)| quantile_of(name).is_some())
                .map(|(name, column)| (name.clone(), column.gather(rows)))
                .collect(),
        }
    }

    /// The same with the classes, or outputs, in the order of `classes`; or why that cannot be, as a clause. A class that only `classes`
    /// has scores 0; where rows have several labels, both must know the same.
    pub fn in_classes_of(&self, classes: &[String]) -> Result<Self, String> {
        if self.classes == classes {
            return Ok(self.clone());
        }
        if self.has_several_labels() {
            return self.with_columns_of(classes);
        }
        let place = |name: &String| {
            let found = classes.iter().position(|class| class == name);
            found.ok_or_else(|| format!("only one of the two knows the class `{name}`"))
        };
        let places: Vec<usize> = self.classes.iter().map(place).collect::<Result<_, _>>()?;
        let moved = |answers: &Labels| match answers {
            Labels::Class(answers) => {
                let answers = answers.iter().map(|&class| places[class as usize] as u32);
                Labels::Class(answers.collect())
            }
            others => others.clone(),
        };
        let scores = self.scores.as_ref().map(|scores| {
            let (old, new) = (self.classes.len(), classes.len());
            let scores = scores.as_scores();
            let mut in_order = vec![0.0; self.n_rows() * new];
            for row in 0..self.n_rows() {
                for (class, place) in places.iter().enumerate() {
                    in_order[row * new + place] = scores.at(row * old + class);
                }
            }
            ScoreTable::F64(in_order)
        });
        Ok(Self {
            labels: moved(&self.labels),
            predicted: moved(&self.predicted),
            scores,
            classes: classes.to_vec(),
            ..self.clone()
        })
    }

    /// Several labels a row with their columns in the order of `names`, of which both must know the same.
    fn with_columns_of(&self, names: &[String]) -> Result<Self, String> {
        let what = match self.labels {
            Labels::Values(_) => "output",
            _ => "class",
        };
        let only_one = |name: &String| format!("only one of the two knows the {what} `{name}`");
        if let Some(extra) = self.classes.iter().find(|name| !names.contains(name)) {
            return Err(only_one(extra));
        }
        let place = |name: &String| {
            let found = self.classes.iter().position(|known| known == name);
            found.ok_or_else(|| only_one(name))
        };
        let columns: Vec<usize> = names.iter().map(place).collect::<Result<_, _>>()?;
        let moved = |answers: &Labels| match answers {
            Labels::Sets(sets) => Labels::Sets(sets.with_columns(&columns)),
            Labels::Values(values) => Labels::Values(values.with_columns(&columns)),
            others => others.clone(),
        };
        let scores = self.scores.as_ref().map(|scores| {
            let (n, scores) = (self.classes.len(), scores.as_scores());
            let of_row = |row: usize| {
                columns
                    .iter()
                    .map(move |column| scores.at(row * n + column))
            };
            ScoreTable::F64((0..self.n_rows()).flat_map(of_row).collect())
        });
        Ok(Self {
            labels: moved(&self.labels),
            predicted: moved(&self.predicted),
            scores,
            classes: names.to_vec(),
            ..self.clone()
        })
    }

    /// The columns of predicted quantiles, the lowest quantile first.
    fn quantiles(&self) -> Result<Vec<(f64, &[f64])>, MetricError> {
        let mut found = Vec::new();
        for (name, column) in &self.columns {
            let Some(q) = quantile_of(name) else { continue };
            let refuse = |problem| MetricError::Quantile {
                column: name.clone(),
                problem,
            };
            let q = q.map_err(|_| refuse("its number must lie between 0 and 1"))?;
            match column {
                Column::Numbers(numbers) => found.push((q, numbers.as_slice())),
                Column::Texts(_) => return Err(refuse("every cell must be a finite number")),
            }
        }
        found.sort_by(|left, right| left.0.total_cmp(&right.0));
        if let Some(twice) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(MetricError::Quantile {
                column: format!("quantile_{}", twice[0].0),
                problem: "two columns predict this quantile",
            });
        }
        Ok(found)
    }

    /// As metrics of multilabel rows see them; `None` for others.
    pub fn as_sets(&self) -> Option<SetRows<'_>> {
        let (Labels::Sets(labels), Labels::Sets(predicted)) = (&self.labels, &self.predicted)
        else {
            return None;
        };
        Some(SetRows {
            labels,
            predicted,
            scores: self.scores.as_ref().map(ScoreTable::as_scores),
            classes: &self.classes,
            weights: self.weights.as_deref(),
            groups: self.groups.as_deref(),
        })
    }

    /// One class of multilabel rows by itself, as rows of two classes: `0` where it is not there, `1` where it is; or one of several
    /// outputs by itself. `None` where rows have one label.
    #[must_use]
    pub fn of_column(&self, column: usize) -> Option<Self> {
        let (labels, predicted, classes) = match (&self.labels, &self.predicted) {
            (Labels::Sets(labels), Labels::Sets(predicted)) => {
                let flags = |sets: &Table<bool>| {
                    Labels::Class(sets.column(column).map(u32::from).collect())
                };
                let classes = ["0", "1"].map(str::to_owned).to_vec();
                (flags(labels), flags(predicted), classes)
            }
            (Labels::Values(labels), Labels::Values(predicted)) => {
                let numbers = |values: &Table<f64>| Labels::Value(values.column(column).collect());
                (numbers(labels), numbers(predicted), Vec::new())
            }
            _ => return None,
        };
        let scores = self.scores.as_ref().map(|scores| {
            let (n, scores) = (self.classes.len(), scores.as_scores());
            let of_row = |row: usize| scores.at(row * n + column);
            let rows = (0..self.n_rows()).map(of_row);
            ScoreTable::F64(rows.flat_map(|score| [1.0 - score, score]).collect())
        });
        Some(Self {
            labels,
            predicted,
            scores,
            classes,
            ..self.clone()
        })
    }

    /// Why predicted quantiles are not measured of several outputs.
    fn note_on_quantiles(&self) -> Option<String> {
        let mut columns = self.columns.keys();
        let column = columns.find(|name| quantile_of(name).is_some())?;
        Some(format!(
            "Predicted quantiles such as `{column}` are not measured: they do not say of which output they are. Score each output in a file of its own."
        ))
    }

    /// Every metric that the rows allow.
    pub fn measure(&self, scoring: &Scoring) -> Result<Measured, MetricError> {
        if scoring.ranking_k.is_some() && self.has_several_labels() {
            return Err(MetricError::RankedSeveral);
        }
        if let Some(sets) = self.as_sets() {
            return measure_sets(&sets, scoring);
        }
        match (&self.labels, &self.predicted) {
            (Labels::Class(labels), Labels::Class(predicted)) => {
                let rows = ClassifiedRows {
                    labels,
                    predicted,
                    scores: self.scores.as_ref().map(ScoreTable::as_scores),
                    classes: &self.classes,
                    weights: self.weights.as_deref(),
                    groups: self.groups.as_deref(),
                };
                classify(&rows, scoring)
            }
            (Labels::Value(relevance), Labels::Value(scores)) if scoring.ranking_k.is_some() => {
                let items = RankedItems {
                    relevance,
                    scores,
                    groups: self.groups.as_deref().ok_or(MetricError::NotRanked)?,
                };
                rank(&items, scoring)
            }
            (Labels::Value(labels), Labels::Value(predicted)) => {
                let rows = ValuedRows {
                    labels,
                    predicted,
                    objective: scoring.objective,
                    weights: self.weights.as_deref(),
                    groups: self.groups.as_deref(),
                };
                let mut measured = regress(&rows, scoring)?;
                let quantiles = self.quantiles()?;
                if !quantiles.is_empty() {
                    add_quantiles(&mut measured, &rows, &quantiles, scoring)?;
                }
                Ok(measured)
            }
            (Labels::Values(labels), Labels::Values(predicted)) => {
                let rows = OutputRows {
                    labels,
                    predicted,
                    outputs: &self.classes,
                    objective: scoring.objective,
                    weights: self.weights.as_deref(),
                    groups: self.groups.as_deref(),
                };
                let mut measured = measure_outputs(&rows, scoring)?;
                measured.notes.extend(self.note_on_quantiles());
                Ok(measured)
            }
            _ => unreachable!("labels and predictions are read for one task"),
        }
    }
}

impl Labels {
    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Class(labels) => labels.len(),
            Self::Value(labels) => labels.len(),
            Self::Sets(sets) => sets.n_rows(),
            Self::Values(values) => values.n_rows(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of these rows, in this order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::Class(labels) => Self::Class(rows.iter().map(|&row| labels[row]).collect()),
            Self::Value(labels) => Self::Value(rows.iter().map(|&row| labels[row]).collect()),
            Self::Sets(sets) => Self::Sets(sets.gather(rows)),
            Self::Values(values) => Self::Values(values.gather(rows)),
        }
    }
}

impl ScoreTable {
    /// As metrics read them.
    pub const fn as_scores(&self) -> Scores<'_> {
        match self {
            Self::F32(scores) => Scores::F32(scores.as_slice()),
            Self::F64(scores) => Scores::F64(scores.as_slice()),
        }
    }

    /// Those of these rows, in this order.
    #[must_use]
    pub fn gather(&self, rows: &[usize], n_classes: usize) -> Self {
        fn of<T: Copy>(scores: &[T], rows: &[usize], n_classes: usize) -> Vec<T> {
            let of_row = |&row: &usize| &scores[row * n_classes..(row + 1) * n_classes];
            rows.iter().flat_map(of_row).copied().collect()
        }
        match self {
            Self::F32(scores) => Self::F32(of(scores, rows, n_classes)),
            Self::F64(scores) => Self::F64(of(scores, rows, n_classes)),
        }
    }
}

impl Column {
    /// How many cells there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of these rows, in this order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::Texts(texts) => Self::Texts(rows.iter().map(|&row| texts[row].clone()).collect()),
            Self::Numbers(numbers) => Self::Numbers(rows.iter().map(|&row| numbers[row]).collect()),
        }
    }
}

fn gathered<T: Clone>(column: Option<&[T]>, rows: &[usize]) -> Option<Vec<T>> {
    column.map(|column| rows.iter().map(|&row| column[row].clone()).collect())
}
