//! Which commit a model is compared with, and what was measured there.
//!
//! A record is trusted only where the same app wrote it, under the one name that only runs of a branch write.

use http::Method;
use serde::Deserialize;
use trainyard_core::gate::BaselineRecord;
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};
use crate::history::{HistoricCheck, HistoricCommit, History, Tested};

/// Commits without any check after which the list of the workflow's runs is asked whether there can be one.
const N_BEFORE_RUNS: usize = 100;

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Before the commit that was tested. Where that is GitHub's merge commit of a pull request, its first parent is the
    /// base branch as it was merged.
    Before(String),
    /// Before a commit that was pushed: at the commit that the branch was at before, where that is an ancestor.
    Push {
        /// The commit that was pushed.
        head: String,
        /// Where the branch was.
        before: Option<String>,
    },
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

/// Which records count.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Name of the check that holds them.
    pub check_name: &'a str,
    /// The app that writes it; by default the one that the token is of, else that of workflows.
    pub app: Option<&'a str>,
    /// File name of the workflow, and the branch on which its runs leave records: where they are known, an empty list of
    /// runs ends a search that the history would not end.
    pub runs: Option<(&'a str, &'a str)>,
    /// The commit that was tested, to be read in the same call.
    pub tested: Option<Tested<'a>>,
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

/// A commit whose check holds nothing to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The commit.
    pub commit: String,
    /// How many commits before the one that was looked at first.
    pub distance: usize,
    /// Why.
    pub reason: String,
    /// Whether that is because its run is still at work, and may leave a record yet.
    pub is_running: bool,
}

/// How a search for a record ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A record.
    Found(Box<Found>),
    /// There can be none: the history was read to its end, or no run ever left one.
    NoneEver,
    /// None of this many commits has one, and there are more.
    NoneAmong(usize),
}

/// What a search for a record came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// How it ended.
    pub outcome: Outcome,
    /// Commits nearer than that whose checks hold nothing to compare with, the nearest first.
    pub passed_over: Vec<PassedOver>,
    /// The git tree of the tested commit: of the one before which the search begins, else of the one that was named.
    pub tree_sha: Option<String>,
    /// Texts of the tested commit's checks; `None` where they were not asked for.
    pub own_texts: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Check {
    output: Output,
}

#[derive(Deserialize)]
struct Output {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    total_count: u64,
}

impl GitHub {
    /// The nearest record from `start` backwards along first parents.
    pub async fn find_baseline(
        &self,
        start: &Start,
        wanted: Wanted<'_>,
    ) -> Result<Search, GitHubError> {
        let Wanted {
            check_name,
            app,
            tested,
            ..
        } = wanted;
        let from = |sha: &String| History::from(self, sha.clone(), check_name, app, tested);
        let mut tree_sha = None;
        let mut history = match start {
            Start::At(sha) => from(sha),
            Start::Before(sha) => {
                let mut history = from(sha);
                tree_sha = history.next().await?.map(|commit| commit.tree_sha);
                history
            }
            Start::Push { head, before } => {
                let mut history = from(head);
                tree_sha = history.next().await?.map(|commit| commit.tree_sha);
                if let Some(before) = before
                    && (history.holds(before) || self.is_ancestor(before, head).await?)
                {
                    history.jump(before.clone());
                }
                history
            }
            Start::MergeBase { base_branch, head } => {
                from(&self.compare(base_branch, head).await?.merge_base_commit.sha)
            }
        };
        let mut passed_over = Vec::new();
        let mut distance = 0;
        let outcome = loop {
            let Some(commit) = history.next().await? else {
                break match history.is_whole() {
                    true => Outcome::NoneEver,
                    false => Outcome::NoneAmong(distance),
                };
            };
            match self.record_of(&commit).await? {
                Some(Ok(record)) => {
                    break Outcome::Found(Box::new(Found {
                        commit: commit.sha,
                        distance,
                        record,
                    }));
                }
                Some(Err(reason)) => passed_over.push(PassedOver {
                    commit: commit.sha,
                    distance,
                    reason,
                    is_running: false,
                }),
                None if commit.is_running => passed_over.push(PassedOver {
                    commit: commit.sha,
                    distance,
                    reason: "its check is still running".to_owned(),
                    is_running: true,
                }),
                None => {}
            }
            distance += 1;
            let none_ended = passed_over.iter().all(|passed| passed.is_running);
            if distance == N_BEFORE_RUNS && none_ended && self.has_no_runs(wanted).await {
                break Outcome::NoneEver;
            }
        };
        let about_tested = history.into_about_tested();
        Ok(Search {
            outcome,
            passed_over,
            tree_sha: tree_sha.or(about_tested.tree_sha),
            own_texts: about_tested.texts,
        })
    }

    /// The newest usable record of the commit, or why its checks hold none; `None` where there is no such check.
    async fn record_of(
        &self,
        commit: &HistoricCommit,
    ) -> Result<Option<Result<BaselineRecord, String>>, GitHubError> {
        let mut reason = None;
        for check in &commit.checks {
            let why = match self.text_of(check).await?.as_deref() {
                _ if !check.is_green => "its check is red".to_owned(),
                text => match text.and_then(BaselineRecord::decode) {
                    None => "its check holds no record".to_owned(),
                    Some(Err(error)) => error.to_string(),
                    Some(Ok(record)) => match record.why_unusable() {
                        None => return Ok(Some(Ok(record))),
                        Some(why) => why,
                    },
                },
            };
            reason.get_or_insert(why);
        }
        Ok(reason.map(Err))
    }

    /// The check's text, which pages after the first leave out. A red check's is not asked for.
    async fn text_of(&self, check: &HistoricCheck) -> Result<Option<String>, GitHubError> {
        if check.text.is_some() || !check.is_green {
            return Ok(check.text.clone());
        }
        let request = Request {
            method: Method::GET,
            route: self.path(&format!("/check-runs/{}", check.id)),
            body: None,
            doing: "read the baseline's check run",
            permission: Permission::ChecksRead,
        };
        let found: Check = self.send(&request).await?;
        Ok(found.output.text)
    }

    /// Whether the workflow has never completed a run that could have left a record. Where that cannot be asked, it is not
    /// known.
    async fn has_no_runs(&self, wanted: Wanted<'_>) -> bool {
        let Some((file, branch)) = wanted.runs else {
            return false;
        };
        let request = Request {
            method: Method::GET,
            route: self.path(&format!(
                "/actions/workflows/{}/runs?branch={}&status=completed&per_page=1",
                encode(file),
                encode(branch)
            )),
            body: None,
            doing: "list the workflow's runs",
            permission: Permission::ActionsRead,
        };
        match self.send::<Runs>(&request).await {
            Ok(found) => found.total_count == 0,
            Err(error) => {
                tracing::debug!("{error}");
                false
            }
        }
    }
}
