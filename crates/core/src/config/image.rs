//! `[image]`: how the model is packaged, and where it goes.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sign::SignConfig;

/// `[image]`: how the model is packaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// Repository to push the image to, without a tag: `ghcr.io/owner/name`. If not given, nothing is pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Further repositories that get the same image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// Registries without TLS, as `host` or `host:port`. One on this machine is found out to have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plain_http: Vec<String>,
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Title shown by registries; by default the model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Description shown by registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// SPDX expression for the label `org.opencontainers.image.licenses`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// Image to build on, by digest: `gcr.io/distroless/static@sha256:…`. By default the image holds nothing but the server and the
    /// model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Further files, in a layer of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ImageFile>,
    /// How the layers beside the model are compressed. The model's is not: trained weights hardly shrink, and without it one model is
    /// one layer for ever.
    pub compression: ImageCompression,
    /// Machines that the image is for: `linux/amd64`, `linux/arm64`. By default those of the servers that are packed; with several,
    /// the image is an index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Port of the server inside the container.
    pub port: u16,
    /// Number of held-out rows in the smoke test: before the push, the packaged server must match the evaluation on them.
    pub smoke_test_rows: usize,
    /// What becomes of the GitHub release of a release tag: its notes show the metrics, and the report and the model card become its
    /// files.
    pub release: ReleaseMode,
    /// `true`: an image without a key to sign with is refused. `"keyless"`: it is signed by a certificate for the identity that the
    /// workflow's token names. By default it is signed wherever `--key` or `TRAINYARD_SIGNING_KEY` gives a key.
    pub sign: SignConfig,
}

/// A file that goes into the image as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// The file.
    pub source: PathBuf,
    /// Its place in the image, absolute.
    pub target: String,
    /// Whether it may be run.
    #[serde(default)]
    pub executable: bool,
}

/// When the GitHub release of a release tag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseMode {
    /// Where there is one, also as a draft, and the token may write it.
    #[default]
    Update,
    /// Also where there is none: then it is made.
    Create,
    /// Never.
    Never,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageCompression {
    /// Not at all.
    None,
    /// By gzip, which every runtime reads.
    #[default]
    Gzip,
    /// By Zstandard, which is smaller and quicker; runtimes read it since Docker 23 and containerd 1.5.
    Zstd,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            repository: None,
            destinations: Vec::new(),
            plain_http: Vec::new(),
            ca: None,
            title: None,
            description: None,
            licenses: None,
            base: None,
            files: Vec::new(),
            compression: ImageCompression::default(),
            platforms: Vec::new(),
            port: 8080,
            smoke_test_rows: 32,
            release: ReleaseMode::default(),
            sign: SignConfig::IfKey,
        }
    }
}
