//! The OCI image layout: a folder that skopeo, podman and containerd read (image-layout.md).
//!
//! `index.json` is written last, and removed first when a layout is begun anew: a folder with an index is whole.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files::{self, FileError};

use crate::annotation;
use crate::attachment::{Artifact, Attachment, EMPTY_CONFIG};
use crate::image::{Image, ImageError};
use crate::layer::Layer;
use crate::model_pack::ModelPack;
use crate::spec::{ConfigFile, Descriptor, INDEX, Index, LayoutMarker, Manifest, PlatformEntry};

const MARKER_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const VERSION: &str = "1.0.0";

/// The specification asks registries to take manifests up to this size; larger documents are not read.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// An OCI image layout on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// Why a layout could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file is missing, unreadable or cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The image has no documents.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Another version of the layout.
    #[error("`{}` is an OCI layout of version {found}, but this build reads version {VERSION}", path.display())]
    Version {
        /// The layout.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// A blob is not what its descriptor says.
    #[error("`{}` does not have the digest and size that the image names: the layout was changed or only partly written", path.display())]
    Blob {
        /// The blob.
        path: PathBuf,
    },
    /// No such image in the layout.
    #[error("`{}` holds no image named `{name}`; it has {}", path.display(), listed(known))]
    NoImage {
        /// The layout.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        format!("`{}`", names.join("`, `"))
    }
}

impl Layout {
    /// Begins a layout at `root`, which is not a layout again until [`Layout::finish`].
    pub fn create(root: &Path) -> Result<Self, LayoutError> {
        let layout = Self {
            root: root.to_owned(),
        };
        let blobs = layout.blobs();
        fs::create_dir_all(&blobs).map_err(|source| FileError::Write {
            path: blobs,
            source,
        })?;
        Self::withdraw(root)?;
        Ok(layout)
    }

    /// Makes what lies at `root` no layout any more, if it was one; its blobs stay, to be used again.
    pub fn withdraw(root: &Path) -> Result<(), LayoutError> {
        Ok(files::remove(&root.join(INDEX_FILE))?)
    }

