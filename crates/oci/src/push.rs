//! Pushing an image or an index of a layout: what is there already is not sent, and tags are written last.
//!
//! A push has two parts, so that an image can be tried while its blobs are on their way: [`Registry::upload_image`] checks version tags and
//! sends blobs, which nothing names yet; [`Registry::name_image`] writes manifests and tags. The order makes a push that breaks off
//! harmless: blobs come before the manifest, what is attached to the image before any tag, and the version tag before floating ones:
//! who finds a tag finds the evidence. Which of these a release moves is decided by the registry's tags after
//! its own version stands among them, and looked at again once they are written: of two releases at once, the later look sees
//! both, so that `latest` ends on the higher one whatever the order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use trainyard_core::digest::Sha256Digest;

use crate::attachment::Attachment;
use crate::layout::Layout;
use crate::reference::ImageReference;
use crate::registry::{BlobSource, Progress, Registry, RegistryError};
use crate::spec::{Descriptor, INDEX};
use crate::tags::{Series, TagKind, TagPlan, highest_version};

/// Uploads at a time.
const N_UPLOADS: usize = 2;

/// How often floating tags are looked at again, because another release came in between.
const MAX_ROUNDS: usize = 8;

/// The image to push: a layout and which of its manifests.
#[derive(Debug, Clone, Copy)]
pub struct PushSource<'a> {
    /// Where the blobs lie.
    pub layout: &'a Layout,
    /// The manifest of the image, or an index of images.
    pub manifest: &'a Descriptor,
    /// Other repositories of the registry that may have some of the blobs.
    pub mount_from: &'a [String],
    /// What is attached to the image, or to images of the index.
    pub attached: &'a [Attachment],
}

/// What a push may do.
#[derive(Debug, Clone, Copy, Default)]
pub struct PushOptions {
    /// Whether a version tag that names another image is moved.
    pub overwrites: bool,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The image by digest: what a deployment should name.
    pub image: ImageReference,
    /// The tags that name it now.
    pub tags: Vec<String>,
    /// Tags that were planned and name another image.
    pub left: Vec<String>,
    /// Blobs that were sent.
    pub n_uploaded: usize,
    /// Blobs that the registry had.
    pub n_present: usize,
    /// Bytes of the blobs that were sent.
    pub uploaded_bytes: u64,
}

/// An image whose blobs the registry has, and which nothing names yet.
#[derive(Debug)]
pub struct Uploaded {
    found: Found,
    options: PushOptions,
    /// Whether the registry has the image itself already.
    is_there: bool,
    /// What the registry lists as attached to the image, or to images of the index, already.
    listed: BTreeSet<Sha256Digest>,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    n_uploaded: usize,
    n_present: usize,
    uploaded_bytes: u64,
}

impl Registry {
    /// Pushes `source` and gives it the `tags`, in their order.
    pub async fn push(
        &self,
        source: PushSource<'_>,
        tags: &[TagPlan],
        options: PushOptions,
    ) -> Result<Pushed, RegistryError> {
        let uploaded = self.upload_image(source, tags, options).await?;
        self.name_image(source, tags, uploaded).await
    }

    /// The first part of a push: looks whether the `tags` may be written, and sends the blobs that the registry has not got.
    pub async fn upload_image(
        &self,
        source: PushSource<'_>,
        tags: &[TagPlan],
        options: PushOptions,
    ) -> Result<Uploaded, RegistryError> {
        if tags.is_empty() {
            return Err(RegistryError::NoTag(self.repository().name()));
        }
        let found = self.look_up(tags, source, options).await?;
        let ours = Some(source.manifest.digest.as_str());
        let mut uploaded = Uploaded {
            is_there: found.values().any(|existing| existing.as_deref() == ours),
            found,
            options,
            listed: BTreeSet::new(),
            counts: Counts::default(),
        };
        if uploaded.is_there {
            let subjects = source.attached.iter().map(|it| &it.subject);
            for subject in subjects.collect::<BTreeSet<_>>() {
                let listed = self.referrers(subject).await?.into_iter();
                uploaded.listed.extend(listed.map(|it| it.digest));
            }
        }
        self.send_blobs(source, true, &mut uploaded).await?;
        Ok(uploaded)
    }

