//! Numbers of several outputs in, every metric of each output and their averages over the outputs out.

use super::catalog;
use super::estimate::{mean, undefined, without_interval};
use super::measure::{Measured, regress};
use super::metric::Compute;
use super::regression::Values;
use super::row_values::RowValues;
use super::rows::{MetricError, ValuedRows, that_count};
use super::sampling::Sampling;
use super::scoring::Scoring;
use crate::measurement::{Measurement, MetricKey, Undefined};
use crate::model::Loss;
use crate::table::Table;

/// Rows labelled with a number of each output, and the predicted numbers.
#[derive(Debug, Clone, Copy)]
pub struct OutputRows<'a> {
    /// `[n_rows, n_outputs]`
    pub labels: &'a Table<f64>,
    /// `[n_rows, n_outputs]`
    pub predicted: &'a Table<f64>,
    /// Names of the outputs.
    pub outputs: &'a [String],
    /// What training minimised.
    pub objective: Loss,
    /// How much each row counts, `[n_rows]`; absent where all count the same.
    pub weights: Option<&'a [f64]>,
    /// Which rows belong together, `[n_rows]`; absent where rows are independent.
    pub groups: Option<&'a [String]>,
}

impl OutputRows<'_> {
    fn check(&self) -> Result<(), MetricError> {
        let n_rows = self.labels.n_rows();
        if n_rows == 0 {
            return Err(MetricError::NoRows);
        }
        let shapes = [self.labels, self.predicted].map(|table| (table.n_rows(), table.n_columns()));
        if shapes != [(n_rows, self.outputs.len()); 2] {
            return Err(MetricError::Lengths {
                n_labels: n_rows,
                n_scores: self.predicted.cells().len(),
                n_columns: self.outputs.len(),
            });
        }
        Ok(())
    }
}

/// Scores numbers of several outputs: every metric of each output by itself, and its mean over the outputs, each counted alike, as
/// scikit-learn's `multioutput="uniform_average"`. Where an output has no value, the mean has none.
pub fn measure_outputs(rows: &OutputRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    rows.check()?;
    let columns = Columns::of(rows.labels, rows.predicted, None);
    let mut of_outputs = Vec::new();
    for (labels, predicted) in columns.labels.iter().zip(&columns.predicted) {
        let of_one = ValuedRows {
            labels,
            predicted,
            objective: rows.objective,
            weights: rows.weights,
            groups: rows.groups,
        };
        of_outputs.push(regress(&of_one, scoring)?);
    }
    let mut measured = Measured::default();
    add_averages(&mut measured, &of_outputs, rows, scoring)?;
    for (output, found) in rows.outputs.iter().zip(of_outputs) {
        let of_output = |key: &MetricKey| MetricKey::of_output(&key.metric, output);
        let measurements = found.measurements.into_iter();
        measured
            .measurements
            .extend(measurements.map(|found| Measurement {
                key: of_output(&found.key),
                ..found
            }));
        let absent = found.undefined.into_iter();
        measured.undefined.extend(absent.map(|absent| Undefined {
            key: of_output(&absent.key),
            ..absent
        }));
    }
    Ok(measured)
}

/// Adds the mean over the outputs of each metric.
fn add_averages(
    measured: &mut Measured,
    of_outputs: &[Measured],
    rows: &OutputRows<'_>,
    scoring: &Scoring,
) -> Result<(), MetricError> {
    let kept = that_count(rows.weights);
    let columns = Columns::of(rows.labels, rows.predicted, kept.as_deref());
    let kept_weights = kept.as_ref().zip(rows.weights);
    let weights: Option<Vec<f64>> =
        kept_weights.map(|(kept, weights)| kept.iter().map(|&row| weights[row]).collect());
    let kept_groups = kept.as_ref().zip(rows.groups);
    let groups: Option<Vec<String>> =
        kept_groups.map(|(kept, groups)| kept.iter().map(|&row| groups[row].clone()).collect());
    let n_rows = columns.labels[0].len();
    let sampling = Sampling::new(
        n_rows,
        weights.as_deref().or(rows.weights),
        groups.as_deref().or(rows.groups),
    )?;
    let values = columns.values(&sampling, rows.objective, scoring.quantile);
    for metric in catalog::by_importance() {
        let Compute::Values { of_rows, .. } = metric.compute else {
            continue;
        };
        let key = MetricKey::overall(metric.name);
        let found = match (mean_value(&key, of_outputs, rows.outputs), of_rows) {
            (Err(reason), _) => undefined(reason),
            (Ok(value), None) => without_interval(value, n_rows as u64),
            (Ok(_), Some(of_rows)) => {
                let parts = average_parts(&values, of_rows);
                let spread = sampling.mean(|row| parts[row]);
                mean(spread, n_rows as u64, scoring.confidence)
            }
        };
        measured.add(metric, key, found);
    }
    Ok(())
}

/// The mean over the outputs of the value of `key`, or why there is none, as a clause.
fn mean_value(key: &MetricKey, of_outputs: &[Measured], outputs: &[String]) -> Result<f64, String> {
    let mut sum = 0.0;
    for (output, found) in outputs.iter().zip(of_outputs) {
        if let Some(absent) = found.undefined.iter().find(|absent| absent.key == *key) {
            return Err(format!("output `{output}`: {}", absent.reason));
        }
        let value = found.measurements.iter().find(|found| found.key == *key);
        sum += value.map_or(f64::NAN, |found| found.value);
    }
    Ok(sum / outputs.len() as f64)
}

