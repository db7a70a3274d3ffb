//! The documents of the OCI image specification 1.1, as far as images of ours hold them.
//!
//! Own structs instead of oci-client's: digests are checked when a document is read, as they become paths.

use std::collections::BTreeMap;

pub use oci_distribution::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE as CONFIG, IMAGE_LAYER_GZIP_MEDIA_TYPE as LAYER_TAR_GZIP,
    IMAGE_LAYER_MEDIA_TYPE as LAYER_TAR, OCI_IMAGE_INDEX_MEDIA_TYPE as INDEX,
    OCI_IMAGE_MEDIA_TYPE as MANIFEST,
};
use serde::{Deserialize, Serialize};
use trainyard_core::digest::Sha256Digest;

use crate::annotation;

/// A layer by Zstandard (layer.md), which oci-client has no name for.
pub const LAYER_TAR_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// Docker's own names of what the OCI calls layers.
const DOCKER_LAYERS: [(&str, &str); 2] = [
    (
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        LAYER_TAR_GZIP,
    ),
    ("application/vnd.docker.image.rootfs.diff.tar", LAYER_TAR),
];

/// The OCI's name for the type of a layer, where it is one of Docker's.
pub fn oci_layer_type(media_type: &str) -> &str {
    let of_docker = (DOCKER_LAYERS.iter()).find(|(docker, _)| *docker == media_type);
    of_docker.map_or(media_type, |(_, oci)| oci)
}

/// The type of `{}`, the configuration of what has none (manifest.md, "Guidelines for Artifact Usage").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A blob by type, digest and size (descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Digest of its bytes.
    pub digest: Sha256Digest,
    /// Number of its bytes.
    pub size: u64,
    /// What a manifest is of, where it is not an image; in an index only. Other tools write wrong types here, so the manifest itself
    /// is to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Which machines the image is for; in an index only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformEntry>,
    /// Notes for tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// The descriptor of `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Sha256Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The same blob as what another manifest refers to: its place in an index, and the notes there, are nothing that it is known by.
    #[must_use]
    pub fn without_place(&self) -> Self {
        Self {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// Operating system and processor of an index entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformEntry {
    /// As Go names it.
    pub architecture: String,
    /// As Go names it.
    pub os: String,
}

/// `index.json` or an image index (image-index.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Always [`INDEX`].
    #[serde(default = "index_media_type")]
    pub media_type: String,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// The images that run somewhere, which attestations of `docker buildx` do not.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|entry| {
            let platform = entry.platform.as_ref();
            platform.is_none_or(|platform| platform.os != "unknown")
        })
    }
}

fn index_media_type() -> String {
    INDEX.to_owned()
}

/// An image manifest (manifest.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Always [`MANIFEST`].
    pub media_type: String,
    /// What it is of, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that it refers to, where it is attached to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Name of the model in the image, where it says so.
    pub fn model_name(&self) -> Option<String> {
        self.annotations.get(annotation::MODEL_NAME).cloned()
    }
}

/// An image configuration (config.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// RFC 3339.
    pub created: String,
    /// As Go names it.
    pub architecture: String,
    /// As Go names it.
    pub os: String,
    /// How a container runs.
    pub config: ContainerConfig,
    /// The layers' uncompressed digests.
    pub rootfs: RootFs,
    /// What made each layer.
    pub history: Vec<HistoryEntry>,
}

/// How a container of the image runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `uid:gid`.
    pub user: String,
    /// Keys are `8080/tcp`, values are empty objects.
    #[expect(
        clippy::zero_sized_map_values,
        reason = "the specification wants a map of empty objects, as Go writes sets"
    )]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, which the user's replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Current folder of the program.
    pub working_dir: String,
    /// Notes for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the program to end.
    pub stop_signal: String,
    /// How Docker finds out whether the program is well. Not of the specification, which lets configurations hold more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthCheck>,
}

/// How Docker finds out whether a program is well (Docker image specification 1.2, "Healthcheck"). Times are in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `CMD`, the program and its arguments.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: u64,
    /// Of one check.
    pub timeout: u64,
    /// In which a failure does not count.
    pub start_period: u64,
    /// Failures in a row that count.
    pub retries: u32,
}

/// An object without members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The layers' uncompressed digests, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers.
    pub diff_ids: Vec<Sha256Digest>,
}

/// What made a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// RFC 3339.
    pub created: String,
    /// In words.
    pub created_by: String,
}

/// `oci-layout` (image-layout.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutMarker {
    /// Always `1.0.0`.
    pub image_layout_version: String,
}
