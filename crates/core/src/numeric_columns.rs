//! Numeric columns of rows as metrics: a column such as `latency_ms` in, its mean and quantiles with intervals out.

use std::collections::HashMap;

use crate::config::ColumnConfig;
use crate::measurement::{Evidence, Measurement, MetricKey};
use crate::scored_rows::{Column, ScoredRows};
use crate::statistics::{Interval, Moments, NoInterval, cluster_interval, quantile_interval};

/// Why a column has no metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// It is not there.
    #[error(
        "`[[evaluate.columns]]` names `{name}`, but the predictions have no such column; there are {found}"
    )]
    Absent {
        /// The column.
        name: String,
        /// The columns that are there.
        found: String,
    },
    /// It holds texts.
    #[error("`[[evaluate.columns]]` names `{0}`, but that column does not hold numbers alone")]
    NotNumbers(String),
    /// Weights that leave nothing.
    #[error("all weights are 0")]
    NoWeight,
}

/// The metrics of the declared `columns` of all `rows`, at the two-sided level `confidence`.
///
/// The mean of independent, equally weighted rows has the interval of [`Moments`]; with weights or groups it is linearised, so that each
/// row's influence on the mean takes the place of its value, summed over groups: see [`cluster_interval`]. Quantiles interpolate linearly
/// between the sorted values (type 7 of R. J. Hyndman and Y. Fan, 1996; NumPy's default), and have the interval of [`quantile_interval`].
/// A weighted quantile is the least value at which the weights up to it reach its share, without an interval.
pub fn measure_columns(
    rows: &ScoredRows,
    columns: &[ColumnConfig],
    confidence: f64,
) -> Result<Vec<Measurement>, ColumnError> {
    let all: Vec<usize> = (0..rows.n_rows()).collect();
    measure_part(rows, &all, columns, confidence)
}

/// The same of the rows with the indices `part`.
pub(crate) fn measure_part(
    rows: &ScoredRows,
    part: &[usize],
    columns: &[ColumnConfig],
    confidence: f64,
) -> Result<Vec<Measurement>, ColumnError> {
    let mut measured = Vec::new();
    for config in columns {
        let numbers = match rows.columns.get(&config.name) {
            Some(Column::Numbers(numbers)) => numbers,
            Some(Column::Texts(_)) => return Err(ColumnError::NotNumbers(config.name.clone())),
            None => {
                let found: Vec<String> = rows
                    .columns
                    .keys()
                    .map(|name| format!("`{name}`"))
                    .collect();
                return Err(ColumnError::Absent {
                    name: config.name.clone(),
                    found: if found.is_empty() {
                        "none beside the usual ones".to_owned()
                    } else {
                        found.join(", ")
                    },
                });
            }
        };
        let values = Values::of(rows, part, numbers);
        let measurement = |name: String, (value, interval, evidence): Found| Measurement {
            no_interval: interval.as_ref().err().cloned(),
            interval: interval.ok(),
            n_rows: Some(part.len() as u64),
            evidence,
            unit_name: config.unit.clone(),
            ..Measurement::bare(MetricKey::overall(name), value, None, config.direction)
        };
        let mean = values.mean(confidence).ok_or(ColumnError::NoWeight)?;
        measured.push(measurement(config.mean_name(), mean));
        let order = values.order();
        for &q in &config.quantiles {
            let quantile = values.quantile(&order, q, confidence);
            measured.push(measurement(config.quantile_name(q), quantile));
        }
    }
    Ok(measured)
}

/// Value, interval or why there is none, and what another interval is computed from.
type Found = (f64, Result<Interval, String>, Option<Evidence>);

/// A column of some rows, with what else those rows say.
struct Values {
    values: Vec<f64>,
    weights: Option<Vec<f64>>,
    /// The group of each row, numbered; each row is its own where rows are independent.
    groups: Option<Vec<u64>>,
}

