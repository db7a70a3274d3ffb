//! What the metrics of a canary and of the stable pods beside it prove: counts in, findings and a decision out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::CanaryConfig;
use crate::figure::{count, figure, percent};
use crate::statistics::{Buckets, proportion_sequence, requests_to_prove};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryMetric {
    /// Answers to the held-out sample.
    Parity,
    /// Requests that were not answered as asked, of all: statuses other than 2xx.
    ErrorRate,
    /// A quantile of the time to the answer, in seconds.
    Latency,
    /// Population stability index of inputs and predictions against training.
    Drift,
}

/// What was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The canary is within the limit.
    WithinLimit,
    /// The canary is beyond the limit.
    BeyondLimit,
    /// Neither.
    Open,
}

/// One metric of both, and what that proves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryFinding {
    /// What was compared.
    pub metric: CanaryMetric,
    /// What that shows.
    pub proof: Proof,
    /// Of the stable pods, where it was measured.
    pub stable: Option<f64>,
    /// Of the canary, where it was measured.
    pub canary: Option<f64>,
    /// In words, with numbers, interval and limit.
    pub reason: String,
}

/// Requests of one arm and how many of them went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// All.
    pub n: u64,
    /// Not answered with 2xx.
    pub n_errors: u64,
}

/// What becomes of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryDecision {
    /// It takes the place of the stable pods.
    Promote,
    /// It goes.
    RollBack,
    /// It stays where it is, until a person decides or more is known.
    Hold,
}

/// The decision by all findings: beyond any limit it goes, within all it is promoted.
pub fn decide(findings: &[CanaryFinding]) -> CanaryDecision {
    let any = |proof| findings.iter().any(|finding| finding.proof == proof);
    if any(Proof::BeyondLimit) {
        CanaryDecision::RollBack
    } else if findings.is_empty() || any(Proof::Open) {
        CanaryDecision::Hold
    } else {
        CanaryDecision::Promote
    }
}

/// Compares error rates over all requests so far; may be asked at any time and any number of times.
///
/// The difference lies within the ends of the two confidence sequences, each at half of 1 − `confidence`.
pub fn error_rate(config: &CanaryConfig, stable: Requests, canary: Requests) -> CanaryFinding {
    let limit = config.max_error_increase;
    let alpha = (1.0 - config.confidence) / 2.0;
    let of = |arm: Requests| proportion_sequence(arm.n_errors.min(arm.n), arm.n, alpha);
    let (stable_ends, canary_ends) = (of(stable), of(canary));
    let lower = canary_ends.lower - stable_ends.upper;
    let upper = canary_ends.upper - stable_ends.lower;
    let n_least = stable.n.min(canary.n);
    let rate = |arm: Requests| (arm.n > 0).then(|| arm.n_errors as f64 / arm.n as f64);
    let proof = if n_least < config.min_requests {
        Proof::Open
    } else if lower > limit {
        Proof::BeyondLimit
    } else if upper <= limit {
        Proof::WithinLimit
    } else {
        Proof::Open
    };
    let measured = |arm: Requests| {
        rate(arm).map_or_else(
            || "no requests yet".to_owned(),
            |rate| format!("{} % of {}", percent(rate), count(arm.n, "request")),
        )
    };
    let why = if n_least < config.min_requests {
        let n = config.min_requests;
        format!("; `min_requests` asks for {n} of each")
    } else {
        format!(
            "; the difference is between {} and {} percentage points, the limit is {}",
            figure(100.0 * lower),
            figure(100.0 * upper),
            figure(100.0 * limit)
        )
    };
    CanaryFinding {
        metric: CanaryMetric::ErrorRate,
        proof,
        stable: rate(stable),
        canary: rate(canary),
        reason: format!(
            "errors: {} to the canary, {} to the stable pods{why}",
            measured(canary),
            measured(stable)
        ),
    }
}

