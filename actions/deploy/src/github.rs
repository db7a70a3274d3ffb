//! The deployment as GitHub shows it. Nothing here decides: what cannot be written is a warning.

use serde_json::json;
use trainyard_core::config::JudgingConfig;
use trainyard_core::deployment::DeploymentOutcome;
use trainyard_github::{
    DeploymentRecord, DeploymentState, GitHub, GitHubError, NewDeployment, Options,
};
use trainyard_kubernetes::{App, ClusterError};
use trainyard_runner::{Context, Stage};

use crate::done::Done;
use crate::inputs::Inputs;
use crate::subject::Subject;

/// A deployment on GitHub that is under way.
pub(crate) struct OnGitHub {
    begun: Option<(GitHub, DeploymentRecord)>,
    log_url: Option<String>,
    environment_url: Option<String>,
}

impl OnGitHub {
    /// Records that the deployment begins, where an environment, a repository and a token are known.
    pub(crate) async fn begin(
        stage: &Stage,
        inputs: &Inputs,
        config: &JudgingConfig,
        subject: &Subject,
        app: &App,
    ) -> Self {
        let context = &stage.context;
        let run = context.run.as_ref();
        let mut this = Self {
            begun: None,
            log_url: run.and_then(|run| run.url.clone()),
            environment_url: config.deploy.environment_url.clone(),
        };
        let environment = inputs.github.environment.as_ref();
        let environment = environment.or(config.deploy.environment.as_ref());
        let token = inputs
            .github
            .token
            .as_deref()
            .filter(|token| !token.is_empty());
        let (Some(environment), Some(repository), Some(sha)) =
            (environment, &context.repository, &context.head_sha)
        else {
            return this;
        };
        let Some(token) = token else {
            tracing::info!("no token: the deployment to `{environment}` is not recorded on GitHub");
            return this;
        };
        let new = NewDeployment {
            sha,
            environment,
            payload: json!({
                "image": app.image,
                "model": subject.model_name,
                "model_digest": subject.model_digest,
                "namespace": app.namespace,
                "name": app.name,
            }),
        };
        match this.record(inputs, context, repository, token, &new).await {
            Ok(id) => {
                if let Err(error) = stage.set_output("deployment-id", id) {
                    tracing::warn!("{error:#}");
                }
            }
            Err(error) => tracing::warn!("the deployment is not recorded on GitHub: {error}"),
        }
        this
    }

    async fn record(
        &mut self,
        inputs: &Inputs,
        context: &Context,
        repository: &str,
        token: &str,
        new: &NewDeployment<'_>,
    ) -> Result<u64, GitHubError> {
        let mut options = Options::default();
        options.client.ca.clone_from(&inputs.ca);
        options.graphql_url = Some(context.graphql_url.clone());
        let github = GitHub::connect(&context.api_url, repository, token, &options)?;
        let record = github.begin_deployment(new).await?;
        let id = record.id;
        let (_, record) = self.begun.insert((github, record));
        let (state, text) = (DeploymentState::InProgress, "verified; rolling out");
        let record = record.clone();
        self.say(&record, state, text).await?;
        Ok(id)
    }

    async fn say(
        &self,
        record: &DeploymentRecord,
        state: DeploymentState,
        text: &str,
    ) -> Result<(), GitHubError> {
        let Some((github, _)) = &self.begun else {
            return Ok(());
        };
        let (log, url) = (self.log_url.as_deref(), self.environment_url.as_deref());
        github
            .set_deployment_state(record, state, text, log, url)
            .await
    }

    /// Records what became of it.
    pub(crate) async fn finish(&self, done: &Result<Done, ClusterError>) {
        let Some((_, record)) = &self.begun else {
            return;
        };
        let (state, text) = match done {
            Ok(done) => (state_of(done.outcome), done.reason.clone()),
            Err(error) => (DeploymentState::Error, error.to_string()),
        };
        if let Err(error) = self.say(record, state, &text).await {
            tracing::warn!("the deployment on GitHub is not up to date: {error}");
        }
    }
}

const fn state_of(outcome: DeploymentOutcome) -> DeploymentState {
    match outcome {
        DeploymentOutcome::Unchanged
        | DeploymentOutcome::RolledOut
        | DeploymentOutcome::Planned => DeploymentState::Success,
        DeploymentOutcome::Held => DeploymentState::Pending,
        DeploymentOutcome::RolledBack | DeploymentOutcome::NotReady => DeploymentState::Failure,
        DeploymentOutcome::RollbackFailed | DeploymentOutcome::Superseded => DeploymentState::Error,
    }
}
