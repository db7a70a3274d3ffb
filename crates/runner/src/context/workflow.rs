//! What a CI system says of a run that nothing but its provenance needs.

use crate::environment::Environment;

/// The run as GitHub describes it. A field is `None` where the runner does not set its variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workflow {
    /// `GITHUB_WORKFLOW_REF`: `owner/name/.github/workflows/ci.yml@refs/heads/main`.
    pub workflow_ref: Option<String>,
    /// `GITHUB_REF`, the full name of what is checked out by default.
    pub reference: Option<String>,
    /// What started the run, as GitHub calls it: to be written down, never compared.
    pub trigger: Option<String>,
    /// `GITHUB_REPOSITORY_ID`.
    pub repository_id: Option<String>,
    /// `GITHUB_REPOSITORY_OWNER_ID`.
    pub repository_owner_id: Option<String>,
    /// `RUNNER_ENVIRONMENT`: `github-hosted` or `self-hosted`.
    pub runner_environment: Option<String>,
}

impl Workflow {
    pub(super) fn from_environment(environment: &Environment) -> Self {
        Self {
            workflow_ref: environment.text("GITHUB_WORKFLOW_REF"),
            reference: environment.text("GITHUB_REF"),
            trigger: environment.text("GITHUB_EVENT_NAME"),
            repository_id: environment.text("GITHUB_REPOSITORY_ID"),
            repository_owner_id: environment.text("GITHUB_REPOSITORY_OWNER_ID"),
            runner_environment: environment.text("RUNNER_ENVIRONMENT"),
        }
    }
}
