//! The model of a published image, into a folder: read from the one layer that holds it, checked, and there whole or not at all.
//!
//! `publish-image` packs the model last, whatever the image is built on, so nothing of the other layers is read. The manifest names
//! that layer by digest, an index names the manifest, and a signed statement names either.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use tempfile::TempDir;
use trainyard_attest::TestResult;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::{MANIFEST_FILE, ModelFolder as Files};
use trainyard_core::publication::MODEL_FOLDER;
use trainyard_oci::spec::{self, Descriptor};
use trainyard_oci::{Fetched, Registry, annotation, unpack_file, unpack_files};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::model_folder::ModelFolder;

const ANOTHER_FOLDER: &str = "name another folder by `--save-model`, or remove this one";

/// The folder that a model shall be saved in.
pub(crate) struct Destination<'a> {
    folder: &'a Path,
    /// The model that lies there already.
    present: Option<Sha256Digest>,
}

/// A model that was read from an image. It lies beside its destination until it is kept.
pub(crate) struct Staged<'a> {
    destination: Destination<'a>,
    _root: TempDir,
    path: PathBuf,
    digest: Sha256Digest,
    /// The digest by which the image names its model.
    named: Option<String>,
    /// What its signature is compared with.
    pub(crate) files: ModelFolder,
}

/// A model that was saved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SavedModel {
    pub(crate) folder: PathBuf,
    pub(crate) digest: Sha256Digest,
}

/// Where the model of an image is.
#[derive(Debug, PartialEq, Eq)]
struct Packed {
    layer: Descriptor,
    named: Option<String>,
}

impl<'a> Destination<'a> {
    /// Checks that the folder is not there, is empty, or holds a model, which may turn out to be the one that is wanted.
    ///
    /// Ends with [`ExitCode::Usage`].
    pub(crate) fn at(folder: &'a Path) -> anyhow::Result<Self> {
        let is_free = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_free {
            return Ok(Self {
                folder,
                present: None,
            });
        }
        let model = Files::open(folder).with_context(|| {
            format!(
                "`{}` is there and is not a model's folder",
                folder.display()
            )
        });
        let model = model.exit_code(ExitCode::Usage).hint(ANOTHER_FOLDER)?;
        Ok(Self {
            folder,
            present: Some(model.digest),
        })
    }

    /// Reads the model of `image` from its registry.
    ///
    /// Ends with [`ExitCode::Service`] where the registry does not give it, and with [`ExitCode::Data`] where it is not a model.
    pub(crate) async fn fetch(
        self,
        registry: &Registry,
        image: &Fetched,
    ) -> anyhow::Result<Staged<'a>> {
        let Packed { layer, named } = Packed::find(registry, image).await?;
        let unwritable = || format!("cannot write `{}`", self.folder.display());
        // In the same file system, so that a model is moved by its folder's name.
        let parent = match self.folder.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let made = fs::create_dir_all(parent).and_then(|()| {
            let mut folder = tempfile::Builder::new();
            folder.prefix(".trainyard-model-").tempdir_in(parent)
        });
        let root = made.with_context(unwritable).exit_code(ExitCode::Data)?;
        let blob = root.path().join("layer");
        let downloaded = registry.download_blob(&layer, &blob).await;
        downloaded.exit_code(ExitCode::Service)?;

        let media_type = spec::oci_layer_type(&layer.media_type);
        unpack_file(&blob, media_type, &in_image(MANIFEST_FILE), root.path())
            .exit_code(ExitCode::Data)?;
        let path = root.path().join(MODEL_FOLDER.trim_start_matches('/'));
        if !path.join(MANIFEST_FILE).is_file() {
            return Err(anyhow!(
                "the last layer of the image, {}, holds no `{}`",
                layer.digest,
                in_image(MANIFEST_FILE)
            ))
            .exit_code(ExitCode::Data)
            .hint("`--save-model` reads images that `trainyard-publish-image` made");
        }
        let manifest = Files::read_manifest(&path).exit_code(ExitCode::Data)?;
        let artifact = manifest.artifact.files();
        let places: Vec<String> = artifact.iter().map(|file| in_image(&file.path)).collect();
        unpack_files(&blob, media_type, &places, root.path()).exit_code(ExitCode::Data)?;
        fs::remove_file(&blob)
            .with_context(unwritable)
            .exit_code(ExitCode::Data)?;
        Ok(Staged {
            digest: Files::open(&path).exit_code(ExitCode::Data)?.digest,
            files: ModelFolder::read(&path)?,
            destination: self,
            _root: root,
            path,
            named,
        })
    }
}

