//! Releases and their files, with all that GitHub's description requires of them.

use serde_json::{Value, json};

use super::{TIME, api, user};

/// `body` is that of a request to make it. Without the upload URL and the assets.
pub(in crate::github) fn release(full_name: &str, id: u64, body: &Value) -> Value {
    let tag = body["tag_name"].as_str().unwrap_or_default();
    let is_draft = body["draft"] == true;
    let url = api(full_name, &format!("releases/{id}"));
    json!({
        "id": id, "node_id": format!("RE_{id}"), "url": url, "assets_url": format!("{url}/assets"),
        "html_url": format!("https://github.com/{full_name}/releases/tag/{tag}"), "upload_url": url,
        "tarball_url": null, "zipball_url": null, "tag_name": tag, "target_commitish": "main",
        "name": body["name"].as_str().unwrap_or(tag), "body": body["body"].as_str().unwrap_or_default(),
        "draft": is_draft, "prerelease": body["prerelease"] == true, "immutable": false,
        "created_at": TIME, "published_at": if is_draft { Value::Null } else { json!(TIME) },
        "author": user("ann", "User"), "assets": [],
    })
}

pub(in crate::github) fn asset(
    full_name: &str,
    id: u64,
    name: &str,
    n_bytes: usize,
    digest: &str,
) -> Value {
    let url = api(full_name, &format!("releases/assets/{id}"));
    json!({
        "id": id, "node_id": format!("RA_{id}"), "url": url, "name": name, "label": null, "state": "uploaded",
        "browser_download_url": format!("https://github.com/{full_name}/releases/download/v1/{name}"),
        "content_type": "application/octet-stream", "size": n_bytes, "digest": digest, "download_count": 0,
        "created_at": TIME, "updated_at": TIME, "uploader": user("github-actions[bot]", "Bot"),
    })
}
