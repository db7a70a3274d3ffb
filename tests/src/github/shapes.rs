//! Answers with every field that GitHub's description requires.

use serde_json::{Value, json};

const TIME: &str = "2026-01-01T00:00:00Z";

fn api(full_name: &str, rest: &str) -> String {
    format!("https://api.github.com/repos/{full_name}/{rest}")
}

fn user(login: &str, kind: &str) -> Value {
    let in_url = login.replace('[', "%5B").replace(']', "%5D");
    let url = format!("https://api.github.com/users/{in_url}");
    let urls = [
        "followers_url",
        "following_url",
        "gists_url",
        "starred_url",
        "subscriptions_url",
        "organizations_url",
        "repos_url",
        "events_url",
        "received_events_url",
    ];
    let mut user = json!({
        "login": login, "id": 1, "node_id": "U_1", "avatar_url": url, "gravatar_id": "", "url": url,
        "html_url": format!("https://github.com/{in_url}"), "type": kind, "site_admin": false,
    });
    for key in urls {
        user[key] = json!(url);
    }
    user
}

pub(super) fn comment(
    full_name: &str,
    issue: u64,
    id: u64,
    login: &str,
    kind: &str,
    body: &str,
) -> Value {
    json!({
        "id": id,
        "node_id": format!("IC_{id}"),
        "url": api(full_name, &format!("issues/comments/{id}")),
        "html_url": format!("https://github.com/{full_name}/pull/{issue}#issuecomment-{id}"),
        "issue_url": api(full_name, &format!("issues/{issue}")),
        "body": body,
        "user": user(login, kind),
        "created_at": TIME,
        "updated_at": TIME,
        "author_association": "NONE",
    })
}

pub(super) fn check(full_name: &str, id: u64, body: &Value) -> Value {
    let mut check = json!({
        "id": id,
        "node_id": format!("CR_{id}"),
        "head_sha": body["head_sha"],
        "name": body["name"],
        "external_id": null,
        "url": api(full_name, &format!("check-runs/{id}")),
        "html_url": format!("https://github.com/{full_name}/runs/{id}"),
        "details_url": null,
        "status": "queued",
        "conclusion": null,
        "started_at": TIME,
        "completed_at": null,
        "output": {
            "title": null, "summary": null, "text": null, "annotations_count": 0,
            "annotations_url": api(full_name, &format!("check-runs/{id}/annotations")),
        },
        "check_suite": { "id": 1 },
        "app": null,
        "pull_requests": [],
    });
    change_check(&mut check, body);
    check
}

pub(super) fn change_check(check: &mut Value, body: &Value) {
    for key in ["name", "external_id", "details_url", "status", "conclusion"] {
        if let Some(value) = body.get(key) {
            check[key] = value.clone();
        }
    }
    for key in ["title", "summary", "text"] {
        if let Some(value) = body["output"].get(key) {
            check["output"][key] = value.clone();
        }
    }
    if let Some(annotations) = body["output"]["annotations"].as_array() {
        let before = check["output"]["annotations_count"].as_u64().unwrap_or(0);
        check["output"]["annotations_count"] = json!(before + annotations.len() as u64);
    }
    if check["status"] == "completed" {
        check["completed_at"] = json!(TIME);
    }
}