    /// The second part: writes the manifest, what is attached to it, and the `tags`, in their order.
    pub async fn name_image(
        &self,
        source: PushSource<'_>,
        tags: &[TagPlan],
        mut uploaded: Uploaded,
    ) -> Result<Pushed, RegistryError> {
        match self.write_all(source, tags, &uploaded).await {
            Err(error) if error.is_of_missing_blob() => {
                self.quirk(
                    "the registry said that it has a blob that the image needs, and then that it has not: every blob is sent",
                );
                uploaded.is_there = false;
                uploaded.listed.clear();
                uploaded.counts = Counts::default();
                self.send_blobs(source, false, &mut uploaded).await?;
                self.write_all(source, tags, &uploaded).await
            }
            pushed => pushed,
        }
    }

    /// What the tags name, as far as the registry's other tags do not decide about them. A version may not name another image.
    async fn look_up(
        &self,
        tags: &[TagPlan],
        source: PushSource<'_>,
        options: PushOptions,
    ) -> Result<Found, RegistryError> {
        let ours = source.manifest;
        let mut found = Found::new();
        for tag in tags {
            // A new version will take `latest`; of others the list of tags says more.
            let is_new = found.values().all(Option::is_none);
            if matches!(tag.kind, TagKind::Leading(series) if series != Series::All || !is_new) {
                continue;
            }
            let existing = self.digest_of(&tag.name).await?;
            let is_ours = existing.as_deref() == Some(ours.digest.as_str());
            if let Some(existing) = existing.clone().filter(|_| !is_ours) {
                self.check_model(&tag.name, source).await?;
                if tag.kind == TagKind::Version && !options.overwrites {
                    return Err(self.version_taken(&tag.name, existing, ours)?);
                }
            }
            if tag.kind == TagKind::Unversioned
                && !is_ours
                && let Some(version) = highest_version(&self.list_tags().await?, None)
            {
                return Err(RegistryError::Unversioned {
                    image: Box::new(self.repository().with_tag(&tag.name)?),
                    version: version.to_owned(),
                });
            }
            if !matches!(tag.kind, TagKind::Leading(_)) {
                found.insert(tag.name.clone(), existing);
            }
        }
        Ok(found)
    }

    fn version_taken(
        &self,
        tag: &str,
        existing: String,
        ours: &Descriptor,
    ) -> Result<RegistryError, RegistryError> {
        Ok(RegistryError::VersionTaken {
            image: Box::new(self.repository().with_tag(tag)?),
            existing,
            ours: ours.digest.clone(),
        })
    }

    /// Refuses to take a tag from another model, which would stand for the wrong one from then on.
    async fn check_model(&self, tag: &str, source: PushSource<'_>) -> Result<(), RegistryError> {
        let images = source.layout.images_of(source.manifest)?;
        let ours = match images.first() {
            Some(image) => source.layout.manifest(image)?.model_name(),
            None => None,
        };
        let theirs = match self.read_manifest(tag).await? {
            None => None,
            Some(found) => match found.index().and_then(|it| it.manifests.into_iter().next()) {
                None => found.manifest().and_then(|manifest| manifest.model_name()),
                Some(first) => {
                    let first = self.read_manifest(first.digest.as_str()).await?;
                    first.and_then(|found| found.manifest()?.model_name())
                }
            },
        };
        let Some((ours, theirs)) = ours.zip(theirs).filter(|(ours, theirs)| ours != theirs) else {
            return Ok(());
        };
        let name = self.repository().name();
        Err(RegistryError::OtherModel {
            image: Box::new(self.repository().with_tag(tag)?),
            suggestion: format!("{name}/{}", ours.to_lowercase()),
            theirs,
            ours,
        })
    }

