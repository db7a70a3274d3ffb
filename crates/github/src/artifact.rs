//! Artifacts of workflow runs.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use http::Method;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use trainyard_net::{Jitter, Trouble, encode};

use crate::client::{GitHub, Refusal, Request};
use crate::error::{GitHubError, Permission};

/// The largest artifact that is fetched.
const MAX_BYTES: u64 = 1 << 30;

/// In words, for errors.
const DOING: &str = "fetch the artifact of a workflow run";

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The run has none of that name.
    #[error("run {run_id} has no artifact `{name}`")]
    NotThere {
        /// The workflow run.
        run_id: u64,
        /// The artifact's name.
        name: String,
    },
    /// GitHub has deleted it.
    #[error("the artifact `{name}` of run {run_id} has expired")]
    Expired {
        /// The workflow run.
        run_id: u64,
        /// The artifact's name.
        name: String,
    },
    /// It is larger than what is fetched.
    #[error("the artifact `{name}` is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge {
        /// The artifact's name.
        name: String,
    },
    /// GitHub said no, or nothing.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// It cannot be written here.
    #[error("cannot keep the artifact: {0}")]
    Write(#[from] std::io::Error),
}

#[derive(Deserialize)]
struct List {
    artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
struct Artifact {
    id: u64,
    name: String,
    size_in_bytes: u64,
    expired: bool,
}

impl GitHub {
    /// Writes the artifact `name` of the workflow run to `file`, as a zip archive: the newest, where a run that was repeated
    /// has several. At most 1 GiB.
    pub async fn artifact(
        &self,
        run_id: u64,
        name: &str,
        file: &mut File,
    ) -> Result<(), ArtifactError> {
        let newest = self.newest_artifact(run_id, name).await?;
        let name = name.to_owned();
        let Some(artifact) = newest else {
            return Err(ArtifactError::NotThere { run_id, name });
        };
        if artifact.expired {
            return Err(ArtifactError::Expired { run_id, name });
        }
        if artifact.size_in_bytes > MAX_BYTES {
            return Err(ArtifactError::TooLarge { name });
        }
        let request = self.request(&format!("/actions/artifacts/{}/zip", artifact.id));
        let mut failed = None;
        let attempt = async || {
            let mut response = self.respond(&self.octocrab, &request).await?;
            let mut n_bytes = 0;
            file.set_len(0).ok();
            file.seek(SeekFrom::Start(0)).ok();
            while let Some(frame) = response.body_mut().frame().await {
                let frame = frame
                    .map_err(|error| Trouble::transient(Refusal::Uncertain(error.to_string())))?;
                let Ok(bytes) = frame.into_data() else {
                    continue;
                };
                n_bytes += bytes.len() as u64;
                let written = if n_bytes > MAX_BYTES {
                    Err(ArtifactError::TooLarge { name: name.clone() })
                } else {
                    file.write_all(&bytes).map_err(ArtifactError::Write)
                };
                if let Err(error) = written {
                    failed = Some(error);
                    break;
                }
            }
            Ok(())
        };
        let done = self.retry.run(Jitter::default(), attempt, |_| {}).await;
        done.map_err(|given_up| given_up.error.into_error(DOING, given_up.n_attempts))?;
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether the workflow run still has an artifact of this name.
    pub async fn has_artifact(&self, run_id: u64, name: &str) -> Result<bool, GitHubError> {
        let newest = self.newest_artifact(run_id, name).await?;
        Ok(newest.is_some_and(|artifact| !artifact.expired))
    }

    async fn newest_artifact(
        &self,
        run_id: u64,
        name: &str,
    ) -> Result<Option<Artifact>, GitHubError> {
        let route = format!(
            "/actions/runs/{run_id}/artifacts?name={}&per_page=100",
            encode(name)
        );
        let list: List = self.send(&self.request(&route)).await?;
        let of_name = list
            .artifacts
            .into_iter()
            .filter(|found| found.name == name);
        Ok(of_name.max_by_key(|found| found.id))
    }

    fn request(&self, route: &str) -> Request {
        Request {
            method: Method::GET,
            route: self.path(route),
            body: None,
            doing: DOING,
            permission: Permission::ActionsRead,
        }
    }
}
