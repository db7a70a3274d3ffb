//! What a run that a comment started may do: react to the comment, answer it, and run the commit's job again.

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::check::CheckRun;
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
        let found = self.checks_on(sha, None, Permission::ChecksRead).await?;
        let is_red = |check: &&CheckRun| {
            check.name.starts_with(prefix) && check.conclusion.as_deref() == Some("failure")
        };
        let red = found.iter().filter(is_red);
        let mut runs: Vec<u64> = red.filter_map(CheckRun::workflow_run).collect();
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
