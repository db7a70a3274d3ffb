//! A canary: the new image beside the stable one, with a growing share of the traffic, promoted only on proof.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use trainyard_core::canary::{
    CanaryDecision, CanaryFinding, CanaryMetric, Proof, decide, drift, error_rate, latency,
};
use trainyard_core::config::CanaryConfig;
use trainyard_core::deployment::CanaryStep;
use trainyard_core::figure::count;
use trainyard_core::held_out_sample::HeldOutSample;
use trainyard_net::in_one_line;

use crate::cluster::{Apply, Cluster, ClusterError};
use crate::manifest::{App, DEPLOYMENT, SERVICE, TRACK, Track, image_of};
use crate::observe::{Arm, Observer};
use crate::release::{Plan, ReleaseOutcome};
use crate::rollout::{Rolled, Rollout};
use crate::{parity, route};

/// A canary of an app.
pub struct Canary<'a> {
    /// Where it runs.
    pub cluster: &'a Cluster,
    /// What is to take the stable image's place.
    pub app: &'a App,
    /// `[deploy.canary]`.
    pub config: &'a CanaryConfig,
    /// What parity is checked on.
    pub sample: Option<&'a HeldOutSample>,
}

/// What became of a canary.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryOutcome {
    /// What followed.
    pub decision: CanaryDecision,
    /// Why, in words.
    pub reason: String,
    /// The steps, as far as it came.
    pub steps: Vec<CanaryStep>,
    /// Of what followed: the stable image was replaced, or the canary taken away.
    pub release: Option<ReleaseOutcome>,
}

/// Both arms of a comparison.
struct Arms<'a> {
    stable: Observer<'a>,
    canary: Observer<'a>,
}

/// How a step ends.
struct Step {
    findings: Vec<CanaryFinding>,
    decision: Option<CanaryDecision>,
    reason: String,
}

