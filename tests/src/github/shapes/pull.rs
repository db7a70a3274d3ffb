//! Pull requests and the repositories that they name, with all that GitHub's description requires of them.

use serde_json::{Map, Value, json};

use super::{TIME, api, user};

/// Addresses that a repository names.
const REPOSITORY_URLS: &str = "archive assignees blobs branches collaborators comments commits compare contents contributors deployments downloads events forks git_commits git_refs git_tags hooks issue_comment issue_events issues keys labels languages merges milestones notifications pulls releases stargazers statuses subscribers subscription tags teams trees";

fn repository(full_name: &str) -> Value {
    let url = format!("https://api.github.com/repos/{full_name}");
    let (owner, name) = full_name.split_once('/').unwrap_or((full_name, ""));
    let mut fields = json!({
        "id": 1, "node_id": "R_1", "name": name, "full_name": full_name, "owner": user(owner, "User"),
        "private": false, "description": null, "fork": false, "url": url,
        "html_url": format!("https://github.com/{full_name}"), "clone_url": url, "git_url": url, "ssh_url": url,
        "svn_url": url, "mirror_url": null, "homepage": null, "language": null, "license": null,
        "default_branch": "main", "has_downloads": true, "has_issues": true, "has_projects": true, "has_wiki": true,
        "has_pages": false, "archived": false, "disabled": false, "pushed_at": TIME, "created_at": TIME,
        "updated_at": TIME,
    });
    for name in REPOSITORY_URLS.split(' ') {
        fields[format!("{name}_url")] = json!(format!("{url}/{name}"));
    }
    for count in "forks forks_count open_issues open_issues_count size stargazers_count watchers watchers_count".split(' ') {
        fields[count] = json!(0);
    }
    fields
}

fn side(repository_name: &str, branch: &str, sha: &str) -> Value {
    let owner = repository_name.split('/').next().unwrap_or_default();
    json!({
        "label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "repo": repository(repository_name),
        "user": user(owner, "User"),
    })
}

/// `pull` is `{"number", "head_repository", "head_branch", "head_sha", "base_branch", "base_sha", "state"}`; open unless it says otherwise.
pub(in crate::github) fn pull(full_name: &str, pull: &Value) -> Value {
    let text = |key: &str| pull[key].as_str().unwrap_or_default();
    let number = pull["number"].as_u64().unwrap_or(1);
    let url = api(full_name, &format!("pulls/{number}"));
    let mut links = Map::new();
    for name in
        "comments commits statuses html issue review_comments review_comment self".split(' ')
    {
        links.insert(name.to_owned(), json!({ "href": url }));
    }
    let mut fields = json!({
        "id": number, "node_id": "PR_1", "number": number, "state": pull["state"].as_str().unwrap_or("open"), "locked": false, "title": "a change",
        "body": null, "user": user("ann", "User"), "assignee": null, "labels": [], "milestone": null,
        "author_association": "NONE", "auto_merge": null, "merge_commit_sha": null, "created_at": TIME,
        "updated_at": TIME, "closed_at": null, "merged_at": null, "_links": links,
        "head": side(text("head_repository"), text("head_branch"), text("head_sha")),
        "base": side(full_name, text("base_branch"), text("base_sha")),
        "url": url, "html_url": format!("https://github.com/{full_name}/pull/{number}"),
        "merged": false, "mergeable": null, "mergeable_state": "unknown", "merged_by": null,
        "maintainer_can_modify": false,
    });
    for name in
        "comments commits diff issue patch review_comment review_comments statuses".split(' ')
    {
        fields[format!("{name}_url")] = json!(url);
    }
    for count in "additions changed_files comments commits deletions review_comments".split(' ') {
        fields[count] = json!(0);
    }
    fields
}

/// What `/collaborators/{login}/permission` answers.
pub(in crate::github) fn permission(login: &str, permission: &str) -> Value {
    let mut person = user(login, "User");
    person["role_name"] = json!(permission);
    json!({ "permission": permission, "role_name": permission, "user": person })
}

/// What `/contents/{path}` answers for a file; `content` is in Base64.
pub(in crate::github) fn file(full_name: &str, path: &str, content: &str) -> Value {
    let url = api(full_name, &format!("contents/{path}"));
    json!({
        "type": "file", "encoding": "base64", "size": content.len(), "name": path, "path": path, "content": content,
        "sha": "0".repeat(40), "url": url, "git_url": url, "html_url": url, "download_url": url,
        "_links": { "git": url, "self": url, "html": url },
    })
}
