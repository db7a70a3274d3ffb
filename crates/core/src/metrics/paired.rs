//! The change of a metric between two models on the same rows, and what its interval at any level is computed from.
//!
//! Accuracy and recall are shares of rows that are right, so their change rests on the rows that only one of the two predicts right
//! (Tango). The area under the ROC curve has DeLong's covariance. What is a mean of a number a row, or has an influence a row, changes
//! by the mean of the differences (t, corrected for skewness; by groups where rows come in groups). Everything else that is a function
//! of the confusion matrix is resampled over the cells of label, old and new prediction (BCa). Where too few rows differ for any of
//! these, as where none does, each further row that might differ is taken to cost as much as the dearest: [`ChangedRows`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalog;
use super::estimate::{Computed, Spread};
use super::matrix::Confusion;
use super::metric::{Compute, Metric};
use super::output_measure::{Columns, average_parts};
use super::probability;
use super::ranking::{RankedItems, Ranking};
use super::ranking_metrics::values_of;
use super::regression;
use super::row_values::RowValues;
use super::sampling::Sampling;
use super::scoring::Scoring;
use super::tally::Tally;
use crate::measurement::MetricKey;
use crate::model::Loss;
use crate::scored_rows::{Labels, ScoreTable, ScoredRows};
use crate::statistics::{
    CellBootstrap, FoldMoments, Interval, IntervalMethod, Moments, NoInterval, RocDifference,
    clopper_pearson, interval_of_group_sums, smallest_detectable, tango,
};
use crate::table::Table;

/// Seed of the replicates: the same verdict from the same rows.
const SEED: u64 = 2026;

/// Replicates beyond each end that a bootstrap is given.
const BEYOND_END: f64 = 20.0;

const MIN_REPLICATES: usize = 2_000;

/// Beyond, a level is out of reach of a bootstrap.
const MAX_REPLICATES: f64 = 1e6;

/// A change on rows that both models were scored on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairedChange {
    /// What changes.
    pub key: MetricKey,
    /// The improvement in the metric's own direction, positive is better.
    pub value: f64,
    /// Rows behind it.
    pub n_rows: u64,
    /// What its interval is computed from.
    pub evidence: PairedEvidence,
}

/// What the interval of a change is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PairedEvidence {
    /// Rows that only one of the two predicts right.
    Proportion {
        /// By the new model alone.
        n_gained: u64,
        /// By the old model alone.
        n_lost: u64,
        /// All rows that count.
        n: u64,
    },
    /// The improvement of each row.
    Mean {
        /// Its moments.
        moments: Moments,
        /// For few changed rows.
        changed: ChangedRows,
    },
    /// The improvement of each group of rows.
    Groups {
        /// Its moments.
        moments: Moments,
        /// For few changed groups.
        changed: ChangedRows,
    },
    /// Both areas under the ROC curve.
    Areas {
        /// With DeLong's variances.
        areas: RocDifference,
    },
    /// The improvement of each fold of a cross-validation.
    Folds {
        /// Its moments.
        scores: FoldMoments,
        /// The improvement in each fold, in the order of the folds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        differences: Vec<f64>,
    },
    /// A function of the confusion matrix.
    Cells {
        /// Number of classes.
        n_classes: u32,
        /// The class that the metric is of, by index; absent for one of all classes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<u32>,
        /// Label, old and new prediction, and the number of rows of each that occurs.
        cells: Vec<JointCell>,
        /// Weight of recall in F-beta.
        beta: f64,
        /// For few changed rows.
        changed: ChangedRows,
    },
}

/// Rows whose prediction changed, and the most that one such row moves the value times the number of rows.
///
/// A conservative interval where too few rows differ to show a distribution: the share of rows that changed for the worse is at most
/// Clopper and Pearson's upper end, and each costs at most what the dearest does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedRows {
    /// Rows that changed for the worse, or may have.
    pub n_worse: u64,
    /// Rows that changed for the better, or may have.
    pub n_better: u64,
    /// All rows.
    pub n: u64,
    /// What the dearest row costs, times the number of rows.
    pub largest: f64,
}

impl ChangedRows {
    fn interval(&self, confidence: f64) -> Result<Interval, NoInterval> {
        let share = |n| clopper_pearson(n, self.n, confidence).map(|interval| interval.upper);
        let (worse, better) = (share(self.n_worse), share(self.n_better));
        Ok(Interval {
            lower: -self.largest * worse.ok_or(NoInterval::NoRows)?,
            upper: self.largest * better.ok_or(NoInterval::NoRows)?,
            confidence,
            method: IntervalMethod::ChangedRows,
        })
    }
}

impl PairedChange {
    /// The interval of the improvement.
    pub fn interval(&self, confidence: f64) -> Result<Interval, NoInterval> {
        match &self.evidence {
            PairedEvidence::Proportion {
                n_gained,
                n_lost,
                n,
            } => tango(*n_gained, *n_lost, *n, confidence).ok_or(NoInterval::NoRows),
            PairedEvidence::Mean { moments, changed } => moments
                .interval(confidence)
                .or_else(|_| changed.interval(confidence)),
            PairedEvidence::Groups { moments, changed } => {
                interval_of_group_sums(moments.mean, moments, confidence)
                    .or_else(|_| changed.interval(confidence))
            }
            PairedEvidence::Areas { areas } => areas.interval(confidence),
            PairedEvidence::Folds { scores, .. } => scores.interval(confidence),
            PairedEvidence::Cells {
                n_classes,
                class,
                cells,
                beta,
                changed,
            } => self
                .bootstrap(
                    *n_classes,
                    class.map(|class| class as usize),
                    cells,
                    *beta,
                    confidence,
                )
                .or_else(|reason| match reason {
                    // No number of rows mends that, but the replicates would.
                    NoInterval::TooFewReplicates { .. } => Err(reason),
                    _ => changed.interval(confidence),
                }),
        }
    }

