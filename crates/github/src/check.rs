//! One check run per model on the commit that people wrote.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// GitHub's limit of a request; what is above is left off.
const MAX_ANNOTATIONS: usize = 50;

/// The app that a workflow's token writes as.
pub const WORKFLOWS_APP: &str = "github-actions";

/// Which check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, by which a branch protection may require it.
    pub name: String,
    /// The commit.
    pub head_sha: String,
    /// Where its details are, on the web.
    pub details_url: Option<String>,
    /// What we call it: key and run.
    pub external_id: String,
}

/// A check run on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckRun {
    /// GitHub's number.
    pub id: u64,
    /// Where people see it.
    pub html_url: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended, in GitHub's word.
    pub(crate) conclusion: Option<String>,
    /// What we called it.
    pub external_id: Option<String>,
    app: Option<App>,
    pub(crate) output: Output,
}

/// What a check run says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Output {
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct App {
    pub(crate) slug: Option<String>,
}

impl CheckRun {
    /// Whether it is completed and red.
    pub fn has_failed(&self) -> bool {
        let green = ["success", "neutral", "skipped"];
        let conclusion = self.conclusion.as_deref();
        conclusion.is_some_and(|conclusion| !green.contains(&conclusion))
    }

    /// The app that wrote it.
    pub fn app(&self) -> Option<&str> {
        self.app.as_ref()?.slug.as_deref()
    }

    /// What stands below its summary.
    pub fn text(&self) -> Option<&str> {
        self.output.text.as_deref()
    }

    /// The workflow run that wrote it, where it is called as the gate calls its checks: `<key>:<run>.<attempt>`.
    pub(crate) fn workflow_run(&self) -> Option<u64> {
        let (_, run) = self.external_id.as_ref()?.rsplit_once(':')?;
        let (run, _) = run.split_once('.')?;
        run.parse().ok()
    }
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

/// How a check ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Green.
    Success,
    /// Grey: seen, and not judged.
    Neutral,
    /// Red.
    Failure,
    /// The run was ended from outside.
    Cancelled,
    /// Not applicable.
    Skipped,
}

impl Conclusion {
    /// GitHub's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// One line.
    pub title: String,
    /// Markdown of at most 65,535 characters.
    pub summary: String,
    /// Markdown of at most 65,535 characters, below the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// On lines of files; at most fifty are sent, so the worst come first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<CheckAnnotation>,
}

/// A remark on a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckAnnotation {
    /// The file, from the repository's root.
    pub path: String,
    /// First line, from 1.
    pub start_line: usize,
    /// Last line.
    pub end_line: usize,
    /// How bad it is.
    pub annotation_level: CheckLevel,
    /// What it is about.
    pub title: String,
    /// What to know.
    pub message: String,
}

/// How bad a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// Good to know.
    Notice,
    /// Needs a look.
    Warning,
    /// Wrong.
    Failure,
}

impl GitHub {
    /// Opens the check in progress: `found`, which is the one of that name on the commit, whichever run made it, else a
    /// new one. So a name has one verdict on a commit, and none while a run is at work. The report's text is for `found`
    /// alone.
    pub async fn start_check(
        &self,
        check: &Check,
        found: Option<&CheckRun>,
        report: &Report,
    ) -> Result<CheckRun, GitHubError> {
        let mut body = body_of(check, report);
        body["status"] = json!("in_progress");
        if let Some(found) = found {
            match self.update_check(found.id, &body).await {
                // Only the app that made a check may change it.
                Err(error) if matches!(error.status(), Some(403 | 404)) => {}
                other => return other,
            }
        }
        // What another app's check says is not repeated in our name.
        if let Some(output) = body["output"].as_object_mut() {
            output.remove("text");
        }
        self.create_check(check, body).await
    }

    /// Completes the check: `started` where that is known, else the one of that name on the commit, else a new one.
    pub async fn complete_check(
        &self,
        check: &Check,
        started: Option<u64>,
        conclusion: Conclusion,
        report: &Report,
    ) -> Result<CheckRun, GitHubError> {
        let mut body = body_of(check, report);
        body["status"] = json!("completed");
        body["conclusion"] = json!(conclusion);
        if let Some(id) = started {
            match self.update_check(id, &body).await {
                // Of another repository, or too old.
                Err(error) if error.status() == Some(404) => {}
                other => return other,
            }
        }
        self.put_check(check, body).await
    }

    /// The check of that name on the commit, the newest where there are several.
    pub async fn find_check(&self, check: &Check) -> Result<Option<CheckRun>, GitHubError> {
        let found = self.check_runs(check).await?;
        Ok(found.into_iter().max_by_key(|run| run.id))
    }