    /// Looks at the versions once more: another push of one of them at the same time may have looked before this one was there.
    async fn confirm_versions(
        &self,
        tags: &[TagPlan],
        ours: &Descriptor,
        uploaded: &Uploaded,
    ) -> Result<(), RegistryError> {
        if uploaded.options.overwrites {
            return Ok(());
        }
        let written = tags
            .iter()
            .filter(|tag| tag.kind == TagKind::Version && !uploaded.names(&tag.name, ours));
        for tag in written {
            let existing = self.digest_of(&tag.name).await?;
            if let Some(existing) = existing.filter(|existing| existing != ours.digest.as_str()) {
                return Err(self.version_taken(&tag.name, existing, ours)?);
            }
        }
        Ok(())
    }

    /// Sends the blobs of the image, or of each image of an index, and of what is attached; the largest first, so that the others
    /// are sent beside it.
    async fn send_blobs(
        &self,
        source: PushSource<'_>,
        trusts_registry: bool,
        uploaded: &mut Uploaded,
    ) -> Result<(), RegistryError> {
        let PushSource {
            layout,
            manifest,
            mount_from,
            attached,
        } = source;
        let mut blobs = blobs_of(layout, manifest)?;
        if uploaded.is_there {
            // A registry takes a manifest only with all that it names.
            uploaded.counts.n_present = blobs.len();
            blobs.clear();
        }
        for attachment in uploaded.missing(attached) {
            blobs.extend(blobs_of(layout, &attachment.manifest)?);
        }
        let mut blobs: Vec<BlobSource> = blobs.into_values().collect();
        blobs.sort_by_key(|blob| Reverse(blob.size));
        let uploads = blobs.iter().map(|blob| async move {
            let is_sent = self.push_blob(blob, mount_from, !trusts_registry).await?;
            Ok::<_, RegistryError>((blob.size, is_sent))
        });
        let mut uploads = stream::iter(uploads).buffer_unordered(N_UPLOADS);
        while let Some((size, is_sent)) = uploads.try_next().await? {
            uploaded.counts.add(size, is_sent);
        }
        Ok(())
    }

    async fn write_all(
        &self,
        source: PushSource<'_>,
        tags: &[TagPlan],
        uploaded: &Uploaded,
    ) -> Result<Pushed, RegistryError> {
        let PushSource {
            layout, manifest, ..
        } = source;
        let Counts {
            n_uploaded,
            n_present,
            uploaded_bytes,
        } = uploaded.counts;
        let mut pushed = Pushed {
            image: self.repository().with_digest(&manifest.digest),
            tags: Vec::new(),
            left: Vec::new(),
            n_uploaded,
            n_present,
            uploaded_bytes,
        };
        if manifest.media_type == INDEX && !uploaded.is_there {
            for child in &layout.images_of(manifest)? {
                let bytes = layout.read_blob(child)?.into();
                self.write_manifest(child.digest.as_str(), &child.media_type, &bytes)
                    .await?;
            }
        }
        let image = Written {
            manifest,
            bytes: layout.read_blob(manifest)?.into(),
        };
        self.write_attached(source, &image, uploaded).await?;
        for tag in tags {
            let Some(existing) = uploaded.found.get(&tag.name) else {
                continue;
            };
            let is_ours = uploaded.names(&tag.name, manifest);
            // The upload may have taken minutes, in which another push took the tag.
            let is_kept = matches!(tag.kind, TagKind::Version | TagKind::Once);
            let existing = &if is_kept && !is_ours {
                self.digest_of(&tag.name).await?
            } else {
                existing.clone()
            };
            let is_ours = existing.as_deref() == Some(manifest.digest.as_str());
            if tag.kind == TagKind::Version
                && !uploaded.options.overwrites
                && !is_ours
                && let Some(existing) = existing.clone()
            {
                return Err(self.version_taken(&tag.name, existing, manifest)?);
            }
            if tag.kind == TagKind::Once && existing.is_some() && !is_ours {
                self.report(Progress::Left {
                    image: self.repository().with_tag(&tag.name)?,
                    names: "an earlier image of this commit".to_owned(),
                });
                pushed.left.push(tag.name.clone());
            } else {
                self.write_tag(&tag.name, &image, existing.as_deref())
                    .await?;
                pushed.tags.push(tag.name.clone());
            }
        }
        self.write_leading(tags, &image, &mut pushed).await?;
        self.confirm_versions(tags, manifest, uploaded).await?;
        self.confirm_attached(source, uploaded).await?;
        Ok(pushed)
    }

