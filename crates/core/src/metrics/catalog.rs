//! The metric catalog: what each metric is called, counts and means, and how it is computed.
//!
//! Reference page, configuration checks, spelling hints, directions of known names and what `evaluate` computes all come
//! from here. A new metric is one entry and one function in the file of its family.

use super::metric::{Compute, Metric, Shown};
use super::{
    agreement, confusion, curves_metrics, known, probability_metrics, quantile_metrics,
    ranking_metrics, regression_metrics, set_metrics,
};
use crate::measurement::Direction;
use crate::statistics::Interval;

/// Every metric, by family.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [
        confusion::METRICS,
        agreement::METRICS,
        probability_metrics::METRICS,
        curves_metrics::METRICS,
        set_metrics::METRICS,
        regression_metrics::METRICS,
        quantile_metrics::METRICS,
        ranking_metrics::METRICS,
        known::METRICS,
    ]
    .into_iter()
    .flatten()
}

/// The part of `interval` that the metric called `name` can reach; all of it where the catalog has no such metric.
pub fn within_range(name: &str, interval: Interval) -> Interval {
    let metric = all().find(|metric| metric.name == name);
    metric.map_or(interval, |metric| metric.within_range(interval))
}

/// Every metric, those of every report first.
pub fn by_importance() -> impl Iterator<Item = &'static Metric> {
    [Shown::Headline, Shown::Details]
        .into_iter()
        .flat_map(|shown| all().filter(move |metric| metric.shown == shown))
}

/// The metric that another tool's file calls `name`: its last part, without the name of a data split, by name or alias.
///
/// `test/f1_score` is `f1`; where two tasks share a name, such as `loss`, the first is found. The negative of a metric is not
/// that metric: see [`find_negated`].
pub fn find(name: &str) -> Option<&'static Metric> {
    let found = find_last_part(name)?;
    let is_negated = found.direction == Direction::LowerIsBetter && has_negated_part(name);
    (!is_negated).then_some(found)
}

/// The metric whose negative another tool's file calls `name`: scikit-learn's scorers are higher-is-better throughout, so
/// that `neg_log_loss`, or `neg.log_loss` where it is nested, is the log loss with the other sign.
///
/// Only of metrics of which a lower value is better: `neg.recall` is the recall of a class `neg`.
pub fn find_negated(name: &str) -> Option<&'static Metric> {
    let (before, last) = match name.rfind(['/', '.']) {
        Some(at) => name.split_at(at + 1),
        None => ("", name),
    };
    let found = match without_negation(last) {
        Some(rest) => find_last_part(&format!("{before}{rest}")),
        None if has_negated_part(name) => find_last_part(name),
        None => None,
    };
    found.filter(|metric| metric.direction == Direction::LowerIsBetter)
}

/// Names of data splits that tools put before a metric's.
const SPLITS: [&str; 4] = ["val_", "test_", "train_", "eval_"];

const NEGATIONS: [&str; 2] = ["neg", "negative"];

/// Whether one of the parts before the last says that the value is the metric's negative.
fn has_negated_part(name: &str) -> bool {
    let mut parts = name.rsplit(['/', '.']);
    parts.next();
    parts.any(|part| {
        let part = part.to_ascii_lowercase();
        NEGATIONS.contains(&part.as_str())
    })
}

/// `log_loss` of `neg_log_loss` and `test_neg_log_loss`.
fn without_negation(part: &str) -> Option<String> {
    let part = part.to_ascii_lowercase();
    let split = SPLITS.iter().find(|split| part.starts_with(**split));
    let bare = split.map_or(part.as_str(), |split| &part[split.len()..]);
    let rest = NEGATIONS
        .iter()
        .find_map(|negation| bare.strip_prefix(negation)?.strip_prefix(['_', '-']))?;
    Some(rest.to_owned())
}

