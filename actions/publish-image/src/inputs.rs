//! The inputs of the action, which are the options of `trainyard-publish-image`.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use trainyard_core::config::ReleaseMode;
use trainyard_core::gate::BaselinePlace;
use trainyard_fetch::DataArgs;
use trainyard_registry::RegistryArgs;
use trainyard_runner::StageArgs;

/// Package a model that passed the gate, with its server, as an OCI image, and push it.
///
/// Without a destination, the image stays in an OCI layout on disk. Exits with 1 for a model that failed the gate, and
/// with 3 if no verdict passes exactly this model or no rule was judged.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-publish-image", version)]
pub struct Inputs {
    /// What every stage takes.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Push to these repositories instead of those of `[image]`: `ghcr.io/owner/name`; one per line, or repeated. A tag, as in
    /// `ghcr.io/owner/name:1.0`, replaces all others.
    #[arg(long, value_name = "REFERENCE")]
    pub push: Vec<String>,
    /// Also publish a model that failed but was let through by `/trainyard override`. The image is annotated with it.
    #[arg(long)]
    pub allow_override: bool,
    /// Tags of the image, instead of those derived from the event; one per line, or repeated.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Move version tags that name another image. Anyone who pulled the old one under its version then has another image than the
    /// registry.
    #[arg(long)]
    pub overwrite: bool,
    /// Only check that the image could be built and pushed: names, tags, base image, further files, login and permission. Nothing is built.
    #[arg(long, conflicts_with = "dry_run")]
    pub preflight: bool,
    /// Build and try the image, and print what would be pushed; no registry is asked.
    #[arg(long)]
    pub dry_run: bool,
    /// The baseline that `gate` was given, if any. Of an image, `gate` has kept the evaluation beside the verdict, and no
    /// registry is asked.
    #[arg(long, value_name = "PLACE")]
    pub baseline: Option<BaselinePlace>,
    /// Package these servers instead of the `trainyard-serve` next to this program, one for each platform; one per line, or repeated.
    /// They must be statically linked.
    #[arg(long, value_name = "FILE")]
    pub server: Vec<PathBuf>,
    /// Sign what is said about the image with this private key: a PEM file of P-256, P-384 or Ed25519 without a password. The variable
    /// `TRAINYARD_SIGNING_KEY` holds the text of one instead. Without a key the evaluation alone is attached, unsigned.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The release on GitHub.
    #[command(flatten)]
    pub github: GitHubArgs,
    /// Keyless signing.
    #[command(flatten)]
    pub keyless: KeylessArgs,
    /// Registries.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Downloads of data.
    #[command(flatten)]
    pub data: DataArgs,
}

/// Signing by a certificate for the identity that the run's token names.
#[derive(Debug, Clone, clap::Args)]
pub struct KeylessArgs {
    /// Sign without a key: by a certificate for the identity that the run's OpenID Connect token names, on GitHub the workflow's, else
    /// that of `SIGSTORE_ID_TOKEN`. The job needs `permissions: id-token: write`.
    #[arg(long, conflicts_with = "key")]
    pub keyless: bool,
    /// The certificate authority (Fulcio) of keyless signatures.
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://fulcio.sigstore.dev"
    )]
    pub fulcio_url: String,
    /// The transparency log (Rekor, version 1) of keyless signatures, whose entries are public and permanent; `none` for an instance without
    /// one, which needs `--timestamp-url`.
    #[arg(long, value_name = "URL", default_value = "https://rekor.sigstore.dev")]
    pub rekor_url: String,
    /// A timestamp authority (RFC 3161) for keyless signatures: `https://timestamp.sigstore.dev/api/v1/timestamp`.
    #[arg(long, value_name = "URL")]
    pub timestamp_url: Option<String>,
}

/// What is written on GitHub. Nothing is without a token or outside GitHub Actions.
#[derive(Debug, Clone, Args)]
pub struct GitHubArgs {
    /// For a release tag, instead of `[image] release`: show the metrics in the notes of the GitHub release, and add the report and
    /// the model card to its files.
    #[arg(long, value_enum, value_name = "WHEN")]
    pub release: Option<ReleaseInput>,
    /// Store the statements that were signed keyless in GitHub's attestations, too, where `gh attestation verify` looks for them. The job
    /// needs `attestations: write`; a private repository needs GitHub Enterprise Cloud.
    #[arg(long)]
    pub github_attestations: bool,
    /// Token that writes the release (`contents: write`) and the attestations (`attestations: write`).
    #[arg(
        long,
        value_name = "TOKEN",
        env = "GITHUB_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
}

/// When the release is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReleaseInput {
    /// Where there is one, and the token may write it.
    Update,
    /// Also where there is none: then it is made.
    Create,
    /// Never.
    Never,
}

impl From<ReleaseInput> for ReleaseMode {
    fn from(input: ReleaseInput) -> Self {
        match input {
            ReleaseInput::Update => Self::Update,
            ReleaseInput::Create => Self::Create,
            ReleaseInput::Never => Self::Never,
        }
    }
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("digest", "Digest of the image, `sha256:…`."),
    (
        "image",
        "The pushed image by digest, for use in a deployment; empty if nothing was pushed.",
    ),
    (
        "images",
        "The image by digest in each repository that it was pushed to, one per line.",
    ),
    ("tags", "The image's tags, one per line."),
    (
        "image-folder",
        "Folder of the OCI layout and `publication.json`.",
    ),
    (
        "release-notes",
        "Notes of the release, as Markdown; empty if the run is not of a release tag.",
    ),
    (
        "model-card",
        "Model card with Hugging Face's metadata; empty if the run is not of a release tag.",
    ),
    (
        "release-url",
        "URL of the release on GitHub; empty if none was written.",
    ),
    ("model-digest", "Digest of the model in the image."),
];
