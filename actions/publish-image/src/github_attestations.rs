//! The signed statements in the repository's attestations on GitHub, where `gh attestation verify` looks for them.
//!
//! The image and its evidence are published by then. Nothing here turns the run red; what could not be stored is said with what to do.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use tokio::runtime::Runtime;
use trainyard_github::{GitHub, Options};
use trainyard_runner::{Annotation, Context, Provider, Trust};

use crate::inputs::GitHubArgs;

/// What is stored.
pub(crate) struct GitHubAttestations<'a> {
    /// Sigstore bundles of statements about the image, each signed by a certificate.
    pub(crate) bundles: &'a [Vec<u8>],
    pub(crate) args: &'a GitHubArgs,
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    pub(crate) ca: Option<PathBuf>,
}

impl GitHubAttestations<'_> {
    /// Stores them, where that is asked for; what stood in the way.
    pub(crate) fn post(&self, context: &Context, runtime: &Runtime) -> Option<Annotation> {
        if !self.args.github_attestations {
            return None;
        }
        let error = runtime.block_on(self.post_all(context)).err()?;
        let text = format!(
            "{error:#}\nthe statements are attached to the image in the registry all the same, where `trainyard-verify` and `cosign` read them"
        );
        tracing::warn!("{text}");
        let title = "The statements are not in GitHub's attestations";
        Some(Annotation::warning(text).title(title))
    }

    async fn post_all(&self, context: &Context) -> anyhow::Result<()> {
        let is_own = context.provider == Provider::GitHubActions && context.trust() == Trust::Own;
        let repository = context.repository.as_deref().filter(|_| is_own);
        let repository = repository.context(
            "`--github-attestations` is for runs of one's own repository in GitHub Actions, and this is none",
        )?;
        let token = self.args.token.as_deref().filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| {
            anyhow!("there is no token to store attestations with\nhint: pass `${{{{ github.token }}}}` as `GITHUB_TOKEN`")
        })?;
        let mut options = Options::default();
        options.client.ca.clone_from(&self.ca);
        options.graphql_url = Some(context.graphql_url.clone());
        let github = GitHub::connect(&context.api_url, repository, token, &options)?;
        for bundle in self.bundles {
            let bundle: Value =
                serde_json::from_slice(bundle).context("a bundle of ours is not JSON")?;
            let id = github.create_attestation(&bundle).await?;
            let server = &context.server_url;
            tracing::info!("stored the attestation {server}/{repository}/attestations/{id}");
        }
        Ok(())
    }
}
