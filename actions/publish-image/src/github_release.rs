//! The release of the tag on GitHub: the notes get a section of ours, and the report and the model card become its files.
//!
//! The image is published by then. Nothing here turns the run red; what could not be written is said with the line that allows it.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use trainyard_core::config::ReleaseMode;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::model::FileEntry;
use trainyard_core::report::MODEL_CARD_FILE;
use trainyard_github::{
    AssetOutcome, GitHub, GitHubError, NewRelease, NotesOutcome, Options, ReleasePage,
};
use trainyard_runner::{Annotation, Context, Provider, Trust};

use crate::inputs::GitHubArgs;
use crate::release::Released;

/// A page of an earlier stage, in a folder of the results.
pub(crate) struct Page<'a> {
    pub(crate) folder: PathBuf,
    /// As the stage's JSON names it.
    pub(crate) file: &'a FileEntry,
}

/// The release and what it gets.
pub(crate) struct GitHubRelease<'a> {
    pub(crate) released: &'a Released<'a>,
    pub(crate) model_card: &'a Path,
    pub(crate) pages: Vec<Page<'a>>,
    pub(crate) mode: ReleaseMode,
    pub(crate) args: &'a GitHubArgs,
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    pub(crate) ca: Option<PathBuf>,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Where people see the release.
    pub(crate) url: Option<String>,
    /// What stood in the way.
    pub(crate) warning: Option<Annotation>,
}

/// Why a release is left as it is.
enum Left {
    /// There is none.
    Absent,
    GitHub(GitHubError),
}

impl From<GitHubError> for Left {
    fn from(error: GitHubError) -> Self {
        Self::GitHub(error)
    }
}

impl GitHubRelease<'_> {
    /// Brings the release up to date. Problems are logged and do not fail the run.
    pub(crate) fn write(&self, context: &Context, runtime: &Runtime) -> Written {
        let is_wanted = context.provider == Provider::GitHubActions
            && context.trust() == Trust::Own
            && self.mode != ReleaseMode::Never;
        let Some(repository) = context.repository.as_ref().filter(|_| is_wanted) else {
            return Written::default();
        };
        let tag = self.released.tag();
        // A workflow hands over an empty variable where it has no token.
        let token = self.args.token.as_deref();
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            tracing::info!("no token: the release `{tag}` on GitHub is left as it is");
            return Written::default();
        };
        let connected = {
            let _guard = runtime.enter();
            self.connect(context, repository, token)
        };
        let done = match connected {
            Ok(github) => runtime.block_on(self.put(&github)),
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(url) => {
                tracing::info!("the release `{tag}` on GitHub shows this model: {url}");
                Written {
                    url: Some(url),
                    warning: None,
                }
            }
            Err(Left::Absent) => {
                tracing::info!(
                    "`{tag}` has no release on GitHub; `release: create` (`--release create`) makes one"
                );
                Written::default()
            }
            // The default was not an explicit request.
            Err(Left::GitHub(GitHubError::Refused {
                status: 403 | 404,
                hint,
                ..
            })) if self.mode == ReleaseMode::Update => {
                tracing::info!("the release `{tag}` on GitHub is left as it is: {hint}");
                Written::default()
            }
            Err(Left::GitHub(error)) => {
                tracing::warn!("{error}");
                let title = format!("The release {tag} is not up to date");
                Written {
                    url: None,
                    warning: Some(Annotation::warning(error.to_string()).title(title)),
                }
            }
        }
    }

    fn connect(
        &self,
        context: &Context,
        repository: &str,
        token: &str,
    ) -> Result<GitHub, GitHubError> {
        let mut options = Options::default();
        options.client.ca.clone_from(&self.ca);
        options.graphql_url = Some(context.graphql_url.clone());
        GitHub::connect(&context.api_url, repository, token, &options)
    }

    async fn put(&self, github: &GitHub) -> Result<String, Left> {
        let tag = self.released.tag();
        let found = github.release_of_tag(tag).await?;
        let page = match found {
            Some(page) => page,
            None if self.mode == ReleaseMode::Create => {
                let new = NewRelease {
                    tag: tag.to_owned(),
                    is_prerelease: self.released.is_prerelease(),
                };
                github.create_release(&new).await?
            }
            None => return Err(Left::Absent),
        };
        let model = self.released.model_name();
        let render = |max_chars| self.released.notes(max_chars);
        let notes = github.put_release_notes(page.id, model, render).await?;
        if notes == NotesOutcome::NoRoom {
            tracing::warn!(
                "the notes of the release `{tag}` leave no room for the metrics: shorten them and run this job again"
            );
        }
        self.put_files(github, &page).await?;
        if page.is_unfinished() {
            return Ok(github.publish_release(page.id).await?.html_url);
        }
        Ok(page.html_url)
    }

    async fn put_files(&self, github: &GitHub, page: &ReleasePage) -> Result<(), GitHubError> {
        if page.is_locked() {
            tracing::info!("the release is immutable, so it keeps the files that it has");
            return Ok(());
        }
        for (name, bytes) in self.files() {
            // Several models may share a release.
            let name = format!("{}-{name}", self.released.model_name());
            match github.put_release_asset(page, &name, bytes).await? {
                AssetOutcome::Added => tracing::info!("the release has the new file `{name}`"),
                AssetOutcome::Replaced => tracing::info!("the release's file `{name}` is replaced"),
                AssetOutcome::Unchanged => {}
            }
        }
        Ok(())
    }

    /// Name and content of each file. A page that is gone, or is not the one that its stage wrote, is left out and named.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let card = files::read(self.model_card);
        match card {
            Ok(bytes) => found.push((MODEL_CARD_FILE.to_owned(), bytes)),
            Err(error) => tracing::warn!("{error}"),
        }
        for Page { folder, file } in &self.pages {
            let path = folder.join(&file.path);
            match files::read(&path) {
                Ok(bytes) if Sha256Digest::of(&bytes) == file.sha256 => {
                    found.push((file.path.clone(), bytes));
                }
                Ok(_) => tracing::warn!(
                    "`{}` has changed since, so the release does not get it",
                    path.display()
                ),
                Err(error) => tracing::warn!("{error}, so the release does not get it"),
            }
        }
        found
    }
}
