//! GitHub's REST API as Trainyard uses it: one comment per key, one check run per model, one issue per key, one section of a
//! release's notes, one deployment per job, whatever else happens meanwhile.
//!
//! Requests go through octocrab, over `net`'s client and its retries. Everything that GitHub answers is read into types
//! of our own, which hold what we use.

mod answer;
mod artifact;
mod attestation;
mod author;
mod baseline;
mod check;
mod client;
mod comment;
mod comparison;
mod deployment;
mod error;
mod history;
mod issue;
mod overriding;
mod pull;
mod release;
mod release_asset;
mod release_page;
mod section;
mod viewer;

/// Every query of the GraphQL API that is sent.
pub const QUERIES: &[&str] = &[viewer::QUERY, history::QUERY];

pub use answer::Reaction;
pub use artifact::ArtifactError;
pub use baseline::{Found, Outcome as SearchOutcome, PassedOver, Search, Start, Wanted};
pub use check::{
    Check, CheckAnnotation, CheckLevel, CheckRun, Conclusion, Report as CheckReport, WORKFLOWS_APP,
};
pub use client::{GitHub, Options};
pub use comment::{Comment, MARKER_LIMIT, Outcome, Place, Stamp};
pub use deployment::{DeploymentRecord, DeploymentState, NewDeployment};
pub use error::{GitHubError, Permission};
pub use history::Tested;
pub use issue::{ISSUE_MARKER_LIMIT, Issue, IssueOutcome, IssueText};
pub use overriding::{Command, Thread};
pub use pull::{Pull, RequestOf};
pub use release::Release;
pub use release_asset::AssetOutcome;
pub use release_page::{NewRelease, NotesOutcome, RELEASE_NOTES_LIMIT, ReleasePage};
pub use trainyard_net::{ClientOptions, RetryPolicy};
