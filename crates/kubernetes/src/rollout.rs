//! Waiting for a Deployment: until its new pods are available and the old ones gone, or until that has failed.
//!
//! The Deployment is read again and again, once a second: unlike a watch, that cannot miss an event, go stale or be dropped.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, ClusterError};
use crate::manifest::{DEPLOYMENT, image_of};
use crate::pods;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What became of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rolled {
    /// Every pod is of this image, and available.
    Ready,
    /// It did not come that far.
    Failed(String),
    /// Another image took its place meanwhile.
    Superseded(String),
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rollout<'a> {
    /// Name of the Deployment.
    pub(crate) name: &'a str,
    /// What selects its pods.
    pub(crate) selector: &'a str,
    /// The image that they should have.
    pub(crate) image: &'a str,
    pub(crate) timeout: Duration,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Ready,
    /// In words.
    Waiting(String),
    Failed(String),
}

impl Rollout<'_> {
    /// Waits. The API server may be away for as long as the rollout may take.
    pub(crate) async fn wait(self, cluster: &Cluster) -> Result<Rolled, ClusterError> {
        let end = Instant::now() + self.timeout;
        let mut said = String::new();
        let mut problem = None;
        loop {
            let is_over = Instant::now() >= end;
            match self.look(cluster, &mut problem).await {
                Ok(Ok(Progress::Ready)) => return Ok(Rolled::Ready),
                Ok(Ok(Progress::Failed(reason))) => {
                    return Ok(Rolled::Failed(with(reason, problem)));
                }
                Ok(Ok(Progress::Waiting(text))) => {
                    if is_over {
                        let reason = format!("{text} after {} s", self.timeout.as_secs());
                        return Ok(Rolled::Failed(with(reason, problem)));
                    }
                    if said != text {
                        tracing::info!("Deployment `{}`: {text}", self.name);
                        said = text;
                    }
                }
                Ok(Err(other)) => return Ok(Rolled::Superseded(other)),
                Err(error) if error.is_transient() && !is_over => {}
                Err(error) => return Err(error),
            }
            sleep(INTERVAL).await;
        }
    }

    /// Looks once. The inner error is the image that took the place of this one.
    async fn look(
        self,
        cluster: &Cluster,
        problem: &mut Option<String>,
    ) -> Result<Result<Progress, String>, ClusterError> {
        let Some(deployment) = cluster.get(DEPLOYMENT, self.name).await? else {
            return Ok(Err("none: the Deployment is gone".to_owned()));
        };
        let image = image_of(&deployment).unwrap_or_default();
        if image != self.image {
            return Ok(Err(image.to_owned()));
        }
        let progress = progress(&deployment);
        if progress != Progress::Ready {
            let pods = pods::chosen_by(cluster, self.selector).await?;
            let found = pods::problems(&pods, self.image);
            if let Some(found) = &found
                && problem.as_ref() != Some(found)
            {
                tracing::warn!("Deployment `{}`: {found}", self.name);
            }
            *problem = found.or_else(|| problem.take());
        }
        Ok(Ok(progress))
    }
}

fn with(reason: String, problem: Option<String>) -> String {
    match problem {
        Some(problem) => format!("{reason}: {problem}"),
        None => reason,
    }
}

/// As `kubectl rollout status` decides, of the state that the controller has observed last.
fn progress(deployment: &Value) -> Progress {
    let number = |pointer: &str| {
        let value = deployment.pointer(pointer).and_then(Value::as_i64);
        value.unwrap_or(0)
    };
    let generation = number("/metadata/generation");
    if number("/status/observedGeneration") < generation {
        return Progress::Waiting("waiting for the controller".to_owned());
    }
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64);
    let wanted = wanted.unwrap_or(1);
    let conditions = deployment.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    for condition in conditions {
        if condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded" {
            let available = number("/status/updatedReplicas").min(number("/status/readyReplicas"));
            return Progress::Failed(format!(
                "no progress in time: {available} of {wanted} new pods are ready"
            ));
        }
        if condition["type"] == "ReplicaFailure" && condition["status"] == "True" {
            let message = condition["message"].as_str().unwrap_or_default();
            return Progress::Failed(format!("pods cannot be made: {message}"));
        }
    }
    let updated = number("/status/updatedReplicas");
    let all = number("/status/replicas");
    let available = number("/status/availableReplicas");
    if updated < wanted {
        Progress::Waiting(format!("{updated} of {wanted} new pods are made"))
    } else if all > updated {
        Progress::Waiting(format!("{} old pods are still there", all - updated))
    } else if available < updated {
        Progress::Waiting(format!("{available} of {updated} new pods are available"))
    } else {
        Progress::Ready
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(generation: i64, status: &Value) -> Progress {
        progress(&json!({
            "metadata": { "generation": generation },
            "spec": { "replicas": 2 },
            "status": status,
        }))
    }

    fn waiting(text: &str) -> Progress {
        Progress::Waiting(text.to_owned())
    }

    #[test]
    fn a_rollout_is_ready_when_all_pods_are_new_and_available() {
        let ready = json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 });
        assert_eq!(of(3, &ready), Progress::Ready);
        // Of the state before the change, nothing follows.
        assert_eq!(of(4, &ready), waiting("waiting for the controller"));
        let old = json!({ "observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3 });
        assert_eq!(of(3, &old), waiting("1 old pods are still there"));
        let starting = json!({ "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 });
        assert_eq!(of(3, &starting), waiting("1 of 2 new pods are available"));
        assert_eq!(
            of(3, &json!({ "observedGeneration": 3 })),
            waiting("0 of 2 new pods are made")
        );
    }

    #[test]
    fn no_progress_and_no_quota_are_failures() {
        let late = json!({ "observedGeneration": 3, "updatedReplicas": 1, "conditions": [
            { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" },
        ] });
        assert_eq!(
            of(3, &late),
            Progress::Failed("no progress in time: 0 of 2 new pods are ready".to_owned())
        );
        let quota = json!({ "observedGeneration": 3, "conditions": [
            { "type": "ReplicaFailure", "status": "True", "message": "exceeded quota" },
        ] });
        assert_eq!(
            of(3, &quota),
            Progress::Failed("pods cannot be made: exceeded quota".to_owned())
        );
    }
}