    /// The smallest drop that as many rows show four times in five, by a test at one end; `None` where that is not known.
    pub fn smallest_detectable(&self, confidence: f64) -> Option<f64> {
        match &self.evidence {
            PairedEvidence::Proportion {
                n_gained,
                n_lost,
                n,
            } => smallest_detectable(*n_gained, *n_lost, *n, confidence),
            PairedEvidence::Mean { moments, .. } | PairedEvidence::Groups { moments, .. } => {
                moments.smallest_detectable(confidence)
            }
            PairedEvidence::Areas { .. }
            | PairedEvidence::Folds { .. }
            | PairedEvidence::Cells { .. } => {
                let interval = self.interval(confidence).ok()?;
                let reach = (interval.upper - interval.lower) / 2.0;
                // An interval's reach is z standard errors; the power of four in five takes 0.84 more.
                let z = crate::statistics::normal_quantile(f64::midpoint(1.0, confidence));
                Some(reach * (1.0 + crate::statistics::normal_quantile(0.8) / z))
            }
        }
    }

    fn bootstrap(
        &self,
        n_classes: u32,
        class: Option<usize>,
        cells: &[JointCell],
        beta: f64,
        confidence: f64,
    ) -> Result<Interval, NoInterval> {
        let wanted = wanted_replicates(confidence);
        if wanted > MAX_REPLICATES {
            return Err(NoInterval::TooFewReplicates {
                n: MAX_REPLICATES as u64,
                needed: wanted as u64,
            });
        }
        let classes: Vec<String> = (0..n_classes).map(|class| class.to_string()).collect();
        let Some(metric) = find(&self.key.metric) else {
            return Err(NoInterval::NoMethod);
        };
        let counts: Vec<u64> = cells.iter().map(|cell| cell.3).collect();
        let statistic = |counts: &[u64]| {
            let drawn = cells.iter().zip(counts).filter(|(_, n)| **n > 0);
            let drawn: Vec<JointCell> = drawn
                .map(|(&(label, old, new, _), &n)| (label, old, new, n))
                .collect();
            let [old, new] =
                sides(&classes, &drawn).map(|confusion| value_of(metric, class, confusion, beta));
            let (Some(new), Some(old)) = (new, old) else {
                return f64::NAN;
            };
            metric.direction.improvement(new, old)
        };
        let n_replicates = n_replicates(confidence);
        let all = CellBootstrap::of(&counts, n_replicates, SEED, &[&statistic]);
        all[0].bca(confidence)
    }
}

/// Replicates that a bootstrap needs for as many beyond each end.
fn wanted_replicates(confidence: f64) -> f64 {
    (2.0 * BEYOND_END / (1.0 - confidence)).ceil()
}

/// Replicates that the bootstrap over cells draws for an interval at `confidence`.
pub fn n_replicates(confidence: f64) -> usize {
    (wanted_replicates(confidence) as usize).max(MIN_REPLICATES)
}

/// Label, old and new prediction, and the number of rows of each.
type JointCell = (u32, u32, u32, u64);

/// The confusion of the old model and of the new one.
fn sides(classes: &[String], cells: &[JointCell]) -> [Confusion; 2] {
    let of = |predicted: fn(&JointCell) -> u32| {
        let cells = cells.iter().map(|cell| (cell.0, predicted(cell), cell.3));
        Confusion::new(classes.to_vec(), cells)
    };
    [of(|cell| cell.1), of(|cell| cell.2)]
}

fn find(name: &str) -> Option<&'static Metric> {
    catalog::all().find(|metric| metric.name == name)
}

/// The value of a metric of the confusion matrix.
fn value_of(metric: &Metric, class: Option<usize>, confusion: Confusion, beta: f64) -> Option<f64> {
    // The level costs nothing here: only the value is asked for.
    const ANY: f64 = 0.9;
    let tally = Tally::plain(confusion, beta);
    let computed = match (metric.compute, class) {
        (Compute::Confusion(compute), None) => compute(&tally, ANY),
        (Compute::PerClass(compute), Some(class)) => compute(&tally, class, ANY),
        _ => return None,
    };
    match computed {
        Computed::Value(estimate) => Some(estimate.value),
        Computed::Undefined(_) => None,
    }
}

