//! Answers with every field that GitHub's description requires.

use serde_json::{Value, json};

mod deployment;
mod pull;
mod release;

pub(super) use deployment::{deployment, deployment_status};
pub(super) use pull::{file, permission, pull};
pub(super) use release::{asset, release};

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

/// What `/user` answers.
pub(super) fn public_user(login: &str) -> Value {
    let mut user = user(login, "User");
    for key in ["name", "company", "blog", "location", "email", "bio"] {
        user[key] = json!("");
    }
    user["email"] = Value::Null;
    user["hireable"] = Value::Null;
    for key in ["public_repos", "public_gists", "followers", "following"] {
        user[key] = json!(0);
    }
    user["created_at"] = json!(TIME);
    user["updated_at"] = json!(TIME);
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

pub(super) fn issue(full_name: &str, number: u64, login: &str, body: &Value) -> Value {
    let rest = format!("issues/{number}");
    let part = |name: &str| api(full_name, &format!("{rest}/{name}"));
    let kind = if login.ends_with("[bot]") {
        "Bot"
    } else {
        "User"
    };
    let labels = body["labels"].as_array().into_iter().flatten();
    let label = |name: &Value| {
        json!({
            "id": 1, "node_id": "LA_1", "url": api(full_name, "labels/trainyard"), "name": name, "description": null,
            "color": "ededed", "default": false,
        })
    };
    json!({
        "id": number, "node_id": format!("I_{number}"), "number": number, "url": api(full_name, &rest),
        "repository_url": api(full_name, "").trim_end_matches('/'), "labels_url": part("labels{/name}"),
        "comments_url": part("comments"), "events_url": part("events"),
        "html_url": format!("https://github.com/{full_name}/issues/{number}"),
        "title": body["title"], "body": body["body"], "user": user(login, kind),
        "labels": labels.map(label).collect::<Vec<_>>(),
        "state": "open", "state_reason": null, "locked": false, "assignee": null, "assignees": [], "milestone": null,
        "comments": 0, "created_at": TIME, "updated_at": TIME, "closed_at": null, "author_association": "NONE",
    })
}

pub(super) fn change_issue(issue: &mut Value, body: &Value) {
    for key in ["title", "body", "state", "state_reason"] {
        if let Some(value) = body.get(key) {
            issue[key] = value.clone();
        }
    }
    if issue["state"] == "closed" {
        issue["closed_at"] = json!(TIME);
    } else {
        // As GitHub does by itself.
        issue["closed_at"] = Value::Null;
        issue["state_reason"] = Value::Null;
    }
}

pub(super) fn reaction(login: &str, content: &Value) -> Value {
    json!({
        "id": 1, "node_id": "R_1", "user": user(login, "Bot"), "content": content, "created_at": TIME,
    })
}

pub(super) fn commit_comment(
    full_name: &str,
    sha: &str,
    id: u64,
    login: &str,
    body: &str,
) -> Value {
    json!({
        "id": id, "node_id": format!("CC_{id}"), "url": api(full_name, &format!("comments/{id}")),
        "html_url": format!("https://github.com/{full_name}/commit/{sha}#commitcomment-{id}"),
        "body": body, "path": null, "position": null, "line": null, "commit_id": sha,
        "user": user(login, "User"), "created_at": TIME, "updated_at": TIME, "author_association": "NONE",
    })
}

pub(super) fn commit(full_name: &str, sha: &str, parents: &[String]) -> Value {
    let url = api(full_name, &format!("commits/{sha}"));
    let person = json!({ "name": "Ann", "email": "ann@example.com", "date": TIME });
    let parents: Vec<Value> = parents
        .iter()
        .map(|sha| json!({ "sha": sha, "url": api(full_name, &format!("commits/{sha}")) }))
        .collect();
    json!({
        "sha": sha, "node_id": format!("C_{sha}"), "url": url, "html_url": url, "comments_url": url,
        "commit": {
            "author": person, "committer": person, "message": "a change", "comment_count": 0, "url": url,
            "tree": { "sha": sha, "url": url },
        },
        "author": null, "committer": null, "parents": parents,
    })
}

pub(super) fn comparison(full_name: &str, merge_base: &Value, status: &str) -> Value {
    let url = api(full_name, "compare/a...b");
    json!({
        "url": url, "html_url": url, "permalink_url": url, "diff_url": url, "patch_url": url,
        "base_commit": merge_base, "merge_base_commit": merge_base, "status": status,
        "ahead_by": 1, "behind_by": 1, "total_commits": 0, "commits": [],
    })
}

fn app() -> Value {
    json!({
        "id": 15368, "slug": "github-actions", "node_id": "A_1", "name": "GitHub Actions", "description": null,
        "owner": user("github", "Organization"), "external_url": "https://help.github.com/actions",
        "html_url": "https://github.com/apps/github-actions", "created_at": TIME, "updated_at": TIME,
        "permissions": {}, "events": [],
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
        "app": app(),
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
    } else {
        check["completed_at"] = Value::Null;
        check["conclusion"] = Value::Null;
    }
}

/// An artifact of a workflow run.
pub(super) fn artifact(repository: &str, id: u64, given: &Value, n_bytes: usize) -> Value {
    let url = format!("https://api.github.com/repos/{repository}/actions/artifacts/{id}");
    json!({
        "id": id,
        "node_id": "MDg6QXJ0aWZhY3Q=",
        "name": given["name"],
        "size_in_bytes": n_bytes,
        "url": url,
        "archive_download_url": format!("{url}/zip"),
        "expired": given["expired"].as_bool().unwrap_or(false),
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-04-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "workflow_run": { "id": given["run_id"] },
    })
}

/// A file of a comparison.
pub(super) fn changed_file(name: &str) -> Value {
    json!({
        "sha": "bbcd538c8e72b8c175046e27cc8f907076331401",
        "filename": name,
        "status": "modified",
        "additions": 1,
        "deletions": 0,
        "changes": 1,
        "blob_url": "https://github.com/acme/x/blob/a/file",
        "raw_url": "https://github.com/acme/x/raw/a/file",
        "contents_url": "https://api.github.com/repos/acme/x/contents/file?ref=a",
    })
}
