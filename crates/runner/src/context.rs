//! What this run is about: which commit, branch, tag or pull request, of which repository, in which CI system.
//!
//! Comes from environment variables and, in GitHub Actions, the event file. Nothing is asked from a network or
//! from git.

mod event;
mod github;
mod gitlab;
mod jenkins;
mod payload;
mod travis;
mod trust;
mod workflow;

use std::path::PathBuf;

use trainyard_core::files::FileError;

pub use event::Event;
pub use trust::Trust;
pub use workflow::Workflow;

use crate::environment::Environment;

/// Why the context of a run cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// GitHub Actions is said to run this, but names no event file.
    #[error(
        "`GITHUB_ACTIONS` is `true`, but `GITHUB_EVENT_PATH` names no event file; set it, or unset `GITHUB_ACTIONS` outside of GitHub Actions"
    )]
    NoEventFile,
    /// The event file is missing, unreadable, or not what GitHub writes.
    #[error(
        "cannot learn from the event file in `GITHUB_EVENT_PATH` what this run is about; in a container, mount the folder of that file"
    )]
    EventFile(#[source] FileError),
}

/// The CI system that runs this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// GitHub Actions, GitHub Enterprise Server's included; also act.
    GitHubActions,
    /// Jenkins, with the variables of its multibranch pipelines where they are set.
    Jenkins,
    /// Travis CI.
    Travis,
    /// GitLab CI, at gitlab.com or on a server of one's own.
    GitLab,
    /// No CI system that we know.
    #[default]
    None,
}

impl Provider {
    /// Tells the CI system by the variable that only it sets.
    pub fn detect(environment: &Environment) -> Self {
        if environment.is_github_actions() {
            Self::GitHubActions
        } else if environment.get("JENKINS_URL").is_some() {
            Self::Jenkins
        } else if environment.is_true("TRAVIS") {
            Self::Travis
        } else if environment.is_true("GITLAB_CI") {
            Self::GitLab
        } else {
            Self::None
        }
    }
}

/// One run of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiRun {
    /// The CI system's identifier of the run.
    pub id: String,
    /// Counted from 1; more than 1 when the run was repeated.
    pub attempt: u32,
    /// Where people see the run.
    pub url: Option<String>,
}

/// A comment that started a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// GitHub's number.
    pub id: u64,
    /// Its text.
    pub body: String,
    /// Who wrote it, where the account is still there.
    pub author: Option<String>,
    /// The commit that it is on, where it is on one.
    pub commit: Option<String>,
}

/// What a run is about. A field is `None` where the CI system does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The CI system.
    pub provider: Provider,
    /// What started the run.
    pub event: Event,
    /// The commit that people wrote and that a report belongs to: the head of the pull request, never GitHub's
    /// merge commit.
    pub head_sha: Option<String>,
    /// The commit that the CI system checks out by default: for a pull request GitHub's merge commit, for
    /// `workflow_run` the default branch.
    pub tested_sha: Option<String>,
    /// The commit that the change is based on, as the event of a pull request or a merge group says.
    pub base_sha: Option<String>,
    /// The commit that a pushed branch was at before, where it was there.
    pub before: Option<String>,
    /// The branch that `head_sha` is on. A fork chooses this name freely, so look at `is_fork` too, or ask
    /// [`Context::is_default_branch`].
    pub branch: Option<String>,
    /// The branch that the change wants to enter.
    pub base_branch: Option<String>,
    /// The tag that was pushed or released.
    pub tag: Option<String>,
    /// Number of the pull request, or of GitLab's merge request in its project. A fork's `workflow_run` does not tell it.
    pub pull_request: Option<u64>,
    /// Whether `head_sha` comes from another repository, or from one that is unknown or deleted.
    pub is_fork: bool,
    /// The repository that `head_sha` comes from, as `owner/name`, where the event says.
    pub head_repository: Option<String>,
    /// Whether Dependabot started the run that computes: its token may not write, as a fork's.
    pub is_dependabot: bool,
    /// The repository in which the run takes place, as `owner/name`; of GitLab's groups there may be several.
    pub repository: Option<String>,
    /// Address for people of the server that has the repository, GitHub's where none is known; without a final slash.
    pub server_url: String,
    /// Address of GitHub's REST API, without a final slash; of no use where the repository is elsewhere.
    pub api_url: String,
    /// Address of GitHub's GraphQL API.
    pub graphql_url: String,
    /// File name of the workflow, as `ci.yml`.
    pub workflow_file: Option<String>,
    /// The comment that started the run.
    pub comment: Option<Comment>,
    /// The run itself.
    pub run: Option<CiRun>,
    /// The folder of the checkout.
    pub workspace: Option<PathBuf>,
    /// The repository's default branch.
    pub default_branch: Option<String>,
    /// Address of the CI server, where it is not GitHub's.
    pub ci_url: Option<String>,
    /// The run as GitHub describes it; in GitHub Actions alone.
    pub workflow: Option<Workflow>,
}

