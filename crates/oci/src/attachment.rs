//! What is attached to an image: a blob of any type in, a manifest that refers to the image out (image specification 1.1, manifest.md,
//! "Guidelines for Artifact Usage").

use std::collections::BTreeMap;

use trainyard_core::digest::Sha256Digest;

use crate::annotation;
use crate::spec::{Descriptor, EMPTY, MANIFEST, Manifest};

/// The configuration of what has none.
pub(crate) const EMPTY_CONFIG: &[u8] = b"{}";

/// A file to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is: the type of the manifest and of its one blob.
    pub media_type: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// The file's name, where it has one.
    pub title: Option<String>,
    /// Notes for tools.
    pub annotations: BTreeMap<String, String>,
}

/// What is attached to an image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The image, or the index of images, that it refers to.
    pub subject: Sha256Digest,
    /// Its manifest, with the type and the annotations that a list of referrers shows.
    pub manifest: Descriptor,
}

impl Artifact {
    /// The manifest that attaches it to `subject`; equal artifacts give equal bytes.
    pub(crate) fn manifest(&self, subject: &Descriptor) -> Manifest {
        let title = self.title.iter();
        let title = title.map(|title| (annotation::TITLE.to_owned(), title.clone()));
        let blob = Descriptor {
            annotations: title.collect(),
            ..Descriptor::of(&self.media_type, &self.bytes)
        };
        Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: Some(self.media_type.clone()),
            config: Descriptor::of(EMPTY, EMPTY_CONFIG),
            layers: vec![blob],
            subject: Some(subject.without_place()),
            annotations: self.annotations.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent sources: the example of an artifact in the image specification's manifest.md, and what cosign 3.1 writes.
    #[test]
    fn the_manifest_is_the_specifications() {
        let artifact = Artifact {
            media_type: "application/vnd.example+json".to_owned(),
            bytes: b"[]".to_vec(),
            title: Some("example.json".to_owned()),
            annotations: BTreeMap::from([("com.example.key".to_owned(), "value".to_owned())]),
        };
        let subject = Descriptor {
            annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..Descriptor::of(MANIFEST, b"the image")
        };
        let manifest = serde_json::to_value(artifact.manifest(&subject)).unwrap();
        // `printf '{}' | sha256sum`, `printf '[]' | sha256sum` and `printf 'the image' | sha256sum`.
        assert_eq!(
            manifest,
            serde_json::json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": "application/vnd.example+json",
                "config": {
                    "mediaType": "application/vnd.oci.empty.v1+json",
                    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                    "size": 2,
                },
                "layers": [{
                    "mediaType": "application/vnd.example+json",
                    "digest": "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
                    "size": 2,
                    "annotations": { "org.opencontainers.image.title": "example.json" },
                }],
                "subject": {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": "sha256:97e9d7a16021e6d07fbe28cce398f5847fc00c574991fbff65d95fd5e032d389",
                    "size": 9,
                },
                "annotations": { "com.example.key": "value" },
            })
        );
    }
}