/// Compares a quantile of the latency; each call is a look, of which the configuration has one a step.
pub fn latency(config: &CanaryConfig, stable: &Buckets, canary: &Buckets) -> CanaryFinding {
    let quantile = config.latency_quantile;
    let factor = 1.0 + config.max_latency_increase_pct / 100.0;
    let alpha = (1.0 - config.confidence) / config.steps.len() as f64 / 2.0;
    let name = format!("{} % quantile of the latency", percent(quantile));
    let finding = |proof, stable, canary, reason| CanaryFinding {
        metric: CanaryMetric::Latency,
        proof,
        stable,
        canary,
        reason,
    };
    if stable.bounds != canary.bounds {
        let reason = format!(
            "{name}: the histograms have different buckets, as servers of different releases do; `--no-canary` rolls out once without"
        );
        return finding(Proof::Open, None, None, reason);
    }
    let of = |arm: &Buckets| arm.quantile(quantile, alpha);
    let (Some((stable_at, stable_ends)), Some((canary_at, canary_ends))) = (of(stable), of(canary))
    else {
        let reason = format!(
            "{name}: too few answers ({} of the canary, {} of the stable pods), or slower than the histogram measures",
            canary.n(),
            stable.n()
        );
        return finding(Proof::Open, None, None, reason);
    };
    let lower = canary_ends.lower / stable_ends.upper - 1.0;
    let upper = canary_ends.upper / stable_ends.lower - 1.0;
    let proof = if canary_ends.lower > factor * stable_ends.upper {
        Proof::BeyondLimit
    } else if canary_ends.upper <= factor * stable_ends.lower {
        Proof::WithinLimit
    } else {
        Proof::Open
    };
    let milliseconds = |seconds: f64| figure(1000.0 * seconds);
    let reason = format!(
        "{name}: {} ms for the canary, {} ms for the stable pods; the change is between {} % and {} %, the limit is {} %",
        milliseconds(canary_at),
        milliseconds(stable_at),
        figure(100.0 * lower),
        figure(100.0 * upper),
        figure(config.max_latency_increase_pct)
    );
    finding(proof, Some(stable_at), Some(canary_at), reason)
}

/// Compares the largest drift of inputs and predictions; `None` where too few rows were counted, or the model has no summaries of its
/// training. `is_measured` says whether either model has.
///
/// The same traffic reaches both, so what drifts alike is the traffic's.
pub fn drift(
    config: &CanaryConfig,
    stable: Option<f64>,
    canary: Option<f64>,
    is_measured: bool,
) -> CanaryFinding {
    let limit = config.max_drift_increase;
    let proof = match (stable, canary) {
        // Neither model was trained with summaries to compare with.
        (None, None) if !is_measured => Proof::WithinLimit,
        (Some(stable), Some(canary)) if canary - stable <= limit => Proof::WithinLimit,
        (Some(_), Some(_)) => Proof::BeyondLimit,
        (None, _) | (_, None) => Proof::Open,
    };
    let measured = |drift: Option<f64>| drift.map_or_else(|| "not measured".to_owned(), figure);
    CanaryFinding {
        metric: CanaryMetric::Drift,
        proof,
        stable,
        canary,
        reason: format!(
            "drift from training: {} for the canary, {} for the stable pods; the limit of the increase is {}",
            measured(canary),
            measured(stable),
            figure(limit)
        ),
    }
}