impl Context {
    /// Reads the context of this process.
    pub fn from_process() -> Result<Self, ContextError> {
        Self::from_environment(&Environment::from_process())
    }

    /// Reads the context from variables, and from the event file that they name.
    pub fn from_environment(environment: &Environment) -> Result<Self, ContextError> {
        let server_url = |found: Option<String>| {
            let url = environment.text("GITHUB_SERVER_URL").or(found);
            without_final_slash(url.unwrap_or_else(|| "https://github.com".to_owned()))
        };
        let provider = Provider::detect(environment);
        let mut context = match provider {
            Provider::GitHubActions => github::context(environment, &server_url(None))?,
            Provider::Jenkins => jenkins::context(environment),
            Provider::Travis => travis::context(environment),
            Provider::GitLab => gitlab::context(environment),
            Provider::None => Self::default(),
        };
        context.provider = provider;
        context.server_url = server_url(Some(context.server_url).filter(|url| !url.is_empty()));
        context.api_url = environment
            .text("GITHUB_API_URL")
            .map_or_else(|| default_api_url(&context.server_url), without_final_slash);
        context.graphql_url = environment
            .text("GITHUB_GRAPHQL_URL")
            .unwrap_or_else(|| default_graphql_url(&context.api_url));
        Ok(context)
    }

    /// Whether the run is about a commit of the repository's own default branch: no pull request, no tag, and
    /// no fork that named its branch alike.
    pub fn is_default_branch(&self) -> bool {
        self.branch.is_some()
            && self.branch == self.default_branch
            && self.pull_request.is_none()
            && self.tag.is_none()
            && !self.is_fork
    }
}

/// The REST API of github.com, or of the Enterprise Server at that address.
fn default_api_url(server_url: &str) -> String {
    if server_url == "https://github.com" {
        "https://api.github.com".to_owned()
    } else {
        format!("{server_url}/api/v3")
    }
}

fn default_graphql_url(api_url: &str) -> String {
    format!("{}/graphql", api_url.trim_end_matches("/v3"))
}

fn without_final_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

/// Splits the address of a repository, or of a page in it, into the server and `owner/name`:
/// `https://host/owner/name.git`, `https://host/owner/name/pull/1`, `git@host:owner/name.git`.
fn split_repository_url(url: &str) -> Option<(String, String)> {
    let (host, path) = if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        // Credentials in front of the host must not be shown; nor must a port of the ssh protocol.
        let host = authority.rsplit('@').next()?;
        let host = if scheme == "ssh" {
            host.split(':').next()?
        } else {
            host
        };
        (host, path)
    } else {
        let (user_and_host, path) = url.split_once(':')?;
        (user_and_host.rsplit('@').next()?, path)
    };
    let mut parts = path.trim_start_matches('/').split('/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let is_whole = !(host.is_empty() || owner.is_empty() || name.is_empty());
    is_whole.then(|| (format!("https://{host}"), format!("{owner}/{name}")))
}

#[cfg(test)]
mod tests;
