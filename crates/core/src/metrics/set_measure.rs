//! Multilabel rows in, every metric of the catalog that they allow out.

use super::catalog;
use super::curves::NO_NEGATIVES;
use super::labelled_class::LabelledClass;
use super::measure::{MAX_DETAILED_CLASSES, Measured, classify};
use super::metric::{Compute, Metric, Shown};
use super::row_values::computed;
use super::rows::{ClassifiedRows, MetricError, Scores, check_weights, that_count};
use super::sampling::Sampling;
use super::scoring::Scoring;
use super::sets::{Sets, n_with_curve};
use crate::measurement::{Measurement, MetricKey, Undefined};
use crate::table::Table;

/// Classes up to which each has its curves drawn; of more, a chart cannot be read.
const MAX_CURVES: usize = 10;

/// Multilabel rows with a predicted set each, and scores where there are any.
#[derive(Debug, Clone, Copy)]
pub struct SetRows<'a> {
    /// Which classes are there, `[n_rows, n_classes]`.
    pub labels: &'a Table<bool>,
    /// Which are predicted, `[n_rows, n_classes]`.
    pub predicted: &'a Table<bool>,
    /// `[n_rows, n_classes]`: a probability of each class by itself.
    pub scores: Option<Scores<'a>>,
    /// Names of the classes.
    pub classes: &'a [String],
    /// How much each row counts, `[n_rows]`; absent where all count the same.
    pub weights: Option<&'a [f64]>,
    /// Which rows belong together, `[n_rows]`; absent where rows are independent.
    pub groups: Option<&'a [String]>,
}

impl<'a> SetRows<'a> {
    fn check(&self) -> Result<(), MetricError> {
        let (n_rows, n_classes) = (self.labels.n_rows(), self.classes.len());
        if n_rows == 0 {
            return Err(MetricError::NoRows);
        }
        let shapes = [self.labels, self.predicted].map(|table| (table.n_rows(), table.n_columns()));
        if shapes != [(n_rows, n_classes); 2] {
            return Err(MetricError::Lengths {
                n_labels: n_rows,
                n_scores: self.predicted.cells().len(),
                n_columns: n_classes,
            });
        }
        if let Some(scores) = self.scores {
            if scores.len() != n_rows * n_classes {
                return Err(MetricError::Lengths {
                    n_labels: n_rows,
                    n_scores: scores.len(),
                    n_columns: n_classes,
                });
            }
            let wrong = (0..scores.len()).find(|&idx| !(0.0..=1.0).contains(&scores.at(idx)));
            if let Some(idx) = wrong {
                return Err(MetricError::NotProbability {
                    row: idx / n_classes,
                    class: self.classes[idx % n_classes].clone(),
                    score: scores.at(idx),
                });
            }
        }
        check_weights(self.weights)
    }

    /// As metrics are computed from them; each row of `sampling` counts.
    pub(super) const fn sets(&self, sampling: &'a Sampling<'a>, beta: f64) -> Sets<'a> {
        Sets::new(self.labels, self.predicted, sampling, beta)
    }
}

/// Scores multilabel rows: every metric of the catalog that they allow, those of scores only where there are any.
///
/// Each class by itself is a row of two classes: it is there, or not. Its metrics are those of [`classify`].
pub fn measure_sets(rows: &SetRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    rows.check()?;
    let Some(kept) = that_count(rows.weights) else {
        return measure_weighed(rows, scoring);
    };
    let n_classes = rows.classes.len();
    let (labels, predicted) = (rows.labels.gather(&kept), rows.predicted.gather(&kept));
    let scores = rows.scores.map(|scores| -> Vec<f64> {
        let of_row = |&row: &usize| row * n_classes..(row + 1) * n_classes;
        kept.iter()
            .flat_map(of_row)
            .map(|idx| scores.at(idx))
            .collect()
    });
    let weights: Option<Vec<f64>> = rows
        .weights
        .map(|weights| kept.iter().map(|&row| weights[row]).collect());
    let groups: Option<Vec<String>> = rows
        .groups
        .map(|groups| kept.iter().map(|&row| groups[row].clone()).collect());
    let weighed = SetRows {
        labels: &labels,
        predicted: &predicted,
        scores: scores.as_deref().map(Scores::F64),
        classes: rows.classes,
        weights: weights.as_deref(),
        groups: groups.as_deref(),
    };
    let measured = measure_weighed(&weighed, scoring)?;
    Ok(Measured {
        misses: measured.misses.iter().map(|&row| kept[row]).collect(),
        ..measured
    })
}

