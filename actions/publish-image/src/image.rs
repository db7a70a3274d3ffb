//! The image: a layer with the server and one with the model, on nothing or on an image that the user names.

use std::path::Path;

use anyhow::Context as _;
use trainyard_core::config::{Config, ImageCompression, ImageConfig, ImageFile};
use trainyard_core::evaluation::Evaluation;
use trainyard_core::gate::Verdict;
use trainyard_core::model::{
    Artifact, FileEntry, MANIFEST_FILE, ModelError, ModelFolder, ModelManifest,
};
use trainyard_core::publication::{MODEL_FOLDER, SERVER_PATH};
use trainyard_core::report::{ASSESSMENT_VARIABLE, Assessment};
use trainyard_oci::annotation::{self, Description};
use trainyard_oci::spec::HealthCheck;
use trainyard_oci::{
    Compression, Image, Layer, LayerFile, LayerPlan, Layout, ModelDescription, ModelPack,
    PackedFile, RuntimeConfig, rfc3339,
};
use trainyard_runner::{Context, Environment, ExitCode, WithExitCode as _};

use crate::base::Base;
use crate::checkout::{self, Checkout};
use crate::server::Server;

const SECOND_NS: u64 = 1_000_000_000;

/// The model as a layer, which is the same for ever: it depends on its files alone.
pub(crate) fn pack_model(
    folder: &Path,
    manifest: &ModelManifest,
    layout: &Layout,
) -> anyhow::Result<Layer> {
    let artifact = manifest.artifact.files();
    let names = artifact.iter().map(|file| file.path.as_str());
    let packed = |name: &str| LayerFile {
        source: folder.join(name),
        target: in_image(name),
        is_executable: false,
    };
    let files = [MANIFEST_FILE]
        .into_iter()
        .chain(names)
        .map(packed)
        .collect();
    // Trained weights hardly shrink.
    layer(
        "trainyard-publish-image: model",
        files,
        Compression::None,
        layout,
    )
}

/// The server as a layer, which the folder `cache` may have from an earlier image.
pub(crate) fn pack_server(
    server: &Server,
    config: &ImageConfig,
    layout: &Layout,
    cache: Option<&Path>,
) -> anyhow::Result<Layer> {
    let binary = LayerFile {
        source: server.path.clone(),
        target: SERVER_PATH.to_owned(),
        is_executable: true,
    };
    let plan = plan(
        "trainyard-publish-image: server",
        vec![binary],
        compression(config),
    );
    let built = match cache {
        Some(cache) => plan.build_cached(&layout.blobs(), cache),
        None => plan.build(&layout.blobs()),
    };
    built.exit_code(ExitCode::Data)
}

const fn compression(config: &ImageConfig) -> Compression {
    match config.compression {
        ImageCompression::None => Compression::None,
        ImageCompression::Gzip => Compression::Gzip,
        ImageCompression::Zstd => Compression::Zstd,
    }
}

/// Where a file of the model lies in the image.
fn in_image(name: &str) -> String {
    format!("{MODEL_FOLDER}/{name}")
}

/// The model that was packed: its files have the digests that `model.json` names.
pub(crate) fn packed_model(folder: &Path, layer: &Layer) -> Result<ModelFolder, ModelError> {
    ModelFolder::of_digests(folder, |name| packed_file(name, layer))
}

fn packed_file(name: &str, layer: &Layer) -> Option<FileEntry> {
    let PackedFile { sha256, size_bytes } = layer.files.get(&in_image(name))?.clone();
    Some(FileEntry {
        path: name.to_owned(),
        sha256,
        size_bytes,
    })
}

fn layer(
    created_by: &str,
    files: Vec<LayerFile>,
    compression: Compression,
    layout: &Layout,
) -> anyhow::Result<Layer> {
    let plan = plan(created_by, files, compression);
    plan.build(&layout.blobs()).exit_code(ExitCode::Data)
}

fn plan(created_by: &str, files: Vec<LayerFile>, compression: Compression) -> LayerPlan {
    LayerPlan {
        created_by: created_by.to_owned(),
        files,
        compression,
        user_id: 0,
        group_id: 0,
    }
}

/// What an image is made of, beside the server and its layer.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    /// The folder that paths in the configuration are relative to.
    pub(crate) folder: &'a Path,
    pub(crate) model: &'a ModelFolder,
    pub(crate) model_layer: &'a Layer,
    pub(crate) verdict: &'a Verdict,
    pub(crate) evaluation: &'a Evaluation,
    pub(crate) context: &'a Context,
    /// Of the model, where the run is of a tag.
    pub(crate) version: Option<String>,
    /// Where the context names no commit.
    pub(crate) checkout: Option<&'a Checkout>,
    pub(crate) created_s: u64,
}

