//! What pods have answered since a moment, by the counters of their metrics pages.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use trainyard_core::canary::Requests;
use trainyard_core::statistics::Buckets;
use trainyard_net::in_one_line;

use crate::cluster::{Cluster, ClusterError};
use crate::metrics_text::{Sample, samples};
use crate::pods::{self, Pod};

/// What pods have answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arm {
    /// Requests for predictions.
    pub requests: Requests,
    /// Times to their answers, in seconds.
    pub durations: Buckets,
    /// The largest population stability index of inputs and predictions, where any is measured.
    pub drift: Option<f64>,
    /// Whether any of the models measures drift, be it of too few rows yet.
    pub measures_drift: bool,
    /// Pods whose metrics were read.
    pub n_pods: u32,
    /// Containers that were started again since the moment.
    pub n_restarts: u64,
    /// Whether the metrics of every pod were read in the last look.
    pub is_complete: bool,
}

/// Reads the metrics of the pods that a selector chooses, and keeps what they counted since the first look.
pub struct Observer<'a> {
    cluster: &'a Cluster,
    selector: String,
    /// Pods of another image belong to another deployment; none where another tool has brought them up.
    image: Option<String>,
    port: u16,
    /// Of the first look, in seconds since 1970.
    first_look_s: f64,
    is_complete: bool,
    /// By the pod's unique id. Pods that are gone stay: what they counted was answered.
    pods: BTreeMap<String, Watched>,
    has_looked: bool,
}

/// Counters of one page.
#[derive(Debug, Clone, PartialEq, Default)]
struct Counters {
    requests: Requests,
    /// Values at most each bound; the bound's bits, which order as positive numbers do.
    below: BTreeMap<u64, u64>,
    n_durations: u64,
    started_at: f64,
    drift: Option<f64>,
    measures_drift: bool,
}

#[derive(Debug, Clone, Default)]
struct Watched {
    /// What was counted before the first look.
    base: Counters,
    last: Counters,
    /// Of processes of this pod that have ended since.
    before_restarts: Vec<Counters>,
    first_restarts: u64,
    n_restarts: u64,
    is_there: bool,
}

impl<'a> Observer<'a> {
    /// Of the pods of `image` that `selector` chooses, whose server listens on `port`.
    pub const fn new(
        cluster: &'a Cluster,
        selector: String,
        image: Option<String>,
        port: u16,
    ) -> Self {
        Self {
            cluster,
            selector,
            image,
            port,
            first_look_s: 0.0,
            is_complete: false,
            pods: BTreeMap::new(),
            has_looked: false,
        }
    }

    /// Reads every page once. The first look is what all others are counted from.
    ///
    /// # Errors
    ///
    /// Where pods are there and the page of none could be read.
    pub async fn look(&mut self) -> Result<(), ClusterError> {
        if !self.has_looked {
            let since = UNIX_EPOCH.elapsed().unwrap_or_default();
            self.first_look_s = since.as_secs_f64();
        }
        let mut pods = pods::chosen_by(self.cluster, &self.selector).await?;
        let is_ours = |pod: &Pod| self.image.as_ref().is_none_or(|image| pod.image == *image);
        pods.retain(|pod| is_ours(pod) && !pod.is_ending);
        for pod in &pods {
            // Also of a pod that is down just now.
            if let Some(watched) = self.pods.get_mut(&pod.uid) {
                watched.n_restarts = pod.n_restarts;
            }
        }
        for watched in self.pods.values_mut() {
            watched.is_there = false;
        }
        let mut failed = None;
        let mut n_read = 0;
        for pod in pods.iter().filter(|pod| pod.is_ready) {
            let page = self
                .cluster
                .ask_pod(&pod.name, self.port, "/metrics", None)
                .await;
            let counters = match page {
                Ok(page) => Counters::read(&page),
                Err(error) => {
                    tracing::debug!("{}", in_one_line(&error));
                    failed = Some(error);
                    continue;
                }
            };
            let Some(counters) = counters else {
                failed = Some(ClusterError::Unreadable {
                    doing: format!("read the metrics of the pod `{}`", pod.name),
                    message: "it is not in Prometheus's text format".to_owned(),
                });
                continue;
            };
            n_read += 1;
            let is_first = !self.has_looked;
            let watched = self.pods.entry(pod.uid.clone()).or_insert_with(|| Watched {
                // Only a process that began later has answered all of it since.
                base: if is_first || counters.started_at < self.first_look_s {
                    counters.clone()
                } else {
                    Counters::default()
                },
                first_restarts: if is_first { pod.n_restarts } else { 0 },
                ..Watched::default()
            });
            watched.see(counters, pod.n_restarts);
        }
        self.is_complete = n_read == pods.len();
        match failed {
            Some(error) if n_read == 0 => Err(error),
            _ => {
                self.has_looked = true;
                Ok(())
            }
        }
    }

