//! Metrics of ranked rows, as the catalog lists them: means over the groups that have a relevant row.

use super::estimate::{Computed, Spread, mean, proportion, undefined};
use super::metric::{Compute, Metric, Shown};
use super::ranking::Ranking;
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;
use crate::statistics::Moments;

const NO_RELEVANT: &str = "no group has a relevant row";

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    definition: &'static str,
    interval: &'static str,
    source: &'static str,
    compute: fn(&Ranking, f64) -> Computed,
) -> Metric {
    Metric {
        name,
        aliases,
        unit: Unit::Proportion,
        direction: Direction::HigherIsBetter,
        task: PredictionTask::Regression,
        definition,
        interval,
        source,
        range: (0.0, 1.0),
        shown: Shown::Headline,
        compute: Compute::Ranking(compute),
    }
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "ndcg",
        &["ndcg_score"],
        "Normalised discounted cumulative gain of the first k rows of each group, k of `[evaluate.ranking]`: the sum of the relevances, each over the binary logarithm of its place plus 1, as a share of the largest that an order can have; the mean over the groups that have a relevant row. Rows with equal scores share their places.",
        "skewness-corrected t of the value of each group",
        "K. Järvelin and J. Kekäläinen (2002), scikit-learn `ndcg_score`, which counts a group without relevant rows as 0",
        |ranking, confidence| of_groups(&ranking.ndcg, confidence),
    ),
    metric(
        "mrr",
        &["mean_reciprocal_rank"],
        "Mean reciprocal rank: 1 over the place of the first relevant row of each group, however far down; of rows with equal scores the mean over their orders.",
        "skewness-corrected t of the value of each group",
        "E. M. Voorhees (1999), \"The TREC-8 question answering track report\"",
        |ranking, confidence| of_groups(&ranking.mrr, confidence),
    ),
    metric(
        "hit_rate",
        &["hit_ratio", "recall_at_least_one"],
        "Share of the groups with a relevant row among the first k rows, k of `[evaluate.ranking]`; where rows with equal scores share the last places, the probability of it over their orders.",
        "Clopper–Pearson; with such ties, skewness-corrected t of the value of each group",
        "as in recommender systems; by definition",
        hit_rate,
    ),
];

fn of_groups(values: &[f64], confidence: f64) -> Computed {
    if values.is_empty() {
        return undefined(NO_RELEVANT);
    }
    let moments = Moments::of(values.iter().copied());
    mean(Spread::Rows(moments), moments.n, confidence)
}

fn hit_rate(ranking: &Ranking, confidence: f64) -> Computed {
    let hits = &ranking.hits;
    if hits.iter().all(|hit| *hit == 0.0 || *hit == 1.0) {
        let n_hits = hits.iter().filter(|hit| **hit == 1.0).count();
        return proportion(n_hits as u64, hits.len() as u64, confidence, NO_RELEVANT);
    }
    of_groups(hits, confidence)
}

/// The value of each group that the metric called `name` is the mean of.
pub(super) fn values_of<'a>(ranking: &'a Ranking, name: &str) -> Option<&'a [f64]> {
    match name {
        "ndcg" => Some(&ranking.ndcg),
        "mrr" => Some(&ranking.mrr),
        "hit_rate" => Some(&ranking.hits),
        _ => None,
    }
}
