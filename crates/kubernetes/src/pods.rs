//! Pods of a track: which are ready, and what keeps the others from it.

use serde_json::Value;

use crate::cluster::{Cluster, ClusterError};
use crate::manifest::{MODEL_DIGEST, POD};

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The image of its first container, as its specification names it.
    pub(crate) image: String,
    /// The model that its annotations name.
    pub(crate) model_digest: Option<String>,
    pub(crate) is_ready: bool,
    pub(crate) is_ending: bool,
    pub(crate) n_restarts: u64,
    /// What keeps it from being ready, where the cluster says so.
    pub(crate) problem: Option<String>,
}

/// The pods that a selector chooses.
pub(crate) async fn chosen_by(cluster: &Cluster, selector: &str) -> Result<Vec<Pod>, ClusterError> {
    let pods = cluster.list(POD, selector).await?;
    Ok(pods.iter().map(Pod::of).collect())
}

/// What keeps pods of this image from being ready: each thing once, with the number of pods.
pub(crate) fn problems(pods: &[Pod], image: &str) -> Option<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for pod in pods
        .iter()
        .filter(|pod| pod.image == image && !pod.is_ending)
    {
        let Some(problem) = &pod.problem else {
            continue;
        };
        match counted.iter_mut().find(|(text, _)| text == problem) {
            Some((_, n)) => *n += 1,
            None => counted.push((problem.clone(), 1)),
        }
    }
    let texts = counted.into_iter().map(|(text, n)| match n {
        1 => text,
        n => format!("{text} ({n} pods)"),
    });
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

impl Pod {
    fn of(pod: &Value) -> Self {
        let text = |pointer: &str| {
            let value = pod.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let condition = |kind: &str| {
            let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
            conditions?.iter().find(|it| it["type"] == kind)
        };
        let containers = pod.pointer("/status/containerStatuses");
        let container = containers.and_then(|all| all.get(0));
        let annotations = pod.pointer("/metadata/annotations");
        Self {
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            image: text("/spec/containers/0/image"),
            model_digest: annotations
                .and_then(|all| all.get(MODEL_DIGEST)?.as_str())
                .map(str::to_owned),
            is_ready: condition("Ready").is_some_and(|it| it["status"] == "True"),
            is_ending: pod.pointer("/metadata/deletionTimestamp").is_some(),
            n_restarts: container.map_or(0, |it| it["restartCount"].as_u64().unwrap_or(0)),
            problem: container
                .and_then(of_container)
                .or_else(|| of_scheduling(condition("PodScheduled")?)),
        }
    }
}

/// Why a container does not run: the reason of its state, with the message or the exit code.
fn of_container(container: &Value) -> Option<String> {
    let last_exit = container.pointer("/lastState/terminated/exitCode");
    if let Some(waiting) = container.pointer("/state/waiting") {
        let reason = waiting["reason"].as_str()?;
        if matches!(reason, "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let message = waiting["message"].as_str().unwrap_or_default();
        return Some(match (last_exit, message) {
            (Some(code), _) => format!("{reason}, exit code {code}"),
            (None, "") => reason.to_owned(),
            (None, message) => format!("{reason}: {message}"),
        });
    }
    let ended = container.pointer("/state/terminated")?;
    let reason = ended["reason"].as_str().unwrap_or("ended");
    Some(format!("{reason}, exit code {}", ended["exitCode"]))
}

fn of_scheduling(condition: &Value) -> Option<String> {
    if condition["status"] == "True" {
        return None;
    }
    let reason = condition["reason"].as_str()?;
    let message = condition["message"].as_str().unwrap_or_default();
    Some(format!("{reason}: {message}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &Value) -> Pod {
        Pod::of(&json!({
            "metadata": { "name": "digits-1", "uid": "u" },
            "spec": { "containers": [{ "image": "r/digits@sha256:1" }] },
            "status": status,
        }))
    }

    #[test]
    fn what_keeps_a_pod_from_being_ready_is_said() {
        let problem = |status: Value| pod(&status).problem;
        let container = |state: Value| json!({ "containerStatuses": [state] });
        assert_eq!(
            problem(container(
                json!({ "state": { "waiting": { "reason": "ImagePullBackOff", "message": "not found" } } })
            )),
            Some("ImagePullBackOff: not found".to_owned())
        );
        assert_eq!(
            problem(container(json!({
                "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
                "lastState": { "terminated": { "exitCode": 4 } },
            }))),
            Some("CrashLoopBackOff, exit code 4".to_owned())
        );
        assert_eq!(
            problem(container(
                json!({ "state": { "waiting": { "reason": "ContainerCreating" } } })
            )),
            None
        );
        assert_eq!(
            problem(container(json!({ "state": { "running": {} } }))),
            None
        );
        let unscheduled = json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes have memory",
        }] });
        assert_eq!(
            problem(unscheduled),
            Some("Unschedulable: 0/3 nodes have memory".to_owned())
        );
    }

    #[test]
    fn one_problem_of_several_pods_is_said_once() {
        let failing = pod(
            &json!({ "containerStatuses": [{ "state": { "waiting": { "reason": "ErrImagePull" } } }] }),
        );
        let pods = [failing.clone(), failing];
        assert_eq!(
            problems(&pods, "r/digits@sha256:1").as_deref(),
            Some("ErrImagePull (2 pods)")
        );
        assert_eq!(problems(&pods, "r/digits@sha256:2"), None);
    }
}