impl Parts<'_> {
    /// Builds the image with `server`, on `base` where there is one, into the layout. The same parts give the same bytes.
    pub(crate) fn build(
        &self,
        (server, server_layer): (&Server, &Layer),
        base: Option<&Base>,
        layout: &Layout,
    ) -> anyhow::Result<Image> {
        let config = &self.config.image;
        let mut layers = base.map_or_else(Vec::new, |base| base.layers.clone());
        layers.push(server_layer.clone());
        if !config.files.is_empty() {
            let file = |file: &ImageFile| LayerFile {
                source: self.folder.join(&file.source),
                target: file.target.clone(),
                is_executable: file.executable,
            };
            let files = config.files.iter().map(file).collect();
            let created_by = "trainyard-publish-image: files";
            layers.push(layer(created_by, files, compression(config), layout)?);
        }
        layers.push(self.model_layer.clone());
        // A variable, so that `--env PORT=…` moves the server.
        let port = ("PORT".to_owned(), config.port.to_string());
        let mut env = base.map_or_else(Vec::new, |base| base.env.clone());
        let assessment = Assessment::of(&self.model.digest, self.verdict, self.evaluation);
        let assessment = serde_json::to_string(&assessment)?;
        let assessment = (ASSESSMENT_VARIABLE.to_owned(), assessment);
        env.retain(|(name, _)| *name != port.0 && *name != assessment.0);
        env.extend([port, assessment]);
        let mut description = self.description();
        description
            .extra
            .extend(base.into_iter().flat_map(Base::annotations));
        Ok(Image {
            layers,
            platform: server.platform.clone(),
            runtime: RuntimeConfig {
                entrypoint: [SERVER_PATH, "--model", MODEL_FOLDER]
                    .map(str::to_owned)
                    .to_vec(),
                env,
                ports: vec![config.port],
                healthcheck: Some(HealthCheck {
                    test: ["CMD", SERVER_PATH, "--probe"].map(str::to_owned).to_vec(),
                    interval: 10 * SECOND_NS,
                    timeout: 3 * SECOND_NS,
                    start_period: 5 * SECOND_NS,
                    retries: 3,
                }),
                ..RuntimeConfig::default()
            },
            description,
            created_s: self.created_s,
        })
    }

    /// The model as an artifact of its own, over the same layer.
    pub(crate) fn model_pack(&self) -> ModelPack {
        let Description {
            title,
            description,
            version,
            revision,
            source,
            licenses,
            extra: _,
        } = self.description();
        let (format, precision) = match &self.model.manifest.artifact {
            Artifact::Network(_) => ("safetensors", Some("float32")),
            Artifact::Onnx(_) => ("onnx", None),
        };
        ModelPack {
            description: ModelDescription {
                created_at: rfc3339(self.created_s),
                name: self.model.manifest.name.clone(),
                title,
                description,
                version,
                revision,
                source,
                licenses: licenses.into_iter().collect(),
            },
            format: format.to_owned(),
            precision: precision.map(str::to_owned),
            folder: MODEL_FOLDER.trim_start_matches('/').to_owned(),
        }
    }

    fn description(&self) -> Description {
        let ImageConfig {
            title,
            description,
            licenses,
            ..
        } = &self.config.image;
        let name = &self.model.manifest.name;
        let clean = Checkout::clean(self.checkout);
        let of_context = self.context.repository.as_ref();
        let of_context = of_context.map(|name| format!("{}/{name}", self.context.server_url));
        let mut extra = std::collections::BTreeMap::new();
        extra.insert(annotation::MODEL_NAME.to_owned(), name.clone());
        extra.insert(
            annotation::MODEL_DIGEST.to_owned(),
            self.model.digest.to_string(),
        );
        extra.insert(
            "dev.trainyard.verdict".to_owned(),
            self.verdict.verdict.word().to_owned(),
        );
        if let Some(found) = &self.verdict.overridden {
            let text = format!("{}: {}", found.by, found.reason);
            extra.insert("dev.trainyard.override".to_owned(), text);
        }
        Description {
            title: title.clone().or_else(|| Some(name.clone())),
            description: description.clone(),
            version: self.version.clone(),
            revision: (self.context.head_sha.clone())
                .or_else(|| clean.and_then(|checkout| checkout.commit.clone())),
            source: of_context.or_else(|| clean.and_then(|checkout| checkout.repository.clone())),
            licenses: licenses.clone(),
            extra,
        }
    }
}

/// The model's files as they lie in the layer, by their names in the model's folder.
pub(crate) fn packed_files(model: &ModelFolder, layer: &Layer) -> Vec<FileEntry> {
    let names = model.files().into_iter();
    names
        .map(|name| {
            packed_file(name, layer)
                .expect("a model that was packed has all its files in the layer")
        })
        .collect()
}

/// When the image counts as made, in seconds since 1970: `SOURCE_DATE_EPOCH`, else the commit's time, else 0.
pub(crate) fn created_s(base: &Path) -> anyhow::Result<u64> {
    if let Some(seconds) = source_date_epoch()? {
        return Ok(seconds);
    }
    let commit_time = checkout::commit_time(base);
    if let Err(problem) = &commit_time {
        tracing::warn!(
            "the time of the commit is not known ({problem}), so the image says 1970 and has another digest than one made where it is; set `SOURCE_DATE_EPOCH`, or mend git"
        );
    }
    Ok(commit_time.unwrap_or(0))
}

/// `SOURCE_DATE_EPOCH`, where it is set.
pub(crate) fn source_date_epoch() -> anyhow::Result<Option<u64>> {
    let environment = Environment::from_process();
    let Some(text) = environment.get("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| *seconds <= trainyard_oci::MAX_SECONDS);
    let seconds = seconds.with_context(|| {
        format!(
            "`SOURCE_DATE_EPOCH` is `{text}`, which is not a number of seconds from 1970 to the year 9999"
        )
    });
    seconds.map(Some).exit_code(ExitCode::Usage)
}
