//! One comment per key on a pull request, updated in place, however many runs write it at once.
//!
//! The API has no condition on a change: two runs may each read the old comment and write. So every write is read
//! again, and mended where an older run won. All runs keep the comment with the lowest number and remove the others.

use std::cmp::Ordering;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::author::Author;
use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// What GitHub calls accounts of apps.
const BOT: &str = "Bot";
/// Rounds of writing and reading again before another run is left to have the last word.
const MAX_ROUNDS: u32 = 12;

/// Characters that the line before a comment's text takes at most.
pub const MARKER_LIMIT: usize = 300;

/// Where a comment belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Number of the pull request.
    pub pull_request: u64,
    /// Tells this comment from others of Trainyard: letters, digits, `-`, `_`, `.` and `/`.
    pub key: String,
}

/// Which run a comment shows. A later run has a higher number; a repeated one a higher attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// GitHub's number of the workflow run.
    pub run_id: u64,
    /// Counted from 1.
    pub attempt: u32,
    /// The commit that it shows.
    pub head_sha: String,
}

/// What became of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created(Comment),
    /// It was there with other text.
    Updated(Comment),
    /// It was there with this text.
    Unchanged(Comment),
    /// It shows a newer run.
    Newer(Comment),
    /// It was not there, and was not to be made.
    Absent,
}

/// A comment on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// GitHub's number.
    pub id: u64,
    /// Its text.
    #[serde(default)]
    pub body: String,
    /// Where people see it.
    pub html_url: String,
    user: Option<User>,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    updated_at: String,
    #[serde(default)]
    performed_via_github_app: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct User {
    #[serde(rename = "type")]
    kind: String,
    login: String,
}

impl Outcome {
    /// The comment as it is now.
    pub fn into_comment(self) -> Option<Comment> {
        match self {
            Self::Created(comment)
            | Self::Updated(comment)
            | Self::Unchanged(comment)
            | Self::Newer(comment) => Some(comment),
            Self::Absent => None,
        }
    }
}

impl Stamp {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.run_id, self.attempt).cmp(&(other.run_id, other.attempt))
    }
}

/// The first line of a comment with this key, up to what differs between runs.
fn marker(key: &str) -> String {
    format!("<!-- trainyard-report key={key} ")
}

fn body_of(key: &str, stamp: &Stamp, text: &str) -> String {
    let Stamp {
        run_id,
        attempt,
        head_sha,
    } = stamp;
    format!(
        "{}run={run_id}.{attempt} head={head_sha} -->\n{text}",
        marker(key)
    )
}

impl Comment {
    /// The run that it shows, where this is a comment with `key`.
    fn stamp(&self, key: &str) -> Option<Stamp> {
        let rest = self.body.strip_prefix(&marker(key))?;
        let (fields, _) = rest.split_once(" -->")?;
        let mut fields = fields.split(' ');
        let (run_id, attempt) = fields.next()?.strip_prefix("run=")?.split_once('.')?;
        Some(Stamp {
            run_id: run_id.parse().ok()?,
            attempt: attempt.parse().ok()?,
            head_sha: fields.next()?.strip_prefix("head=")?.to_owned(),
        })
    }

    /// Who wrote it, where the account is still there.
    pub(crate) fn author(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.login.as_str())
    }

    /// Who wrote it, where that is a person with their own hands, and it still says what they wrote.
    pub(crate) fn person(&self) -> Option<&str> {
        let is_by_bot = self.user.as_ref().is_some_and(|user| user.kind == BOT);
        let is_edited = self.created_at != self.updated_at;
        let is_via_app = self.performed_via_github_app.is_some();
        self.author()
            .filter(|_| !(is_by_bot || is_edited || is_via_app))
    }

    fn text(&self) -> &str {
        let text = self.body.split_once('\n');
        text.map_or("", |(_, text)| text)
    }
}