    /// Lists again what another push may have taken off the list that this one was writing.
    async fn confirm_attached(
        &self,
        source: PushSource<'_>,
        uploaded: &Uploaded,
    ) -> Result<(), RegistryError> {
        for (subject, manifests) in by_subject(uploaded.missing(source.attached)) {
            self.list_attached(subject, &manifests).await?;
        }
        Ok(())
    }

    /// Writes the references to the image, which comes first under its digest alone: not all registries take a reference to what they
    /// have not got.
    async fn write_attached(
        &self,
        source: PushSource<'_>,
        image: &Written<'_>,
        uploaded: &Uploaded,
    ) -> Result<(), RegistryError> {
        let mut missing = uploaded.missing(source.attached).peekable();
        let Descriptor {
            media_type, digest, ..
        } = image.manifest;
        if missing.peek().is_some() && !uploaded.is_there {
            self.write_manifest(digest.as_str(), media_type, &image.bytes)
                .await?;
        }
        for (subject, manifests) in by_subject(missing) {
            for manifest in &manifests {
                let bytes = source.layout.read_blob(manifest)?.into();
                self.write_attachment(manifest, &bytes).await?;
            }
            self.list_attached(subject, &manifests).await?;
            for manifest in manifests {
                self.report(Progress::Attached {
                    manifest: manifest.digest.clone(),
                    subject: subject.clone(),
                });
            }
        }
        Ok(())
    }

    /// Makes `tag` name the image, unless it does so already.
    async fn write_tag(
        &self,
        tag: &str,
        image: &Written<'_>,
        existing: Option<&str>,
    ) -> Result<(), RegistryError> {
        let ours = &image.manifest.digest;
        let reference = self.repository().with_tag(tag)?;
        if existing == Some(ours.as_str()) {
            self.report(Progress::Unchanged(reference));
            return Ok(());
        }
        let written = self
            .write_manifest(tag, &image.manifest.media_type, &image.bytes)
            .await?;
        let found = match written.digest {
            Some(digest) => Some(digest),
            None => self.digest_of(tag).await?,
        };
        if found.as_deref() != Some(ours.as_str()) {
            return Err(RegistryError::DigestMismatch {
                image: Box::new(reference),
                found: found.unwrap_or_else(|| "missing".to_owned()),
                ours: ours.clone(),
            });
        }
        self.report(Progress::Tagged(reference));
        Ok(())
    }

