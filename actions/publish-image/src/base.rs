//! An image of the user's that ours is built on: read from its registry, its layers copied into our layout.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::publication::MODEL_FOLDER;
use trainyard_oci::spec::{self, Descriptor, INDEX, Index, Manifest};
use trainyard_oci::{Access, ImageReference, Layer, Layout, Platform, Registry, files_below};
use trainyard_registry::Reach;
use trainyard_runner::{ExitCode, WithExitCode as _};

/// What of an image counts for one that is built on it.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// By digest.
    pub(crate) image: ImageReference,
    /// Lowest first, their blobs in our layout.
    pub(crate) layers: Vec<Layer>,
    pub(crate) env: Vec<(String, String)>,
}

/// As much of a configuration as counts.
#[derive(Deserialize)]
struct BaseConfig {
    #[serde(default)]
    config: BaseSettings,
    rootfs: spec::RootFs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BaseSettings {
    #[serde(default)]
    env: Option<Vec<String>>,
}

impl Base {
    /// What tools that look for outdated base images read (annotations.md of the image specification).
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let digest = self.image.digest().map(ToString::to_string);
        BTreeMap::from([
            (
                "org.opencontainers.image.base.name".to_owned(),
                self.image.name(),
            ),
            (
                "org.opencontainers.image.base.digest".to_owned(),
                digest.unwrap_or_default(),
            ),
        ])
    }

    /// Reads the image that `[image] base` names, which must be by digest, for `platform`, and copies its layers.
    pub(crate) async fn copy(
        text: &str,
        platform: &Platform,
        reach: &Reach<'_>,
        layout: &Layout,
    ) -> anyhow::Result<Self> {
        let (image, registry, manifest) = Self::find(text, platform, reach).await?;
        let config = registry.read_blob(&manifest.config).await;
        let config: BaseConfig = serde_json::from_slice(&config.exit_code(ExitCode::Service)?)
            .with_context(|| format!("the configuration of `{image}` is not an image's"))
            .exit_code(ExitCode::Usage)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(anyhow!(
                "`{image}` has other layers than its configuration says"
            ))
            .exit_code(ExitCode::Usage);
        }
        let mut layers = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(config.rootfs.diff_ids) {
            layers.push(copied(&registry, layer, diff_id, layout).await?);
        }
        let split = |text: &String| {
            let (name, value) = text.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let env = config.config.env.unwrap_or_default();
        tracing::info!("built on `{image}`: {} layers", layers.len());
        Ok(Self {
            layers,
            env: env.iter().filter_map(split).collect(),
            image,
        })
    }

    /// The image that `[image] base` names, which must be by digest, the connection to its registry, and its manifest for `platform`.
    pub(crate) async fn find(
        text: &str,
        platform: &Platform,
        reach: &Reach<'_>,
    ) -> anyhow::Result<(ImageReference, Registry, Manifest)> {
        let image: ImageReference = text.parse().exit_code(ExitCode::Usage)?;
        let registry = reach.connect(&image, Access::Pull)?;
        let Some(digest) = image.digest() else {
            return Err(by_digest(&registry, &image).await).exit_code(ExitCode::Usage);
        };
        let manifest = Self::manifest(&registry, digest.as_str(), platform).await?;
        Ok((image, registry, manifest))
    }

    /// Refuses an image with files beside the model's, which are not signed: the signature of the model's files is of all that lies in
    /// their folder, so it would not hold for one that was unpacked.
    pub(crate) fn check_room_for(&self, model_layer: &Layer) -> anyhow::Result<()> {
        let found = files_below(&self.layers, MODEL_FOLDER).exit_code(ExitCode::Data)?;
        let is_other = |path: &&String| !model_layer.files.contains_key(*path);
        let others: Vec<&String> = found.iter().filter(is_other).collect();
        let Some(first) = others.first() else {
            return Ok(());
        };
        let more = match others.len() - 1 {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Err(anyhow!(
            "`[image] base` has files in `{MODEL_FOLDER}` that are not the model's: `{first}`{more}"
        ))
        .exit_code(ExitCode::Usage)
        .hint(format!(
            "take a base image without them, or remove them there (`RUN rm -rf {MODEL_FOLDER}`); further files go elsewhere by `[[image.files]]`"
        ))
    }

    /// The manifest of the image, or of the one for `platform` in an index.
    async fn manifest(
        registry: &Registry,
        reference: &str,
        platform: &Platform,
    ) -> anyhow::Result<Manifest> {
        let name = registry.repository().name();
        let read = async |reference: &str| {
            let found = registry.read_manifest(reference).await;
            let found = found.exit_code(ExitCode::Service)?;
            found
                .with_context(|| format!("`{name}` has no image {reference}"))
                .exit_code(ExitCode::Usage)
        };
        let mut found = read(reference).await?;
        let is_index =
            |media_type: &str| media_type == INDEX || media_type.ends_with("list.v2+json");
        if is_index(&found.descriptor.media_type) {
            let index: Index = serde_json::from_slice(&found.bytes).exit_code(ExitCode::Usage)?;
            let fits = |image: &&Descriptor| {
                let of = image.platform.as_ref();
                of.is_some_and(|of| {
                    of.os == platform.os && of.architecture == platform.architecture
                })
            };
            let image = index.manifests.iter().find(fits);
            let image = image
                .with_context(|| format!("`{name}` has no image for {platform}"))
                .exit_code(ExitCode::Usage)?;
            found = read(image.digest.as_str()).await?;
        }
        serde_json::from_slice(&found.bytes)
            .with_context(|| format!("`{name}` {reference} is not an image"))
            .exit_code(ExitCode::Usage)
    }
}

/// What to write in place of an image that is named by a tag, which may be another one tomorrow.
async fn by_digest(registry: &Registry, image: &ImageReference) -> anyhow::Error {
    let tag = image.tag().unwrap_or("latest");
    let found = registry.digest_of(tag).await.ok().flatten();
    let example = found.unwrap_or_else(|| "sha256:…".to_owned());
    anyhow!(
        "`[image] base` is named by a tag, which may be another image tomorrow\nhint: write `base = \"{}@{example}\"`",
        image.name()
    )
}

async fn copied(
    registry: &Registry,
    layer: &Descriptor,
    diff_id: Sha256Digest,
    layout: &Layout,
) -> anyhow::Result<Layer> {
    let path = layout.blob_path(&layer.digest);
    if layout.verify_blob(layer).is_err() {
        let downloaded = registry.download_blob(layer, &path).await;
        downloaded.exit_code(ExitCode::Service)?;
    }
    Ok(Layer {
        digest: layer.digest.clone(),
        diff_id,
        size: layer.size,
        media_type: spec::oci_layer_type(&layer.media_type).to_owned(),
        created_by: format!("layer of {}", registry.repository()),
        path,
        files: BTreeMap::new(),
    })
}
