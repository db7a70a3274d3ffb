//! `publication.json`: which image holds which model, and where it was pushed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::gate::Decision;

/// The version of `publication.json` that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in an image folder.
pub const PUBLICATION_FILE: &str = "publication.json";

/// The media type of an `evaluation.json` that is attached to an image.
pub const EVALUATION_MEDIA_TYPE: &str = "application/vnd.trainyard.evaluation.v1+json";

/// Where the server lies in an image.
pub const SERVER_PATH: &str = "/usr/local/bin/trainyard-serve";

/// The folder of the model in an image: where KServe and Kubernetes' image volumes look for it.
pub const MODEL_FOLDER: &str = "/models";

/// An image, what is in it and where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// The model's name.
    pub model_name: String,
    /// The model in the image.
    pub model_digest: Sha256Digest,
    /// What the gate decided about it.
    pub verdict: Decision,
    /// Digest of the evaluation that was judged.
    pub evaluation_digest: Sha256Digest,
    /// The image's digest: that of its manifest.
    pub image_digest: Sha256Digest,
    /// Bytes of all its blobs.
    pub size_bytes: u64,
    /// What it runs on, such as `linux/amd64`.
    pub platforms: Vec<String>,
    /// Rows that the packed server answered as the evaluated model did.
    pub n_smoke_test_rows: usize,
    /// Names under which the image stands in the OCI layout beside this file.
    pub layout_names: Vec<String>,
    /// Where it was pushed.
    pub destinations: Vec<Destination>,
    /// What is attached to it, in the layout and wherever it was pushed.
    pub referrers: Vec<Referrer>,
    /// Fingerprint of the key that signed it: the digest of the public key in DER. Absent where nothing is signed.
    pub signing_key: Option<Sha256Digest>,
    /// Whom the certificate names that signed it. Absent where a key signed it, or nothing is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_identity: Option<SigningIdentity>,
    /// The one command that runs it.
    pub run_command: String,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    pub commit: Option<String>,
}

/// Whom a certificate names: what a policy must name to trust it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningIdentity {
    /// The subject alternative name: a workflow's URL, an e-mail address.
    pub identity: String,
    /// URL of the OpenID Connect issuer.
    pub issuer: String,
}

/// Something that is attached to the image, by a manifest whose subject the image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Referrer {
    /// What it says: the predicate type of a signed statement, or the media type of what is not signed.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digest of its manifest.
    pub digest: Sha256Digest,
    /// The image, or one image of an index, that it is about.
    pub subject: Sha256Digest,
}

/// A registry that has the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The image by digest: what a deployment should name.
    pub image: String,
    /// Tags that name it.
    pub tags: Vec<String>,
    /// Tags that it would have got and that name another image: those of a series that a higher version leads, and of a commit that
    /// has an image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_tags: Vec<String>,
}
