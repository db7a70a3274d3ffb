//! A release on GitHub: our section in its notes. What people wrote there, and whether it is a draft or a prerelease, stays.
//!
//! The API has no condition on a change, so what was written is read again, and written again where another run's change undid it.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};
use crate::section::{Section, is_same};

/// GitHub's limit of a release's notes, in characters: it answers "body is too long (maximum is 125000 characters)" and documents none.
pub const RELEASE_NOTES_LIMIT: usize = 125_000;

/// The shortest useful report, in characters.
const MIN_ROOM: usize = 1_000;

/// Rounds of writing and reading again before another run is left to have the last word.
const MAX_ROUNDS: u32 = 8;

/// Pages of releases that are searched for a draft, which cannot be asked for by its tag.
const MAX_PAGES: usize = 5;

/// In the notes of a draft that we made and have not published yet.
const UNFINISHED: &str = "<!-- trainyard-release unfinished -->\n";

/// A release on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReleasePage {
    /// GitHub's number.
    pub id: u64,
    /// Where people see it.
    pub html_url: String,
    pub(crate) upload_url: String,
    tag_name: String,
    #[serde(default)]
    body: Option<String>,
    draft: bool,
    #[serde(default)]
    immutable: bool,
}

/// A release to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    /// The git tag, which exists.
    pub tag: String,
    /// Whether the version is a prerelease.
    pub is_prerelease: bool,
}

/// What became of the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotesOutcome {
    /// They show this run.
    Written,
    /// They showed it before.
    Unchanged,
    /// What people wrote leaves no room.
    NoRoom,
}

impl ReleasePage {
    /// Whether it is a draft of ours that an earlier run did not come to publish.
    pub fn is_unfinished(&self) -> bool {
        self.draft && self.notes().contains(UNFINISHED.trim_end())
    }

    /// Whether its files and its tag cannot change any more; its notes can.
    pub const fn is_locked(&self) -> bool {
        self.immutable && !self.draft
    }

    fn notes(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }
}

impl GitHub {
    /// The release of a git tag; a draft where none is published and the token may see it.
    pub async fn release_of_tag(&self, tag: &str) -> Result<Option<ReleasePage>, GitHubError> {
        let request = Request {
            method: Method::GET,
            route: self.path(&format!("/releases/tags/{}", encode(tag))),
            body: None,
            doing: "read the release",
            permission: Permission::ContentsRead,
        };
        match self.send(&request).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status() == Some(404) => self.draft_of_tag(tag).await,
            Err(error) => Err(error),
        }
    }

    /// The oldest draft, so that all runs choose the same.
    async fn draft_of_tag(&self, tag: &str) -> Result<Option<ReleasePage>, GitHubError> {
        let all: Vec<ReleasePage> = self
            .all_pages(
                "/releases",
                MAX_PAGES,
                "read the releases",
                Permission::ContentsRead,
            )
            .await?;
        let of_tag = all.into_iter().filter(|found| found.tag_name == tag);
        Ok(of_tag.min_by_key(|found| (found.draft, found.id)))
    }

    /// Makes a draft for the tag, which [`GitHub::publish_release`] completes: where releases are immutable, their assets must be there
    /// before. If another run made one meanwhile, that one is returned.
    pub async fn create_release(&self, new: &NewRelease) -> Result<ReleasePage, GitHubError> {
        let request = Request {
            method: Method::POST,
            route: self.path("/releases"),
            body: Some(json!({
                "tag_name": new.tag,
                "name": new.tag,
                "body": UNFINISHED,
                "draft": true,
                "prerelease": new.is_prerelease,
            })),
            doing: "create the release",
            permission: Permission::ContentsWrite,
        };
        let mut n_attempts = 0;
        let made: ReleasePage = loop {
            n_attempts += 1;
            let error = match self.send(&request).await {
                Err(error) if error.is_uncertain() && n_attempts < self.retry.n_attempts => error,
                done => break done?,
            };
            tracing::debug!("{error}; looking whether it is there");
            tokio::time::sleep(self.settle_time(n_attempts)).await;
            if let Some(found) = self.release_of_tag(&new.tag).await? {
                break found;
            }
        };
        tokio::time::sleep(self.settle_time(0)).await;
        match self.release_of_tag(&new.tag).await? {
            Some(first) if first.id != made.id => {
                self.delete_release(made.id).await?;
                Ok(first)
            }
            _ => Ok(made),
        }
    }

    /// Publishes a draft that [`GitHub::create_release`] made.
    pub async fn publish_release(&self, id: u64) -> Result<ReleasePage, GitHubError> {
        let page = self.release(id).await?;
        if !page.is_unfinished() {
            return Ok(page);
        }
        let change = json!({
            "body": page.notes().replace(UNFINISHED, "").replace(UNFINISHED.trim_end(), ""),
            "draft": false,
            // Of an older series, or of another model of the repository, it is not the latest.
            "make_latest": "legacy",
        });
        self.change_release(id, change).await
    }

    /// Sees to it that the section of `key` in the notes holds what `render` gives for so many characters at most.
    pub async fn put_release_notes(
        &self,
        id: u64,
        key: &str,
        render: impl Fn(usize) -> String,
    ) -> Result<NotesOutcome, GitHubError> {
        let section = Section::of(key);
        let mut was_written = false;
        for round in 0..MAX_ROUNDS {
            // As late as can be before the write: a person may be at it too.
            let page = self.release(id).await?;
            let n_theirs = section.put(page.notes(), "").chars().count();
            let room = RELEASE_NOTES_LIMIT.saturating_sub(n_theirs);
            if room < MIN_ROOM {
                return Ok(NotesOutcome::NoRoom);
            }
            let body = section.put(page.notes(), &render(room));
            if is_same(&body, page.notes()) {
                return Ok(if was_written {
                    NotesOutcome::Written
                } else {
                    NotesOutcome::Unchanged
                });
            }
            self.change_release(id, json!({ "body": body })).await?;
            was_written = true;
            // Every run that read before this write has written by now.
            tokio::time::sleep(self.settle_time(round)).await;
        }
        Err(GitHubError::Unreachable {
            doing: "write the release's notes",
            problem: "they are changed each time".to_owned(),
            n_attempts: MAX_ROUNDS,
        })
    }

    async fn release(&self, id: u64) -> Result<ReleasePage, GitHubError> {
        self.send(&Request {
            method: Method::GET,
            route: self.path(&format!("/releases/{id}")),
            body: None,
            doing: "read the release",
            permission: Permission::ContentsRead,
        })
        .await
    }

    /// Changes what `change` names and nothing else.
    async fn change_release(&self, id: u64, change: Value) -> Result<ReleasePage, GitHubError> {
        self.send(&Request {
            method: Method::PATCH,
            route: self.path(&format!("/releases/{id}")),
            body: Some(change),
            doing: "write the release's notes",
            permission: Permission::ContentsWrite,
        })
        .await
    }

    async fn delete_release(&self, id: u64) -> Result<(), GitHubError> {
        let request = Request {
            method: Method::DELETE,
            route: self.path(&format!("/releases/{id}")),
            body: None,
            doing: "remove a surplus draft",
            permission: Permission::ContentsWrite,
        };
        match self.send_for_value(&request).await {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }
}
