//! KServe's form of an app.

use serde_json::{Value, json};

use crate::manifest::{App, Track};

/// The `InferenceService` that runs the image by its own server. KServe scales, routes and splits traffic itself, so the Service, the autoscaler
/// and the canary of `[deploy]` have no place in it.
pub(crate) fn inference_service(app: &App) -> Value {
    let deployment = app.deployment(Track::Stable, None).value;
    let template = &deployment["spec"]["template"];
    let mut container = template["spec"]["containers"][0].clone();
    // The name by which KServe knows the container that answers.
    container["name"] = "kserve-container".into();
    let (min, max) = match &app.config.autoscale {
        Some(scaling) => (scaling.min_replicas, scaling.max_replicas),
        None => (app.config.replicas, app.config.replicas),
    };
    let mut predictor =
        json!({ "minReplicas": min, "maxReplicas": max, "containers": [container] });
    if let Some(secrets) = template["spec"].get("imagePullSecrets") {
        predictor["imagePullSecrets"] = secrets.clone();
    }
    json!({
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": app.name,
            "namespace": app.namespace,
            "labels": deployment["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
        },
        "spec": { "predictor": predictor },
    })
}
