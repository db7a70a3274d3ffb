//! The parts of GitHub's event payloads that we read.
//!
//! Every field is optional: one payload holds the fields of one event, and tools that stand in for GitHub write
//! less. A field of another type than expected is an error all the same.

use serde::Deserialize;

/// What `GITHUB_EVENT_PATH` holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload {
    pub(super) pull_request: Option<PullRequest>,
    pub(super) workflow_run: Option<WorkflowRun>,
    pub(super) merge_group: Option<MergeGroup>,
    pub(super) check_run: Option<CheckRun>,
    pub(super) issue: Option<Issue>,
    pub(super) repository: Option<Repository>,
    pub(super) comment: Option<Comment>,
    /// Of a push: the commit that the branch was at; zeros for a new branch.
    pub(super) before: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequest {
    pub(super) number: u64,
    pub(super) head: Side,
    pub(super) base: Side,
}

/// One side of a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) branch: String,
    pub(super) sha: String,
    /// `null` once the repository was deleted.
    pub(super) repo: Option<Repository>,
}

/// The run whose end started this one.
#[derive(Debug, Deserialize)]
pub(super) struct WorkflowRun {
    /// What started it.
    pub(super) event: Option<String>,
    pub(super) head_sha: String,
    pub(super) head_branch: Option<String>,
    pub(super) head_repository: Option<Repository>,
    /// Who started it.
    pub(super) actor: Option<User>,
    /// Empty where the run came from a fork.
    #[serde(default)]
    pub(super) pull_requests: Vec<PullRequestLink>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) login: Option<String>,
}

/// What was commented on.
#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    /// There where the issue is a pull request.
    pub(super) pull_request: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequestLink {
    pub(super) number: u64,
}

/// The check that this run is about.
#[derive(Debug, Deserialize)]
pub(super) struct CheckRun {
    pub(super) head_sha: String,
    pub(super) check_suite: Option<CheckSuite>,
    #[serde(default)]
    pub(super) pull_requests: Vec<PullRequestLink>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckSuite {
    /// `null` for a commit of a fork.
    pub(super) head_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MergeGroup {
    pub(super) head_sha: String,
    pub(super) head_ref: String,
    pub(super) base_sha: String,
    pub(super) base_ref: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: Option<String>,
    pub(super) default_branch: Option<String>,
}

/// A comment on an issue, a pull request or a commit.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) body: String,
    pub(super) user: Option<User>,
    /// Of a comment on a commit.
    pub(super) commit_id: Option<String>,
}
