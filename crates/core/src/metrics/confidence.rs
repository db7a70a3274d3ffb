//! The interval of a stored measurement at the confidence that a rule asks for, whatever it was stored with.

use super::estimate::Computed;
use super::matrix::Confusion;
use super::metric::Compute;
use super::tally::Tally;
use super::{catalog, regression};
use crate::figure::{RELATIVE_SLACK, percent};
use crate::measurement::{Evidence, Measurement};
use crate::statistics::{
    Interval, IntervalMethod, NoInterval, clopper_pearson, f1_interval, interval_of_group_sums,
};

/// Why there is no interval to judge by.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IntervalError {
    /// The rows are outside what the method can promise, as a clause.
    #[error("no interval holds here: {0}")]
    Unsupported(String),
    /// There is one at another level, and nothing to compute this one from.
    #[error("its interval is at {} %; set `[evaluate] confidence = {wanted}` to judge at that level", percent(*stored))]
    OtherLevel {
        /// The level that is stored.
        stored: f64,
        /// The level that is asked for.
        wanted: f64,
    },
    /// Another tool measured it without one.
    #[error("it has no interval to judge by")]
    None,
}

/// The interval of `measurement` at `confidence`: as stored, or computed anew from its evidence or from `confusion`.
pub fn interval_at(
    measurement: &Measurement,
    confusion: Option<&Confusion>,
    confidence: f64,
) -> Result<Interval, IntervalError> {
    let stored = measurement.interval;
    let is_at_level =
        |interval: &Interval| (interval.confidence - confidence).abs() < RELATIVE_SLACK;
    if let Some(interval) = stored.filter(is_at_level) {
        return Ok(interval);
    }
    let counted = catalog::counted(&measurement.key.metric);
    let unsupported = |reason: NoInterval| IntervalError::Unsupported(reason.over(counted));
    let metric = catalog::all().find(|metric| metric.name == measurement.key.metric);
    let clamped = |interval| catalog::within_range(&measurement.key.metric, interval);
    if let Some(evidence) = &measurement.evidence {
        let interval = of_evidence(evidence, confidence);
        return interval.map(clamped).map_err(unsupported);
    }
    let by_confusion = metric.and_then(|metric| match metric.compute {
        Compute::Confusion(compute) if measurement.key.is_overall() => Some(compute),
        _ => None,
    });
    // The matrix holds rows, so it says nothing of weighted or grouped ones.
    let is_of_rows = stored.is_some_and(|stored| {
        matches!(
            stored.method,
            IntervalMethod::Mover
                | IntervalMethod::ScaledClopperPearson
                | IntervalMethod::ClopperPearson
        )
    });
    if let (Some(compute), Some(confusion)) = (by_confusion, confusion.filter(|_| is_of_rows))
        && let Computed::Value(estimate) =
            compute(&Tally::plain(confusion.clone(), 1.0), confidence)
    {
        return estimate.interval.map(clamped).map_err(unsupported);
    }
    Err(match (stored, &measurement.no_interval) {
        (Some(stored), _) => IntervalError::OtherLevel {
            stored: stored.confidence,
            wanted: confidence,
        },
        (None, Some(reason)) => IntervalError::Unsupported(reason.clone()),
        (None, None) => IntervalError::None,
    })
}

fn of_evidence(evidence: &Evidence, confidence: f64) -> Result<Interval, NoInterval> {
    match *evidence {
        Evidence::Proportion { n_successes, n } => {
            clopper_pearson(n_successes, n, confidence).ok_or(NoInterval::NoRows)
        }
        Evidence::F1 {
            n_true_positives,
            n,
        } => {
            let n_errors = n.saturating_sub(n_true_positives);
            f1_interval(n_true_positives, n_errors, 0, confidence).ok_or(NoInterval::NoRows)
        }
        Evidence::Mean(moments) => moments.interval(confidence),
        Evidence::RootMean(moments) => moments.interval(confidence).map(regression::root),
        Evidence::Groups(moments) => interval_of_group_sums(moments.mean, &moments, confidence),
        Evidence::RocArea(roc) => roc.interval(confidence),
        Evidence::Folds(scores) => scores.interval(confidence),
    }
}
