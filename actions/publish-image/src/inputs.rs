//! What `trainyard-publish-image` is told: its inputs as an action and its arguments as a program.

use std::path::PathBuf;

use clap::Parser;
use trainyard_fetch::CacheArgs;
use trainyard_runner::LogArgs;

/// Pack a model that passed the gate and its server into an OCI image, and push it.
///
/// Without a destination the image stays in an OCI layout on disk. Ends with 1 for a model that failed the gate and
/// with 3 where no verdict passes exactly this model.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-publish-image", version)]
pub struct Inputs {
    /// The configuration file. Paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "trainyard.toml")]
    pub config: PathBuf,
    /// Folder of the earlier stages' results; the image goes to `image/` inside it.
    #[arg(long, value_name = "FOLDER", default_value = "trainyard-out")]
    pub out: PathBuf,
    /// Push to this repository instead of `[image] repository`: `ghcr.io/owner/name`. With a tag, as in
    /// `ghcr.io/owner/name:1.0`, that is the only one.
    #[arg(long, value_name = "REFERENCE")]
    pub push: Option<String>,
    /// Publish a model that a person let through against its rules, by `/trainyard override`. The image says so.
    #[arg(long)]
    pub allow_override: bool,
    /// Give the image these tags instead of those that follow from the event; one a line, or repeated.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// The baseline that `gate` was given, where it was given one.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Pack this server instead of the `trainyard-serve` beside this program. It must be linked statically.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// User of the registry; by default Docker's own configuration is asked, and on GitHub Actions the workflow's
    /// token serves for ghcr.io.
    #[arg(
        long,
        value_name = "NAME",
        env = "TRAINYARD_REGISTRY_USERNAME",
        requires = "registry_password"
    )]
    pub registry_username: Option<String>,
    /// Password or token of that user. Better set as a variable than as an argument, which others can see.
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "TRAINYARD_REGISTRY_PASSWORD",
        hide_env_values = true,
        requires = "registry_username"
    )]
    pub registry_password: Option<String>,
    /// Where downloads are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("digest", "Digest of the image, `sha256:…`."),
    (
        "image",
        "The pushed image by digest, as a deployment should name it; empty where nothing was pushed.",
    ),
    ("tags", "The image's tags, one a line."),
    (
        "image-folder",
        "Folder of the OCI layout and `publication.json`.",
    ),
    ("model-digest", "Digest of the model in the image."),
];
