//! What is attached to an image, pulled from its registry: bundles and evaluations, nothing of them believed yet.

use bytes::Bytes;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;
use trainyard_oci::spec::{Descriptor, Manifest};
use trainyard_oci::{MODEL_PACK, Registry, RegistryError};

/// What bundles of any version begin their media type with.
const BUNDLES: &str = "application/vnd.dev.sigstore.bundle";

/// Evidence of one image is a handful; a list of more is not read to its end.
const MAX_REFERRERS: usize = 256;

/// Larger blobs are not read: bundles of ours have some kilobytes, evaluations at most some megabytes.
const MAX_BLOB_BYTES: u64 = 64 << 20;

/// What is attached to an image.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// Sigstore bundles.
    pub(crate) bundles: Vec<Blob>,
    /// Files called `evaluation.json`.
    pub(crate) evaluations: Vec<Blob>,
    /// What was not looked into, and why: one sentence each.
    pub(crate) skipped: Vec<String>,
}

/// A file that is attached to an image.
#[derive(Debug)]
pub(crate) struct Blob {
    /// The manifest that attaches it.
    pub(crate) referrer: Sha256Digest,
    pub(crate) bytes: Bytes,
}

impl Attached {
    /// Pulls what refers to `image`. Lists are not believed: each manifest says itself what it is and to what it refers.
    pub(crate) async fn pull(
        registry: &Registry,
        image: &Sha256Digest,
    ) -> Result<Self, RegistryError> {
        let mut attached = Self::default();
        let referrers = registry.referrers(image).await?;
        for referrer in referrers.iter().take(MAX_REFERRERS) {
            let digest = &referrer.digest;
            let Some(found) = registry.read_manifest(digest.as_str()).await? else {
                attached.skip(
                    digest,
                    "the list names it, and the registry does not have it",
                );
                continue;
            };
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&found.bytes) else {
                attached.skip(digest, "it is not a manifest");
                continue;
            };
            if manifest.subject.as_ref().map(|subject| &subject.digest) != Some(image) {
                attached.skip(digest, "it does not refer to this image");
                continue;
            }
            attached.pull_blob(registry, digest, &manifest).await?;
        }
        if referrers.len() > MAX_REFERRERS {
            attached.skipped.push(format!(
                "{} more manifests that refer to the image were not read",
                referrers.len() - MAX_REFERRERS
            ));
        }
        Ok(attached)
    }

    async fn pull_blob(
        &mut self,
        registry: &Registry,
        referrer: &Sha256Digest,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        if manifest.artifact_type.as_deref() == Some(MODEL_PACK) {
            // The image's model once more, and no evidence of anything.
            return Ok(());
        }
        let [blob] = manifest.layers.as_slice() else {
            self.skip(referrer, "it does not have one blob, as bundles do");
            return Ok(());
        };
        let kind = blob.media_type.as_str();
        let is_bundle = kind.starts_with(BUNDLES);
        if !is_bundle && kind != EVALUATION_MEDIA_TYPE {
            self.skip(referrer, &format!("it is of the type `{kind}`"));
            return Ok(());
        }
        let Descriptor { size, .. } = blob;
        if *size > MAX_BLOB_BYTES {
            self.skip(referrer, &format!("its {size} bytes are too many"));
            return Ok(());
        }
        let blob = Blob {
            referrer: referrer.clone(),
            bytes: registry.read_blob(blob).await?,
        };
        if is_bundle {
            self.bundles.push(blob);
        } else {
            self.evaluations.push(blob);
        }
        Ok(())
    }

    fn skip(&mut self, referrer: &Sha256Digest, reason: &str) {
        self.skipped
            .push(format!("what {referrer} attaches: {reason}"));
    }
}