impl Values {
    fn of(rows: &ScoredRows, part: &[usize], numbers: &[f64]) -> Self {
        let mut seen: HashMap<&str, u64> = HashMap::new();
        let groups = rows.groups.as_ref().map(|groups| {
            let numbered = part.iter().map(|&row| {
                let next = seen.len() as u64;
                *seen.entry(groups[row].as_str()).or_insert(next)
            });
            numbered.collect()
        });
        let weights = rows.weights.as_ref();
        Self {
            values: part.iter().map(|&row| numbers[row]).collect(),
            weights: weights.map(|weights| part.iter().map(|&row| weights[row]).collect()),
            groups,
        }
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    /// `None` where all weights are 0.
    fn mean(&self, confidence: f64) -> Option<Found> {
        if self.weights.is_none() && self.groups.is_none() {
            let moments = Moments::of(self.values.iter().copied());
            let interval = moments.interval(confidence).map_err(in_words);
            return Some((moments.mean, interval, Some(Evidence::Mean(moments))));
        }
        let total: f64 = (0..self.values.len()).map(|row| self.weight(row)).sum();
        if total <= 0.0 {
            return None;
        }
        let parts = self.values.iter().enumerate();
        let mean = parts
            .map(|(row, value)| self.weight(row) / total * value)
            .sum();
        let scale = self.values.len() as f64 / total;
        let influences = self.values.iter().enumerate().map(|(row, value)| {
            let group = self
                .groups
                .as_ref()
                .map_or(row as u64, |groups| groups[row]);
            (group, self.weight(row) * scale * (value - mean))
        });
        let interval = cluster_interval(mean, influences, confidence).map_err(in_words);
        Some((mean, interval, None))
    }

    /// Indices of the values, ascending.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_by(|&left, &right| self.values[left].total_cmp(&self.values[right]));
        order
    }

    fn quantile(&self, order: &[usize], q: f64, confidence: f64) -> Found {
        let sorted: Vec<f64> = order.iter().map(|&row| self.values[row]).collect();
        if self.weights.is_some() {
            let total: f64 = order.iter().map(|&row| self.weight(row)).sum();
            let mut reached = 0.0;
            let of_share = order.iter().find(|&&row| {
                reached += self.weight(row);
                reached >= q * total
            });
            let row = of_share.or(order.last()).expect("rows are never empty");
            let reason = "no method here for a quantile of weighted rows".to_owned();
            return (self.values[*row], Err(reason), None);
        }
        let place = q * (sorted.len() - 1) as f64;
        let (lower, upper) = (place.floor() as usize, place.ceil() as usize);
        let value = sorted[lower] + (place - place.floor()) * (sorted[upper] - sorted[lower]);
        let interval = if self.groups.is_some() {
            Err("no method here for a quantile of rows in groups".to_owned())
        } else {
            quantile_interval(&sorted, q, confidence).map_err(in_words)
        };
        (value, interval, None)
    }
}

