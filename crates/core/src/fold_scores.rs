//! Rows with a fold of cross-validation each in, the measurements of each fold and the means over them out.
//!
//! A rule on a cross-validated metric judges the mean over the folds. All rows of all folds taken together (each predicted by the
//! model that did not train on it) serve slices, charts and pairing only: they are of several models.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluation::{FoldSpread, FoldSummary, FoldTable};
use crate::measurement::{Evidence, Fold, Measurement, MetricKey, Undefined};
use crate::metrics::{MetricError, Scoring, catalog};
use crate::scored_rows::ScoredRows;
use crate::statistics::{self, FoldMoments, Moments, k_fold_interval};

/// What is known about the rows that the model of each fold was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingRows<'a> {
    /// Those of the other folds, as in k-fold cross-validation: what predictions with a `fold` column alone are taken for.
    OtherFolds,
    /// This many, by the index of the fold.
    Counted(&'a BTreeMap<u32, u64>),
    /// Those before it in time: scores of folds that grow or move have no common mean to be certain about.
    Earlier,
}

/// What the folds came to.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredFolds {
    /// Rows of each fold, and the deviation of each metric.
    pub table: FoldTable,
    /// Of each fold the `shown` metrics; then the means of all metrics.
    pub measurements: Vec<Measurement>,
    /// Means that have no value, and why.
    pub undefined: Vec<Undefined>,
}

/// Why rows cannot be measured by fold.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Most likely a number of the row.
    #[error(
        "the column `fold` has {n_folds} different numbers, more than the {MAX_FOLDS} folds that are measured: is it the number of the row?"
    )]
    TooMany {
        /// How many there are.
        n_folds: usize,
    },
    /// A fold that cannot be measured.
    #[error("fold {fold}: {source}")]
    Metric {
        /// Its index.
        fold: u32,
        /// Why.
        source: MetricError,
    },
}

/// Ten repeats of a hundred folds.
const MAX_FOLDS: usize = 1000;

/// Why folds by time have no interval.
const BY_TIME: &str =
    "folds by time are trained on different amounts of data, so their mean has no interval";

/// Measures each fold of `rows`; `None` where they have none. Of single folds, only the metrics `shown` are kept.
///
/// The mean counts each fold alike, and its interval is Nadeau and Bengio's: see [`k_fold_interval`]. With
/// [`TrainingRows::OtherFolds`] the model of a fold of n_test rows is taken to be trained on the n − n_test others.
pub fn measure_folds(
    rows: &ScoredRows,
    scoring: &Scoring,
    training: TrainingRows<'_>,
    shown: &BTreeSet<String>,
) -> Result<Option<MeasuredFolds>, FoldError> {
    let Some(of_rows) = &rows.folds else {
        return Ok(None);
    };
    let mut by_fold: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &fold) in of_rows.iter().enumerate() {
        by_fold.entry(fold).or_default().push(row);
    }
    if by_fold.len() > MAX_FOLDS {
        let n_folds = by_fold.len();
        return Err(FoldError::TooMany { n_folds });
    }
    let mut folds = Vec::new();
    let mut measurements = Vec::new();
    let mut of_metrics = Metrics::default();
    for (&fold, indices) in &by_fold {
        let n_rows = indices.len() as u64;
        let measured = rows
            .gather_measured(indices)
            .measure(scoring)
            .map_err(|source| FoldError::Metric { fold, source })?;
        let n_train = match training {
            TrainingRows::OtherFolds => Some(rows.n_rows() as u64 - n_rows),
            TrainingRows::Counted(counts) => counts.get(&fold).copied(),
            TrainingRows::Earlier => None,
        };
        folds.push(FoldSummary {
            fold,
            n_rows,
            n_train,
        });
        for found in measured.measurements {
            if !found.key.is_overall() {
                continue;
            }
            of_metrics.add(&found, n_train, n_rows);
            if shown.contains(&found.key.metric) {
                let key = MetricKey {
                    fold: Some(Fold::Index(fold)),
                    ..found.key.clone()
                };
                measurements.push(Measurement { key, ..found });
            }
        }
        for absent in measured.undefined {
            if absent.key.is_overall() {
                of_metrics.add_undefined(&absent, fold);
            }
        }
    }
    let by_time = training == TrainingRows::Earlier;
    let (mut spreads, mut undefined) = (Vec::new(), Vec::new());
    for metric in of_metrics.in_order {
        let key = MetricKey {
            fold: Some(Fold::Mean),
            ..MetricKey::overall(&metric.name)
        };
        let (Some(first), None) = (&metric.first, &metric.undefined) else {
            let reason = metric.undefined.unwrap_or_default();
            undefined.push(Undefined { key, reason });
            continue;
        };
        let moments = Moments::of(metric.scores.iter().map(|fold| fold.score));
        let interval = if by_time {
            Err(BY_TIME.to_owned())
        } else {
            k_fold_interval(&metric.scores, scoring.confidence)
                .map(|interval| catalog::within_range(&metric.name, interval))
                .map_err(|reason| reason.to_string())
        };
        spreads.push(FoldSpread {
            metric: metric.name,
            deviation: (moments.n > 1).then(|| moments.variance.sqrt()),
        });
        measurements.push(Measurement {
            no_interval: interval.as_ref().err().cloned(),
            interval: interval.ok(),
            n_rows: Some(rows.n_rows() as u64),
            // Folds by time have no interval at any level.
            evidence: FoldMoments::of(&metric.scores)
                .filter(|_| !by_time)
                .map(Evidence::Folds),
            ..Measurement::bare(key, moments.mean, first.unit, first.direction)
        });
    }
    Ok(Some(MeasuredFolds {
        table: FoldTable {
            of_training_rows: false,
            folds,
            spreads,
        },
        measurements,
        undefined,
    }))
}