    /// Moves the floating tags of a release, as far as it is the highest of their series.
    async fn write_leading(
        &self,
        tags: &[TagPlan],
        image: &Written<'_>,
        pushed: &mut Pushed,
    ) -> Result<(), RegistryError> {
        let leading: Vec<(&str, Series)> = tags
            .iter()
            .filter_map(|tag| match tag.kind {
                TagKind::Leading(series) => Some((tag.name.as_str(), series)),
                _ => None,
            })
            .collect();
        let version = tags.iter().find(|tag| tag.kind == TagKind::Version);
        let Some(version) = version.filter(|_| !leading.is_empty()) else {
            return Ok(());
        };
        let ours = version.name.as_str();
        let mut existing = self.list_tags().await?;
        // The version that each tag names, as far as it was written here.
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        for _ in 0..MAX_ROUNDS {
            let mut n_written = 0;
            for (tag, series) in &leading {
                let highest = series.highest(ours, &existing);
                if names.get(tag).is_some_and(|named| named == highest) {
                    continue;
                }
                if highest == ours {
                    let is_known = existing.iter().any(|it| it == tag);
                    let before = if is_known {
                        self.digest_of(tag).await?
                    } else {
                        None
                    };
                    self.write_tag(tag, image, before.as_deref()).await?;
                    if before.as_deref() != Some(image.manifest.digest.as_str()) {
                        n_written += 1;
                    }
                } else if names.contains_key(tag) {
                    // A higher version came between the look and the writing: the tag is its own.
                    self.copy_tag(highest, tag).await?;
                    n_written += 1;
                } else {
                    // The run that published it moves the tag.
                    continue;
                }
                names.insert(tag, highest.to_owned());
            }
            if n_written == 0 {
                break;
            }
            existing = self.list_tags().await?;
        }
        for (tag, series) in leading {
            if names.get(tag).is_some_and(|named| named == ours) {
                pushed.tags.push(tag.to_owned());
            } else {
                let highest = series.highest(ours, &existing);
                self.report(Progress::Left {
                    image: self.repository().with_tag(tag)?,
                    names: format!("version {highest}, which is higher"),
                });
                pushed.left.push(tag.to_owned());
            }
        }
        Ok(())
    }

    /// Makes the tag `to` name what `from` names.
    async fn copy_tag(&self, from: &str, to: &str) -> Result<(), RegistryError> {
        // Gone in the meantime: then nothing is left to name.
        if let Some(found) = self.read_manifest(from).await? {
            let image = Written {
                manifest: &found.descriptor,
                bytes: found.bytes.clone(),
            };
            self.write_tag(to, &image, None).await?;
        }
        Ok(())
    }
}

impl Uploaded {
    /// Whether `tag` named the image before the upload.
    fn names(&self, tag: &str, image: &Descriptor) -> bool {
        let existing = self.found.get(tag).and_then(Option::as_deref);
        existing == Some(image.digest.as_str())
    }

    fn missing<'a>(&self, attached: &'a [Attachment]) -> impl Iterator<Item = &'a Attachment> {
        let missing = |it: &&Attachment| !self.listed.contains(&it.manifest.digest);
        attached.iter().filter(missing)
    }
}

impl Counts {
    const fn add(&mut self, size: u64, is_sent: bool) {
        if is_sent {
            self.n_uploaded += 1;
            self.uploaded_bytes += size;
        } else {
            self.n_present += 1;
        }
    }
}

/// What is attached to each image.
fn by_subject<'a>(
    attached: impl Iterator<Item = &'a Attachment>,
) -> BTreeMap<&'a Sha256Digest, Vec<&'a Descriptor>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Attachment { subject, manifest } in attached {
        found.entry(subject).or_default().push(manifest);
    }
    found
}

/// A tag, and the digest that it names.
type Found = BTreeMap<String, Option<String>>;

/// A manifest on its way to a tag.
struct Written<'a> {
    manifest: &'a Descriptor,
    bytes: Bytes,
}

/// Every blob of the image, or of the images of an index, once.
fn blobs_of(
    layout: &Layout,
    manifest: &Descriptor,
) -> Result<BTreeMap<Sha256Digest, BlobSource>, RegistryError> {
    let mut blobs = BTreeMap::new();
    for image in layout.images_of(manifest)? {
        let document = layout.manifest(&image)?;
        for blob in document.layers.iter().chain([&document.config]) {
            let source = BlobSource::new(layout.blob_path(&blob.digest), blob);
            blobs.insert(blob.digest.clone(), source);
        }
    }
    Ok(blobs)
}
