//! An image as a value: layers and settings in, the bytes of its configuration and manifest out.

use std::fmt;

use crate::annotation::Description;
use crate::layer::Layer;
use crate::spec::{
    self, ConfigFile, ContainerConfig, Descriptor, Empty, HealthCheck, HistoryEntry, Manifest,
    RootFs,
};
use crate::timestamp::rfc3339;

/// Which machines an image runs on, in Go's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor, such as `amd64`.
    pub architecture: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}

impl Platform {
    /// Linux on 64-bit x86.
    pub fn linux_amd64() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
        }
    }

    /// Linux on 64-bit ARM.
    pub fn linux_arm64() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: "arm64".to_owned(),
        }
    }
}

/// How a container of the image runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// `uid:gid`; never root.
    pub user: String,
    /// The program and its fixed arguments.
    pub entrypoint: Vec<String>,
    /// Arguments that a user may replace.
    pub cmd: Vec<String>,
    /// Name and value.
    pub env: Vec<(String, String)>,
    /// TCP ports that the program listens on.
    pub ports: Vec<u16>,
    /// Current folder of the program.
    pub working_dir: String,
    /// Signal that asks the program to end.
    pub stop_signal: String,
    /// How Docker finds out whether the program is well; Kubernetes has probes of its own.
    pub healthcheck: Option<HealthCheck>,
}

impl Default for RuntimeConfig {
    /// The user 65532, as distroless images have it, and SIGTERM.
    fn default() -> Self {
        Self {
            user: "65532:65532".to_owned(),
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            env: Vec::new(),
            ports: Vec::new(),
            working_dir: "/".to_owned(),
            stop_signal: "SIGTERM".to_owned(),
            healthcheck: None,
        }
    }
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// What it runs on.
    pub platform: Platform,
    /// How it runs.
    pub runtime: RuntimeConfig,
    /// What people and registries are told, as labels and as annotations.
    pub description: Description,
    /// Seconds since 1970.
    pub created_s: u64,
}

/// The documents of an image, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedImage {
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The manifest's bytes; their digest is the image's.
    pub manifest: Vec<u8>,
    /// The manifest by type, digest and size.
    pub descriptor: Descriptor,
}

/// Why an image could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the image's {document}")]
pub struct ImageError {
    /// Which document.
    document: &'static str,
    /// What serde said.
    source: serde_json::Error,
}

impl Image {
    /// The image's documents; equal images give equal bytes.
    pub fn encode(&self) -> Result<EncodedImage, ImageError> {
        let config = to_json("configuration", &self.config_file())?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: spec::MANIFEST.to_owned(),
            artifact_type: None,
            config: Descriptor::of(spec::CONFIG, &config),
            layers: self.layers.iter().map(descriptor).collect(),
            subject: None,
            annotations: self.description.entries(&rfc3339(self.created_s)),
        };
        let manifest = to_json("manifest", &manifest)?;
        let descriptor = Descriptor::of(spec::MANIFEST, &manifest);
        Ok(EncodedImage {
            config,
            manifest,
            descriptor,
        })
    }

    fn config_file(&self) -> ConfigFile {
        let created = rfc3339(self.created_s);
        let RuntimeConfig {
            user,
            entrypoint,
            cmd,
            env,
            ports,
            working_dir,
            stop_signal,
            healthcheck,
        } = self.runtime.clone();
        let history = |layer: &Layer| HistoryEntry {
            created: created.clone(),
            created_by: layer.created_by.clone(),
        };
        ConfigFile {
            created: created.clone(),
            architecture: self.platform.architecture.clone(),
            os: self.platform.os.clone(),
            config: ContainerConfig {
                user,
                exposed_ports: ports
                    .iter()
                    .map(|port| (format!("{port}/tcp"), Empty {}))
                    .collect(),
                env: env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
                entrypoint,
                cmd,
                working_dir,
                labels: self.description.entries(&created),
                stop_signal,
                healthcheck,
            },
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: self
                    .layers
                    .iter()
                    .map(|layer| layer.diff_id.clone())
                    .collect(),
            },
            history: self.layers.iter().map(history).collect(),
        }
    }
}