impl Canary<'_> {
    /// Starts the canary, observes it step by step and does what the proof says. `plan` is what promotion applies.
    pub async fn run(&self, plan: &Plan<'_>) -> Result<CanaryOutcome, ClusterError> {
        let mut steps = Vec::new();
        let outcome = self.observe(plan, &mut steps).await;
        let (decision, reason) = match outcome {
            Ok(decided) => decided,
            // The canary that is there now is of another run.
            Err(ClusterError::Superseded(by)) => {
                return Ok(CanaryOutcome {
                    decision: CanaryDecision::Hold,
                    reason: by.clone(),
                    steps,
                    release: Some(ReleaseOutcome::Superseded(by)),
                });
            }
            Err(error @ ClusterError::Foreign { .. }) => return Err(error),
            Err(error) => {
                // What cannot be observed is never promoted; the canary may be as broken as the way to it.
                tracing::warn!("the canary cannot be observed: {}", in_one_line(&error));
                self.remove().await?;
                return Err(error);
            }
        };
        let release = match decision {
            CanaryDecision::Hold => None,
            CanaryDecision::Promote => {
                let image = self.image().await?;
                if image.as_ref() != Some(&self.app.image) {
                    let by = image.unwrap_or_else(|| "no canary any more".to_owned());
                    return Ok(CanaryOutcome {
                        decision: CanaryDecision::Hold,
                        reason: by.clone(),
                        steps,
                        release: Some(ReleaseOutcome::Superseded(by)),
                    });
                }
                tracing::info!("promoting the canary: {reason}");
                Some(self.promote(plan).await?)
            }
            CanaryDecision::RollBack => {
                tracing::warn!("removing the canary: {reason}");
                Some(match self.remove().await {
                    Ok(_) => ReleaseOutcome::RolledBack(reason.clone()),
                    Err(error) => ReleaseOutcome::RollbackFailed(format!(
                        "{reason}; the canary could not be removed: {}",
                        in_one_line(&error)
                    )),
                })
            }
        };
        Ok(CanaryOutcome {
            decision,
            reason,
            steps,
            release,
        })
    }

    /// Replaces the stable image, and then takes the canary away.
    pub async fn promote(&self, plan: &Plan<'_>) -> Result<ReleaseOutcome, ClusterError> {
        let outcome = plan.release(self.sample).await?;
        if !matches!(outcome, ReleaseOutcome::Superseded(_)) {
            self.remove().await?;
        }
        Ok(outcome)
    }

    /// Takes the canary away, after the traffic that goes to it by a route. `false` where there was none.
    pub async fn remove(&self) -> Result<bool, ClusterError> {
        let name = self.app.deployment_name(Track::Canary);
        if self.image().await?.is_none() {
            return Ok(false);
        }
        match self.send(0.0).await {
            // There is no such route, so nothing goes to the canary by it.
            Err(error) if error.status() == Some(404) => {
                tracing::warn!("{}", in_one_line(&error));
            }
            sent => sent?,
        }
        let was_there = self.cluster.delete(DEPLOYMENT, &name).await?;
        if self.app.route().is_some() {
            self.cluster.delete(SERVICE, &name).await?;
        }
        if was_there {
            tracing::info!("removed Deployment `{name}`");
        }
        Ok(was_there)
    }

    /// The image of the canary that is there.
    ///
    /// # Errors
    ///
    /// Where a Deployment of its name is there that is not ours.
    pub async fn image(&self) -> Result<Option<String>, ClusterError> {
        let name = self.app.deployment_name(Track::Canary);
        let Some(found) = self.cluster.get(DEPLOYMENT, &name).await? else {
            return Ok(None);
        };
        let has = |key: &str, value: &str| found["metadata"]["labels"][key] == value;
        let is_ours = has("app.kubernetes.io/managed-by", "trainyard")
            && has("app.kubernetes.io/instance", &self.app.name)
            && has(TRACK, Track::Canary.label());
        if !is_ours {
            return Err(ClusterError::Foreign {
                object: format!("{DEPLOYMENT} `{name}`"),
            });
        }
        Ok(Some(image_of(&found).unwrap_or_default().to_owned()))
    }

    async fn observe(
        &self,
        plan: &Plan<'_>,
        steps: &mut Vec<CanaryStep>,
    ) -> Result<(CanaryDecision, String), ClusterError> {
        let n_stable = plan.n_available();
        let end = Instant::now() + Duration::from_secs(self.config.timeout_s.into());
        let mut arms = None;
        let mut of_parity = None;
        let n_steps = self.config.steps.len();
        for (idx, &share_pct) in self.config.steps.iter().enumerate() {
            let n_canary = n_pods(share_pct, n_stable, self.app.route().is_some());
            if let Err(reason) = self.scale(n_canary).await? {
                return Ok((CanaryDecision::RollBack, reason));
            }
            if let Some(sample) = self.sample.filter(|_| of_parity.is_none()) {
                let selector = self.app.selector(Track::Canary);
                match parity::check(self.cluster, self.app, &selector, sample).await? {
                    Err(reason) => {
                        steps.push(CanaryStep {
                            share_pct,
                            n_canary_pods: n_canary,
                            n_stable_pods: n_stable,
                            canary: trainyard_core::canary::Requests::default(),
                            stable: trainyard_core::canary::Requests::default(),
                            findings: vec![finding(Proof::BeyondLimit, reason.clone())],
                            decision: CanaryDecision::RollBack,
                        });
                        return Ok((CanaryDecision::RollBack, reason));
                    }
                    Ok(n) => {
                        let pods = count(n as u64, "pod");
                        let rows = count(sample.n_rows as u64, "held-out row");
                        let text = format!("{pods} answered {rows} as the evaluated model did");
                        of_parity = Some(finding(Proof::WithinLimit, text));
                    }
                }
            }
            self.send(share_pct).await?;
            tracing::info!(
                "step {} of {n_steps}: {share_pct} % of the traffic; {} of the canary beside {n_stable} stable ones",
                idx + 1,
                count(n_canary, "pod")
            );
            // After parity, whose requests are no traffic.
            let arms = match &mut arms {
                Some(arms) => arms,
                none => none.insert(self.arms(plan).await?),
            };
            let is_last = idx + 1 == n_steps;
            let step = arms
                .decide(self.config, of_parity.as_ref(), is_last, end)
                .await?;
            let decision = step.decision;
            steps.push(CanaryStep {
                share_pct,
                n_canary_pods: n_canary,
                n_stable_pods: n_stable,
                canary: arms.canary.arm().requests,
                stable: arms.stable.arm().requests,
                findings: step.findings,
                // A step that is over without proof against it leads to the next.
                decision: decision.unwrap_or(CanaryDecision::Promote),
            });
            if let Some(decision) = decision {
                return Ok((decision, step.reason));
            }
        }
        unreachable!("the last step decides")
    }

    async fn arms(&self, plan: &Plan<'_>) -> Result<Arms<'_>, ClusterError> {
        let of = |track, image: Option<&str>| {
            let image = image.map(str::to_owned);
            Observer::new(self.cluster, self.app.selector(track), image, self.app.port)
        };
        let stable = of(Track::Stable, plan.previous_image());
        Arms::begin(stable, of(Track::Canary, Some(&self.app.image))).await
    }

    /// Brings the canary to so many pods. The inner error says why it did not get ready.
    async fn scale(&self, n: u32) -> Result<Result<(), String>, ClusterError> {
        // Not over an object of others.
        self.image().await?;
        let deployment = self.app.deployment(Track::Canary, Some(n));
        self.cluster
            .apply(DEPLOYMENT, &deployment.value, Apply::FORCED)
            .await?;
        if self.app.route().is_some() {
            let service = self.app.canary_service();
            self.cluster
                .apply(SERVICE, &service.value, Apply::FORCED)
                .await?;
        }
        let selector = self.app.selector(Track::Canary);
        let rollout = Rollout {
            name: deployment.name(),
            selector: &selector,
            image: &self.app.image,
            timeout: Duration::from_secs(self.app.config.timeout_s.into()),
        };
        Ok(match rollout.wait(self.cluster).await? {
            Rolled::Ready => Ok(()),
            Rolled::Failed(reason) => Err(format!("the canary did not get ready: {reason}")),
            Rolled::Superseded(by) => return Err(ClusterError::Superseded(by)),
        })
    }

    /// Sends so many percent of the traffic to the canary, where a route splits it.
    async fn send(&self, share_pct: f64) -> Result<(), ClusterError> {
        let Some(name) = self.app.route() else {
            return Ok(());
        };
        let canary = self.app.deployment_name(Track::Canary);
        route::split(
            self.cluster,
            name,
            &self.app.name,
            &canary,
            self.app.config.service_port,
            share_pct,
        )
        .await
    }
}

