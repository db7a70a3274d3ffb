//! Which commit a model is compared with, and what was measured there.
//!
//! A record is believed only where the same app wrote it. Only a branch's own run leaves one: see `gate`.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use trainyard_core::gate::{BaselineRecord, RecordError};
use trainyard_net::encode;

use crate::check::App;
use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// Commits that are looked at before it is said that there is no record.
const MAX_DISTANCE: usize = 20;

/// Pages of history that are read to find them.
const MAX_PAGES: usize = 10;

/// The app that a workflow's token writes as.
pub const WORKFLOWS_APP: &str = "github-actions";

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Before the commit that was tested. Where that is GitHub's merge commit of a pull request, its first parent is the
    /// base branch as it was merged.
    Before(String),
    /// Before a commit that stands on `base_branch`'s history only in part: at their merge base.
    MergeBase {
        /// The branch.
        base_branch: String,
        /// The commit.
        head: String,
    },
    /// At this commit itself.
    At(String),
}

/// A record, and where it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The commit.
    pub commit: String,
    /// How many commits before the one that was looked at first.
    pub distance: usize,
    /// What was measured.
    pub record: BaselineRecord,
}

/// What a search for a record came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Search {
    /// A record.
    Found(Box<Found>),
    /// The history was read to its end, and no commit has one.
    NoneEver,
    /// None of this many commits has one, and there are more.
    NoneAmong(usize),
}

/// Commits along first parents, the newest first. Never empty.
struct Chain {
    commits: Vec<String>,
    /// Whether the last one has no parent.
    is_whole: bool,
}

#[derive(Debug, Deserialize)]
struct Commit {
    sha: String,
    parents: Vec<Parent>,
}

#[derive(Debug, Deserialize)]
struct Parent {
    sha: String,
}

#[derive(Deserialize)]
struct Comparison {
    merge_base_commit: Parent,
}

#[derive(Deserialize)]
struct Checks {
    check_runs: Vec<CheckWithText>,
}

#[derive(Deserialize)]
struct CheckWithText {
    app: Option<App>,
    output: Output,
}

#[derive(Deserialize)]
struct Output {
    text: Option<String>,
}

impl GitHub {
    /// The nearest record from `start` backwards along first parents, under the check called `check_name`, by `app`.
    /// At most [`MAX_DISTANCE`] commits are looked at.
    pub async fn find_baseline(
        &self,
        start: &Start,
        check_name: &str,
        app: &str,
    ) -> Result<Search, GitHubError> {
        let chain = match start {
            Start::Before(sha) => {
                let mut chain = self.first_parents(sha).await?;
                chain.commits.remove(0);
                chain
            }
            Start::At(sha) => self.first_parents(sha).await?,
            Start::MergeBase { base_branch, head } => {
                let base = self.merge_base(base_branch, head).await?;
                self.first_parents(&base).await?
            }
        };
        let Chain { commits, is_whole } = chain;
        for (distance, commit) in commits.into_iter().take(MAX_DISTANCE).enumerate() {
            match self.record_of(&commit, check_name, app).await? {
                Some(Ok(record)) => {
                    return Ok(Search::Found(Box::new(Found {
                        commit,
                        distance,
                        record,
                    })));
                }
                Some(Err(error)) => tracing::warn!("commit {commit}: {error}"),
                None => {}
            }
        }
        Ok(if is_whole {
            Search::NoneEver
        } else {
            Search::NoneAmong(MAX_DISTANCE)
        })
    }

    /// The commit and those before it along first parents, [`MAX_DISTANCE`] at most. Never empty.
    ///
    /// A page of history holds the commits of merged branches too, so where it ends before the chain does, the history of
    /// the last commit is asked for.
    async fn first_parents(&self, sha: &str) -> Result<Chain, GitHubError> {
        let mut commits_back = vec![sha.to_owned()];
        let mut last = sha.to_owned();
        for _ in 0..MAX_PAGES {
            let request = Request {
                method: Method::GET,
                route: self.path(&format!("/commits?sha={}&per_page=100", encode(&last))),
                body: None,
                doing: "read the history",
                permission: Permission::ContentsRead,
            };
            let commits: Vec<Commit> = self.send(&request).await?;
            let mut parents: BTreeMap<String, Option<String>> = commits
                .into_iter()
                .map(|commit| {
                    let first = commit.parents.into_iter().next();
                    (commit.sha, first.map(|parent| parent.sha))
                })
                .collect();
            while let Some(known) = parents.remove(&last) {
                let (Some(parent), true) = (&known, commits_back.len() <= MAX_DISTANCE) else {
                    return Ok(Chain {
                        commits: commits_back,
                        is_whole: known.is_none(),
                    });
                };
                commits_back.push(parent.clone());
                last.clone_from(parent);
            }
        }
        Ok(Chain {
            commits: commits_back,
            is_whole: false,
        })
    }

    async fn merge_base(&self, base_branch: &str, head: &str) -> Result<String, GitHubError> {
        let request = Request {
            method: Method::GET,
            route: self.path(&format!(
                "/compare/{}...{}?per_page=1",
                encode(base_branch),
                encode(head)
            )),
            body: None,
            doing: "find the merge base",
            permission: Permission::ContentsRead,
        };
        let found: Comparison = self.send(&request).await?;
        Ok(found.merge_base_commit.sha)
    }

    /// The newest record of the commit, if there is one.
    async fn record_of(
        &self,
        sha: &str,
        check_name: &str,
        app: &str,
    ) -> Result<Option<Result<BaselineRecord, RecordError>>, GitHubError> {
        let name = encode(check_name);
        let request = Request {
            method: Method::GET,
            // Runs of pull requests may have left a newer check of the same name, so all are looked at.
            route: self.path(&format!(
                "/commits/{}/check-runs?check_name={name}&filter=all&per_page=100",
                encode(sha)
            )),
            body: None,
            doing: "read the baseline's check run",
            permission: Permission::ChecksRead,
        };
        let found: Checks = self.send(&request).await?;
        let is_ours = |check: &CheckWithText| {
            let slug = check.app.as_ref().and_then(|app| app.slug.as_deref());
            slug == Some(app)
        };
        Ok(found
            .check_runs
            .iter()
            .filter(|check| is_ours(check))
            .find_map(|check| BaselineRecord::decode(check.output.text.as_deref()?)))
    }
}
