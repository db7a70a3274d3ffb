//! `/trainyard override <sha> <reason>`: a person's word, in a comment, that lets one commit through.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use trainyard_core::gate::{Mark, Override};
use trainyard_net::encode;

use crate::check::CheckRun;
use crate::client::{GitHub, Request};
use crate::comment::Comment;
use crate::error::{GitHubError, Permission};
use crate::pull::Pull;

/// What the first line of the comment begins with.
const COMMAND: &str = "/trainyard override ";

/// Fewer characters of a commit might mean another one.
const MIN_SHA_CHARS: usize = 7;

const MAX_REASON_CHARS: usize = 500;

/// People who are asked for, so that readers cannot use up the token's calls.
const MAX_ASKED: usize = 10;

/// Pull requests of one commit that are looked at.
const MAX_PULLS: usize = 3;

/// Pages of comments on a commit that are read.
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
struct Access {
    permission: String,
}

/// `/trainyard override <sha> <reason>`, as it is written on the first line of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    sha: &'a str,
    /// Empty where none is given.
    reason: &'a str,
}

impl<'a> Command<'a> {
    /// The command on the first line of `body`, if there is one.
    pub fn parse(body: &'a str) -> Option<Self> {
        let rest = body.trim_start().lines().next()?.strip_prefix(COMMAND)?;
        let rest = rest.trim_start();
        let (sha, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Some(Self {
            sha,
            reason: reason.trim(),
        })
    }

    /// Whether it names this commit, by enough of its characters.
    pub fn names(&self, head_sha: &str) -> bool {
        self.sha.len() >= MIN_SHA_CHARS && head_sha.starts_with(&self.sha.to_lowercase())
    }

    /// Whether it says why.
    pub const fn has_reason(&self) -> bool {
        !self.reason.is_empty()
    }
}

/// The reason that a comment gives for letting `head_sha` through.
fn reason<'a>(body: &'a str, head_sha: &str) -> Option<&'a str> {
    let command = Command::parse(body)?;
    (command.names(head_sha) && command.has_reason()).then_some(command.reason)
}

/// Where a person may let a commit through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// In a comment on this pull request.
    PullRequest(u64),
    /// In a comment on the commit itself.
    Commit,
}

impl GitHub {
    /// The newest override of exactly this commit by a person who may write to the repository. Comments by bots, through an
    /// App, and edited ones have no say.
    pub async fn find_override(
        &self,
        thread: Thread,
        head_sha: &str,
    ) -> Result<Option<Override>, GitHubError> {
        let mut comments = match thread {
            Thread::PullRequest(number) => self.all_comments(number).await?,
            Thread::Commit => {
                self.all_pages(
                    &format!("/commits/{}/comments", encode(head_sha)),
                    MAX_PAGES,
                    "read the comments on the commit",
                    Permission::ContentsRead,
                )
                .await?
            }
        };
        comments.sort_by_key(|comment: &Comment| std::cmp::Reverse(comment.id));
        // Text first: only who says the words is asked for, and each but once.
        let mut asked: BTreeMap<&str, bool> = BTreeMap::new();
        for comment in &comments {
            let (Some(reason), Some(by)) = (reason(&comment.body, head_sha), comment.person())
            else {
                continue;
            };
            let may_write = match asked.get(by) {
                Some(may_write) => *may_write,
                None if asked.len() == MAX_ASKED => {
                    tracing::warn!(
                        "{MAX_ASKED} people without write permission tried to override; others are not asked for"
                    );
                    return Ok(None);
                }
                None => {
                    let may_write = self.may_write(by).await?;
                    asked.insert(by, may_write);
                    may_write
                }
            };
            if !may_write {
                tracing::warn!("the override by {by} does not count: they may not write here");
                continue;
            }
            return Ok(Some(Override {
                commit: head_sha.to_owned(),
                by: by.to_owned(),
                reason: reason.chars().take(MAX_REASON_CHARS).collect(),
                url: comment.html_url.clone(),
            }));
        }
        Ok(None)
    }

    /// The override of one of the pull requests that brought in `sha`, where their check `check_name`, by `app`, says that
    /// it was on the same content as `mark`'s.
    pub async fn followed_override(
        &self,
        pulls: &[Pull],
        check_name: &str,
        app: &str,
        mark: &Mark,
    ) -> Result<Option<Override>, GitHubError> {
        for pull in pulls.iter().take(MAX_PULLS) {
            let found = self
                .checks_on(&pull.head.sha, Some(check_name), Permission::ChecksRead)
                .await?;
            let texts = found
                .iter()
                .filter(|check| check.app() == Some(app))
                .filter_map(CheckRun::text);
            for found in texts.flat_map(Mark::decode_all) {
                if let Some(overridden) = found.override_for(mark) {
                    return Ok(Some(overridden.clone()));
                }
            }
        }
        Ok(None)
    }

    /// The pull requests that brought in a commit, merged ones too.
    pub async fn pulls_of(&self, sha: &str) -> Result<Vec<Pull>, GitHubError> {
        self.send(&Request {
            method: Method::GET,
            route: self.path(&format!("/commits/{}/pulls?per_page=100", encode(sha))),
            body: None,
            doing: "look for the commit's pull requests",
            permission: Permission::PullRequestsRead,
        })
        .await
    }

    /// Whether the person may write to the repository.
    pub async fn may_write(&self, login: &str) -> Result<bool, GitHubError> {
        let request = Request {
            method: Method::GET,
            route: self.path(&format!("/collaborators/{}/permission", encode(login))),
            body: None,
            doing: "ask who may override",
            permission: Permission::ContentsRead,
        };
        match self.send::<Access>(&request).await {
            // `maintain` is told as `write`, `triage` as `read`.
            Ok(access) => Ok(matches!(access.permission.as_str(), "admin" | "write")),
            // There is no user of this name.
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_the_commit_and_a_reason() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        for (body, expected) in [
            (
                "/trainyard override 0123456 known drift",
                Some("known drift"),
            ),
            ("  /trainyard override 0123456789AB  ok\n\nmore", Some("ok")),
            (
                &format!("/trainyard override {sha} all of it"),
                Some("all of it"),
            ),
            ("/trainyard override 012345 too short a commit", None),
            ("/trainyard override 1234567 another commit", None),
            ("/trainyard override 0123456", None),
            ("/trainyard override 0123456   ", None),
            ("> /trainyard override 0123456 quoted", None),
            ("do /trainyard override 0123456 later", None),
            ("/trainyard overrides 0123456 x", None),
            ("", None),
        ] {
            assert_eq!(reason(body, sha), expected, "{body}");
        }
    }
}