fn finding(proof: Proof, reason: String) -> CanaryFinding {
    CanaryFinding {
        metric: CanaryMetric::Parity,
        proof,
        stable: None,
        canary: None,
        reason,
    }
}

/// Pods of the canary for a share: by their number among all pods, or where a route splits the traffic, as many as carry it.
fn n_pods(share_pct: f64, n_stable: u32, has_route: bool) -> u32 {
    let share = share_pct / 100.0;
    let wanted = match has_route {
        true => (share * f64::from(n_stable)).ceil(),
        false => (share / (1.0 - share) * f64::from(n_stable)).round(),
    };
    (wanted as u32).max(1)
}

/// Compares two sets of pods that serve side by side, without changing anything: a step of another tool's rollout.
pub async fn analyse(
    config: &CanaryConfig,
    stable: Observer<'_>,
    canary: Observer<'_>,
) -> Result<(CanaryDecision, String, Vec<CanaryFinding>), ClusterError> {
    let config = CanaryConfig {
        // One look, with all of the error probability.
        steps: vec![50.0],
        ..config.clone()
    };
    let end = Instant::now() + Duration::from_secs(config.timeout_s.into());
    let mut arms = Arms::begin(stable, canary).await?;
    let step = arms.decide(&config, None, true, end).await?;
    let decision = step.decision.expect("the last step decides");
    Ok((decision, step.reason, step.findings))
}