fn find_last_part(name: &str) -> Option<&'static Metric> {
    // `ndcg@10`, `pinball_loss@0.1`: at which place or quantile is not its name.
    let at_number = name
        .rsplit_once('@')
        .filter(|(_, at)| at.parse::<f64>().is_ok());
    let name = at_number.map_or(name, |(name, _)| name);
    let last = name.rsplit(['/', '.']).next().unwrap_or(name);
    let last = last.to_ascii_lowercase();
    let bare = SPLITS
        .iter()
        .find_map(|split| last.strip_prefix(split))
        .unwrap_or(&last);
    let is_called = |metric: &&Metric| metric.name == bare || metric.aliases.contains(&bare);
    all().find(is_called).or_else(|| {
        // An average of a metric of classes has its unit and direction.
        let base = ["_macro", "_micro", "_weighted"]
            .iter()
            .find_map(|average| bare.strip_suffix(average))?;
        all().find(|metric| metric.name == base || metric.aliases.contains(&base))
    })
}

/// What a value of the metric called `name` is counted over: `row`, or `group` for metrics of ranked rows.
pub fn counted(name: &str) -> &'static str {
    let metric = all().find(|metric| metric.name == name);
    match metric.map(|metric| metric.compute) {
        Some(Compute::Ranking(_)) => "group",
        _ => "row",
    }
}

/// Whether every report shows the metric called `name`: also one that the catalog does not know, which another tool found worth writing.
pub fn is_headline(name: &str) -> bool {
    all()
        .find(|metric| metric.name == name)
        .is_none_or(|metric| metric.shown == Shown::Headline)
}

/// Whether every report shows the metric called `name` of each class: also one that the catalog does not know.
pub fn is_headline_of_class(name: &str) -> bool {
    let is_called = |metric: &&Metric| metric.name == name;
    let of_class = |metric: &Metric| metric.is_of_class() && metric.shown == Shown::Headline;
    all().filter(is_called).any(of_class) || all().filter(is_called).count() == 0
}

/// Which way `name` is better, where the catalog knows it.
pub fn direction(name: &str) -> Option<Direction> {
    find(name)
        .map(|metric| metric.direction)
        .or_else(|| find_negated(name).map(|_| Direction::HigherIsBetter))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::prediction_task::PredictionTask;

    #[test]
    fn known_names_are_found_however_tools_write_them() {
        use Direction::{HigherIsBetter, LowerIsBetter};
        for (name, expected) in [
            ("accuracy", Some(HigherIsBetter)),
            ("val_accuracy", Some(HigherIsBetter)),
            ("test/f1_score", Some(HigherIsBetter)),
            ("metrics.AUC", Some(HigherIsBetter)),
            ("precision_micro", Some(HigherIsBetter)),
            ("rmse", Some(LowerIsBetter)),
            ("eval_loss", Some(LowerIsBetter)),
            ("val_ndcg@10", Some(HigherIsBetter)),
            ("test/pinball_loss@0.1", Some(LowerIsBetter)),
            ("latency_ms", None),
            // scikit-learn's scorers.
            ("neg_log_loss", Some(HigherIsBetter)),
            ("test_neg_mean_squared_error", Some(HigherIsBetter)),
            ("neg.log_loss", Some(HigherIsBetter)),
            ("cv/neg/rmse", Some(HigherIsBetter)),
            // A class that is called so, as `classification_report` nests them.
            ("neg.recall", Some(HigherIsBetter)),
            ("negligible_log_loss", None),
        ] {
            assert_eq!(direction(name), expected, "{name}");
        }
    }

    #[test]
    fn a_name_means_one_metric_of_a_task() {
        for (task, is_of_class) in [
            (PredictionTask::Classification, None),
            (PredictionTask::Multilabel, Some(false)),
            (PredictionTask::Multilabel, Some(true)),
            (PredictionTask::Regression, None),
        ] {
            let mut seen = BTreeSet::new();
            // Of multilabel rows, a metric of a class and its average over the classes are two entries.
            let is_it = |metric: &&Metric| {
                metric.task == task && is_of_class.is_none_or(|is| metric.is_of_class() == is)
            };
            for metric in all().filter(is_it) {
                for name in metric.aliases.iter().chain([&metric.name]) {
                    assert!(seen.insert(*name), "`{name}` is there twice");
                }
            }
        }
    }

    #[test]
    fn every_computed_metric_says_what_it_is_and_where_from() {
        for metric in all() {
            let is_computed = !matches!(metric.compute, Compute::Elsewhere);
            assert!(!metric.definition.is_empty(), "{}", metric.name);
            assert_eq!(!metric.interval.is_empty(), is_computed, "{}", metric.name);
            assert_eq!(!metric.source.is_empty(), is_computed, "{}", metric.name);
        }
    }
}
