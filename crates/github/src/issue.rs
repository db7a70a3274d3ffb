//! One issue per key in a repository: opened or updated while something is wrong, closed once it is not.
//!
//! There is no way to make an issue only if there is none. Two runs at the same moment may each make one: the one with the higher number is
//! closed as a duplicate. A workflow that may overlap with itself needs a concurrency group.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::author::Author;
use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// The label by which people and we find our issues. GitHub makes it where it does not exist.
const ISSUE_LABEL: &str = "trainyard";

/// Characters that the line before an issue's text takes at most.
pub const ISSUE_MARKER_LIMIT: usize = 200;

/// Pages of a hundred issues with our label that are looked through, the newest first.
const MAX_PAGES: usize = 5;

/// What an issue is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueText<'a> {
    /// Tells this issue from others of Trainyard: letters, digits, `-`, `_`, `.` and `/`.
    pub key: &'a str,
    /// In one line.
    pub title: &'a str,
    /// As Markdown.
    pub body: &'a str,
}

/// What became of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssueOutcome {
    /// There was none.
    Opened(Issue),
    /// It was open with other text, or closed.
    Updated(Issue),
    /// It was open with this text.
    Unchanged(Issue),
    /// It was open, and is closed with this text.
    Closed(Issue),
    /// There is no open one, as there should not be.
    Absent,
}

/// An issue on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// By which people know it.
    pub number: u64,
    /// Where people see it.
    pub html_url: String,
    title: String,
    state: String,
    #[serde(default)]
    body: Option<String>,
    user: Option<User>,
    /// Lists of issues hold pull requests too.
    #[serde(default)]
    pull_request: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct User {
    #[serde(rename = "type")]
    kind: String,
    login: String,
}

impl IssueOutcome {
    /// The issue as it is now.
    pub fn into_issue(self) -> Option<Issue> {
        match self {
            Self::Opened(issue)
            | Self::Updated(issue)
            | Self::Unchanged(issue)
            | Self::Closed(issue) => Some(issue),
            Self::Absent => None,
        }
    }
}

/// The first line of an issue with this key.
fn marker(key: &str) -> String {
    format!("<!-- trainyard-issue key={key} -->\n")
}

impl Issue {
    fn is_open(&self) -> bool {
        self.state == "open"
    }

    fn is_ours(&self, key: &str, author: &Author) -> bool {
        let user = self.user.as_ref();
        self.pull_request.is_none()
            && user.is_some_and(|user| author.is(&user.login, user.kind == "Bot"))
            && self.text().starts_with(&marker(key))
    }

    /// GitHub may have written line ends of its own.
    fn text(&self) -> String {
        self.body
            .as_deref()
            .unwrap_or_default()
            .replace("\r\n", "\n")
    }
}

impl GitHub {
    /// Sees to it that there is one open issue with the key, and that it says this. One that was closed is opened again.
    pub async fn open_issue(&self, said: &IssueText<'_>) -> Result<IssueOutcome, GitHubError> {
        let found = self.issues_of(said.key).await?;
        let body = marker(said.key) + said.body;
        let open = found.iter().find(|issue| issue.is_open());
        let Some(issue) = open.or_else(|| found.last()) else {
            return self.make_issue(said, &body).await;
        };
        if issue.is_open() && issue.title == said.title && issue.text() == body {
            return Ok(IssueOutcome::Unchanged(issue.clone()));
        }
        let change = json!({ "title": said.title, "body": body, "state": "open" });
        let doing = "update the issue";
        let issue = self.change_issue(issue.number, change, doing).await?;
        Ok(IssueOutcome::Updated(issue))
    }

    /// Closes the issue with the key, where one is open, and has it say this.
    pub async fn close_issue(&self, said: &IssueText<'_>) -> Result<IssueOutcome, GitHubError> {
        let found = self.issues_of(said.key).await?;
        let mut closed = IssueOutcome::Absent;
        for issue in found.iter().rev().filter(|issue| issue.is_open()) {
            let change = json!({
                "title": said.title,
                "body": marker(said.key) + said.body,
                "state": "closed",
                "state_reason": "completed",
            });
            let doing = "close the issue";
            closed = IssueOutcome::Closed(self.change_issue(issue.number, change, doing).await?);
        }
        Ok(closed)
    }

    /// Makes the issue. Another run may have made one at the same moment, and a POST without an answer may have been carried out: the issue
    /// with the lowest number stays.
    async fn make_issue(
        &self,
        said: &IssueText<'_>,
        body: &str,
    ) -> Result<IssueOutcome, GitHubError> {
        let made: Result<Issue, _> = self
            .send(&Request {
                method: Method::POST,
                route: self.path("/issues"),
                body: Some(json!({ "title": said.title, "body": body, "labels": [ISSUE_LABEL] })),
                doing: "open an issue",
                permission: Permission::IssuesWrite,
            })
            .await;
        match &made {
            Err(error) if !error.is_uncertain() => {}
            _ => tokio::time::sleep(self.settle_time(1)).await,
        }
        let made = match made {
            Ok(made) => Some(made),
            Err(error) if error.is_uncertain() => None,
            Err(error) => return Err(error),
        };
        let found = self.issues_of(said.key).await?;
        let first = found.into_iter().find(Issue::is_open);
        match (first, made) {
            (Some(first), Some(made)) if first.number < made.number => {
                let change = json!({ "state": "closed", "state_reason": "not_planned" });
                let doing = "close a duplicate of the issue";
                self.change_issue(made.number, change, doing).await?;
                Ok(IssueOutcome::Updated(first))
            }
            (_, Some(made)) | (Some(made), None) => Ok(IssueOutcome::Opened(made)),
            (None, None) => Err(GitHubError::Unreachable {
                doing: "open an issue",
                problem: "there was no answer, and no issue is there".to_owned(),
                n_attempts: 1,
            }),
        }
    }

    /// Our issues with the key, the lowest number first.
    async fn issues_of(&self, key: &str) -> Result<Vec<Issue>, GitHubError> {
        let author = self.author().await?;
        let mut found: Vec<Issue> = self
            .all_pages(
                &format!("/issues?state=all&labels={ISSUE_LABEL}"),
                MAX_PAGES,
                "read the issues",
                Permission::IssuesWrite,
            )
            .await?;
        found.retain(|issue| issue.is_ours(key, &author));
        found.sort_by_key(|issue| issue.number);
        Ok(found)
    }

    async fn change_issue(
        &self,
        number: u64,
        change: serde_json::Value,
        doing: &'static str,
    ) -> Result<Issue, GitHubError> {
        self.send(&Request {
            method: Method::PATCH,
            route: self.path(&format!("/issues/{number}")),
            body: Some(change),
            doing,
            permission: Permission::IssuesWrite,
        })
        .await
    }
}