impl<'a> Arms<'a> {
    async fn begin(
        mut stable: Observer<'a>,
        mut canary: Observer<'a>,
    ) -> Result<Self, ClusterError> {
        stable.look().await?;
        canary.look().await?;
        if stable.shares_pods_with(&canary) {
            return Err(ClusterError::Overlap);
        }
        Ok(Self { stable, canary })
    }

    /// Looks until this step is over: something is proven, or enough was answered for the next step. `None` leads to the next.
    async fn decide(
        &mut self,
        config: &CanaryConfig,
        of_parity: Option<&CanaryFinding>,
        is_last: bool,
        end: Instant,
    ) -> Result<Step, ClusterError> {
        let (first_stable, first_canary) = (self.stable.arm(), self.canary.arm());
        let mut said: Vec<String> = of_parity.iter().map(|it| it.reason.clone()).collect();
        loop {
            sleep(Duration::from_secs(config.interval_s.into())).await;
            let is_over = Instant::now() >= end;
            for observer in [&mut self.stable, &mut self.canary] {
                match observer.look().await {
                    Err(error) if !error.is_transient() || is_over => return Err(error),
                    Err(error) => tracing::warn!("{}", in_one_line(&error)),
                    Ok(()) => {}
                }
            }
            let (stable, canary) = (self.stable.arm(), self.canary.arm());
            let mut findings: Vec<CanaryFinding> = of_parity.into_iter().cloned().collect();
            findings.push(error_rate(config, stable.requests, canary.requests));
            let measures_drift = stable.measures_drift || canary.measures_drift;
            findings.push(drift(config, stable.drift, canary.drift, measures_drift));
            let n_step =
                |now: &Arm, first: &Arm| now.requests.n - first.requests.n.min(now.requests.n);
            let n_least = n_step(&stable, &first_stable).min(n_step(&canary, &first_canary));
            let is_within = |finding: &CanaryFinding| finding.proof == Proof::WithinLimit;
            // The one look at the latency of this step; in the last one, when all else is proven.
            let may_look = n_least >= config.min_requests
                && canary.is_complete
                && (!is_last || findings.iter().all(is_within));
            if may_look {
                findings.push(latency(
                    config,
                    &stable.durations_since(&first_stable),
                    &canary.durations_since(&first_canary),
                ));
            }
            for finding in &findings {
                if !said.contains(&finding.reason) {
                    tracing::info!("{}", finding.reason);
                }
            }
            said = findings.iter().map(|it| it.reason.clone()).collect();
            let open = findings.iter().filter(|it| it.proof == Proof::Open);
            let open: Vec<&str> = open.map(|it| it.reason.as_str()).collect();
            let text = match open.as_slice() {
                [] => said.join("; "),
                open => open.join("; "),
            };
            let ended = |findings, decision, reason| {
                Ok(Step {
                    findings,
                    decision,
                    reason,
                })
            };
            if canary.n_restarts > 0 {
                let reason = format!(
                    "{} containers of the canary were started again",
                    canary.n_restarts
                );
                return ended(findings, Some(CanaryDecision::RollBack), reason);
            }
            let decision = decide(&findings);
            let against = findings.iter().find(|it| it.proof == Proof::BeyondLimit);
            if let Some(against) = against {
                let reason = against.reason.clone();
                return ended(findings, Some(decision), reason);
            }
            if may_look {
                return match is_last {
                    true => ended(findings, Some(decision), text),
                    false => ended(findings, None, text),
                };
            }
            if is_over {
                let reason = format!("not proven within {} s: {text}", config.timeout_s);
                return ended(findings, Some(CanaryDecision::Hold), reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_follow_the_share() {
        assert_eq!(n_pods(10.0, 2, false), 1);
        assert_eq!(n_pods(50.0, 2, false), 2);
        assert_eq!(n_pods(10.0, 18, false), 2);
        assert_eq!(n_pods(75.0, 2, false), 6);
        assert_eq!(n_pods(10.0, 18, true), 2);
        assert_eq!(n_pods(50.0, 3, true), 2);
    }
}
