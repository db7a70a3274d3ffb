//! Pull requests, where an event does not tell about them, and files of the branch that they want to enter.

use base64::Engine as _;
use http::Method;
use serde::Deserialize;
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    state: String,
    /// What it wants to bring in.
    pub head: Side,
    /// Where it wants to go.
    pub base: Side,
}

/// One side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Side {
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: String,
    /// Its commit.
    pub sha: String,
    repo: Option<Repository>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Repository {
    full_name: String,
}

/// The open pull request of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOf {
    /// It is the newest of this one.
    Head(Pull),
    /// This one has a newer commit by now.
    Outdated(Pull),
    /// There is none.
    Nothing,
}

#[derive(Deserialize)]
struct Content {
    encoding: Option<String>,
    content: Option<String>,
}

impl Pull {
    /// Whether it is neither merged nor closed.
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }
}

impl Side {
    /// Whether the branch is in `repository`; names know no case. A deleted repository has no owner.
    pub fn is_in(&self, repository: &str) -> bool {
        let found = self.repo.as_ref();
        found.is_some_and(|found| found.full_name.eq_ignore_ascii_case(repository))
    }
}

impl GitHub {
    /// The pull request with this number.
    pub async fn pull_request(&self, number: u64) -> Result<Pull, GitHubError> {
        self.send(&Request {
            method: Method::GET,
            route: self.path(&format!("/pulls/{number}")),
            body: None,
            doing: "read the pull request",
            permission: Permission::PullRequestsRead,
        })
        .await
    }

    /// The open pull request that wants to bring in `sha` from `branch` of `repository`. What a fork says about itself is
    /// not asked: repository, branch and commit are those that GitHub names.
    pub async fn request_of(
        &self,
        repository: &str,
        branch: &str,
        sha: &str,
    ) -> Result<RequestOf, GitHubError> {
        let owner = repository.split('/').next().unwrap_or_default();
        let head = encode(&format!("{owner}:{branch}"));
        let pulls: Vec<Pull> = self
            .send(&Request {
                method: Method::GET,
                route: self.path(&format!("/pulls?state=open&head={head}&per_page=100")),
                body: None,
                doing: "look for the pull request",
                permission: Permission::PullRequestsRead,
            })
            .await?;
        // Where nothing fits its filter GitHub has been seen to list all.
        let mut own = pulls
            .into_iter()
            .filter(|pull| pull.head.is_in(repository) && pull.head.branch == branch);
        let Some(first) = own.next() else {
            return Ok(RequestOf::Nothing);
        };
        Ok(if first.head.sha == sha {
            RequestOf::Head(first)
        } else {
            RequestOf::Outdated(first)
        })
    }

    /// The text of a file, `path` from the repository's root, on a branch or at a commit.
    pub async fn file(&self, path: &str, reference: &str) -> Result<String, GitHubError> {
        const DOING: &str = "read a file of the base branch";
        let content: Content = self
            .send(&Request {
                method: Method::GET,
                route: self.path(&format!(
                    "/contents/{}?ref={}",
                    encode(path),
                    encode(reference)
                )),
                body: None,
                doing: DOING,
                permission: Permission::ContentsRead,
            })
            .await?;
        let malformed = |problem: &str| GitHubError::Malformed {
            doing: DOING,
            problem: problem.to_owned(),
        };
        if content.encoding.as_deref() != Some("base64") {
            return Err(malformed("it is not a file, or larger than 1 MB"));
        }
        let mut text = content.content.unwrap_or_default();
        text.retain(|c| !c.is_ascii_whitespace());
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| malformed(&error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| malformed(&error.to_string()))
    }
}
