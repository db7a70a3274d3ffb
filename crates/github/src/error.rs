//! What GitHub may refuse, and what the user can do about it.

use std::fmt;

use trainyard_net::{PermanentCause, attempts};

/// A line of a workflow's `permissions:` that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Comments on pull requests.
    PullRequestsWrite,
    /// Pull requests.
    PullRequestsRead,
    /// Check runs.
    ChecksWrite,
    /// Check runs of other commits.
    ChecksRead,
    /// Commits.
    ContentsRead,
    /// Releases.
    ContentsWrite,
    /// Commits, and check runs of them.
    ContentsAndChecksRead,
    /// Workflow runs and their artifacts.
    ActionsRead,
    /// Running jobs again.
    ActionsWrite,
    /// Attestations.
    AttestationsWrite,
    /// Issues.
    IssuesWrite,
    /// Deployments.
    DeploymentsWrite,
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PullRequestsWrite => "pull-requests: write",
            Self::PullRequestsRead => "pull-requests: read",
            Self::ChecksWrite => "checks: write",
            Self::ChecksRead => "checks: read",
            Self::ContentsRead => "contents: read",
            Self::ContentsWrite => "contents: write",
            Self::ContentsAndChecksRead => "contents: read` and `checks: read",
            Self::ActionsRead => "actions: read",
            Self::ActionsWrite => "actions: write",
            Self::AttestationsWrite => "attestations: write",
            Self::IssuesWrite => "issues: write",
            Self::DeploymentsWrite => "deployments: write",
        })
    }
}

/// Why something was not done on GitHub.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// There is no answer, or only the answer that the server has trouble.
    #[error("cannot {doing}: {problem} ({})", attempts(*n_attempts))]
    Unreachable {
        /// What was to be done.
        doing: &'static str,
        /// What happened last.
        problem: String,
        /// How often it was tried.
        n_attempts: u32,
    },
    /// Asking again would not help.
    #[error("cannot {doing}: {cause}")]
    Permanent {
        /// What was to be done.
        doing: &'static str,
        /// Why there is no answer.
        cause: PermanentCause,
    },
    /// GitHub said no.
    #[error("cannot {doing}: GitHub answers {status}: {message}\nhint: {hint}")]
    Refused {
        /// What was to be done.
        doing: &'static str,
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
        /// What to do.
        hint: String,
    },
    /// An answer that is not what GitHub documents.
    #[error("cannot {doing}: the answer is not what GitHub documents ({problem})")]
    Malformed {
        /// What was to be done.
        doing: &'static str,
        /// Where it differs.
        problem: String,
    },
    /// Nothing can be asked at all.
    #[error("cannot use GitHub's API at `{api_url}`: {problem}")]
    Setup {
        /// The API's address.
        api_url: String,
        /// Why not.
        problem: String,
    },
}

impl GitHubError {
    /// The HTTP status with which GitHub refused.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the request may have been carried out all the same.
    pub const fn is_uncertain(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Malformed { .. })
    }
}

/// What to do about a refusal.
pub(crate) fn hint(status: u16, message: &str, permission: Permission, repository: &str) -> String {
    match status {
        401 => "the token is wrong or has expired: pass `${{ github.token }}`, or renew the secret"
            .to_owned(),
        403 if message.contains("rate limit") => {
            "the token's rate limit is used up: wait, or use the token of a GitHub App".to_owned()
        }
        403 if message.contains("not accessible by personal access token") => {
            format!(
                "give the personal access token the permission `{permission}` for `{repository}`"
            )
        }
        403 if message.contains("scope") => {
            "give the classic personal access token the scope `repo`, or use a fine-grained one"
                .to_owned()
        }
        403 if message.contains("IP allow list") => {
            "the organisation's IP allow list does not hold the address of this runner: use a runner whose address is on it"
                .to_owned()
        }
        403 if message.contains("locked") => {
            "the conversation is locked: unlock it, or set `comment: never`".to_owned()
        }
        403 if message.contains("archived") => {
            "the repository is archived and takes no changes: unarchive it".to_owned()
        }
        403 => format!(
            "add `{permission}` to the job's `permissions:`; a pull request of a fork has a read-only token whatever they say"
        ),
        301 | 302 | 307 | 308 => format!(
            "`{repository}` has moved: use its new name in the remote and in the workflow"
        ),
        422 if message.contains("No commit found") => {
            "GitHub does not know the commit: push it first, or check it out by its own SHA".to_owned()
        }
        404 => format!(
            "see whether `{repository}` is spelled right and the token may see it; a private repository needs `{permission}`"
        ),
        410 => "this part of the repository is switched off in its settings".to_owned(),
        422 => "this is a mistake of Trainyard's: please report it with these words".to_owned(),
        _ => "see GitHub's words above".to_owned(),
    }
}
