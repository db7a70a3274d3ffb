//! `/trainyard override <sha> <reason>`: a person's word, in a comment, that lets one commit through.

use http::Method;
use serde::Deserialize;
use trainyard_core::gate::Override;
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::comment::Comment;
use crate::error::{GitHubError, Permission};

/// What the first line of the comment begins with.
const COMMAND: &str = "/trainyard override ";

/// Fewer characters of a commit might mean another one.
const MIN_SHA_CHARS: usize = 7;

const MAX_REASON_CHARS: usize = 500;

#[derive(Deserialize)]
struct Access {
    permission: String,
}

/// The reason that a comment gives for letting `head_sha` through.
fn reason<'a>(body: &'a str, head_sha: &str) -> Option<&'a str> {
    let rest = body.trim_start().lines().next()?.strip_prefix(COMMAND)?;
    let (sha, reason) = rest.trim_start().split_once(char::is_whitespace)?;
    let names_head = sha.len() >= MIN_SHA_CHARS && head_sha.starts_with(&sha.to_lowercase());
    let reason = reason.trim();
    (names_head && !reason.is_empty()).then_some(reason)
}

impl GitHub {
    /// The newest override of exactly this commit by a person who may write to the repository. Bots have no say.
    pub async fn find_override(
        &self,
        pull_request: u64,
        head_sha: &str,
    ) -> Result<Option<Override>, GitHubError> {
        let mut comments = self.all_comments(pull_request).await?;
        comments.sort_by_key(|comment| std::cmp::Reverse(comment.id));
        for comment in &comments {
            let (Some(reason), Some(by)) = (reason(&comment.body, head_sha), comment.person())
            else {
                continue;
            };
            if !self.may_write(by).await? {
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

    async fn may_write(&self, login: &str) -> Result<bool, GitHubError> {
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

/// Whether a comment is by a person, and whose.
impl Comment {
    fn person(&self) -> Option<&str> {
        self.author().filter(|_| !self.is_by_bot())
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
