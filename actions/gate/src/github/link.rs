//! The connection: what is asked before it is known what the run is called there.

use std::path::Path;
use std::pin::Pin;

use trainyard_core::config::JudgingConfig;
use trainyard_github::{GitHub, GitHubError, Options, Pull, RequestOf};
use trainyard_runner::{Context, Event, Provider, Trust, path_in_repository};

use super::checkout::checked_out;
use crate::inputs::GitHubArgs;

/// Why a file of the base branch cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the file is not there")]
    NotThere,
    #[error("{0}")]
    Other(String),
}

/// A connection to GitHub.
pub(crate) struct Link {
    pub(super) github: GitHub,
    runtime: tokio::runtime::Runtime,
    /// Whether the report is written there; a fork's token may only read.
    pub(super) may_write: bool,
}

impl Link {
    /// `None` where nothing is to be asked or written: outside of GitHub Actions, or without a token.
    pub(crate) fn open(context: &Context, args: &GitHubArgs) -> Option<Self> {
        if context.provider != Provider::GitHubActions || args.dry_run {
            return None;
        }
        let (Some(token), Some(repository), Some(_), Some(_)) = (
            &args.token,
            &context.repository,
            &context.head_sha,
            &context.run,
        ) else {
            tracing::info!("no token: the report is in the job summary and in `comment.md` alone");
            return None;
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .inspect_err(|error| tracing::warn!("nothing is written on GitHub: {error}"))
            .ok()?;
        let connected = {
            let _guard = runtime.enter();
            let mut options = Options::default();
            options.client.ca.clone_from(&args.ca);
            options.graphql_url = Some(context.graphql_url.clone());
            GitHub::connect(&context.api_url, repository, token, &options)
        };
        let github = connected
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok()?;
        let may_write = context.trust() != Trust::Fork;
        if !may_write {
            tracing::info!(
                "a pull request of a fork has a read-only token: the report is in the job summary and in `comment.md` alone"
            );
        }
        Some(Self {
            github,
            runtime,
            may_write,
        })
    }

    pub(crate) const fn github(&self) -> &GitHub {
        &self.github
    }

    /// Boxed, so that the runtime is compiled once a type of answer, not once a request.
    pub(crate) fn block_on<'a, T>(&self, work: impl Future<Output = T> + 'a) -> T {
        let work: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(work);
        self.runtime.block_on(work)
    }

    /// The patterns of the branches that leave records, which only the default branch's configuration says. Where it cannot
    /// be read there are none, so that no other branch leaves one.
    pub(crate) fn baseline_branches(&self, context: &Context, path: &Path) -> Vec<String> {
        let Some(branch) = &context.default_branch else {
            return Vec::new();
        };
        match self.config(context, path, branch) {
            Ok(config) => config.gate.baseline_branches,
            Err(ReadError::NotThere) => Vec::new(),
            Err(ReadError::Other(reason)) => {
                tracing::warn!(
                    "`[gate] baseline_branches` of `{branch}` could not be read, so only `{branch}` leaves records: {reason}"
                );
                Vec::new()
            }
        }
    }

    /// A file as a branch or commit has it.
    pub(super) fn file(
        &self,
        context: &Context,
        path: &Path,
        reference: &str,
    ) -> Result<String, ReadError> {
        let path = path_in_repository(context.workspace.as_deref(), path);
        let text = self.block_on(self.github.file(&path, reference));
        text.map_err(|error| match error.status() {
            Some(404) => ReadError::NotThere,
            _ => ReadError::Other(error.to_string()),
        })
    }

    /// The configuration as a branch or commit has it.
    pub(super) fn config(
        &self,
        context: &Context,
        path: &Path,
        reference: &str,
    ) -> Result<JudgingConfig, ReadError> {
        let text = self.file(context, path, reference)?;
        parsed(&text, path, reference)
    }

    /// Learns what the event does not say: the pull request of a fork's run, and its base. `false` where nothing is to be written: the pull request has moved on or no longer exists.
    pub(crate) fn complete(&self, context: &mut Context) -> Result<bool, GitHubError> {
        let number = context.pull_request;
        match (&context.event, number) {
            (Event::PullRequestTarget, Some(number))
                if checked_out(context) != context.head_sha =>
            {
                tracing::warn!(
                    "the commit of pull request {number} is not checked out, so nothing is written for it; use the event `pull_request`"
                );
                Ok(false)
            }
            // Such a run has the default branch checked out, unless it says otherwise.
            (Event::CheckRun, _) if checked_out(context) != context.head_sha => {
                tracing::warn!(
                    "the commit of the check run is not checked out, so nothing is written for it"
                );
                Ok(false)
            }
            (Event::WorkflowRun | Event::CheckRun, Some(number)) if !context.is_unverified() => {
                let pull = self.block_on(self.github.pull_request(number))?;
                take_base(context, pull);
                Ok(true)
            }
            (Event::WorkflowRun, _) if context.is_unverified() => {
                let asked = context
                    .head_repository
                    .as_ref()
                    .zip(context.branch.as_ref())
                    .zip(context.head_sha.as_ref());
                // A deleted repository has no pull request to report on.
                let found = match asked {
                    Some(((repository, branch), sha)) => {
                        self.block_on(self.github.request_of(repository, branch, sha))?
                    }
                    None => RequestOf::Nothing,
                };
                match found {
                    RequestOf::Head(pull) => {
                        take_base(context, pull);
                        Ok(true)
                    }
                    RequestOf::Outdated(pull) => {
                        tracing::info!(
                            "pull request {} has a newer commit, {}, by now: nothing is written for this one",
                            pull.number,
                            pull.head.sha
                        );
                        Ok(false)
                    }
                    RequestOf::Nothing => {
                        tracing::info!(
                            "no open pull request has this commit: nothing is written for it"
                        );
                        Ok(false)
                    }
                }
            }
            _ => Ok(true),
        }
    }
}

fn take_base(context: &mut Context, pull: Pull) {
    context.pull_request = Some(pull.number);
    context.base_sha = Some(pull.base.sha);
    context.base_branch = Some(pull.base.branch);
}

/// A configuration as a branch or commit has it.
pub(crate) fn parsed(text: &str, path: &Path, reference: &str) -> Result<JudgingConfig, ReadError> {
    let named = format!("{reference}:{}", path.display());
    JudgingConfig::parse(text, Path::new(&named))
        .map_err(|error| ReadError::Other(error.to_string()))
}
