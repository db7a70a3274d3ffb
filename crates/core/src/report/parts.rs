//! Figures of slices and folds, as tables of the page, the terminal and the summary show them.

use std::collections::BTreeMap;

use crate::evaluation::{Evaluation, FoldSummary, SliceSummary};
use crate::measurement::{Direction, Fold, Measurement, MetricKey};

/// All slices, the worst first.
pub struct SliceTable<'a> {
    /// Names of the metrics that are measured in slices, in the order of the evaluation. By the first, slices are sorted.
    pub metrics: Vec<&'a str>,
    /// Those with figures, the worst first, then those with too few rows.
    pub rows: Vec<SliceRow<'a>>,
}

/// One slice with its figures.
pub struct SliceRow<'a> {
    /// Its name and rows.
    pub slice: &'a SliceSummary,
    /// One entry a metric of [`SliceTable::metrics`].
    pub cells: Vec<Option<&'a Measurement>>,
}

impl<'a> SliceTable<'a> {
    /// The slices of `evaluation`.
    pub fn of(evaluation: &'a Evaluation) -> Self {
        let mut metrics: Vec<&str> = Vec::new();
        let mut by_key: BTreeMap<(&str, &str), &Measurement> = BTreeMap::new();
        for found in &evaluation.measurements {
            let MetricKey {
                metric,
                class: None,
                output: None,
                slice: Some(slice),
                fold: None,
            } = &found.key
            else {
                continue;
            };
            if !metrics.contains(&metric.as_str()) {
                metrics.push(metric);
            }
            by_key.insert((slice, metric), found);
        }
        let mut rows: Vec<SliceRow<'_>> = evaluation
            .slices
            .iter()
            .map(|slice| SliceRow {
                slice,
                cells: metrics
                    .iter()
                    .map(|metric| by_key.get(&(slice.name.as_str(), *metric)).copied())
                    .collect(),
            })
            .collect();
        rows.sort_by(|left, right| left.badness().total_cmp(&right.badness()));
        Self { metrics, rows }
    }

    /// Those with figures.
    pub fn measured(&self) -> impl Iterator<Item = &SliceRow<'a>> {
        self.rows.iter().filter(|row| row.slice.reason.is_none())
    }
}

impl SliceRow<'_> {
    /// The first figure so that a smaller one is worse; infinite without one.
    fn badness(&self) -> f64 {
        let first = self.cells.first().copied().flatten();
        first.map_or(f64::INFINITY, |found| match found.direction {
            Some(Direction::LowerIsBetter) => -found.value,
            Some(Direction::HigherIsBetter) | None => found.value,
        })
    }
}

/// The folds of a cross-validation and the means over them.
pub struct FoldFigures<'a> {
    /// Names of the metrics that are shown of each fold, in the order of the evaluation.
    pub metrics: Vec<&'a str>,
    /// Each fold, with one entry a metric.
    pub rows: Vec<(&'a FoldSummary, Vec<Option<&'a Measurement>>)>,
    /// Mean over the folds and standard deviation of each metric.
    pub means: Vec<(Option<&'a Measurement>, Option<f64>)>,
}