    /// Whether a pod is among those of both.
    pub(crate) fn shares_pods_with(&self, other: &Self) -> bool {
        self.pods.keys().any(|uid| other.pods.contains_key(uid))
    }

    /// What was answered since the first look.
    pub fn arm(&self) -> Arm {
        let mut arm = Arm {
            is_complete: self.is_complete,
            ..Arm::default()
        };
        let mut below: Option<BTreeMap<u64, u64>> = None;
        let mut n_durations = 0;
        for watched in self.pods.values() {
            let counted = watched.since_base();
            arm.requests.n += counted.requests.n;
            arm.requests.n_errors += counted.requests.n_errors;
            arm.n_restarts += watched.n_restarts - watched.first_restarts.min(watched.n_restarts);
            n_durations += counted.n_durations;
            below = Some(match below {
                None => counted.below,
                Some(so_far) => added(&so_far, &counted.below),
            });
            if watched.is_there {
                arm.n_pods += 1;
                arm.drift = larger(arm.drift, watched.last.drift);
                arm.measures_drift |= watched.last.measures_drift;
            }
        }
        arm.durations = in_buckets(&below.unwrap_or_default(), n_durations);
        arm
    }
}

impl Watched {
    fn see(&mut self, counters: Counters, n_restarts: u64) {
        let is_restarted =
            counters.started_at != self.last.started_at && self.last != Counters::default();
        if is_restarted {
            self.before_restarts.push(since(&self.last, &self.base));
            self.base = Counters::default();
        }
        self.last = counters;
        self.n_restarts = n_restarts;
        self.is_there = true;
    }

    fn since_base(&self) -> Counters {
        let mut sum = since(&self.last, &self.base);
        for earlier in &self.before_restarts {
            sum.requests.n += earlier.requests.n;
            sum.requests.n_errors += earlier.requests.n_errors;
            sum.n_durations += earlier.n_durations;
            sum.below = added(&sum.below, &earlier.below);
        }
        sum
    }
}

impl Arm {
    /// What was answered after `earlier`, a look at the same pods.
    pub(crate) fn durations_since(&self, earlier: &Self) -> Buckets {
        if earlier.durations.bounds != self.durations.bounds {
            // Nothing was counted then, or pods with other bounds have come.
            return self.durations.clone();
        }
        let counts = self.durations.counts.iter().zip(&earlier.durations.counts);
        Buckets {
            bounds: self.durations.bounds.clone(),
            counts: counts
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
        }
    }
}

fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

fn since(now: &Counters, base: &Counters) -> Counters {
    Counters {
        requests: Requests {
            n: now.requests.n.saturating_sub(base.requests.n),
            n_errors: now.requests.n_errors.saturating_sub(base.requests.n_errors),
        },
        below: (now.below.iter())
            .map(|(bound, n)| {
                (
                    *bound,
                    n.saturating_sub(base.below.get(bound).copied().unwrap_or(0)),
                )
            })
            .collect(),
        n_durations: now.n_durations.saturating_sub(base.n_durations),
        ..now.clone()
    }
}

/// By the bounds that both have: counts up to a bound stay true where finer ones are left out.
fn added(one: &BTreeMap<u64, u64>, other: &BTreeMap<u64, u64>) -> BTreeMap<u64, u64> {
    let common = one
        .iter()
        .filter_map(|(bound, n)| Some((*bound, n + other.get(bound)?)));
    common.collect()
}

