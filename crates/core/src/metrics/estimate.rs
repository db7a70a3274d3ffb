//! What one metric came to: a value with its interval, or the reason why there is none.

use crate::measurement::Evidence;
use crate::statistics::{Interval, Moments, NoInterval, clopper_pearson};

/// What one metric came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Computed {
    /// It has a value.
    Value(Estimate),
    /// It has none here, for this reason, as a clause: `never predicted`.
    Undefined(&'static str),
}

/// A value and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The value; finite.
    pub value: f64,
    /// Its interval, or why these rows allow none.
    pub interval: Result<Interval, NoInterval>,
    /// Rows behind the value: those of the denominator.
    pub n_rows: u64,
    /// What an interval at another confidence is computed from, where it is more than the confusion matrix.
    pub evidence: Option<Evidence>,
}

/// The mean of one value a row.
pub(super) fn mean(moments: Moments, confidence: f64) -> Computed {
    if moments.n == 0 {
        return Computed::Undefined("no rows");
    }
    Computed::Value(Estimate {
        value: moments.mean,
        interval: moments.interval(confidence),
        n_rows: moments.n,
        evidence: Some(Evidence::Mean(moments)),
    })
}

/// `n_successes` of `n` rows, with its exact interval; `without_rows` is the reason where there are none.
pub(super) fn proportion(
    n_successes: u64,
    n: u64,
    confidence: f64,
    without_rows: &'static str,
) -> Computed {
    match clopper_pearson(n_successes, n, confidence) {
        Some(interval) => Computed::Value(Estimate {
            value: n_successes as f64 / n as f64,
            interval: Ok(interval),
            n_rows: n,
            evidence: Some(Evidence::Proportion { n_successes, n }),
        }),
        None => Computed::Undefined(without_rows),
    }
}