impl GitHub {
    /// Sees to it that the pull request has one comment with the key, and that it shows this run or a newer one.
    ///
    /// Only comments by exactly the account that the token writes as are taken for ours, whatever others say. Where
    /// `may_create` is false, a comment that is there is brought up to date, and none is made.
    ///
    /// Lists lag behind: what was made may not be in them for half a minute. So after one comment was made no other is,
    /// whatever a list says; its number is kept, and lists are read until they hold it, since only then do they hold the
    /// comments that other runs made before it.
    pub async fn upsert_comment(
        &self,
        place: &Place,
        stamp: &Stamp,
        text: &str,
        may_create: bool,
    ) -> Result<Outcome, GitHubError> {
        let author = self.author().await?;
        let body = body_of(&place.key, stamp, text);
        let mut made: Option<Comment> = None;
        let mut is_gone = false;
        let mut was_written = false;
        for round in 0..MAX_ROUNDS {
            let mine = self.comments(place, &author).await?;
            if let Some(ours) = made.as_ref().filter(|_| !is_gone)
                && !mine.iter().any(|comment| comment.id == ours.id)
            {
                // Another run that holds an older comment removes this one.
                match self.comment(ours.id).await {
                    Err(error) if error.status() == Some(404) => is_gone = true,
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
                tokio::time::sleep(self.settle_time(round)).await;
                continue;
            }
            let Some((kept, surplus)) = mine.split_first() else {
                if !may_create {
                    return Ok(Outcome::Absent);
                }
                if made.is_some() {
                    // The older comment for which ours was removed is not in the list yet.
                    tokio::time::sleep(self.settle_time(round)).await;
                    continue;
                }
                match self.create_comment(place, &body).await {
                    // Read again: another run may have made one at the same moment.
                    Ok(comment) => (made, was_written) = (Some(comment), true),
                    // It may be there all the same, which a later look will show.
                    Err(error) if error.is_uncertain() && round + 1 < MAX_ROUNDS => {
                        tokio::time::sleep(self.settle_time(round)).await;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            for comment in surplus {
                self.delete_comment(comment.id).await?;
            }
            let shown = kept.stamp(&place.key);
            let order = shown
                .as_ref()
                .map_or(Ordering::Less, |shown| shown.cmp(stamp));
            let is_same =
                kept.text() == text && shown.is_some_and(|shown| shown.head_sha == stamp.head_sha);
            if order == Ordering::Greater && !is_same {
                return Ok(Outcome::Newer(kept.clone()));
            }
            let is_ours = made.as_ref().is_some_and(|ours| ours.id == kept.id);
            if is_same {
                let kept = kept.clone();
                return Ok(match (is_ours, was_written) {
                    (true, _) => Outcome::Created(kept),
                    (false, true) => Outcome::Updated(kept),
                    (false, false) => Outcome::Unchanged(kept),
                });
            }
            match self.update_comment(kept.id, &body).await {
                Ok(_) => was_written = true,
                // Removed meanwhile, which the list may not know yet.
                Err(error) if error.status() == Some(404) => {
                    tokio::time::sleep(self.settle_time(round)).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            // Every run that read before this write has written by now.
            tokio::time::sleep(self.settle_time(round)).await;
            match self.comment(kept.id).await {
                Ok(comment) if comment.body == body && surplus.is_empty() => {
                    return Ok(if is_ours {
                        Outcome::Created(comment)
                    } else {
                        Outcome::Updated(comment)
                    });
                }
                Ok(_) => {}
                Err(error) if error.status() == Some(404) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(comment) = made.filter(|_| !is_gone) {
            return Ok(Outcome::Created(comment));
        }
        let mine = self.comments(place, &author).await?;
        match mine.into_iter().next() {
            Some(comment) => Ok(Outcome::Newer(comment)),
            None => Err(GitHubError::Unreachable {
                doing: "write the comment",
                problem: "it is removed each time".to_owned(),
                n_attempts: MAX_ROUNDS,
            }),
        }
    }

    /// Twice as long each round: a list that lags behind is at last waited for.
    pub(crate) fn settle_time(&self, round: u32) -> Duration {
        const MAX_DOUBLINGS: u32 = 5;
        self.retry.first_delay * 2_u32.pow(round.min(MAX_DOUBLINGS))
    }

    /// The texts of our comments with the key, the oldest first.
    pub async fn comment_texts(&self, place: &Place) -> Result<Vec<String>, GitHubError> {
        let author = self.author().await?;
        let mine = self.comments(place, &author).await?;
        Ok(mine
            .iter()
            .map(|comment| comment.text().to_owned())
            .collect())
    }

    /// Our comments with the key, the oldest first.
    async fn comments(&self, place: &Place, author: &Author) -> Result<Vec<Comment>, GitHubError> {
        let mut mine = self.all_comments(place.pull_request).await?;
        mine.retain(|comment| {
            let user = comment.user.as_ref();
            let is_ours = user.is_some_and(|user| author.is(&user.login, user.kind == BOT));
            is_ours && comment.body.starts_with(&marker(&place.key))
        });
        mine.sort_by_key(|comment| comment.id);
        Ok(mine)
    }

    pub(crate) async fn all_comments(
        &self,
        pull_request: u64,
    ) -> Result<Vec<Comment>, GitHubError> {
        self.all_pages(
            &format!("/issues/{pull_request}/comments"),
            usize::MAX,
            "read the comments",
            Permission::PullRequestsWrite,
        )
        .await
    }

    async fn create_comment(&self, place: &Place, body: &str) -> Result<Comment, GitHubError> {
        self.send(&Request {
            method: Method::POST,
            route: self.path(&format!("/issues/{}/comments", place.pull_request)),
            body: Some(json!({ "body": body })),
            doing: "write the comment",
            permission: Permission::PullRequestsWrite,
        })
        .await
    }

    async fn comment(&self, id: u64) -> Result<Comment, GitHubError> {
        self.send(&Request {
            method: Method::GET,
            route: self.path(&format!("/issues/comments/{id}")),
            body: None,
            doing: "read the comment",
            permission: Permission::PullRequestsWrite,
        })
        .await
    }

    async fn update_comment(&self, id: u64, body: &str) -> Result<Comment, GitHubError> {
        self.send(&Request {
            method: Method::PATCH,
            route: self.path(&format!("/issues/comments/{id}")),
            body: Some(json!({ "body": body })),
            doing: "update the comment",
            permission: Permission::PullRequestsWrite,
        })
        .await
    }

    /// A comment that is gone already is as good as deleted.
    async fn delete_comment(&self, id: u64) -> Result<(), GitHubError> {
        let request = Request {
            method: Method::DELETE,
            route: self.path(&format!("/issues/comments/{id}")),
            body: None,
            doing: "remove a surplus comment",
            permission: Permission::PullRequestsWrite,
        };
        match self.send_for_value(&request).await {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }
}