    /// Opens a finished layout.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let path = root.join(MARKER_FILE);
        let marker: LayoutMarker = files::read_json(&path, "OCI layout marker")?;
        if marker.image_layout_version != VERSION {
            return Err(LayoutError::Version {
                path: root.to_owned(),
                found: marker.image_layout_version,
            });
        }
        let layout = Self {
            root: root.to_owned(),
        };
        layout.index()?;
        Ok(layout)
    }

    /// The folder of the layout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that layers are built into.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    /// Where the blob of this digest lies.
    pub fn blob_path(&self, digest: &Sha256Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Writes configuration and manifest of `image`, whose layers were built into [`Layout::blobs`].
    pub fn add_image(&self, image: &Image) -> Result<Descriptor, LayoutError> {
        let encoded = image.encode()?;
        for bytes in [&encoded.config, &encoded.manifest] {
            files::write_unsynced(&self.blob_path(&Sha256Digest::of(bytes)), bytes)?;
        }
        Ok(Descriptor {
            platform: Some(PlatformEntry {
                architecture: image.platform.architecture.clone(),
                os: image.platform.os.clone(),
            }),
            ..encoded.descriptor
        })
    }

    /// Writes an index of `images`, each with its platform.
    pub fn add_index(&self, images: Vec<Descriptor>) -> Result<Descriptor, LayoutError> {
        let index = Index {
            schema_version: 2,
            media_type: INDEX.to_owned(),
            manifests: images,
        };
        let bytes = serde_json::to_vec(&index).map_err(|source| FileError::Json {
            path: self.root.join(INDEX_FILE),
            kind: "OCI image index",
            source,
        })?;
        let descriptor = Descriptor::of(INDEX, &bytes);
        files::write_unsynced(&self.blob_path(&descriptor.digest), &bytes)?;
        Ok(descriptor)
    }

    /// Writes `artifact` and the manifest that attaches it to `subject`, an image or an index of this layout.
    pub fn attach(
        &self,
        artifact: &Artifact,
        subject: &Descriptor,
    ) -> Result<Attachment, LayoutError> {
        let manifest = artifact.manifest(subject);
        self.write_attached(manifest, subject, &[EMPTY_CONFIG, &artifact.bytes])
    }

    /// Writes the manifest that attaches the model of `layer`, which is in this layout, to `subject` as an artifact of its own.
    pub fn attach_model(
        &self,
        model: &ModelPack,
        layer: &Layer,
        subject: &Descriptor,
    ) -> Result<Attachment, LayoutError> {
        let (config, manifest) = model
            .encode(layer, subject)
            .map_err(|source| self.unencoded(source))?;
        self.write_attached(manifest, subject, &[&config])
    }

    fn write_attached(
        &self,
        manifest: Manifest,
        subject: &Descriptor,
        blobs: &[&[u8]],
    ) -> Result<Attachment, LayoutError> {
        let bytes = serde_json::to_vec(&manifest).map_err(|source| self.unencoded(source))?;
        for bytes in blobs.iter().copied().chain([bytes.as_slice()]) {
            files::write_unsynced(&self.blob_path(&Sha256Digest::of(bytes)), bytes)?;
        }
        Ok(Attachment {
            subject: subject.digest.clone(),
            manifest: Descriptor {
                artifact_type: manifest.artifact_type,
                annotations: manifest.annotations,
                ..Descriptor::of(&manifest.media_type, &bytes)
            },
        })
    }

    fn unencoded(&self, source: serde_json::Error) -> LayoutError {
        FileError::Json {
            path: self.blobs(),
            kind: "OCI artifact manifest",
            source,
        }
        .into()
    }

    /// Finishes the layout with one image, or an index of images, under each of `names`, and with what is attached to it: unnamed
    /// blobs go, the index comes last.
    ///
    /// Layers were digested when they were written, so their sizes alone are looked at; [`Layout::verify`] reads them.
    pub fn finish(
        &self,
        manifest: &Descriptor,
        names: &[String],
        attached: &[Attachment],
    ) -> Result<(), LayoutError> {
        let mut blobs = self.blobs_of(manifest)?;
        for attachment in attached {
            blobs.extend(self.blobs_of(&attachment.manifest)?);
        }
        for blob in &blobs {
            let path = self.blob_path(&blob.digest);
            if !fs::metadata(&path).is_ok_and(|metadata| metadata.len() == blob.size) {
                return Err(LayoutError::Blob { path });
            }
        }
        self.remove_strangers(&blobs)?;
        let marker = LayoutMarker {
            image_layout_version: VERSION.to_owned(),
        };
        files::write_json(&self.root.join(MARKER_FILE), &marker)?;
        self.rename(manifest, names, attached)
    }

    /// Gives the one image of the layout these names instead of those that it has; what is attached to it has none.
    pub fn rename(
        &self,
        manifest: &Descriptor,
        names: &[String],
        attached: &[Attachment],
    ) -> Result<(), LayoutError> {
        let named = |name: &String| {
            let mut entry = manifest.clone();
            let key = annotation::REF_NAME.to_owned();
            entry.annotations.insert(key, name.clone());
            entry
        };
        let mut manifests = if names.is_empty() {
            vec![manifest.clone()]
        } else {
            names.iter().map(named).collect()
        };
        manifests.extend(attached.iter().map(|it| it.manifest.clone()));
        let index = Index {
            schema_version: 2,
            media_type: INDEX.to_owned(),
            manifests,
        };
        files::write_json(&self.root.join(INDEX_FILE), &index)?;
        Ok(())
    }

    /// The layout's index.
    pub fn index(&self) -> Result<Index, LayoutError> {
        Ok(files::read_json(
            &self.root.join(INDEX_FILE),
            "OCI image index",
        )?)
    }

    /// The manifest of the image called `name`.
    pub fn find(&self, name: &str) -> Result<Descriptor, LayoutError> {
        let index = self.index()?;
        let name_of = |entry: &Descriptor| entry.annotations.get(annotation::REF_NAME).cloned();
        let found = index
            .manifests
            .iter()
            .find(|entry| name_of(entry).as_deref() == Some(name));
        found.cloned().ok_or_else(|| LayoutError::NoImage {
            path: self.root.clone(),
            name: name.to_owned(),
            known: index.manifests.iter().filter_map(name_of).collect(),
        })
    }

    /// Reads the manifest behind `descriptor`, checking its digest.
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, LayoutError> {
        self.document(descriptor, "OCI image manifest")
    }

    /// Reads the index of images behind `descriptor`, checking its digest.
    pub fn index_of(&self, descriptor: &Descriptor) -> Result<Index, LayoutError> {
        self.document(descriptor, "OCI image index")
    }

    /// Reads the configuration that `manifest` names, checking its digest.
    pub fn config(&self, manifest: &Manifest) -> Result<ConfigFile, LayoutError> {
        self.document(&manifest.config, "OCI image configuration")
    }

    /// The bytes of a small blob, checked against its descriptor.
    pub fn read_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let path = self.blob_path(&descriptor.digest);
        if descriptor.size > MAX_DOCUMENT_BYTES {
            return Err(LayoutError::Blob { path });
        }
        let unreadable = |source| FileError::Read {
            path: path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        fs::File::open(&path)
            .and_then(|file| file.take(descriptor.size + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        let is_same =
            bytes.len() as u64 == descriptor.size && Sha256Digest::of(&bytes) == descriptor.digest;
        if is_same {
            Ok(bytes)
        } else {
            Err(LayoutError::Blob { path })
        }
    }

    /// Checks a blob of any size against its descriptor, in constant memory.
    pub fn verify_blob(&self, descriptor: &Descriptor) -> Result<PathBuf, LayoutError> {
        let path = self.blob_path(&descriptor.digest);
        let unreadable = |source| FileError::Read {
            path: path.clone(),
            source,
        };
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        if size != descriptor.size
            || Sha256Digest::of_file(&path).map_err(unreadable)? != descriptor.digest
        {
            return Err(LayoutError::Blob { path });
        }
        Ok(path)
    }

    /// Checks an image, or each of an index: manifest, configuration and every layer.
    pub fn verify(&self, manifest: &Descriptor) -> Result<(), LayoutError> {
        for image in self.images_of(manifest)? {
            let document = self.manifest(&image)?;
            self.config(&document)?;
            for layer in &document.layers {
                self.verify_blob(layer)?;
            }
        }
        Ok(())
    }

    /// The images of an index, or the image itself.
    pub fn images_of(&self, manifest: &Descriptor) -> Result<Vec<Descriptor>, LayoutError> {
        if manifest.media_type == INDEX {
            Ok(self.index_of(manifest)?.manifests)
        } else {
            Ok(vec![manifest.clone()])
        }
    }

    /// Every blob that belongs to an image or an index, its own document first.
    pub fn blobs_of(&self, manifest: &Descriptor) -> Result<Vec<Descriptor>, LayoutError> {
        let mut blobs = vec![manifest.clone()];
        for image in self.images_of(manifest)? {
            let Manifest { config, layers, .. } = self.manifest(&image)?;
            blobs.extend([image, config].into_iter().chain(layers));
        }
        let mut seen = BTreeSet::new();
        blobs.retain(|blob| seen.insert(blob.digest.clone()));
        Ok(blobs)
    }

    fn document<T: DeserializeOwned>(
        &self,
        descriptor: &Descriptor,
        kind: &'static str,
    ) -> Result<T, LayoutError> {
        let bytes = self.read_blob(descriptor)?;
        let document = serde_json::from_slice(&bytes).map_err(|source| FileError::Json {
            path: self.blob_path(&descriptor.digest),
            kind,
            source,
        })?;
        Ok(document)
    }

    /// Removes blobs of an earlier image from our own blobs folder.
    fn remove_strangers(&self, kept: &[Descriptor]) -> Result<(), LayoutError> {
        let kept: BTreeSet<&str> = kept.iter().map(|blob| blob.digest.hex()).collect();
        let blobs = self.blobs();
        let unreadable = |source| FileError::Read {
            path: blobs.clone(),
            source,
        };
        for entry in fs::read_dir(&blobs).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let is_kept = entry
                .file_name()
                .to_str()
                .is_some_and(|name| kept.contains(name));
            if !is_kept {
                files::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::annotation::Description;
    use crate::image::{Platform, RuntimeConfig};
    use crate::layer::{Compression, LayerFile, LayerPlan};

    /// A layout of one image named `v1` with two small layers.
    pub(crate) fn small_layout(root: &Path, content: &[u8]) -> (Layout, Descriptor) {
        let layout = Layout::create(root).unwrap();
        let source = root.join("content");
        fs::write(&source, content).unwrap();
        let layer = |target: &str, compression| {
            let plan = LayerPlan {
                created_by: "test".to_owned(),
                files: vec![LayerFile {
                    source: source.clone(),
                    target: target.to_owned(),
                    is_executable: false,
                }],
                compression,
                user_id: 0,
                group_id: 0,
            };
            plan.build(&layout.blobs()).unwrap()
        };
        let image = Image {
            layers: vec![
                layer("/bin/serve", Compression::Gzip),
                layer("/model/model.json", Compression::None),
            ],
            platform: Platform::linux_amd64(),
            runtime: RuntimeConfig::default(),
            description: Description::default(),
            created_s: 0,
        };
        let manifest = layout.add_image(&image).unwrap();
        layout
            .finish(&manifest, &["v1".to_owned(), "latest".to_owned()], &[])
            .unwrap();
        fs::remove_file(source).unwrap();
        (layout, manifest)
    }

    #[test]
    fn a_layout_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (_, written) = small_layout(folder.path(), b"one");
        let layout = Layout::open(folder.path()).unwrap();
        let found = layout.find("v1").unwrap();
        assert_eq!(found.digest, written.digest);
        assert_eq!(layout.find("latest").unwrap().digest, written.digest);
        layout.verify(&found).unwrap();
        let manifest = layout.manifest(&found).unwrap();
        let config = layout.config(&manifest).unwrap();
        assert_eq!(config.rootfs.diff_ids.len(), manifest.layers.len());
        let error = layout.find("v2").unwrap_err().to_string();
        assert!(
            error.ends_with("no image named `v2`; it has `v1`, `latest`"),
            "{error}"
        );
    }

    /// The independent reader here is the crate oci-spec.
    #[test]
    fn oci_spec_reads_the_index_and_the_marker() {
        let folder = tempfile::tempdir().unwrap();
        let (_, written) = small_layout(folder.path(), b"one");
        let index = oci_spec::image::ImageIndex::from_file(folder.path().join(INDEX_FILE)).unwrap();
        let entry = &index.manifests()[0];
        assert_eq!(entry.digest().to_string(), written.digest.as_str());
        assert_eq!(entry.platform().as_ref().unwrap().os().to_string(), "linux");
        let marker =
            oci_spec::image::OciLayout::from_file(folder.path().join(MARKER_FILE)).unwrap();
        assert_eq!(marker.image_layout_version(), VERSION);
    }

    #[test]
    fn an_unfinished_layout_is_none_and_old_blobs_go() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, first) = small_layout(folder.path(), b"one");
        let n_blobs = || fs::read_dir(layout.blobs()).unwrap().count();
        assert_eq!(n_blobs(), 4);
        Layout::create(folder.path()).unwrap();
        assert!(Layout::open(folder.path()).is_err());
        let (_, second) = small_layout(folder.path(), b"two");
        assert_ne!(first.digest, second.digest);
        assert_eq!(n_blobs(), 4);
    }

    #[test]
    fn a_changed_blob_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, image) = small_layout(folder.path(), b"one");
        let layer = &layout.manifest(&image).unwrap().layers[1];
        let path = layout.blob_path(&layer.digest);
        let mut bytes = fs::read(&path).unwrap();
        bytes[600] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(
            layout.verify(&image),
            Err(LayoutError::Blob { .. })
        ));
    }
}