/// The change in `key` from `old` to `new`, two models on the same rows in one order; or why it has no interval, as a clause.
pub fn paired_change(
    new: &ScoredRows,
    old: &ScoredRows,
    key: &MetricKey,
    scoring: &Scoring,
) -> Result<PairedChange, String> {
    let metric = catalog::all()
        .find(|metric| {
            let is_scope = match metric.compute {
                Compute::OfLabel { .. } => key.class.is_some(),
                Compute::Sets(_) | Compute::ScoredSets(_) => key.class.is_none(),
                _ => true,
            };
            metric.name == key.metric && metric.task == new.task() && is_scope
        })
        .ok_or_else(|| {
            format!(
                "the change of `{}` has no interval: remove `confidence` from the rule",
                key.metric
            )
        })?;
    let none = || {
        format!(
            "no method is known for the interval of a change of `{}`: remove `confidence` from the rule",
            key.metric
        )
    };
    if std::mem::discriminant(&new.labels) != std::mem::discriminant(&old.labels) {
        return Err("the two are labelled in different ways".to_owned());
    }
    let old = &old.in_classes_of(&new.classes)?;
    let n = new.n_rows();
    if n == 0 || old.n_rows() != n {
        return Err("the two have no rows in common".to_owned());
    }
    let sampling = Sampling::new(n, new.weights.as_deref(), new.groups.as_deref())
        .map_err(|error| error.to_string())?;
    if let Some(output) = &key.output {
        let column = column_of(new, output, "output")?;
        let of_output = MetricKey::overall(&key.metric);
        return of_column(new, old, column, &of_output, scoring).map(|change| PairedChange {
            key: key.clone(),
            ..change
        });
    }
    let class = match &key.class {
        Some(class) => Some(column_of(new, class, "class")?),
        None => None,
    };
    let pair = Pair {
        new,
        old,
        metric,
        scoring,
        sampling: &sampling,
    };
    let (evidence, value, n_rows) = match metric.compute {
        Compute::Values {
            of_rows: Some(of_rows),
            ..
        } if new.has_several_labels() && VALUES_WITH_METHOD.contains(&metric.name) => {
            pair.outputs(of_rows).ok_or_else(none)?
        }
        Compute::Values { .. } => pair.values().ok_or_else(none)?,
        Compute::Ranking(_) => pair.ranking().ok_or_else(none)?,
        Compute::Probabilities(_) => pair.probabilities()?.ok_or_else(none)?,
        Compute::Curves { .. } => pair.areas(class).ok_or_else(none)?,
        Compute::Confusion(_) if metric.name == "accuracy" || metric.name == "recall_weighted" => {
            pair.proportion(None)
        }
        Compute::PerClass(_) if metric.name == "recall" => {
            let class = class.or_else(|| scoring.positive_idx(&new.classes));
            let class = class.ok_or_else(none)?;
            pair.proportion(Some(class))
        }
        Compute::Confusion(_) | Compute::PerClass(_) => {
            if !sampling.is_plain() {
                return Err(format!(
                    "no method is known for the interval of a change of `{}` of weighted or grouped rows: remove `confidence` from the rule",
                    key.metric
                ));
            }
            pair.cells(class)?
        }
        Compute::Sets(_) | Compute::ScoredSets(_) => pair.sets(None)?,
        Compute::OfLabel { of_rows, of_scores } => {
            let class = class.ok_or_else(none)?;
            // DeLong's covariance is of a plain sample; average precision has no method of two classes.
            let by_rows = !sampling.is_plain() || metric.name == "average_precision";
            if by_rows && (of_rows.is_some() || of_scores.is_some()) {
                pair.sets(Some(class))?
            } else {
                // Losses of two classes are of the second one, and have no class.
                let has_class = of_rows.is_some() || of_scores.is_some();
                let of_two = MetricKey {
                    class: has_class.then(|| "1".to_owned()),
                    ..MetricKey::overall(&key.metric)
                };
                let change = of_column(new, old, class, &of_two, scoring)?;
                (change.evidence, change.value, change.n_rows)
            }
        }
        Compute::Quantiles | Compute::Elsewhere => return Err(none()),
    };
    Ok(PairedChange {
        key: key.clone(),
        value,
        n_rows,
        evidence,
    })
}

/// Metrics of numbers whose change has an interval.
const VALUES_WITH_METHOD: [&str; 5] = ["loss", "mse", "mae", "rmse", "r2"];

/// The index of the class or output called `name`.
fn column_of(rows: &ScoredRows, name: &str, what: &str) -> Result<usize, String> {
    let found = rows.classes.iter().position(|known| known == name);
    found.ok_or_else(|| format!("there is no {what} `{name}`"))
}

/// The change of one class, or output, by itself.
fn of_column(
    new: &ScoredRows,
    old: &ScoredRows,
    column: usize,
    key: &MetricKey,
    scoring: &Scoring,
) -> Result<PairedChange, String> {
    let both = new.of_column(column).zip(old.of_column(column));
    let (new, old) = both.ok_or("each row has one label alone")?;
    let scoring = Scoring {
        positive_class: None,
        ..scoring.clone()
    };
    paired_change(&new, &old, key, &scoring)
}

/// Whether a change of the metric called `name` has an interval on rows that both models were scored on: what [`paired_change`] may
/// find for some rows.
pub fn has_paired_method(name: &str) -> bool {
    catalog::all()
        .filter(|metric| metric.name == name)
        .any(|metric| match metric.compute {
            Compute::Values { .. } => VALUES_WITH_METHOD.contains(&name),
            Compute::Probabilities(_) => probability::is_mean_of_rows(name),
            Compute::Curves { .. } => name == "roc_auc",
            Compute::Confusion(_) | Compute::PerClass(_) | Compute::Ranking(_) => true,
            Compute::Sets(_) | Compute::ScoredSets(_) => true,
            Compute::OfLabel { of_rows, of_scores } => {
                of_rows.is_some() || of_scores.is_some() || probability::is_mean_of_rows(name)
            }
            Compute::Quantiles | Compute::Elsewhere => false,
        })
}

/// The change of the mean over the folds of a cross-validation that both models were held out in alike: fold by fold. Each fold's
/// model is taken to be trained on the rows of the other folds.
pub fn paired_folds(
    new: &ScoredRows,
    old: &ScoredRows,
    key: &MetricKey,
    scoring: &Scoring,
) -> Result<PairedChange, String> {
    let (Some(folds), true) = (&new.folds, new.folds == old.folds) else {
        return Err("the folds of the two hold other rows".to_owned());
    };
    let metric = catalog::all()
        .find(|metric| metric.name == key.metric && metric.task == new.task())
        .ok_or_else(|| format!("the change of `{}` has no interval", key.metric))?;
    let wanted = MetricKey::overall(&key.metric);
    let mut of_folds = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (row, fold) in folds.iter().enumerate() {
        of_folds.entry(*fold).or_default().push(row);
    }
    let mut scores = Vec::new();
    for (fold, rows) in of_folds {
        let value = |of: &ScoredRows| {
            let measured = of.gather(&rows).measure(scoring).ok()?;
            let found = measured.measurements.into_iter();
            found
                .map(|found| (found.key, found.value))
                .find(|found| found.0 == wanted)
        };
        let (Some(new), Some(old)) = (value(new), value(old)) else {
            return Err(format!(
                "`{}` has no value for both in fold {fold}",
                key.metric
            ));
        };
        let n_test = rows.len() as u64;
        scores.push(crate::statistics::Fold {
            score: metric.direction.improvement(new.1, old.1),
            n_train: folds.len() as u64 - n_test,
            n_test,
        });
    }
    let differences = scores.iter().map(|fold| fold.score).collect();
    let scores = FoldMoments::of(&scores).ok_or("there are no folds")?;
    Ok(PairedChange {
        key: key.clone(),
        value: scores.mean,
        n_rows: folds.len() as u64,
        evidence: PairedEvidence::Folds {
            scores,
            differences,
        },
    })
}