/// Values of a column are not errors, of which the statistics speak.
fn in_words(reason: NoInterval) -> String {
    match reason {
        NoInterval::TooSkewed { n, skewness } => {
            format!("values too heavy-tailed for {n} rows: skewness {skewness:.1}")
        }
        reason => reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Direction;
    use crate::scored_rows::Labels;
    use crate::statistics::IntervalMethod;

    fn rows(values: &[f64]) -> ScoredRows {
        let answers = vec![0; values.len()];
        let mut rows = ScoredRows::new(
            Labels::Class(answers.clone()),
            Labels::Class(answers),
            vec!["a".to_owned()],
        );
        let column = Column::Numbers(values.to_vec());
        rows.columns.insert("latency_ms".to_owned(), column);
        rows
    }

    fn declared() -> Vec<ColumnConfig> {
        vec![ColumnConfig {
            name: "latency_ms".to_owned(),
            unit: Some("ms".to_owned()),
            direction: Some(Direction::LowerIsBetter),
            quantiles: vec![0.5, 0.95],
        }]
    }

    /// 60 values that are neither sorted nor alike.
    fn values() -> Vec<f64> {
        (0..60)
            .map(|i| f64::from(i * 37 % 60) + f64::from(i % 7) / 10.0)
            .collect()
    }

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    /// Independent source: NumPy 2 on the same values, `mean`, `quantile(x, [0.5, 0.95])`; the median's interval by SciPy's
    /// `quantile_test(x, q=median, p=0.5).confidence_interval(0.95)`.
    #[test]
    fn mean_and_quantiles_match_numpy() {
        let measured = measure_columns(&rows(&values()), &declared(), 0.95).unwrap();
        let names: Vec<&str> = measured
            .iter()
            .map(|found| found.key.metric.as_str())
            .collect();
        assert_eq!(
            names,
            ["latency_ms.mean", "latency_ms.p50", "latency_ms.p95"]
        );
        close(measured[0].value, 29.79);
        close(measured[1].value, 29.75);
        close(measured[2].value, 56.145);
        let median = measured[1].interval.unwrap();
        close(median.lower, 21.5);
        close(median.upper, 38.0);
        assert_eq!(measured[0].unit_name.as_deref(), Some("ms"));
        assert_eq!(measured[0].direction, Some(Direction::LowerIsBetter));
        assert!(matches!(measured[0].evidence, Some(Evidence::Mean(_))));
        // 95 % of 60 rows: the upper end of the 95th percentile would lie beyond the largest.
        assert_eq!(
            measured[2].no_interval.as_deref(),
            Some("too few rows: 60, at least 72 needed")
        );
    }

    #[test]
    fn a_weight_of_two_is_a_row_twice_for_the_value() {
        let mut weighted = rows(&[1.0, 2.0, 4.0]);
        weighted.weights = Some(vec![1.0, 2.0, 1.0]);
        let measured = measure_columns(&weighted, &declared(), 0.95).unwrap();
        let twice = measure_columns(&rows(&[1.0, 2.0, 2.0, 4.0]), &declared(), 0.95).unwrap();
        close(measured[0].value, twice[0].value);
        close(measured[1].value, 2.0);
        assert!(measured[1].no_interval.is_some());
        weighted.weights = Some(vec![0.0; 3]);
        assert_eq!(
            measure_columns(&weighted, &declared(), 0.95).unwrap_err(),
            ColumnError::NoWeight
        );
    }

    /// Independent source: statsmodels 0.15 `WLS(x, ones, weights=w).fit(cov_type="HC1", use_t=True)`, `params` and `conf_int()`, of
    /// values and weights that are symmetric, so that there is no skewness to correct for.
    #[test]
    fn a_weighted_mean_matches_statsmodels() {
        let numbers: Vec<f64> = (0..20).map(f64::from).collect();
        let mut weighted = rows(&numbers);
        weighted.weights = Some(
            (0..20)
                .map(|row: u32| f64::from(1 + row.min(19 - row) % 3))
                .collect(),
        );
        let measured = measure_columns(&weighted, &declared(), 0.95).unwrap();
        let interval = measured[0].interval.unwrap();
        close(measured[0].value, 9.5);
        close(interval.lower, 6.631_015_794_946_297);
        close(interval.upper, 12.368_984_205_053_71);
    }

    /// By construction: each row five times in one group says no more than the row once.
    #[test]
    fn rows_of_one_group_are_not_independent() {
        let once = measure_columns(&rows(&values()), &declared(), 0.95).unwrap();
        let five: Vec<f64> = values().into_iter().flat_map(|value| [value; 5]).collect();
        let mut grouped = rows(&five);
        grouped.groups = Some((0..300).map(|row| (row / 5).to_string()).collect());
        let grouped = measure_columns(&grouped, &declared(), 0.95).unwrap();
        let (once, interval) = (once[0].interval.unwrap(), grouped[0].interval.unwrap());
        close(once.lower, interval.lower);
        close(once.upper, interval.upper);
        assert_eq!(interval.method, IntervalMethod::Clustered);
        assert!(grouped[1].interval.is_none());
    }

    #[test]
    fn a_column_that_is_not_there_or_no_numbers_is_named() {
        let mut texts = rows(&[1.0]);
        let other = [ColumnConfig {
            name: "cost".to_owned(),
            ..declared().remove(0)
        }];
        let error = measure_columns(&texts, &other, 0.95)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("there are `latency_ms`"), "{error}");
        let column = Column::Texts(vec!["fast".to_owned()]);
        texts.columns.insert("latency_ms".to_owned(), column);
        assert!(matches!(
            measure_columns(&texts, &declared(), 0.95),
            Err(ColumnError::NotNumbers(_))
        ));
    }
}
