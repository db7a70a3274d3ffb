//! The inputs of the action, which are the options of `trainyard-deploy`.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use trainyard_registry::RegistryArgs;
use trainyard_runner::StageArgs;

/// Bring a published image to a Kubernetes cluster: verified, by digest, and back where it fails.
///
/// Exits with 0 once the image runs, with 3 while a canary is held, with 6 if the image failed and what ran before does again, and with 7 if
/// that could not be restored either.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-deploy", version)]
pub struct Inputs {
    /// The image, by tag or digest: `ghcr.io/owner/name:1.0`. By default the one that `publish-image` pushed, by the output folder.
    #[arg(value_name = "REFERENCE", conflicts_with = "image")]
    pub reference: Option<String>,
    /// The image, by tag or digest: `ghcr.io/owner/name:1.0`. The same as the first argument.
    #[arg(long, value_name = "REFERENCE")]
    pub image: Option<String>,
    /// What every stage takes.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Whom to trust.
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// Context of the kubeconfig; by default the current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace, instead of that of `[deploy]` or of the context.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Print what would change in the cluster, as a unified diff, and change nothing.
    #[arg(long)]
    pub diff: bool,
    /// Have the API server check everything, and change nothing.
    #[arg(long, value_name = "WHERE", value_enum)]
    pub dry_run: Option<DryRun>,
    /// Take over fields that others manage, such as those that `kubectl edit` has changed.
    #[arg(long)]
    pub force_conflicts: bool,
    /// Roll out at once, whatever `[deploy.canary]` says.
    #[arg(long, conflicts_with_all = ["promote", "abort"])]
    pub no_canary: bool,
    /// Let the canary that is held take the place of the stable image, without further proof.
    #[arg(long, conflicts_with = "abort")]
    pub promote: bool,
    /// Remove the canary that is held.
    #[arg(long)]
    pub abort: bool,
    /// The held-out sample, which new pods must answer as the evaluated model did. By default the one that `publish-image` wrote beside the image.
    #[arg(long, value_name = "FILE")]
    pub sample: Option<PathBuf>,
    /// Write manifests, a kustomization, a Helm chart and KServe's `InferenceService` to this folder, and ask no cluster.
    #[arg(long, value_name = "FOLDER")]
    pub render: Option<PathBuf>,
    /// Set the image's digest in this file or folder of YAML, in place, and ask no cluster: for Argo CD and Flux.
    #[arg(long, value_name = "PATH", conflicts_with = "render")]
    pub write: Option<PathBuf>,
    /// Only compare pods that another tool has brought up: those of `--stable` and of `--canary`.
    #[arg(long, requires = "stable", requires = "canary", conflicts_with_all = ["render", "write", "diff", "dry_run", "promote", "abort"])]
    pub analyse: bool,
    /// Label selector of the stable pods: `rollouts-pod-template-hash=…`.
    #[arg(long, value_name = "SELECTOR", requires = "analyse")]
    pub stable: Option<String>,
    /// Label selector of the canary's pods.
    #[arg(long, value_name = "SELECTOR", requires = "analyse")]
    pub canary: Option<String>,
    /// GitHub.
    #[command(flatten)]
    pub github: GitHubArgs,
    /// PEM file of certificates to trust in addition to the system's, for registries and GitHub: of authorities, or of servers themselves.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_CA")]
    pub ca: Option<PathBuf>,
    /// Registries.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Whom to trust, by the options of `trainyard-verify`.
#[derive(Debug, Clone, Args)]
pub struct EvidenceArgs {
    /// Public keys by which the image's evidence is verified, as PEM files; one per line, or repeated.
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// Who signs keyless, as the certificate names it: a workflow's URL or an e-mail address, with `*` and `**`.
    #[arg(long, value_name = "PATTERN", requires = "issuer")]
    pub identity: Option<String>,
    /// Who vouches for that identity: `https://token.actions.githubusercontent.com` for workflows on GitHub.
    #[arg(long, value_name = "URL", requires = "identity")]
    pub issuer: Option<String>,
    /// Trusted roots by which certificates are checked, as JSON files; one per line, or repeated.
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Vec<PathBuf>,
    /// Deploy only what this policy allows. Without one, a verdict that none of the rules failed must be signed by one of the keys or by the
    /// identity.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Deploy an image without verifying any evidence.
    #[arg(long, conflicts_with_all = ["key", "identity", "policy"])]
    pub unsigned: bool,
}

/// Where a dry run is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// By the API server.
    Server,
}

/// Deployments on GitHub.
#[derive(Debug, Clone, Args)]
pub struct GitHubArgs {
    /// The GitHub environment to record the deployment under, instead of that of `[deploy]`.
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// Token by which the deployment is recorded on GitHub. It needs `deployments: write`.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "GITHUB_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
}

impl Inputs {
    /// The image, as it was written.
    pub(crate) fn image(&self) -> Option<&str> {
        self.reference.as_deref().or(self.image.as_deref())
    }

    /// Whether the cluster stays as it is.
    pub(crate) const fn changes_nothing(&self) -> bool {
        self.diff || self.dry_run.is_some()
    }
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    (
        "outcome",
        "`unchanged`, `rolled-out`, `rolled-back`, `rollback-failed`, `not-ready`, `superseded`, `held` or `planned`; empty if the image was not applied.",
    ),
    ("image", "The image by digest."),
    (
        "previous-image",
        "The image that ran before; empty without one.",
    ),
    ("deployment-folder", "Folder with `deployment.json`."),
    (
        "deployment-id",
        "Id of the deployment on GitHub; empty where none is recorded.",
    ),
];