fn in_buckets(below: &BTreeMap<u64, u64>, n: u64) -> Buckets {
    let mut buckets = Buckets::default();
    let mut so_far = 0;
    for (bound, n_below) in below {
        buckets.bounds.push(f64::from_bits(*bound));
        buckets.counts.push(n_below.saturating_sub(so_far));
        so_far = *n_below;
    }
    buckets.counts.push(n.saturating_sub(so_far));
    buckets
}

impl Counters {
    fn read(page: &str) -> Option<Self> {
        let mut counters = Self::default();
        for sample in samples(page)? {
            counters.add(&sample);
        }
        Some(counters)
    }

    fn add(&mut self, sample: &Sample<'_>) {
        let count = sample.value as u64;
        match sample.name {
            "trainyard_inference_requests_total" => {
                self.requests.n += count;
                if !sample
                    .label("code")
                    .is_some_and(|code| code.starts_with('2'))
                {
                    self.requests.n_errors += count;
                }
            }
            "trainyard_inference_duration_seconds_bucket" => {
                let bound: Option<f64> = sample.label("le").and_then(|le| le.parse().ok());
                if let Some(bound) = bound.filter(|bound| bound.is_finite() && *bound >= 0.0) {
                    *self.below.entry(bound.to_bits()).or_default() += count;
                }
            }
            "trainyard_inference_duration_seconds_count" => self.n_durations += count,
            "trainyard_input_drift_psi" | "trainyard_prediction_drift_psi" => {
                self.drift = larger(self.drift, Some(sample.value));
            }
            "trainyard_drift_rows" => self.measures_drift = true,
            "process_start_time_seconds" => self.started_at = sample.value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(started_at: u32, ok: u64, refused: u64) -> Counters {
        let text = format!(
            "trainyard_inference_requests_total{{model=\"m\",code=\"200\"}} {ok}\n\
             trainyard_inference_requests_total{{model=\"m\",code=\"400\"}} {refused}\n\
             trainyard_inference_duration_seconds_bucket{{model=\"m\",le=\"0.001\"}} {}\n\
             trainyard_inference_duration_seconds_bucket{{model=\"m\",le=\"0.01\"}} {ok}\n\
             trainyard_inference_duration_seconds_bucket{{model=\"m\",le=\"+Inf\"}} {ok}\n\
             trainyard_inference_duration_seconds_count{{model=\"m\"}} {ok}\n\
             trainyard_input_drift_psi{{model=\"m\",feature=\"a\"}} 0.1\n\
             trainyard_prediction_drift_psi{{model=\"m\"}} 0.3\n\
             process_start_time_seconds {started_at}\n",
            ok / 2
        );
        Counters::read(&text).unwrap()
    }

    fn observed(looks: &[(u32, u64, u64)]) -> Counters {
        let mut watched = Watched {
            base: page(looks[0].0, looks[0].1, looks[0].2),
            ..Watched::default()
        };
        for &(started_at, ok, refused) in looks {
            watched.see(page(started_at, ok, refused), 0);
        }
        watched.since_base()
    }

    #[test]
    fn what_was_counted_before_is_left_out() {
        let counted = observed(&[(1, 100, 10), (1, 150, 11)]);
        assert_eq!(counted.requests, Requests { n: 51, n_errors: 1 });
        let buckets = in_buckets(&counted.below, counted.n_durations);
        assert_eq!(
            buckets,
            Buckets {
                bounds: vec![0.001, 0.01],
                counts: vec![25, 25, 0]
            }
        );
        assert_eq!(counted.drift, Some(0.3));
    }

    #[test]
    fn a_restart_loses_nothing_and_counts_nothing_twice() {
        // Fifty, then a new process with eighty.
        let counted = observed(&[(1, 100, 0), (1, 150, 0), (2, 30, 0), (2, 80, 0)]);
        assert_eq!(counted.requests.n, 130);
        assert_eq!(counted.n_durations, 130);
    }

    #[test]
    fn pods_with_other_bounds_are_added_by_those_that_both_have() {
        let coarse: BTreeMap<u64, u64> = [(0.01_f64.to_bits(), 5)].into();
        let fine: BTreeMap<u64, u64> = [(0.001_f64.to_bits(), 1), (0.01_f64.to_bits(), 3)].into();
        assert_eq!(added(&coarse, &fine), [(0.01_f64.to_bits(), 8)].into());
    }
}