/// Labels and predictions of each output.
pub(super) struct Columns {
    labels: Vec<Vec<f64>>,
    predicted: Vec<Vec<f64>>,
}

impl Columns {
    /// Of `rows` of them, by index, where given.
    pub(super) fn of(labels: &Table<f64>, predicted: &Table<f64>, rows: Option<&[usize]>) -> Self {
        let columns = |table: &Table<f64>| -> Vec<Vec<f64>> {
            let column = |output: usize| match rows {
                Some(rows) => rows.iter().map(|&row| table.row(row)[output]).collect(),
                None => table.column(output).collect(),
            };
            (0..table.n_columns()).map(column).collect()
        };
        Self {
            labels: columns(labels),
            predicted: columns(predicted),
        }
    }

    /// Each output as rows of one number.
    pub(super) fn values<'a>(
        &'a self,
        sampling: &'a Sampling<'a>,
        objective: Loss,
        quantile: f64,
    ) -> Vec<Values<'a>> {
        let columns = self.labels.iter().zip(&self.predicted);
        columns
            .map(|(labels, predicted)| Values {
                labels,
                predicted,
                sampling,
                objective,
                quantile,
            })
            .collect()
    }
}

/// A number of each row whose mean is that of the metric over the outputs.
pub(super) fn average_parts(
    outputs: &[Values<'_>],
    of_rows: fn(&Values<'_>) -> RowValues,
) -> Vec<f64> {
    let n = outputs.len() as f64;
    let mut sums = vec![0.0; outputs.first().map_or(0, |output| output.labels.len())];
    for output in outputs {
        let parts = of_rows(output).parts();
        sums.iter_mut()
            .zip(parts)
            .for_each(|(sum, part)| *sum += part / n);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cells: &[f64]) -> Table<f64> {
        Table::new(cells.to_vec(), 2).unwrap()
    }

    fn measured(labels: &[f64], predicted: &[f64]) -> Measured {
        let (labels, predicted) = (table(labels), table(predicted));
        let rows = OutputRows {
            labels: &labels,
            predicted: &predicted,
            outputs: &["height".to_owned(), "width".to_owned()],
            objective: Loss::MeanSquaredError,
            weights: None,
            groups: None,
        };
        measure_outputs(&rows, &Scoring::new(Loss::MeanSquaredError, 0.95)).unwrap()
    }

    fn value(measured: &Measured, metric: &str, output: Option<&str>) -> f64 {
        let key = MetricKey {
            output: output.map(str::to_owned),
            ..MetricKey::overall(metric)
        };
        let found = measured.measurements.iter().find(|found| found.key == key);
        found.unwrap_or_else(|| panic!("{key}")).value
    }

    /// Independent source: scikit-learn's documentation of `mean_squared_error`, `root_mean_squared_error`, `mean_absolute_error` and
    /// `r2_score`, whose example of two outputs gives 0.7083…, 0.8227…, 0.75 and 0.938 (weighted by variance); each by hand as well.
    #[test]
    fn averages_are_uniform_over_the_outputs() {
        let found = measured(
            &[0.5, 1.0, -1.0, 1.0, 7.0, -6.0],
            &[0.0, 2.0, -1.0, 2.0, 8.0, -5.0],
        );
        for (metric, height, width) in [
            ("mse", 1.25 / 3.0, 1.0),
            ("rmse", (1.25_f64 / 3.0).sqrt(), 1.0),
            ("mae", 0.5, 1.0),
            ("max_error", 1.0, 1.0),
            ("median_absolute_error", 0.5, 1.0),
        ] {
            assert!(
                (value(&found, metric, Some("height")) - height).abs() < 1e-12,
                "{metric}"
            );
            assert!(
                (value(&found, metric, Some("width")) - width).abs() < 1e-12,
                "{metric}"
            );
            let mean = f64::midpoint(height, width);
            assert!(
                (value(&found, metric, None) - mean).abs() < 1e-12,
                "{metric}"
            );
        }
        assert!((value(&found, "mse", None) - 0.708_333_333_333).abs() < 1e-9);
        assert!((value(&found, "rmse", None) - 0.822_748_612_183).abs() < 1e-9);
        let max_error = found
            .measurements
            .iter()
            .find(|found| found.key == MetricKey::overall("max_error"));
        assert!(max_error.unwrap().no_interval.is_some());
    }

    #[test]
    fn an_output_without_a_value_leaves_the_average_without_one() {
        let found = measured(
            &[1.0, 2.0, 1.0, 3.0, 1.0, 4.0],
            &[1.0, 2.0, 2.0, 3.5, 1.0, 4.0],
        );
        let key = MetricKey::overall("r2");
        let absent = found
            .undefined
            .iter()
            .find(|absent| absent.key == key)
            .unwrap();
        assert_eq!(absent.reason, "output `height`: all labels are equal");
        assert_eq!(value(&found, "r2", Some("width")), 0.875);
        assert!(value(&found, "mse", None) > 0.0);
    }
}