/// Where each row counts.
fn measure_weighed(rows: &SetRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    let n_rows = rows.labels.n_rows();
    let sampling = Sampling::new(n_rows, rows.weights, rows.groups)?;
    let sets = rows.sets(&sampling, scoring.beta);
    let classes = sets.classes(rows.classes);
    let pairs = rows.labels.rows().zip(rows.predicted.rows()).enumerate();
    let misses = pairs.filter(|(_, (labels, predicted))| labels != predicted);
    let mut measured = Measured {
        misses: misses.map(|(row, _)| row).collect(),
        notes: notes(&classes, n_rows, rows.scores.is_some()),
        ..Measured::default()
    };
    for metric in catalog::by_importance() {
        let of_rows = match (metric.compute, rows.scores) {
            (Compute::Sets(compute), _) => compute(&sets),
            (Compute::ScoredSets(compute), Some(scores)) => compute(&sets, scores),
            _ => continue,
        };
        let found = computed(of_rows, &sampling, scoring.confidence);
        measured.add(metric, MetricKey::overall(metric.name), found);
    }
    let is_detailed = classes.len() <= MAX_DETAILED_CLASSES;
    let of_class: Vec<&Metric> = catalog::all()
        .filter(|metric| matches!(metric.compute, Compute::OfLabel { .. }))
        .filter(|metric| is_detailed || metric.shown == Shown::Headline)
        .collect();
    let has_curves = classes.len() <= MAX_CURVES;
    for (class, counts) in classes.iter().enumerate() {
        let found = of_one_class(rows, class, scoring)?;
        for metric in &of_class {
            measured.add_of_class(metric, &found, counts, n_rows as u64);
        }
        if has_curves {
            measured
                .curves
                .extend(found.curves.into_iter().map(|mut curves| {
                    curves.class.clone_from(&counts.class);
                    curves
                }));
        }
    }
    measured.classes = classes;
    Ok(measured)
}

/// The names that a class has as one of two.
const OF_TWO: [&str; 2] = ["0", "1"];

/// One class against its absence.
fn of_one_class(
    rows: &SetRows<'_>,
    class: usize,
    scoring: &Scoring,
) -> Result<Measured, MetricError> {
    let column = |table: &Table<bool>| table.column(class).map(u32::from).collect::<Vec<u32>>();
    let (labels, predicted) = (column(rows.labels), column(rows.predicted));
    let n_classes = rows.classes.len();
    let scores = rows.scores.map(|scores| -> Vec<f64> {
        let of_row = |row: usize| scores.at(row * n_classes + class);
        let rows = (0..labels.len()).map(of_row);
        rows.flat_map(|score| [1.0 - score, score]).collect()
    });
    let of_two = ClassifiedRows {
        labels: &labels,
        predicted: &predicted,
        scores: scores.as_deref().map(Scores::F64),
        classes: &OF_TWO.map(str::to_owned),
        weights: rows.weights,
        groups: rows.groups,
    };
    let scoring = Scoring {
        positive_class: None,
        ..scoring.clone()
    };
    classify(&of_two, &scoring)
}

impl Measured {
    /// Adds the metric of the class with these `counts`, from `found` of that class against its absence.
    fn add_of_class(&mut self, metric: &Metric, found: &Self, counts: &LabelledClass, n_rows: u64) {
        let key = MetricKey::of_class(metric.name, &counts.class);
        let keys = [
            MetricKey::of_class(metric.name, OF_TWO[1]),
            // Of two classes, losses are of the second one.
            MetricKey::overall(metric.name),
        ];
        let is_it = |other: &MetricKey| keys.contains(other);
        let mut measurements = found.measurements.iter();
        if let Some(measurement) = measurements.find(|found| is_it(&found.key)) {
            let interval = measurement.interval;
            self.measurements.push(Measurement {
                key,
                interval: interval.map(|interval| metric.within_range(interval)),
                ..measurement.clone()
            });
        } else if let Some(absent) = found.undefined.iter().find(|found| is_it(&found.key)) {
            let reason = match absent.reason.as_str() {
                // Of one class a row, these are rows of other classes.
                NO_NEGATIVES if counts.n_labelled == n_rows => "every row has it",
                reason => reason,
            };
            self.undefined.push(Undefined {
                key,
                reason: reason.to_owned(),
            });
        }
    }
}