    /// Names of the commit's checks whose newest run is red.
    pub async fn failed_checks(&self, head_sha: &str) -> Result<Vec<String>, GitHubError> {
        let found = self
            .checks_on(head_sha, None, Permission::ChecksRead)
            .await?;
        let mut newest: BTreeMap<String, CheckRun> = BTreeMap::new();
        for run in found {
            if newest.get(&run.name).is_none_or(|known| known.id < run.id) {
                newest.insert(run.name.clone(), run);
            }
        }
        let failed = newest.into_iter().filter(|(_, run)| run.has_failed());
        Ok(failed.map(|(name, _)| name).collect())
    }

    /// Completes every check of ours on the commit that is open: those whose names begin with `prefix`.
    pub async fn complete_open_checks(
        &self,
        head_sha: &str,
        prefix: &str,
        conclusion: Conclusion,
        report: &Report,
    ) -> Result<(), GitHubError> {
        let found = self
            .checks_on(head_sha, None, Permission::ChecksWrite)
            .await?;
        // A job of a workflow may have such a name too.
        let is_open = |run: &CheckRun| {
            run.name.starts_with(prefix)
                && run.status != "completed"
                && run.workflow_run().is_some()
        };
        let mut failed = None;
        for run in found.into_iter().filter(is_open) {
            let body = json!({
                "status": "completed", "conclusion": conclusion, "output": report,
            });
            match self.update_check(run.id, &body).await {
                // Another app's.
                Err(error) if matches!(error.status(), Some(403 | 404)) => {}
                Err(error) => failed = Some(error),
                Ok(_) => {}
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(())
    }

    /// Changes the check of that name on the commit, and makes one where there is none, or another app's.
    async fn put_check(&self, check: &Check, body: Value) -> Result<CheckRun, GitHubError> {
        if let Some(found) = self.find_check(check).await? {
            match self.update_check(found.id, &body).await {
                // Only the app that made a check may change it.
                Err(error) if matches!(error.status(), Some(403 | 404)) => {}
                other => return other,
            }
        }
        self.create_check(check, body).await
    }

    /// Makes a check run; after an uncertain end it looks whether it is there before it asks again.
    async fn create_check(&self, check: &Check, mut body: Value) -> Result<CheckRun, GitHubError> {
        body["head_sha"] = json!(check.head_sha);
        let request = Request {
            method: Method::POST,
            route: self.path("/check-runs"),
            body: Some(body.clone()),
            doing: "create the check run",
            permission: Permission::ChecksWrite,
        };
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            let error = match self.send(&request).await {
                Err(error) if error.is_uncertain() && n_attempts < self.retry.n_attempts => error,
                other => return other,
            };
            tracing::debug!("{error}; looking whether it is there");
            tokio::time::sleep(self.retry.first_delay * n_attempts).await;
            let there = self
                .check_runs(check)
                .await?
                .into_iter()
                .find(|run| run.external_id.as_ref() == Some(&check.external_id));
            if let Some(run) = there {
                return self.update_check(run.id, &body).await;
            }
        }
    }

    /// The latest check runs of this name on this commit.
    async fn check_runs(&self, check: &Check) -> Result<Vec<CheckRun>, GitHubError> {
        self.checks_on(&check.head_sha, Some(&check.name), Permission::ChecksWrite)
            .await
    }

    /// The latest check runs on a commit, those called `name` where one is given.
    pub(crate) async fn checks_on(
        &self,
        sha: &str,
        name: Option<&str>,
        permission: Permission,
    ) -> Result<Vec<CheckRun>, GitHubError> {
        let named = name
            .map(|name| format!("check_name={}&", encode(name)))
            .unwrap_or_default();
        let request = Request {
            method: Method::GET,
            route: self.path(&format!(
                "/commits/{}/check-runs?{named}filter=latest&per_page=100",
                encode(sha)
            )),
            body: None,
            doing: "read the check runs",
            permission,
        };
        let found: CheckRuns = self.send(&request).await?;
        Ok(found.check_runs)
    }

    async fn update_check(&self, id: u64, body: &Value) -> Result<CheckRun, GitHubError> {
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("head_sha");
        }
        self.send(&Request {
            method: Method::PATCH,
            route: self.path(&format!("/check-runs/{id}")),
            body: Some(body),
            doing: "update the check run",
            permission: Permission::ChecksWrite,
        })
        .await
    }
}

fn body_of(check: &Check, report: &Report) -> Value {
    let mut report = report.clone();
    report.annotations.truncate(MAX_ANNOTATIONS);
    let mut body = json!({
        "name": check.name,
        "external_id": check.external_id,
        "output": report,
    });
    if let Some(url) = &check.details_url {
        body["details_url"] = json!(url);
    }
    body
}