impl Staged<'_> {
    /// Where the image or one of `verdicts` names another model: one sentence each.
    pub(crate) fn contradictions(&self, verdicts: &[TestResult]) -> Vec<String> {
        let of_image = self.named.as_deref().map(|named| ("the image", named));
        let of_verdicts = verdicts.iter().filter_map(TestResult::model);
        let of_verdicts = of_verdicts.map(|named| ("the signed verdict", named));
        let others = of_image
            .into_iter()
            .chain(of_verdicts)
            .filter(|(_, named)| *named != self.digest.as_str());
        others
            .map(|(by, named)| {
                format!(
                    "the model in the image is {}, and {by} names {named}",
                    self.digest
                )
            })
            .collect()
    }

    /// Gives the model its folder.
    ///
    /// Ends with [`ExitCode::Usage`] where another model lies there.
    pub(crate) fn keep(self) -> anyhow::Result<SavedModel> {
        let Destination { folder, present } = self.destination;
        match present {
            Some(present) if present == self.digest => {}
            Some(present) => {
                return Err(anyhow!(
                    "`{}` holds another model, {present}",
                    folder.display()
                ))
                .exit_code(ExitCode::Usage)
                .hint(ANOTHER_FOLDER);
            }
            None => {
                let moved = match fs::remove_dir(folder) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => fs::rename(&self.path, folder),
                };
                moved
                    .with_context(|| format!("cannot write `{}`", folder.display()))
                    .exit_code(ExitCode::Data)?;
            }
        }
        Ok(SavedModel {
            folder: folder.to_owned(),
            digest: self.digest,
        })
    }
}

impl Packed {
    /// Where the model of an image is, or that of all images of an index.
    async fn find(registry: &Registry, image: &Fetched) -> anyhow::Result<Self> {
        let Some(index) = image.index() else {
            return Self::of(image);
        };
        let mut found: Option<Self> = None;
        for entry in index.images() {
            let reference = entry.digest.as_str();
            let manifest = registry.read_manifest(reference).await;
            let manifest = (manifest.exit_code(ExitCode::Service)?)
                .with_context(|| format!("the registry does not have {reference} of the index"))
                .exit_code(ExitCode::Service)?;
            let packed = Self::of(&manifest)?;
            if found.as_ref().is_some_and(|found| *found != packed) {
                return Err(anyhow!("the images of the index hold different models"))
                    .exit_code(ExitCode::Data)
                    .hint("name one of them by its digest: `NAME@sha256:…`");
            }
            found = Some(packed);
        }
        found
            .context("the index names no image")
            .exit_code(ExitCode::Data)
    }

    fn of(image: &Fetched) -> anyhow::Result<Self> {
        let digest = &image.descriptor.digest;
        let manifest = image.manifest();
        let manifest = manifest
            .with_context(|| format!("{digest} is not an image"))
            .exit_code(ExitCode::Data)?;
        let layer = manifest.layers.last().cloned();
        let layer = layer
            .with_context(|| format!("the image {digest} has no layer"))
            .exit_code(ExitCode::Data)?;
        Ok(Self {
            layer,
            named: manifest.annotations.get(annotation::MODEL_DIGEST).cloned(),
        })
    }
}

/// Where a file of the model lies in an image.
fn in_image(name: &str) -> String {
    format!("{MODEL_FOLDER}/{name}")
}