/// The metrics of all folds, in the order in which they are first met.
#[derive(Default)]
struct Metrics {
    in_order: Vec<OfFolds>,
}

/// One metric in all folds.
struct OfFolds {
    name: String,
    /// Its measurement in the first fold that has one.
    first: Option<Measurement>,
    scores: Vec<statistics::Fold>,
    /// Why there is no mean: the first fold without a value.
    undefined: Option<String>,
}

impl Metrics {
    fn entry(&mut self, name: &str) -> &mut OfFolds {
        let known = self.in_order.iter().position(|metric| metric.name == name);
        let idx = known.unwrap_or_else(|| {
            self.in_order.push(OfFolds {
                name: name.to_owned(),
                first: None,
                scores: Vec::new(),
                undefined: None,
            });
            self.in_order.len() - 1
        });
        &mut self.in_order[idx]
    }

    fn add(&mut self, found: &Measurement, n_train: Option<u64>, n_test: u64) {
        let metric = self.entry(&found.key.metric);
        metric.first.get_or_insert_with(|| found.clone());
        metric.scores.push(statistics::Fold {
            score: found.value,
            // Without the number there is no interval, as with no rows.
            n_train: n_train.unwrap_or(0),
            n_test,
        });
    }

    fn add_undefined(&mut self, absent: &Undefined, fold: u32) {
        let metric = self.entry(&absent.key.metric);
        let reason = || format!("it has no value in fold {fold}: {}", absent.reason);
        metric.undefined.get_or_insert_with(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Loss;
    use crate::scored_rows::Labels;
    use crate::statistics::IntervalMethod;

    /// Five folds of 20 rows with 2, 3, 4, 5 and 6 rows predicted wrong.
    fn rows() -> ScoredRows {
        let labels: Vec<u32> = (0..100).map(|row| row % 2).collect();
        let is_wrong = |row: u32| row % 20 < 2 + row / 20;
        let predicted = (0..100).map(|row| (row + u32::from(is_wrong(row))) % 2);
        let mut rows = ScoredRows::new(
            Labels::Class(labels),
            Labels::Class(predicted.collect()),
            vec!["a".to_owned(), "b".to_owned()],
        );
        rows.folds = Some((0..100).map(|row| row / 20).collect());
        rows
    }

    fn measured(rows: &ScoredRows, training: TrainingRows<'_>) -> MeasuredFolds {
        let scoring = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
        let shown = BTreeSet::from(["accuracy".to_owned()]);
        measure_folds(rows, &scoring, training, &shown)
            .unwrap()
            .unwrap()
    }

    fn accuracy(measured: &MeasuredFolds, fold: Fold) -> &Measurement {
        let key = MetricKey {
            fold: Some(fold),
            ..MetricKey::overall("accuracy")
        };
        let mut found = measured.measurements.iter();
        found.find(|found| found.key == key).unwrap()
    }

    /// By hand: accuracies .9, .85, .8, .75, .7; mean .8; variance (.01 + .0025) · 2 / 4 = .00625; t(4; .975) = 2.776445105;
    /// (1/5 + 20/80) = .45; so the reach is 2.776445105 · √(.00625 · .45).
    #[test]
    fn the_mean_has_nadeaus_and_bengios_interval() {
        let measured = measured(&rows(), TrainingRows::OtherFolds);
        for (fold, expected) in [0.9, 0.85, 0.8, 0.75, 0.7].into_iter().enumerate() {
            let found = accuracy(&measured, Fold::Index(fold as u32));
            assert!((found.value - expected).abs() < 1e-12);
            assert_eq!(found.n_rows, Some(20));
        }
        let mean = accuracy(&measured, Fold::Mean);
        assert!((mean.value - 0.8).abs() < 1e-12);
        let interval = mean.interval.unwrap();
        let reach = 2.776_445_105 * (0.006_25_f64 * 0.45).sqrt();
        assert!((interval.upper - 0.8 - reach).abs() < 1e-9, "{interval:?}");
        assert_eq!(interval.method, IntervalMethod::CorrectedResampledT);
        assert_eq!((mean.n_rows, mean.unit.is_some()), (Some(100), true));
        let table = &measured.table;
        let deviation = table
            .spreads
            .iter()
            .find(|spread| spread.metric == "accuracy");
        let deviation = deviation.unwrap().deviation.unwrap();
        assert!((deviation - 0.006_25_f64.sqrt()).abs() < 1e-12);
        assert_eq!((table.folds.len(), table.folds[0].n_train), (5, Some(80)));
        // Of single folds only what is shown is kept; means there are of all metrics.
        let of = |metric: &str| {
            let found = measured.measurements.iter();
            found.filter(|found| found.key.metric == metric).count()
        };
        assert_eq!((of("accuracy"), of("f1_macro")), (6, 1));
    }

    #[test]
    fn the_interval_of_a_mean_ends_where_the_metric_does() {
        let mut rows = rows();
        // All right but for two rows of the last fold: the mean is .98, its reach 2.776 · √(.002 · .45) = .083.
        let Labels::Class(labels) = rows.labels.clone() else {
            panic!("these rows have classes");
        };
        let is_missed = |row: usize| row == 90 || row == 91;
        let predicted = labels.iter().enumerate();
        let predicted = predicted.map(|(row, &label)| (label + u32::from(is_missed(row))) % 2);
        rows.predicted = Labels::Class(predicted.collect());
        let mean = measured(&rows, TrainingRows::OtherFolds);
        let mean = accuracy(&mean, Fold::Mean);
        assert!((mean.value - 0.98).abs() < 1e-12);
        assert_eq!(mean.interval.unwrap().upper, 1.0);
    }

    #[test]
    fn folds_by_time_have_a_mean_and_no_interval() {
        let by_time = measured(&rows(), TrainingRows::Earlier);
        let mean = accuracy(&by_time, Fold::Mean);
        assert!(mean.interval.is_none());
        assert!(mean.no_interval.as_ref().unwrap().contains("by time"));
        let counts = (0..5).map(|fold| (fold, 40)).collect();
        let counted = measured(&rows(), TrainingRows::Counted(&counts));
        let wider = accuracy(&counted, Fold::Mean).interval.unwrap();
        let usual = measured(&rows(), TrainingRows::OtherFolds);
        assert!(wider.lower < accuracy(&usual, Fold::Mean).interval.unwrap().lower);
    }

    #[test]
    fn a_metric_without_a_value_in_one_fold_has_no_mean() {
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let mut rows = ScoredRows::new(
            Labels::Value(vec![1.0, 2.0, 3.0, 1e200]),
            Labels::Value(vec![1.0, 2.5, 3.0, -1e200]),
            Vec::new(),
        );
        rows.folds = Some(vec![0, 0, 1, 1]);
        let scoring = Scoring::new(Loss::MeanSquaredError, 0.95);
        let found = measure_folds(&rows, &scoring, TrainingRows::OtherFolds, &BTreeSet::new());
        let found = found.unwrap().unwrap();
        let mse = found
            .undefined
            .iter()
            .find(|absent| absent.key.metric == "mse");
        assert!(
            mse.unwrap().reason.contains("no value in fold 1"),
            "{found:?}"
        );
        let labels = Labels::Class(vec![0; 1001]);
        let mut many = ScoredRows::new(labels.clone(), labels, classes);
        many.folds = Some((0..1001).collect());
        let error = measure_folds(&many, &scoring, TrainingRows::OtherFolds, &BTreeSet::new());
        assert!(matches!(error, Err(FoldError::TooMany { n_folds: 1001 })));
    }
}
