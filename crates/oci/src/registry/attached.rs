//! Files that are attached to an image, read from its registry. Nothing of them is trusted yet.

use bytes::Bytes;
use trainyard_core::digest::Sha256Digest;

use super::{Registry, RegistryError};
use crate::model_pack::MODEL_PACK;

/// Evidence of one image is a handful; a list of more is not read to its end.
const MAX_REFERRERS: usize = 256;

/// Larger files are not read: bundles have some kilobytes, evaluations at most some megabytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// What is attached to an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attached {
    /// The files of the types that were asked for.
    pub files: Vec<AttachedFile>,
    /// What was not read, and why: one sentence each.
    pub skipped: Vec<String>,
}

/// A file that is attached to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedFile {
    /// The manifest that attaches it.
    pub referrer: Sha256Digest,
    /// Type of the file.
    pub media_type: String,
    /// The file.
    pub bytes: Bytes,
}

impl Registry {
    /// Reads the files attached to `image` whose media type `is_wanted`, each checked against its digest.
    ///
    /// Lists are not trusted: each manifest says itself what it is and to what it refers.
    pub async fn read_attached(
        &self,
        image: &Sha256Digest,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Attached, RegistryError> {
        let mut attached = Attached::default();
        let referrers = self.referrers(image).await?;
        for referrer in referrers.iter().take(MAX_REFERRERS) {
            let digest = &referrer.digest;
            let Some(found) = self.read_manifest(digest.as_str()).await? else {
                attached.skip(
                    digest,
                    "the list names it, and the registry does not have it",
                );
                continue;
            };
            let Some(manifest) = found.manifest() else {
                attached.skip(digest, "it is not a manifest");
                continue;
            };
            if manifest.subject.as_ref().map(|subject| &subject.digest) != Some(image) {
                attached.skip(digest, "it does not refer to this image");
                continue;
            }
            if manifest.artifact_type.as_deref() == Some(MODEL_PACK) {
                // The image's model once more, which says nothing about it.
                continue;
            }
            let [file] = manifest.layers.as_slice() else {
                attached.skip(digest, "it does not have one blob, as bundles do");
                continue;
            };
            let media_type = &file.media_type;
            if !is_wanted(media_type) {
                attached.skip(digest, &format!("it is of the type `{media_type}`"));
                continue;
            }
            if file.size > MAX_FILE_BYTES {
                attached.skip(digest, &format!("its {} bytes are too many", file.size));
                continue;
            }
            attached.files.push(AttachedFile {
                referrer: digest.clone(),
                media_type: media_type.clone(),
                bytes: self.read_blob(file).await?,
            });
        }
        if referrers.len() > MAX_REFERRERS {
            attached.skipped.push(format!(
                "{} more manifests that refer to the image were not read",
                referrers.len() - MAX_REFERRERS
            ));
        }
        Ok(attached)
    }
}

impl Attached {
    fn skip(&mut self, referrer: &Sha256Digest, reason: &str) {
        self.skipped
            .push(format!("what {referrer} attaches: {reason}"));
    }
}
