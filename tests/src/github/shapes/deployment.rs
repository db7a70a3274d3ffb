//! Deployments and their statuses.

use serde_json::{Value, json};

use super::{TIME, api, user};

/// A deployment of this number, made of what was asked for.
pub(in super::super) fn deployment(full_name: &str, id: u64, login: &str, body: &Value) -> Value {
    let url = api(full_name, &format!("deployments/{id}"));
    let task = body["task"].as_str().unwrap_or("deploy");
    json!({
        "url": url, "id": id, "node_id": format!("DE_{id}"), "sha": body["ref"], "ref": body["ref"], "task": task,
        "payload": body.get("payload").cloned().unwrap_or_else(|| json!({})),
        "original_environment": body["environment"], "environment": body["environment"],
        "description": body["description"], "creator": user(login, "Bot"), "created_at": TIME, "updated_at": TIME,
        "statuses_url": format!("{url}/statuses"), "repository_url": api(full_name, "").trim_end_matches('/'),
        "transient_environment": false, "production_environment": false,
    })
}

/// A status of a deployment, made of what was asked for.
pub(in super::super) fn deployment_status(
    full_name: &str,
    deployment: &Value,
    id: u64,
    login: &str,
    body: &Value,
) -> Value {
    // GitHub answers "" where no address is given, which its own description does not allow.
    let target = body.get("log_url").unwrap_or(&deployment["url"]);
    let mut status = json!({
        "url": format!("{}/statuses/{id}", deployment["url"].as_str().unwrap_or_default()),
        "id": id, "node_id": format!("DS_{id}"), "state": body["state"], "creator": user(login, "Bot"),
        "description": body["description"].as_str().unwrap_or_default(), "environment": deployment["environment"],
        "target_url": target, "created_at": TIME, "updated_at": TIME, "deployment_url": deployment["url"],
        "repository_url": api(full_name, "").trim_end_matches('/'),
    });
    for key in ["environment_url", "log_url"] {
        if let Some(url) = body.get(key) {
            status[key] = url.clone();
        }
    }
    status
}
