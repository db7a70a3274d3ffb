//! What one metric came to: a value with its interval, or the reason why there is none.

use std::borrow::Cow;

use crate::measurement::Evidence;
use crate::statistics::{Interval, Moments, NoInterval, clopper_pearson, interval_of_group_sums};

/// What one metric came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Computed {
    /// It has a value.
    Value(Estimate),
    /// It has none here, for this reason, as a clause: `never predicted`.
    Undefined(Cow<'static, str>),
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

/// A metric without a value.
pub(super) fn undefined(reason: impl Into<Cow<'static, str>>) -> Computed {
    Computed::Undefined(reason.into())
}

/// The moments behind a value, which is their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spread {
    /// Of one number a row.
    Rows(Moments),
    /// Of one number a group of rows.
    Groups(Moments),
}

impl Spread {
    pub(super) const fn value(&self) -> f64 {
        match self {
            Self::Rows(moments) | Self::Groups(moments) => moments.mean,
        }
    }
}

/// A mean of a value a row, or what has such a spread.
pub(super) fn mean(spread: Spread, n_rows: u64, confidence: f64) -> Computed {
    let (interval, evidence) = match spread {
        Spread::Rows(moments) => (moments.interval(confidence), Evidence::Mean(moments)),
        Spread::Groups(moments) => (
            interval_of_group_sums(moments.mean, &moments, confidence),
            Evidence::Groups(moments),
        ),
    };
    Computed::Value(Estimate {
        value: spread.value(),
        interval,
        n_rows,
        evidence: Some(evidence),
    })
}

/// A value for which no interval is known to hold.
pub(super) fn without_interval(value: f64, n_rows: u64) -> Computed {
    Computed::Value(Estimate {
        value,
        interval: Err(NoInterval::NoMethod),
        n_rows,
        evidence: None,
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
        None => undefined(without_rows),
    }
}
