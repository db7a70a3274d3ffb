//! Rows in, every metric of the catalog that they allow out.

use super::catalog;
use super::estimate::{Computed, Estimate};
use super::matrix::Confusion;
use super::metric::{Compute, Metric};
use super::rows::{ClassifiedRows, MetricError, ValuedRows};
use super::scoring::Scoring;
use crate::measurement::{Measurement, MetricKey, Undefined};

/// Why a number is not one.
const TOO_LARGE: &str = "the numbers are too large: a sum of them is beyond 64-bit floating point";

/// What a set of rows came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Every metric that has a value, in the order of the catalog; those of single classes last.
    pub measurements: Vec<Measurement>,
    /// Every metric that has none, with the reason.
    pub undefined: Vec<Undefined>,
    /// Labels against predictions; absent for regression.
    pub confusion: Option<Confusion>,
    /// Indices of the rows predicted wrong; empty for regression.
    pub misses: Vec<usize>,
}

/// Scores a classifier.
///
/// Every metric of the catalog that these rows allow: those of probabilities only where there are scores. The
/// definitions are the catalog's; intervals hold at the `scoring`'s confidence, two-sided.
pub fn classify(rows: &ClassifiedRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    let confidence = scoring.confidence;
    let probabilities = rows.check()?;
    let confusion = rows.confusion();
    let mut measured = Measured {
        measurements: Vec::new(),
        undefined: Vec::new(),
        misses: rows.misses(),
        confusion: None,
    };
    for metric in catalog::all() {
        let computed = match (&metric.compute, &probabilities) {
            (Compute::Confusion(compute), _) => compute(&confusion, confidence),
            (Compute::Probabilities(compute), Some(probabilities)) => {
                compute(probabilities, confidence)
            }
            _ => continue,
        };
        measured.add(metric, MetricKey::overall(metric.name), computed);
    }
    // A class that occurs nowhere is not a class of these rows: it is named, not measured.
    for (idx, class) in confusion.classes.iter().enumerate() {
        for metric in catalog::all() {
            if let Compute::PerClass(compute) = metric.compute {
                let computed = if confusion.occurs(idx) {
                    compute(&confusion, idx, confidence)
                } else {
                    Computed::Undefined("no labelled and no predicted rows")
                };
                measured.add(metric, MetricKey::of_class(metric.name, class), computed);
            }
        }
    }
    measured.confusion = Some(confusion);
    Ok(measured)
}

/// Scores a regression model: every metric of the catalog of numbers against predicted numbers.
pub fn regress(rows: &ValuedRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    let confidence = scoring.confidence;
    rows.check()?;
    let mut measured = Measured {
        measurements: Vec::new(),
        undefined: Vec::new(),
        confusion: None,
        misses: Vec::new(),
    };
    for metric in catalog::all() {
        if let Compute::Values(compute) = metric.compute {
            measured.add(
                metric,
                MetricKey::overall(metric.name),
                compute(rows, confidence),
            );
        }
    }
    Ok(measured)
}

impl Measured {
    fn add(&mut self, metric: &Metric, key: MetricKey, computed: Computed) {
        match computed {
            // JSON has no word for it, and no rule could judge it.
            Computed::Value(estimate) if !estimate.value.is_finite() => {
                self.undefined.push(Undefined {
                    key,
                    reason: TOO_LARGE.to_owned(),
                });
            }
            Computed::Value(estimate) => self.measurements.push(measurement(metric, key, estimate)),
            Computed::Undefined(reason) => self.undefined.push(Undefined {
                key,
                reason: reason.to_owned(),
            }),
        }
    }
}

fn measurement(metric: &Metric, key: MetricKey, estimate: Estimate) -> Measurement {
    let Estimate {
        value,
        interval,
        n_rows,
        evidence,
    } = estimate;
    let interval = match interval {
        Ok(interval) if !(interval.lower.is_finite() && interval.upper.is_finite()) => {
            Err(TOO_LARGE.to_owned())
        }
        interval => interval.map_err(|error| error.to_string()),
    };
    Measurement {
        key,
        value,
        unit: Some(metric.unit),
        unit_name: None,
        direction: Some(metric.direction),
        no_interval: interval.as_ref().err().cloned(),
        interval: interval.ok(),
        n_rows: Some(n_rows),
        evidence,
    }
}
