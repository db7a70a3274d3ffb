//! The inputs of the action, which are the options of `trainyard-verify`.

use std::path::PathBuf;

use clap::Parser;
use trainyard_registry::RegistryArgs;
use trainyard_runner::LogArgs;

/// Verify what is attached to a published image: who signed it, and what they say of the model.
///
/// Exits with 0 if everything that was asked for is signed and holds, with 1 if a signature, a statement or the policy is contradicted,
/// and with 3 if evidence is missing or cannot be verified. It needs no configuration, and writes no file unless asked to.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-verify", version)]
pub struct Inputs {
    /// The image, by tag or digest: `ghcr.io/owner/name:1.0`.
    #[arg(
        value_name = "REFERENCE",
        required_unless_present = "image",
        conflicts_with = "image"
    )]
    pub reference: Option<String>,
    /// The image, by tag or digest: `ghcr.io/owner/name:1.0`. The same as the first argument.
    #[arg(long, value_name = "REFERENCE")]
    pub image: Option<String>,
    /// Public keys whose signatures are looked at, as PEM files; one per line, or repeated.
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// Whose keyless signatures are looked at, as the certificate names them: a workflow's URL or an e-mail address; `*` stands for any
    /// text without `/`, `**` for any. `[[signers]]` of the policy names others.
    #[arg(long, value_name = "PATTERN", requires = "issuer")]
    pub identity: Option<String>,
    /// Who vouches for that identity: `https://token.actions.githubusercontent.com` for workflows on GitHub.
    #[arg(long, value_name = "URL", requires = "identity")]
    pub issuer: Option<String>,
    /// Trusted roots by which certificates are checked, as JSON files; one per line, or repeated. By default those of Sigstore and of
    /// GitHub that this build holds, until they are a year old.
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Vec<PathBuf>,
    /// Judge by this policy. Without one, a verdict that none of the rules failed must be signed by one of the keys or by the identity.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Check that the model's signature is of the files in this folder, which are those of the model in the image.
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    /// If everything that was asked for is signed and holds, save the model of the image in this new folder, so that
    /// `trainyard-evaluate --model` can score it.
    #[arg(long, value_name = "FOLDER", conflicts_with = "model")]
    pub save_model: Option<PathBuf>,
    /// With `save-model`: the image is not signed, or its signers are not known. Nothing but digests is checked: anyone who can push to
    /// the repository decides which model it is.
    #[arg(
        long,
        requires = "save_model",
        conflicts_with_all = ["key", "identity", "trusted_root", "policy", "rules"]
    )]
    pub unsigned: bool,
    /// Judge the attached evaluation again by the rules of this `trainyard.toml`, which must be those that the verdict names.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Print a JSON document instead of text.
    #[arg(long)]
    pub json: bool,
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_CA")]
    pub ca: Option<PathBuf>,
    /// Registries.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
}

impl Inputs {
    /// The image, as it was written.
    pub(crate) fn image(&self) -> &str {
        let written = self.reference.as_deref().or(self.image.as_deref());
        written.expect("clap requires one of the two")
    }
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    (
        "outcome",
        "`held`, `not-checked` or `contradicted`; empty if the registry could not be asked.",
    ),
    ("image", "The image by digest, for use in a deployment."),
    ("digest", "Digest of the image, `sha256:…`."),
    (
        "verdict",
        "What the signed verdict says: `PASSED`, `WARNED` or `FAILED`; empty without one.",
    ),
    (
        "commit",
        "The commit that the signed provenance names; empty without one.",
    ),
    (
        "model-digest",
        "Digest of the model that was saved; empty where none was.",
    ),
];
