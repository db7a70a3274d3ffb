//! Manifests of a repository: asked for by tag or digest, read, written.

use bytes::Bytes;
use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, WARNING};
use trainyard_core::digest::Sha256Digest;

use super::answer::{Server, malformed};
use super::{Registry, RegistryError, unless_missing};
use crate::spec::{Descriptor, Index, Manifest};

/// The specification asks registries to take manifests up to this size; larger ones are not read.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// The manifests that are asked for. Without `Accept` some registries convert them to an old form of another digest.
const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// A manifest that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Type, digest and size of the very bytes.
    pub descriptor: Descriptor,
    /// The document.
    pub bytes: Bytes,
}

impl Fetched {
    /// The document, where it is a manifest.
    pub fn manifest(&self) -> Option<Manifest> {
        serde_json::from_slice(&self.bytes).ok()
    }

    /// The document, where it is an index of manifests.
    pub fn index(&self) -> Option<Index> {
        serde_json::from_slice(&self.bytes).ok()
    }
}

/// What the registry said of a manifest that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenManifest {
    /// The digest that it names; not all registries do.
    pub digest: Option<String>,
    /// Whether it says that it keeps the list of what refers to the subject (`OCI-Subject`).
    pub keeps_referrers: bool,
}

impl Registry {
    /// The digest that `reference`, a tag or a digest, names, if it exists.
    pub async fn digest_of(&self, reference: &str) -> Result<Option<String>, RegistryError> {
        self.check_reference(reference)?;
        let accept = MANIFESTS.join(", ");
        self.request("reading a tag", async || {
            let url = self.session.url(&format!("manifests/{reference}"))?;
            let head = self
                .session
                .send(|client| client.head(url.clone()).header(ACCEPT, &accept))
                .await;
            let Some(head) = unless_missing(head)? else {
                return Ok(None);
            };
            if let Some(digest) = digest_in(head.headers()) {
                return Ok(Some(digest));
            }
            // A registry need not say the digest.
            let manifest = self
                .session
                .send(|client| client.get(url).header(ACCEPT, &accept))
                .await;
            let Some(manifest) = unless_missing(manifest)? else {
                return Ok(None);
            };
            let bytes = self.bounded(manifest, MAX_MANIFEST_BYTES).await?;
            Ok(Some(Sha256Digest::of(&bytes).to_string()))
        })
        .await
    }

    /// Reads the manifest that `reference`, a tag or a digest, names; `None` where there is none.
    pub async fn read_manifest(&self, reference: &str) -> Result<Option<Fetched>, RegistryError> {
        self.check_reference(reference)?;
        self.request(&format!("reading the manifest `{reference}`"), async || {
            let url = self.session.url(&format!("manifests/{reference}"))?;
            let accept = MANIFESTS.join(", ");
            let answer = self
                .session
                .send(|client| client.get(url).header(ACCEPT, accept))
                .await;
            let Some(answer) = unless_missing(answer)? else {
                return Ok(None);
            };
            let media_type = answer.headers().get(CONTENT_TYPE);
            let media_type = media_type.and_then(|text| text.to_str().ok());
            // Without parameters such as `; charset=utf-8`.
            let media_type = media_type.and_then(|text| text.split(';').next());
            let media_type = media_type.unwrap_or_default().trim().to_owned();
            let bytes = self.bounded(answer, MAX_MANIFEST_BYTES).await?;
            let descriptor = Descriptor::of(&media_type, &bytes);
            if reference.starts_with("sha256:") && descriptor.digest.as_str() != reference {
                let problem = format!("{} for the manifest {reference}", descriptor.digest);
                return Err(malformed(Server::Registry, &problem));
            }
            Ok(Some(Fetched { descriptor, bytes }))
        })
        .await
    }

    /// Writes a manifest under `reference`, a tag or its digest.
    pub async fn write_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &Bytes,
    ) -> Result<WrittenManifest, RegistryError> {
        self.check_reference(reference)?;
        let during = if reference.starts_with("sha256:") {
            format!("writing the manifest {reference}")
        } else {
            format!("writing the tag `{reference}`")
        };
        self.request(&during, async || {
            let url = self.session.url(&format!("manifests/{reference}"))?;
            let answer = self
                .session
                .send(|client| {
                    client
                        .put(url)
                        .header(CONTENT_TYPE, media_type)
                        .body(bytes.clone())
                })
                .await?;
            // Clients should show it (distribution specification, "Warnings").
            for warning in answer.headers().get_all(WARNING) {
                let text = warning.to_str().unwrap_or_default();
                self.quirk(format!("the registry warns: {text}"));
            }
            Ok(WrittenManifest {
                digest: digest_in(answer.headers()),
                keeps_referrers: answer.headers().contains_key("oci-subject"),
            })
        })
        .await
    }

    /// What is neither a tag nor a digest could be another path.
    fn check_reference(&self, reference: &str) -> Result<(), RegistryError> {
        if reference.parse::<Sha256Digest>().is_err() {
            self.repository.with_tag(reference)?;
        }
        Ok(())
    }
}

fn digest_in(headers: &HeaderMap) -> Option<String> {
    let digest = headers.get("docker-content-digest")?.to_str().ok()?;
    Some(digest.to_owned())
}