/// What the settings can show, in words: said before anything begins.
pub fn detectable(config: &CanaryConfig) -> String {
    let alpha = 1.0 - config.confidence;
    let n = requests_to_prove(config.max_error_increase, alpha).max(config.min_requests);
    format!(
        "without any error, {n} requests to each prove an error rate at most {} percentage points above the stable one, at {} % confidence; \
         errors on both sides take more",
        figure(100.0 * config.max_error_increase),
        percent(config.confidence)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> CanaryConfig {
        CanaryConfig {
            min_requests: 500,
            ..CanaryConfig::default()
        }
    }

    fn requests(n: u64, n_errors: u64) -> Requests {
        Requests { n, n_errors }
    }

    #[test]
    fn few_requests_prove_nothing_however_bad_they_are() {
        let found = error_rate(&config(), requests(1000, 0), requests(499, 499));
        assert_eq!(found.proof, Proof::Open);
        assert!(
            found.reason.contains("`min_requests` asks for 500"),
            "{}",
            found.reason
        );
        assert_eq!(
            error_rate(&config(), Requests::default(), requests(9000, 0)).proof,
            Proof::Open
        );
    }

    #[test]
    fn error_rates_are_within_beyond_or_open() {
        let of = |stable, canary| error_rate(&config(), stable, canary).proof;
        assert_eq!(of(requests(2000, 0), requests(2000, 0)), Proof::WithinLimit);
        assert_eq!(of(requests(500, 0), requests(500, 0)), Proof::Open);
        assert_eq!(
            of(requests(2000, 10), requests(2000, 200)),
            Proof::BeyondLimit
        );
        // Both err alike: at this number, a difference of one point cannot be ruled out.
        assert_eq!(of(requests(2000, 100), requests(2000, 100)), Proof::Open);
        // A canary that errs less is within the limit.
        assert_eq!(
            of(requests(2000, 200), requests(2000, 0)),
            Proof::WithinLimit
        );
    }

    fn buckets(counts: [u64; 4]) -> Buckets {
        Buckets {
            bounds: vec![0.001, 0.0015, 0.0025],
            counts: counts.to_vec(),
        }
    }

    #[test]
    fn latencies_are_within_beyond_or_open() {
        let of = |stable, canary| latency(&config(), &buckets(stable), &buckets(canary)).proof;
        assert_eq!(
            of([9000, 1000, 0, 0], [9000, 1000, 0, 0]),
            Proof::WithinLimit
        );
        assert_eq!(
            of([9000, 1000, 0, 0], [1000, 1000, 8000, 0]),
            Proof::BeyondLimit
        );
        assert_eq!(of([90, 10, 0, 0], [90, 10, 0, 0]), Proof::Open);
        let mut coarse = buckets([9000, 1000, 0, 0]);
        coarse.bounds[0] = 0.000_5;
        let other = latency(&config(), &coarse, &buckets([9000, 1000, 0, 0]));
        assert_eq!(other.proof, Proof::Open);
        // Nothing is known of what lies above the last bound.
        assert_eq!(of([9000, 1000, 0, 0], [0, 0, 0, 10000]), Proof::Open);
    }

    #[test]
    fn drift_of_the_canary_alone_is_the_canarys() {
        let of = |stable, canary| drift(&config(), stable, canary, true).proof;
        assert_eq!(of(Some(0.1), Some(0.2)), Proof::WithinLimit);
        assert_eq!(of(Some(0.1), Some(0.5)), Proof::BeyondLimit);
        // The traffic drifts, for both.
        assert_eq!(of(Some(6.0), Some(6.1)), Proof::WithinLimit);
        assert_eq!(of(None, Some(0.5)), Proof::Open);
        assert_eq!(of(Some(0.1), None), Proof::Open);
        // Too few rows on both sides prove nothing; models without summaries have no drift to prove.
        assert_eq!(of(None, None), Proof::Open);
        assert_eq!(
            drift(&config(), None, None, false).proof,
            Proof::WithinLimit
        );
    }

    #[test]
    fn one_proof_against_it_outweighs_all_for_it() {
        let finding = |proof| CanaryFinding {
            metric: CanaryMetric::ErrorRate,
            proof,
            stable: None,
            canary: None,
            reason: String::new(),
        };
        let of =
            |proofs: &[Proof]| decide(&proofs.iter().map(|&it| finding(it)).collect::<Vec<_>>());
        assert_eq!(
            of(&[Proof::WithinLimit, Proof::BeyondLimit, Proof::Open]),
            CanaryDecision::RollBack
        );
        assert_eq!(of(&[Proof::WithinLimit, Proof::Open]), CanaryDecision::Hold);
        assert_eq!(of(&[Proof::WithinLimit; 2]), CanaryDecision::Promote);
        assert_eq!(of(&[]), CanaryDecision::Hold);
    }
}
