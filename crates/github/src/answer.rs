//! What a run that a comment started may do: react to the comment, answer it, and run the commit's job again.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// A reaction to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Reaction {
    /// It counts.
    #[serde(rename = "+1")]
    Approved,
    /// It does not count.
    #[serde(rename = "-1")]
    Refused,
    /// It cannot be understood.
    #[serde(rename = "confused")]
    Unclear,
}

#[derive(Deserialize)]
struct Checks {
    check_runs: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    conclusion: Option<String>,
    external_id: Option<String>,
}

impl GitHub {
    /// Reacts to a comment on a pull request, or with `on_commit` on a commit. The same reaction twice is one.
    pub async fn react(
        &self,
        comment: u64,
        on_commit: bool,
        reaction: Reaction,
    ) -> Result<(), GitHubError> {
        let kind = if on_commit {
            "comments"
        } else {
            "issues/comments"
        };
        self.post(
            &format!("/{kind}/{comment}/reactions"),
            json!({ "content": reaction }),
            "react to the comment",
            Permission::PullRequestsWrite,
        )
        .await
    }

    /// Writes a comment of its own on a pull request.
    pub async fn reply(&self, pull_request: u64, text: &str) -> Result<(), GitHubError> {
        self.post(
            &format!("/issues/{pull_request}/comments"),
            json!({ "body": text }),
            "answer the comment",
            Permission::PullRequestsWrite,
        )
        .await
    }

    /// The workflow runs of the red checks of ours on a commit: those whose names begin with `prefix`.
    pub async fn red_runs(&self, sha: &str, prefix: &str) -> Result<Vec<u64>, GitHubError> {
        let request = Request {
            method: Method::GET,
            route: self.path(&format!(
                "/commits/{}/check-runs?filter=latest&per_page=100",
                encode(sha)
            )),
            body: None,
            doing: "read the check runs",
            permission: Permission::ChecksRead,
        };
        let found: Checks = self.send(&request).await?;
        // `<key>:<run>.<attempt>`, as the gate calls its checks.
        let run_of = |check: &Check| {
            let (_, run) = check.external_id.as_ref()?.rsplit_once(':')?;
            run.split('.').next()?.parse().ok()
        };
        let mut runs: Vec<u64> = found
            .check_runs
            .iter()
            .filter(|check| {
                check.name.starts_with(prefix) && check.conclusion.as_deref() == Some("failure")
            })
            .filter_map(run_of)
            .collect();
        runs.sort_unstable();
        runs.dedup();
        Ok(runs)
    }

    /// Runs the failed jobs of a workflow run again.
    pub async fn rerun_failed(&self, run: u64) -> Result<(), GitHubError> {
        self.post(
            &format!("/actions/runs/{run}/rerun-failed-jobs"),
            json!({}),
            "run the failed jobs again",
            Permission::ActionsWrite,
        )
        .await
    }

    async fn post(
        &self,
        path: &str,
        body: Value,
        doing: &'static str,
        permission: Permission,
    ) -> Result<(), GitHubError> {
        let request = Request {
            method: Method::POST,
            route: self.path(path),
            body: Some(body),
            doing,
            permission,
        };
        self.send_for_value(&request).await.map(|_| ())
    }
}
