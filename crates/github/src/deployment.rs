//! Deployments: which commit is brought to which environment, and how far that is.
//!
//! A job with `environment:` has a deployment already, made by GitHub: then its statuses are added to that one, since a second one would show
//! the environment twice.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// Characters of a status's description.
const MAX_DESCRIPTION: usize = 140;

/// What is deployed where.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDeployment<'a> {
    /// The commit.
    pub sha: &'a str,
    /// Name of the environment.
    pub environment: &'a str,
    /// Kept with it: image and digests.
    pub payload: Value,
}

/// A deployment on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeploymentRecord {
    /// Its number.
    pub id: u64,
    #[serde(default)]
    task: String,
    creator: Option<Creator>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Creator {
    login: String,
}

impl DeploymentRecord {
    /// Whether GitHub made it for a job with `environment:`.
    fn is_of_a_job(&self) -> bool {
        let creator = self.creator.as_ref();
        self.task == "deploy" && creator.is_some_and(|it| it.login == "github-actions[bot]")
    }
}

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// It goes on.
    InProgress,
    /// It waits for a person or for more proof.
    Pending,
    /// It runs.
    Success,
    /// It does not, and what ran before does.
    Failure,
    /// Neither is known.
    Error,
}

impl DeploymentState {
    const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// Our deployments, among those of other tools.
const TASK: &str = "deploy:trainyard";

impl GitHub {
    /// The deployment that GitHub made for a job of this environment, else one that is made now.
    pub async fn begin_deployment(
        &self,
        new: &NewDeployment<'_>,
    ) -> Result<DeploymentRecord, GitHubError> {
        let NewDeployment {
            sha,
            environment,
            payload,
        } = new;
        let query = format!(
            "/deployments?sha={}&environment={}",
            trainyard_net::encode(sha),
            trainyard_net::encode(environment)
        );
        let found: Vec<DeploymentRecord> = self
            .all_pages(
                &query,
                1,
                "read the deployments",
                Permission::DeploymentsWrite,
            )
            .await?;
        // The newest comes first.
        if let Some(found) = found.into_iter().find(DeploymentRecord::is_of_a_job) {
            return Ok(found);
        }
        self.send(&Request {
            method: Method::POST,
            route: self.path("/deployments"),
            body: Some(json!({
                "ref": sha,
                "task": TASK,
                // Else GitHub merges the default branch into the commit's.
                "auto_merge": false,
                // Else every status of the commit must be green, that of this very job too.
                "required_contexts": [],
                "environment": environment,
                "payload": payload,
                "description": "Model deployed by Trainyard",
            })),
            doing: "record the deployment",
            permission: Permission::DeploymentsWrite,
        })
        .await
    }

    /// Says how far a deployment is.
    pub async fn set_deployment_state(
        &self,
        deployment: &DeploymentRecord,
        state: DeploymentState,
        description: &str,
        log_url: Option<&str>,
        environment_url: Option<&str>,
    ) -> Result<(), GitHubError> {
        let description: String = match description.chars().count() > MAX_DESCRIPTION {
            true => description
                .chars()
                .take(MAX_DESCRIPTION - 1)
                .chain(['…'])
                .collect(),
            false => description.to_owned(),
        };
        let mut body = json!({ "state": state.word(), "description": description });
        for (key, url) in [("log_url", log_url), ("environment_url", environment_url)] {
            if let Some(url) = url {
                body[key] = url.into();
            }
        }
        let _: Value = self
            .send(&Request {
                method: Method::POST,
                route: self.path(&format!("/deployments/{}/statuses", deployment.id)),
                body: Some(body),
                doing: "update the deployment",
                permission: Permission::DeploymentsWrite,
            })
            .await?;
        Ok(())
    }
}