/// Two models on the same rows.
struct Pair<'a> {
    new: &'a ScoredRows,
    old: &'a ScoredRows,
    metric: &'a Metric,
    scoring: &'a Scoring,
    sampling: &'a Sampling<'a>,
}

type Found = (PairedEvidence, f64, u64);

impl Pair<'_> {
    fn improvement(&self, new: f64, old: f64) -> f64 {
        self.metric.direction.improvement(new, old)
    }

    /// From a number of each row of each model, whose means differ by the change.
    fn mean(&self, new: &[f64], old: &[f64]) -> Found {
        let n = new.len() as u64;
        let difference = |row: usize| self.improvement(new[row], old[row]);
        let spread = self.sampling.mean(difference);
        let all = || new.iter().chain(old);
        let largest = all().copied().fold(f64::NEG_INFINITY, f64::max)
            - all().copied().fold(f64::INFINITY, f64::min);
        let (mut n_worse, mut n_better) = (0, 0);
        for row in 0..new.len() {
            let change = difference(row);
            n_worse += u64::from(change < 0.0);
            n_better += u64::from(change > 0.0);
        }
        let value = spread.value();
        let evidence = match spread {
            Spread::Rows(moments) => PairedEvidence::Mean {
                moments,
                changed: ChangedRows {
                    n_worse,
                    n_better,
                    n,
                    largest,
                },
            },
            Spread::Groups(moments) => {
                let (n_worse, n_better, largest_group) = self.groups(&difference);
                PairedEvidence::Groups {
                    moments,
                    changed: ChangedRows {
                        n_worse,
                        n_better,
                        n: moments.n,
                        largest: largest * largest_group * moments.n as f64 / n as f64,
                    },
                }
            }
        };
        (evidence, value, n)
    }

    /// Groups that changed for the worse and for the better, and the number of rows of the largest.
    fn groups(&self, difference: &dyn Fn(usize) -> f64) -> (u64, u64, f64) {
        let mut groups = std::collections::BTreeMap::<&str, (f64, f64)>::new();
        for (row, name) in self.new.groups.iter().flatten().enumerate() {
            let (sum, size) = groups.entry(name).or_default();
            *sum += difference(row);
            *size += 1.0;
        }
        let count =
            |is_it: fn(f64) -> bool| groups.values().filter(|(sum, _)| is_it(*sum)).count() as u64;
        let largest = groups.values().map(|(_, size)| *size).fold(0.0, f64::max);
        (count(|sum| sum < 0.0), count(|sum| sum > 0.0), largest)
    }

    /// Metrics of whole sets and averages over classes, or of one class: by the numbers or influences of the rows.
    fn sets(&self, class: Option<usize>) -> Result<Found, String> {
        let none = || "one of the two has no scores".to_owned();
        let of = |rows: &ScoredRows| -> Result<RowValues, String> {
            let rows = rows.as_sets().ok_or("the rows are not multilabel")?;
            let sets = rows.sets(self.sampling, self.scoring.beta);
            let found = match (self.metric.compute, class, rows.scores) {
                (Compute::Sets(compute), _, _) => compute(&sets),
                (Compute::ScoredSets(compute), _, scores) => {
                    compute(&sets, scores.ok_or_else(none)?)
                }
                (
                    Compute::OfLabel {
                        of_rows: Some(compute),
                        ..
                    },
                    Some(class),
                    _,
                ) => compute(&sets, class),
                (
                    Compute::OfLabel {
                        of_scores: Some(compute),
                        ..
                    },
                    Some(class),
                    scores,
                ) => compute(&sets, scores.ok_or_else(none)?, class),
                _ => Err("no method is known for its change".into()),
            };
            found
                .map_err(|reason| format!("`{}` has no value for both: {reason}", self.metric.name))
        };
        let (new, old) = (of(self.new)?, of(self.old)?);
        if let (RowValues::Right(new), RowValues::Right(old)) = (&new, &old)
            && self.sampling.is_plain()
        {
            let pairs = || new.iter().zip(old);
            let n_gained = pairs().filter(|(new, old)| **new && !**old).count() as u64;
            let n_lost = pairs().filter(|(new, old)| !**new && **old).count() as u64;
            let n = new.len() as u64;
            let value = (n_gained as f64 - n_lost as f64) / n as f64;
            let evidence = PairedEvidence::Proportion {
                n_gained,
                n_lost,
                n,
            };
            return Ok((evidence, value, n));
        }
        Ok(self.mean(&new.parts(), &old.parts()))
    }

    /// Metrics of numbers as means over several outputs.
    fn outputs(&self, of_rows: fn(&regression::Values<'_>) -> RowValues) -> Option<Found> {
        let (Labels::Values(labels), Labels::Values(new), Labels::Values(old)) =
            (&self.new.labels, &self.new.predicted, &self.old.predicted)
        else {
            return None;
        };
        let parts = |predicted: &Table<f64>| {
            let columns = Columns::of(labels, predicted, None);
            let Scoring {
                objective,
                quantile,
                ..
            } = *self.scoring;
            average_parts(&columns.values(self.sampling, objective, quantile), of_rows)
        };
        let (new, old) = (parts(new), parts(old));
        // Such as R² of labels that are all equal.
        let is_finite = |parts: &[f64]| parts.iter().all(|part| part.is_finite());
        (is_finite(&new) && is_finite(&old)).then(|| self.mean(&new, &old))
    }

    /// Metrics of ranked rows, group by group: both models rank the same groups.
    fn ranking(&self) -> Option<Found> {
        let n_places = self.scoring.n_places()?;
        let of = |rows: &ScoredRows| {
            let (Labels::Value(relevance), Labels::Value(scores)) = (&rows.labels, &rows.predicted)
            else {
                return None;
            };
            let items = RankedItems {
                relevance,
                scores,
                groups: self.new.groups.as_deref()?,
            };
            let ranking = Ranking::of(&items, n_places);
            values_of(&ranking, self.metric.name).map(<[f64]>::to_vec)
        };
        let (new, old) = (of(self.new)?, of(self.old)?);
        let sampling = Sampling::new(new.len(), None, None).ok()?;
        let of_groups = Pair {
            sampling: &sampling,
            ..*self
        };
        Some(of_groups.mean(&new, &old))
    }

    /// Metrics of numbers.
    fn values(&self) -> Option<Found> {
        let (Labels::Value(labels), Labels::Value(new), Labels::Value(old)) =
            (&self.new.labels, &self.new.predicted, &self.old.predicted)
        else {
            return None;
        };
        let errors = |predicted: &[f64]| -> Vec<f64> {
            predicted.iter().zip(labels).map(|(p, l)| p - l).collect()
        };
        let (new, old) = (errors(new), errors(old));
        let each = |of: &dyn Fn(f64) -> f64| {
            let of = |errors: &[f64]| errors.iter().map(|&error| of(error)).collect::<Vec<_>>();
            Some(self.mean(&of(&new), &of(&old)))
        };
        let square = |error: f64| error * error;
        match (self.metric.name, self.scoring.objective) {
            ("mse", _) => each(&square),
            ("mae", _) | ("loss", Loss::MeanAbsoluteError) => each(&f64::abs),
            ("loss", Loss::Huber) => each(&regression::huber),
            ("loss", _) => each(&square),
            ("rmse", _) => {
                let parts = |errors: &[f64]| {
                    let mse = self.sampling.mean(|row| square(errors[row])).value();
                    let root = mse.sqrt();
                    let part = |error: &f64| {
                        if root > 0.0 {
                            root + (error * error - mse) / (2.0 * root)
                        } else {
                            0.0
                        }
                    };
                    errors.iter().map(part).collect::<Vec<_>>()
                };
                Some(self.mean(&parts(&new), &parts(&old)))
            }
            ("r2", _) => {
                let mean = self.sampling.mean(|row| labels[row]).value();
                let spread = self.sampling.mean(|row| square(labels[row] - mean)).value();
                let is_even = spread.is_nan() || spread <= 0.0;
                let parts = |errors: &[f64]| {
                    let mse = self.sampling.mean(|row| square(errors[row])).value();
                    let part = |(error, label): (&f64, &f64)| {
                        let value = 1.0 - mse / spread;
                        value - (error * error - mse * square(label - mean) / spread) / spread
                    };
                    errors.iter().zip(labels).map(part).collect::<Vec<_>>()
                };
                (!is_even).then(|| self.mean(&parts(&new), &parts(&old)))
            }
            _ => None,
        }
    }

    /// Metrics that are means of a number that the scores of a row give.
    fn probabilities(&self) -> Result<Option<Found>, String> {
        let Labels::Class(labels) = &self.new.labels else {
            return Ok(None);
        };
        let (Some(new), Some(old)) = (&self.new.scores, &self.old.scores) else {
            return Err("one of the two has no scores".to_owned());
        };
        let of = |scores: &ScoreTable| {
            probability::values(
                self.metric.name,
                scores.as_scores(),
                labels,
                &self.new.classes,
                self.scoring,
            )
        };
        Ok(of(new).zip(of(old)).map(|(new, old)| self.mean(&new, &old)))
    }

    /// The area under the ROC curve of one class, of a plain sample.
    fn areas(&self, class: Option<usize>) -> Option<Found> {
        if self.metric.name != "roc_auc" || !self.sampling.is_plain() {
            return None;
        }
        let Labels::Class(labels) = &self.new.labels else {
            return None;
        };
        let n_classes = self.new.classes.len();
        let class = class
            .or_else(|| self.scoring.positive_idx(&self.new.classes))
            .or((n_classes == 2).then_some(1))?;
        let new = self.new.scores.as_ref()?.as_scores();
        let old = self.old.scores.as_ref()?.as_scores();
        let rows = labels.iter().enumerate().map(|(row, &label)| {
            let at = row * n_classes + class;
            (label as usize == class, new.at(at), old.at(at))
        });
        let areas = RocDifference::of(rows).ok()?;
        let n_rows = labels.len() as u64;
        Some((PairedEvidence::Areas { areas }, areas.difference(), n_rows))
    }

    /// The share of rows, or of one class's rows, that are right.
    fn proportion(&self, class: Option<usize>) -> Found {
        let (labels, new, old) = self.classes();
        let counts = |row: usize| class.is_none_or(|class| labels[row] as usize == class);
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| counts(row)).collect();
        if self.sampling.is_plain() {
            let is_right = |predicted: &[u32], row: usize| predicted[row] == labels[row];
            let only = |one: &[u32], other: &[u32]| {
                let rows = rows.iter();
                let found = rows.filter(|&&row| is_right(one, row) && !is_right(other, row));
                found.count() as u64
            };
            let (n_gained, n_lost, n) = (only(new, old), only(old, new), rows.len() as u64);
            let value = (n_gained as f64 - n_lost as f64) / (n.max(1)) as f64;
            let evidence = PairedEvidence::Proportion {
                n_gained,
                n_lost,
                n,
            };
            return (evidence, value, n);
        }
        // Of a ratio, each row of the class has its part by the class's share of the weight.
        let share = self.sampling.mean(|row| f64::from(counts(row))).value();
        let parts = |predicted: &[u32]| -> Vec<f64> {
            let right = |row: usize| f64::from(counts(row) && predicted[row] == labels[row]);
            let value = self.sampling.mean(right).value() / share;
            let part =
                |row: usize| value + (right(row) - if counts(row) { value } else { 0.0 }) / share;
            (0..labels.len()).map(part).collect()
        };
        let (evidence, value, _) = self.mean(&parts(new), &parts(old));
        (evidence, value, rows.len() as u64)
    }

    /// A function of the confusion matrix.
    fn cells(&self, class: Option<usize>) -> Result<Found, String> {
        let (labels, new, old) = self.classes();
        let n_classes = self.new.classes.len();
        let mut counts = std::collections::BTreeMap::new();
        let (mut n_worse, mut n_better) = (0, 0);
        for ((&label, &new), &old) in labels.iter().zip(new).zip(old) {
            *counts.entry((label, old, new)).or_insert(0_u64) += 1;
            // A row that is wrong in another way may do either.
            n_worse += u64::from(new != old && new != label);
            n_better += u64::from(new != old && old != label);
        }
        let n = labels.len() as u64;
        let cells: Vec<JointCell> = counts
            .into_iter()
            .map(|((label, old, new), n)| (label, old, new, n))
            .collect();
        let beta = self.scoring.beta;
        let value = |confusion: Confusion| {
            value_of(self.metric, class, confusion, beta)
                .ok_or_else(|| format!("`{}` has no value for both", self.metric.name))
        };
        let [of_old, of_new] = sides(&self.new.classes, &cells);
        let change = self.improvement(value(of_new)?, value(of_old.clone())?);
        let largest = self.largest_of_a_row(class, &of_old, beta) * n as f64;
        let evidence = PairedEvidence::Cells {
            n_classes: n_classes as u32,
            class: class.map(|class| class as u32),
            cells,
            beta,
            changed: ChangedRows {
                n_worse,
                n_better,
                n,
                largest,
            },
        };
        Ok((evidence, change, n))
    }

    /// By how much one row that turns wrong moves the value at most.
    fn largest_of_a_row(&self, class: Option<usize>, confusion: &Confusion, beta: f64) -> f64 {
        let Some(value) = value_of(self.metric, class, confusion.clone(), beta) else {
            return 1.0;
        };
        let cells = confusion.counts().cells();
        let right = cells
            .iter()
            .filter(|(label, predicted, _)| label == predicted);
        let n_classes = confusion.classes().len() as u32;
        let mut largest: f64 = 0.0;
        for &(label, _, _) in right {
            // The neighbouring classes stand for all others where there are many.
            let others = (0..n_classes).filter(|other| *other != label).take(20);
            for other in others {
                let moved = cells.iter().map(|&(l, p, n)| {
                    let is_it = l == label && p == label;
                    (l, p, if is_it { n - 1 } else { n })
                });
                let moved = moved.chain([(label, other, 1)]);
                let moved = Confusion::new(confusion.classes().to_vec(), moved);
                if let Some(found) = value_of(self.metric, class, moved, beta) {
                    largest = largest.max((value - found).abs());
                }
            }
        }
        largest
    }

    fn classes(&self) -> (&[u32], &[u32], &[u32]) {
        match (&self.new.labels, &self.new.predicted, &self.old.predicted) {
            (Labels::Class(labels), Labels::Class(new), Labels::Class(old)) => (labels, new, old),
            _ => unreachable!("metrics of classes are asked for of classes alone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORING: Scoring = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);

    /// What is said to have a method must have one for some rows, and nothing else has.
    #[test]
    fn a_metric_is_said_to_have_a_method_where_it_has_one() {
        let rows = |shift: f64| {
            let classes = vec!["a".to_owned(), "b".to_owned()];
            let labels: Vec<u32> = (0..40).map(|row| row % 2).collect();
            let predicted = (0..40).map(|row| u32::from(row % 7 < 3)).collect();
            let scores = (0..40).flat_map(|row| {
                let score = (f64::from(row * 13 % 40) / 40.0 + shift) / 1.5;
                [1.0 - score, score]
            });
            ScoredRows {
                scores: Some(ScoreTable::F64(scores.collect())),
                ..ScoredRows::new(Labels::Class(labels), Labels::Class(predicted), classes)
            }
        };
        let values = |shift: f64| {
            let labels = (0..40).map(f64::from).collect();
            let predicted = (0..40).map(|row| f64::from(row * 13 % 40) + shift);
            ScoredRows::new(
                Labels::Value(labels),
                Labels::Value(predicted.collect()),
                Vec::new(),
            )
        };
        for metric in catalog::all() {
            let (new, old) = match metric.task {
                crate::prediction_task::PredictionTask::Classification => (rows(0.1), rows(0.2)),
                crate::prediction_task::PredictionTask::Multilabel => (sets(9, 0), sets(14, 3)),
                crate::prediction_task::PredictionTask::Regression => (values(0.5), values(1.0)),
            };
            let mut key = MetricKey::overall(metric.name);
            if matches!(
                metric.compute,
                Compute::PerClass(_) | Compute::OfLabel { .. }
            ) {
                key.class = Some("a".to_owned());
            }
            let is_ranked = matches!(metric.compute, Compute::Ranking(_));
            let scoring = Scoring {
                ranking_k: is_ranked.then_some(2),
                ..SCORING
            };
            let grouped = |rows: ScoredRows| {
                let groups = (0..40).map(|row| (row / 4).to_string());
                let groups = is_ranked.then(|| groups.collect());
                ScoredRows { groups, ..rows }
            };
            let (new, old) = (grouped(new), grouped(old));
            let found = paired_change(&new, &old, &key, &scoring);
            let has_one = has_paired_method(metric.name);
            // A name of two tasks may have one for the other alone.
            assert!(found.is_ok() <= has_one, "{}: {found:?}", metric.name);
            let is_shared = catalog::all()
                .filter(|other| other.name == metric.name)
                .count()
                > 1;
            assert!(
                is_shared || found.is_ok() == has_one,
                "{}: {found:?}",
                metric.name
            );
        }
    }

    const N_ROWS: usize = 400;

    /// Rows of three classes, of whose cells each `modulus`-th is predicted wrong, with scores that are half right.
    fn sets(modulus: usize, offset: usize) -> ScoredRows {
        let cells = || (0..N_ROWS).flat_map(|row| (0..3).map(move |class| (row, class)));
        let is_there = |(row, class): (usize, usize)| (row * 7 + class * 3) % 10 < 4 - class;
        let is_wrong =
            |(row, class): (usize, usize)| (row * 13 + class * 5 + offset).is_multiple_of(modulus);
        let table = |cells: Vec<bool>| Labels::Sets(Table::new(cells, 3).unwrap());
        let scores = cells().map(|cell| {
            let noise = (cell.0 * (17 + offset) % 50) as f64 / 100.0;
            noise + if is_there(cell) { 0.4 } else { 0.2 }
        });
        ScoredRows {
            scores: Some(ScoreTable::F64(scores.collect())),
            ..ScoredRows::new(
                table(cells().map(is_there).collect()),
                table(
                    cells()
                        .map(|cell| is_there(cell) != is_wrong(cell))
                        .collect(),
                ),
                ["a", "b", "c"].map(str::to_owned).to_vec(),
            )
        }
    }

    fn assert_ends(found: &PairedChange, value: f64, ends: [f64; 2], within: f64) {
        assert!((found.value - value).abs() < 1e-9, "{}", found.value);
        let interval = found.interval(0.95).unwrap();
        assert!((interval.lower - ends[0]).abs() < within, "{interval:?}");
        assert!((interval.upper - ends[1]).abs() < within, "{interval:?}");
    }

    /// Independent source: percentile bootstraps in NumPy 2.4 of 20,000 replicates of these rows.
    #[test]
    fn sets_are_compared_row_by_row() {
        let (new, old) = (sets(14, 3), sets(9, 0));
        let found = change(&new, &old, &MetricKey::overall("f1_micro"));
        assert_ends(&found, 0.063_694_917_155_810_33, [0.0328, 0.0945], 0.003);
        let found = change(&new, &old, &MetricKey::overall("f1_macro"));
        assert_ends(&found, 0.066_279_382_844_546_06, [0.0332, 0.0996], 0.003);
        let found = change(&new, &old, &MetricKey::overall("subset_accuracy"));
        let expected = tango(108, 58, 400, 0.95).unwrap();
        assert_eq!(found.interval(0.95).unwrap(), expected);
        let found = change(&new, &old, &MetricKey::of_class("recall", "a"));
        let expected = tango(19, 11, 160, 0.95).unwrap();
        assert_eq!(found.interval(0.95).unwrap(), expected);
        // In another order of the classes it is the same.
        let reversed = ["c", "b", "a"].map(str::to_owned);
        let turned = old.in_classes_of(&reversed).unwrap();
        for key in [
            MetricKey::overall("f1_macro"),
            MetricKey::overall("roc_auc"),
            MetricKey::of_class("precision", "b"),
            MetricKey::of_class("average_precision", "b"),
            MetricKey::of_class("log_loss", "b"),
        ] {
            assert_eq!(
                change(&new, &turned, &key),
                change(&new, &old, &key),
                "{key}"
            );
        }
        // What one of the two does not know cannot be compared.
        let mut other = old.clone();
        other.classes[2] = "d".to_owned();
        let error = paired_change(&new, &other, &MetricKey::overall("f1_macro"), &SCORING);
        assert!(
            error
                .unwrap_err()
                .contains("only one of the two knows the class")
        );
    }

    /// Weights and groups: each class has a method, too, and the change is that of the values.
    #[test]
    fn weighted_and_grouped_sets_have_the_change_of_their_values() {
        let weighed = |rows: ScoredRows| ScoredRows {
            weights: Some((0..N_ROWS).map(|row| 1.0 + (row % 4) as f64).collect()),
            groups: Some((0..N_ROWS).map(|row| (row / 5).to_string()).collect()),
            ..rows
        };
        let (new, old) = (weighed(sets(14, 3)), weighed(sets(9, 0)));
        let value = |rows: &ScoredRows, key: &MetricKey| {
            let measured = rows.measure(&SCORING).unwrap();
            let found = measured.measurements.iter().find(|found| found.key == *key);
            found.unwrap().value
        };
        for key in [
            MetricKey::overall("subset_accuracy"),
            MetricKey::overall("hamming_loss"),
            MetricKey::overall("f1_weighted"),
            MetricKey::overall("average_precision_micro"),
            MetricKey::of_class("precision", "b"),
            MetricKey::of_class("roc_auc", "b"),
            MetricKey::of_class("brier_score", "b"),
        ] {
            let found = change(&new, &old, &key);
            let metric = find(&key.metric).unwrap();
            let expected = metric
                .direction
                .improvement(value(&new, &key), value(&old, &key));
            assert!((found.value - expected).abs() < 1e-12, "{key}");
            assert!(found.interval(0.9).is_ok(), "{key}");
        }
    }

    /// Rows of two outputs; errors are multiplied by `scale`.
    fn outputs(scale: f64) -> ScoredRows {
        let table = |cells: Vec<f64>| Labels::Values(Table::new(cells, 2).unwrap());
        let labels = |row: usize| [(row * 37 % 101) as f64 / 10.0, (row * 53 % 97) as f64 / 5.0];
        let errors = |row: usize| {
            [
                (row * 29 % 89) as f64 / 44.0 - 1.0,
                (row * 31 % 83) as f64 / 20.0 - 2.0,
            ]
        };
        let predicted = |row: usize| [0, 1].map(|idx| labels(row)[idx] + scale * errors(row)[idx]);
        ScoredRows::new(
            table((0..N_ROWS).flat_map(labels).collect()),
            table((0..N_ROWS).flat_map(predicted).collect()),
            ["height", "width"].map(str::to_owned).to_vec(),
        )
    }

    /// Independent source: a percentile bootstrap in NumPy 2.4 of 20,000 replicates of these rows.
    #[test]
    fn outputs_are_compared_by_their_mean_and_one_by_one() {
        let (new, old) = (outputs(0.9), outputs(1.0));
        let scoring = Scoring::new(Loss::MeanSquaredError, 0.95);
        let of = |key: &MetricKey| paired_change(&new, &old, key, &scoring).unwrap();
        let found = of(&MetricKey::overall("rmse"));
        assert_ends(&found, 0.089_331_260_575_095_77, [0.0864, 0.0922], 0.001);
        let parts = ["height", "width"].map(|output| of(&MetricKey::of_output("rmse", output)));
        let mean = f64::midpoint(parts[0].value, parts[1].value);
        assert!((mean - found.value).abs() < 1e-12);
        assert_eq!(parts[0].key, MetricKey::of_output("rmse", "height"));
        assert!(of(&MetricKey::overall("r2")).interval(0.95).unwrap().lower > 0.0);
        let absent = paired_change(&new, &old, &MetricKey::of_output("rmse", "depth"), &scoring);
        assert_eq!(absent.unwrap_err(), "there is no output `depth`");
        let none = paired_change(&new, &old, &MetricKey::overall("max_error"), &scoring);
        assert!(none.unwrap_err().contains("no method is known"));
    }

    /// `n` rows of two classes in turn; those in `wrong` are predicted as the other.
    fn rows(n: u32, wrong: impl Fn(u32) -> bool) -> ScoredRows {
        let labels: Vec<u32> = (0..n).map(|row| row % 2).collect();
        let predicted = (0..n)
            .map(|row| (row + u32::from(wrong(row))) % 2)
            .collect();
        let classes = vec!["a".to_owned(), "b".to_owned()];
        ScoredRows::new(Labels::Class(labels), Labels::Class(predicted), classes)
    }

    fn change(new: &ScoredRows, old: &ScoredRows, key: &MetricKey) -> PairedChange {
        paired_change(new, old, key, &SCORING).unwrap()
    }

    #[test]
    fn accuracy_and_recall_rest_on_the_rows_that_differ() {
        let (new, old) = (
            rows(400, |row| row < 12),
            rows(400, |row| (8..30).contains(&row)),
        );
        let found = change(&new, &old, &MetricKey::overall("accuracy"));
        assert_eq!(
            found.interval(0.95).unwrap(),
            tango(18, 8, 400, 0.95).unwrap()
        );
        let found = change(&new, &old, &MetricKey::of_class("recall", "b"));
        assert_eq!(found.interval(0.9).unwrap(), tango(9, 4, 200, 0.9).unwrap());
        assert_eq!(found.n_rows, 200);
    }

    /// Independent source: a percentile bootstrap in NumPy 2.4 of 200,000 replicates over these rows gives a standard error of 0.01265 for
    /// the change of macro F1, whose estimate is 0.025 (18 rows gained, 8 lost of 400): an interval near 0.0002 to 0.0498.
    #[test]
    fn macro_f1_is_resampled_over_cells() {
        let (new, old) = (
            rows(400, |row| row < 12),
            rows(400, |row| (8..30).contains(&row)),
        );
        let found = change(&new, &old, &MetricKey::overall("f1_macro"));
        assert!((found.value - 0.025).abs() < 1e-4, "{}", found.value);
        let interval = found.interval(0.95).unwrap();
        assert!((interval.lower - 0.0002).abs() < 0.003, "{interval:?}");
        assert!((interval.upper - 0.0498).abs() < 0.003, "{interval:?}");
        assert_eq!(interval, found.interval(0.95).unwrap());
    }

    /// The same predictions prove that at most a few in as many rows would differ, and no more.
    #[test]
    fn equal_predictions_bound_the_change_by_the_rows_that_might_differ() {
        let same = rows(3000, |row| row % 10 == 0);
        for key in [
            MetricKey::overall("f1_macro"),
            MetricKey::of_class("precision", "a"),
        ] {
            let interval = change(&same, &same, &key).interval(0.95).unwrap();
            assert!(
                interval.lower < 0.0 && interval.lower > -0.006,
                "{key}: {interval:?}"
            );
            assert_eq!(interval.method, IntervalMethod::ChangedRows);
        }
        let few = rows(40, |row| row % 10 == 0);
        let interval = change(&few, &few, &MetricKey::overall("f1_macro"))
            .interval(0.95)
            .unwrap();
        assert!(interval.lower < -0.08, "{interval:?}");
    }

    /// Independent source: SciPy 1.17 `ttest_rel(old**2, new**2).confidence_interval(0.95)` of these errors, near which the interval
    /// corrected for skewness lies.
    #[test]
    fn losses_are_compared_row_by_row() {
        let n = 200;
        let labels = vec![0.0; n];
        let errors = |scale: f64| -> Vec<f64> {
            (0..n)
                .map(|row| scale * ((row * 37 % 101) as f64 / 50.0 - 1.0))
                .collect()
        };
        let of = |scale| {
            ScoredRows::new(
                Labels::Value(labels.clone()),
                Labels::Value(errors(scale)),
                Vec::new(),
            )
        };
        let scoring = Scoring::new(Loss::MeanSquaredError, 0.95);
        let (new, old) = (of(0.9), of(1.0));
        let found = paired_change(&new, &old, &MetricKey::overall("mse"), &scoring).unwrap();
        let differences: Vec<f64> = errors(1.0).iter().map(|e| 0.19 * e * e).collect();
        let moments = Moments::of(differences);
        assert!((found.value - moments.mean).abs() < 1e-12);
        let reach = 1.972 * (moments.variance / n as f64).sqrt();
        let interval = found.interval(0.95).unwrap();
        assert!((interval.lower - (moments.mean - reach)).abs() < 0.1 * reach);
        // Twice the loss is no improvement.
        let worse = paired_change(&old, &new, &MetricKey::overall("mse"), &scoring).unwrap();
        assert!((worse.value + found.value).abs() < 1e-12);
        let root = paired_change(&new, &old, &MetricKey::overall("rmse"), &scoring).unwrap();
        assert!(root.value > 0.0 && root.interval(0.95).unwrap().lower > 0.0);
    }

    #[test]
    fn classes_are_matched_by_their_names_and_what_has_no_method_says_so() {
        let new = rows(400, |row| row < 12);
        let mut old = rows(400, |row| (8..30).contains(&row));
        let forward = change(&new, &old, &MetricKey::overall("accuracy"));
        old.classes.reverse();
        for answers in [&mut old.labels, &mut old.predicted] {
            if let Labels::Class(classes) = answers {
                classes.iter_mut().for_each(|class| *class = 1 - *class);
            }
        }
        assert_eq!(change(&new, &old, &MetricKey::overall("accuracy")), forward);
        let key = MetricKey::overall("expected_calibration_error");
        assert!(paired_change(&new, &old, &key, &SCORING).is_err());
    }
}