/// What a reader should know about the classes.
fn notes(classes: &[LabelledClass], n_rows: usize, has_scores: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let n_usable = n_with_curve(classes, n_rows);
    if has_scores && n_usable < classes.len() && n_usable > 0 {
        notes.push(format!(
            "`roc_auc` and `average_precision` are averages over {n_usable} of {} classes: the others are there in no row, or in every one.",
            classes.len()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Loss;

    const NAMES: [&str; 4] = ["a", "b", "c", "absent"];

    fn table(cells: [u8; 24]) -> Table<bool> {
        Table::new(cells.iter().map(|&cell| cell == 1).collect(), 4).unwrap()
    }

    #[rustfmt::skip]
    fn labels() -> Table<bool> {
        table([
            1, 0, 1, 0,
            0, 1, 0, 0,
            1, 1, 0, 0,
            0, 0, 0, 0,
            1, 0, 0, 0,
            0, 1, 1, 0,
        ])
    }

    #[rustfmt::skip]
    fn predicted() -> Table<bool> {
        table([
            1, 0, 0, 0,
            0, 1, 0, 0,
            1, 0, 1, 0,
            0, 0, 0, 0,
            1, 1, 0, 0,
            0, 1, 1, 0,
        ])
    }

    #[rustfmt::skip]
    const SCORES: [f64; 24] = [
        0.9, 0.2, 0.4, 0.1,
        0.3, 0.8, 0.1, 0.1,
        0.7, 0.4, 0.6, 0.2,
        0.2, 0.3, 0.2, 0.1,
        0.6, 0.6, 0.3, 0.2,
        0.1, 0.9, 0.7, 0.1,
    ];

    fn measured(weights: Option<&[f64]>) -> Measured {
        let (labels, predicted) = (labels(), predicted());
        let rows = SetRows {
            labels: &labels,
            predicted: &predicted,
            scores: Some(Scores::F64(&SCORES)),
            classes: &NAMES.map(str::to_owned),
            weights,
            groups: None,
        };
        measure_sets(&rows, &Scoring::new(Loss::BinaryCrossentropy, 0.95)).unwrap()
    }

    fn value(measured: &Measured, key: &MetricKey) -> f64 {
        let found = measured.measurements.iter().find(|found| found.key == *key);
        found
            .unwrap_or_else(|| panic!("{key}: {:?}", measured.undefined))
            .value
    }

    /// Independent source: by hand, and scikit-learn 1.9.1 on the same rows (without the absent class for macro averages).
    #[test]
    fn sets_and_averages_are_scikit_learns() {
        let found = measured(None);
        for (metric, expected) in [
            ("subset_accuracy", 0.5),
            ("hamming_loss", 4.0 / 24.0),
            // TP 6, FP 2, FN 2.
            ("f1_micro", 0.75),
            ("precision_micro", 0.75),
            ("recall_micro", 0.75),
            // By class: 3/3, 2/3, 1/2.
            ("precision_macro", (1.0 + 2.0 / 3.0 + 0.5) / 3.0),
            ("recall_macro", (1.0 + 2.0 / 3.0 + 0.5) / 3.0),
            ("jaccard_micro", 0.6),
            // By row: 1/1, 1/1, 1/2, 0/0, 1/2, 2/2.
            ("precision_samples", 4.0 / 6.0),
            // By row: 1/2, 1/1, 1/2, 0/0, 1/1, 2/2.
            ("recall_samples", 4.0 / 6.0),
            // All but 0 of 9, 1 of 9 and 1 of 8 pairs are in order.
            ("roc_auc", (1.0 + 8.0 / 9.0 + 7.0 / 8.0) / 3.0),
        ] {
            let found = value(&found, &MetricKey::overall(metric));
            assert!((found - expected).abs() < 1e-12, "{metric}: {found}");
        }
        let of_class = |metric, class| value(&found, &MetricKey::of_class(metric, class));
        assert_eq!(of_class("precision", "a"), 1.0);
        assert_eq!(of_class("recall", "c"), 0.5);
        assert_eq!(of_class("specificity", "b"), 2.0 / 3.0);
        assert_eq!(of_class("roc_auc", "a"), 1.0);
        assert_eq!(found.misses, [0, 2, 4]);
        assert_eq!(found.classes[1].n_right, 2);
        let absent = |metric| {
            let key = MetricKey::of_class(metric, "absent");
            let found = found.undefined.iter().find(|found| found.key == key);
            found.unwrap().reason.as_str()
        };
        assert_eq!(absent("f1"), "no labelled and no predicted rows");
        assert!(found.notes[0].contains("averages over 3 of 4 classes"));
        assert_eq!(found.curves.len(), 3);
    }

    /// A row of weight 2 is the row twice, and one of weight 0 is not there: the same value of every metric.
    #[test]
    fn weights_count_as_repeated_rows() {
        let weighted = measured(Some(&[1.0, 2.0, 1.0, 0.0, 1.0, 2.0]));
        let rows = [0, 1, 1, 2, 4, 5, 5];
        let (labels, predicted) = (labels().gather(&rows), predicted().gather(&rows));
        let scores: Vec<f64> = rows
            .iter()
            .flat_map(|&row| SCORES[4 * row..4 * row + 4].to_vec())
            .collect();
        let repeated = SetRows {
            labels: &labels,
            predicted: &predicted,
            scores: Some(Scores::F64(&scores)),
            classes: &NAMES.map(str::to_owned),
            weights: None,
            groups: None,
        };
        let scoring = Scoring::new(Loss::BinaryCrossentropy, 0.95);
        let repeated = measure_sets(&repeated, &scoring).unwrap();
        let mut n_compared = 0;
        for found in &weighted.measurements {
            // Its bias depends on how many rows are drawn.
            if found.key.metric == "expected_calibration_error" {
                continue;
            }
            n_compared += 1;
            let other = value(&repeated, &found.key);
            assert!(
                (found.value - other).abs() < 1e-12,
                "{}: {other}",
                found.key
            );
        }
        assert!(n_compared > 50);
        assert_eq!(weighted.misses, [0, 2, 4]);
    }

    /// An influence is the derivative of the value as a row gets more weight.
    #[test]
    fn influences_are_derivatives() {
        const STEP: f64 = 1e-6;
        let weights = [1.0, 0.5, 2.0, 1.0, 1.5, 1.0];
        let total: f64 = weights.iter().sum();
        let (labels, predicted, names) = (labels(), predicted(), NAMES.map(str::to_owned));
        let of_rows = |metric: &Metric, weights: &[f64]| {
            let rows = SetRows {
                labels: &labels,
                predicted: &predicted,
                scores: Some(Scores::F64(&SCORES)),
                classes: &names,
                weights: Some(weights),
                groups: None,
            };
            let sampling = Sampling::new(6, Some(weights), None).unwrap();
            let sets = rows.sets(&sampling, 2.0);
            let values = match metric.compute {
                Compute::Sets(compute) => compute(&sets),
                Compute::ScoredSets(compute) => compute(&sets, Scores::F64(&SCORES)),
                _ => return None,
            };
            let parts = values.unwrap().parts();
            let sum: f64 = parts
                .iter()
                .zip(weights)
                .map(|(part, weight)| part * weight)
                .sum();
            Some((sum / weights.iter().sum::<f64>(), parts))
        };
        let mut n_compared = 0;
        for metric in catalog::all() {
            let Some((value, parts)) = of_rows(metric, &weights) else {
                continue;
            };
            for row in 0..6 {
                let moved = |step: f64| {
                    let mut weights = weights;
                    weights[row] += step;
                    of_rows(metric, &weights).unwrap().0
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP) * total;
                let influence = parts[row] - value;
                assert!(
                    (slope - influence).abs() < 1e-6,
                    "{}: {slope}, {influence}",
                    metric.name
                );
                n_compared += 1;
            }
        }
        assert!(n_compared > 100);
    }
}