impl<'a> FoldFigures<'a> {
    /// The folds of `evaluation`; `None` where it has none.
    pub fn of(evaluation: &'a Evaluation) -> Option<Self> {
        let table = evaluation.folds.as_ref()?;
        let mut metrics: Vec<&str> = Vec::new();
        let mut by_key: BTreeMap<(&str, Fold), &Measurement> = BTreeMap::new();
        for found in &evaluation.measurements {
            let MetricKey {
                metric,
                class: None,
                output: None,
                slice: None,
                fold: Some(fold),
            } = &found.key
            else {
                continue;
            };
            if matches!(fold, Fold::Index(_)) && !metrics.contains(&metric.as_str()) {
                metrics.push(metric);
            }
            by_key.insert((metric, *fold), found);
        }
        let get = |metric: &&'a str, fold| by_key.get(&(*metric, fold)).copied();
        let deviation = |metric: &str| {
            let mut spreads = table.spreads.iter();
            spreads.find(|spread| spread.metric == metric)?.deviation
        };
        Some(Self {
            rows: table
                .folds
                .iter()
                .map(|fold| {
                    let cells = metrics
                        .iter()
                        .map(|metric| get(metric, Fold::Index(fold.fold)));
                    (fold, cells.collect())
                })
                .collect(),
            means: metrics
                .iter()
                .map(|metric| (get(metric, Fold::Mean), deviation(metric)))
                .collect(),
            metrics,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::config::{ColumnConfig, SliceConfig};
    use crate::digest::Sha256Digest;
    use crate::evaluation::{DataReference, ModelReference};
    use crate::fold_scores::{TrainingRows, measure_folds};
    use crate::metrics::Scoring;
    use crate::model::Loss;
    use crate::numeric_columns::measure_columns;
    use crate::prediction_task::PredictionTask;
    use crate::row_set::RowSet;
    use crate::scored_rows::{Column, Labels, ScoredRows};
    use crate::slices::{SliceMetrics, measure_slices};

    /// 120 rows in five folds, in three countries of which `<US>` is predicted worst and `NZ` has two rows, with a latency.
    pub(in super::super) fn evaluation() -> Evaluation {
        let labels: Vec<u32> = (0..120).map(|row| row % 2).collect();
        let country = |row: u32| match row {
            7 | 70 => "NZ",
            row => ["DE", "FR", "<US>"][(row / 4 % 3) as usize],
        };
        let is_wrong = |row: u32| row % 10 == 3 || country(row) == "<US>" && row.is_multiple_of(5);
        let predicted = (0..120).map(|row| (row + u32::from(is_wrong(row))) % 2);
        let classes = vec!["no".to_owned(), "yes".to_owned()];
        let mut rows = ScoredRows::new(
            Labels::Class(labels),
            Labels::Class(predicted.collect()),
            classes,
        );
        rows.folds = Some((0..120).map(|row| row % 5).collect());
        let countries = (0..120).map(|row| country(row).to_owned()).collect();
        rows.columns
            .insert("country".to_owned(), Column::Texts(countries));
        let latencies = (0..120)
            .map(|row| f64::from(row * 37 % 101) / 4.0)
            .collect();
        rows.columns
            .insert("latency_ms".to_owned(), Column::Numbers(latencies));
        let scoring = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
        let columns = [ColumnConfig {
            name: "latency_ms".to_owned(),
            unit: Some("ms".to_owned()),
            direction: Some(Direction::LowerIsBetter),
            quantiles: vec![0.5, 0.95],
        }];
        let slices = [SliceConfig {
            columns: vec!["country".to_owned()],
            bins: None,
            min_rows: 30,
            metrics: Vec::new(),
        }];
        let of_rules = BTreeSet::new();
        let metrics = SliceMetrics {
            of_rules: &of_rules,
            columns: &columns,
        };
        let measured = rows.measure(&scoring).unwrap();
        let mut measurements = measured.measurements;
        measurements.extend(measure_columns(&rows, &columns, 0.95).unwrap());
        let of_slices = measure_slices(&rows, &slices, metrics, &scoring).unwrap();
        measurements.extend(of_slices.measurements);
        let shown = BTreeSet::from(["accuracy".to_owned(), "f1_macro".to_owned()]);
        let of_folds = measure_folds(&rows, &scoring, TrainingRows::OtherFolds, &shown);
        let of_folds = of_folds.unwrap().unwrap();
        measurements.extend(of_folds.measurements);
        Evaluation {
            schema_version: 1,
            task: PredictionTask::Classification,
            model: ModelReference {
                name: "screening".to_owned(),
                digest: None,
                size_bytes: None,
                training: None,
            },
            data: DataReference {
                digest: Sha256Digest::of(b"data"),
                rows: RowSet::of_positions(120, |row| row.to_string().into(), BTreeMap::new()),
            },
            scoring,
            settings: None,
            threshold: None,
            measurements,
            undefined: Vec::new(),
            slices: of_slices.slices,
            weak_segments: None,
            folds: Some(of_folds.table),
            seeds: None,
            confusion: measured.confusion,
            reliability: measured.reliability,
            curves: measured.curves,
            classes: Vec::new(),
            outputs: Vec::new(),
            missed_rows: None,
            predictions: None,
            files: Vec::new(),
            history: Vec::new(),
            notes: Vec::new(),
            overriding_inputs: Vec::new(),
            trainyard_version: "0.0.0".to_owned(),
            commit: None,
        }
    }

    #[test]
    fn the_worst_slice_comes_first_and_those_with_too_few_rows_last() {
        let evaluation = evaluation();
        let table = SliceTable::of(&evaluation);
        let names: Vec<&str> = table
            .rows
            .iter()
            .map(|row| row.slice.name.as_str())
            .collect();
        assert_eq!(names.first(), Some(&"country=<US>"));
        assert_eq!(names.last(), Some(&"country=NZ"));
        assert_eq!(table.metrics[0], "accuracy");
        assert_eq!(table.measured().count(), 3);
        let values: Vec<f64> = table
            .measured()
            .map(|row| row.cells[0].unwrap().value)
            .collect();
        assert!(values.is_sorted(), "{values:?}");
    }

    /// Errors, unlike accuracies, are worst where they are largest.
    #[test]
    fn the_worst_is_the_largest_where_less_is_better() {
        let mut evaluation = evaluation();
        for found in &mut evaluation.measurements {
            found.direction = Some(Direction::LowerIsBetter);
        }
        let table = SliceTable::of(&evaluation);
        let values: Vec<f64> = table
            .measured()
            .map(|row| row.cells[0].unwrap().value)
            .collect();
        assert!(values.iter().rev().is_sorted(), "{values:?}");
    }

    #[test]
    fn each_fold_has_its_figures_and_the_mean_its_deviation() {
        let evaluation = evaluation();
        let figures = FoldFigures::of(&evaluation).unwrap();
        assert_eq!(figures.metrics, ["accuracy", "f1_macro"]);
        assert_eq!(figures.rows.len(), 5);
        assert!(figures.rows.iter().all(|(fold, cells)| {
            fold.n_rows == 24 && fold.n_train == Some(96) && cells.iter().all(Option::is_some)
        }));
        let (mean, deviation) = figures.means[0];
        assert!(mean.unwrap().interval.is_some());
        assert!(deviation.unwrap() > 0.0);
        let without = Evaluation {
            folds: None,
            ..evaluation.clone()
        };
        assert!(FoldFigures::of(&without).is_none());
        // A rule on a metric of all rows judges the mean over the folds, one on a slice the slice.
        let key = MetricKey::overall("accuracy");
        let judged = evaluation.judged(&key).unwrap();
        assert_eq!(judged.key.fold, Some(Fold::Mean));
        assert_eq!(without.judged(&key).unwrap().key, key);
    }

    #[test]
    fn the_page_has_a_section_of_each_and_escapes_names() {
        let page = crate::report::evaluation_page(&evaluation()).unwrap();
        for part in [
            "<h2>Folds</h2>",
            "5 folds of cross-validation",
            "<td>standard deviation</td>",
            "aria-label=\"Folds\"",
            "<h2>Columns</h2>",
            "<td>latency_ms.p95</td>",
            " ms</td>",
            "<h2>Slices</h2>",
            "Worst first by accuracy",
            "<td>country=&lt;US&gt;</td>",
            "class=\"range\"",
            "too few rows: fewer than <code>min_rows = 30</code>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        // The figures of columns are a table of their own, not cards beside accuracy.
        assert!(!page.contains("<span>latency_ms.mean</span>"));
    }
}