fn descriptor(layer: &Layer) -> Descriptor {
    Descriptor {
        media_type: layer.media_type.clone(),
        digest: layer.digest.clone(),
        size: layer.size,
        artifact_type: None,
        platform: None,
        annotations: std::collections::BTreeMap::new(),
    }
}

fn to_json<T: serde::Serialize>(document: &'static str, value: &T) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(value).map_err(|source| ImageError { document, source })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use oci_spec::image::{ImageConfiguration, ImageManifest};
    use trainyard_core::digest::Sha256Digest;

    use super::*;

    pub(crate) fn image() -> Image {
        let layer = |content: &[u8], media_type: &str| Layer {
            digest: Sha256Digest::of(content),
            diff_id: Sha256Digest::of(&[content, b"raw"].concat()),
            size: content.len() as u64,
            media_type: media_type.to_owned(),
            created_by: "trainyard".to_owned(),
            path: PathBuf::new(),
            files: std::collections::BTreeMap::new(),
        };
        Image {
            layers: vec![
                layer(b"server", spec::LAYER_TAR_GZIP),
                layer(b"model", spec::LAYER_TAR),
            ],
            platform: Platform::linux_amd64(),
            runtime: RuntimeConfig {
                entrypoint: vec!["/usr/local/bin/trainyard-serve".to_owned()],
                cmd: vec!["--port".to_owned(), "8080".to_owned()],
                env: vec![("A".to_owned(), "b=c".to_owned())],
                ports: vec![8080],
                ..RuntimeConfig::default()
            },
            description: Description {
                title: Some("mnist".to_owned()),
                revision: Some("0123abc".to_owned()),
                extra: [("dev.trainyard.model.name".to_owned(), "mnist".to_owned())].into(),
                ..Description::default()
            },
            created_s: 1_700_000_000,
        }
    }

    /// The independent reader here is the crate oci-spec.
    #[test]
    fn oci_spec_reads_the_configuration() {
        let encoded = image().encode().unwrap();
        let config = ImageConfiguration::from_reader(encoded.config.as_slice()).unwrap();
        assert_eq!(config.os().to_string(), "linux");
        assert_eq!(config.architecture().to_string(), "amd64");
        assert_eq!(config.created().as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(config.rootfs().diff_ids().len(), 2);
        let container = config.config().as_ref().unwrap();
        assert_eq!(container.user().as_deref(), Some("65532:65532"));
        assert_eq!(container.stop_signal().as_deref(), Some("SIGTERM"));
        assert_eq!(container.env().as_deref().unwrap(), ["A=b=c"]);
        assert_eq!(container.exposed_ports().as_deref().unwrap(), ["8080/tcp"]);
        assert_eq!(
            container.labels().as_ref().unwrap()["org.opencontainers.image.title"],
            "mnist"
        );
    }

    #[test]
    fn oci_spec_reads_the_manifest() {
        let encoded = image().encode().unwrap();
        let manifest = ImageManifest::from_reader(encoded.manifest.as_slice()).unwrap();
        assert_eq!(manifest.schema_version(), 2);
        assert_eq!(
            manifest.config().digest().to_string(),
            Sha256Digest::of(&encoded.config).as_str()
        );
        let types: Vec<String> = manifest
            .layers()
            .iter()
            .map(|layer| layer.media_type().to_string())
            .collect();
        assert_eq!(types, [spec::LAYER_TAR_GZIP, spec::LAYER_TAR]);
        let annotations = manifest.annotations().as_ref().unwrap();
        assert_eq!(annotations["dev.trainyard.model.name"], "mnist");
        assert_eq!(annotations["org.opencontainers.image.revision"], "0123abc");
    }

    #[test]
    fn equal_images_give_equal_bytes() {
        assert_eq!(image().encode().unwrap(), image().encode().unwrap());
        let later = Image {
            created_s: 1,
            ..image()
        };
        assert_ne!(
            later.encode().unwrap().descriptor,
            image().encode().unwrap().descriptor
        );
    }
}
