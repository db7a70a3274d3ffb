//! Sigstore bundles v0.3: an envelope and what its signature is to be checked with, in one JSON document.
//!
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>, in the JSON form of protobuf.
//! Unknown fields are ignored, as protobuf does.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::certificate::Certificate;
use crate::dsse::{Envelope, base64_text};
use crate::key::{KeyError, PrivateKey};
use crate::statement::Statement;

/// The media type of a bundle, in the bundle and in registries.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The same version in the form that bundles of earlier versions have.
const PARAMETER_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// A signed payload and what its signature is to be checked with, as it was read. Nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What its signature is to be checked with.
    pub material: Material,
    /// Number of transparency log entries beside it. They are not checked here.
    pub n_log_entries: usize,
    /// The payload and its signature.
    pub envelope: Envelope,
}

/// What a signature is to be checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A public key, which the verifier has; the bundle holds an unauthenticated hint at it, which may be empty.
    PublicKey {
        /// See [`PublicKey::cosign_hint`](crate::PublicKey::cosign_hint).
        hint: String,
    },
    /// A certificate: keyless.
    Certificate,
}

/// Why bytes are not a bundle that can be read here.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// They are not JSON of that shape.
    #[error("not a Sigstore bundle")]
    Json(#[from] serde_json::Error),
    /// They are of another version.
    #[error("the bundle is of the type `{0}`, but this build reads `{BUNDLE_MEDIA_TYPE}`")]
    MediaType(String),
    /// It has neither a key nor a certificate, or several.
    #[error("the bundle must name one of a public key and a certificate, but names {0}")]
    Material(usize),
    /// It signs a file and says nothing about it.
    #[error(
        "the bundle holds a bare signature and no statement: make it with `cosign attest-blob`, not `cosign sign-blob`"
    )]
    NoEnvelope,
}

/// The document as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    media_type: &'a str,
    verification_material: WrittenMaterial<'a>,
    dsse_envelope: &'a Envelope,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum WrittenMaterial<'a> {
    Key {
        public_key: Hint<'a>,
    },
    Certificate {
        certificate: RawBytes<'a>,
        tlog_entries: &'a [Value],
        timestamp_verification_data: Timestamps<'a>,
    },
}

#[derive(Serialize)]
struct Hint<'a> {
    hint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes<'a> {
    #[serde(serialize_with = "base64_text::serialize")]
    raw_bytes: &'a [u8],
}

#[derive(Serialize)]
struct Timestamps<'a> {
    #[serde(rename = "rfc3161Timestamps")]
    timestamps: Vec<SignedTimestamp<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedTimestamp<'a> {
    #[serde(serialize_with = "base64_text::serialize")]
    signed_timestamp: &'a [u8],
}

/// The document as it is read, from any tool.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    verification_material: DocumentMaterial,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentMaterial {
    public_key: Option<DocumentHint>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(default)]
    tlog_entries: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct DocumentHint {
    #[serde(default)]
    hint: Option<String>,
}

impl Bundle {
    /// Reads a bundle.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        let Document {
            media_type,
            verification_material: material,
            dsse_envelope,
        } = serde_json::from_slice(bytes)?;
        if media_type != BUNDLE_MEDIA_TYPE && media_type != PARAMETER_MEDIA_TYPE {
            return Err(BundleError::MediaType(media_type));
        }
        let n_materials = usize::from(material.public_key.is_some())
            + usize::from(material.certificate.is_some())
            + usize::from(material.x509_certificate_chain.is_some());
        if n_materials != 1 {
            return Err(BundleError::Material(n_materials));
        }
        Ok(Self {
            material: match material.public_key {
                Some(key) => Material::PublicKey {
                    hint: key.hint.unwrap_or_default(),
                },
                None => Material::Certificate,
            },
            n_log_entries: material.tlog_entries.map_or(0, |entries| entries.len()),
            envelope: dsse_envelope.ok_or(BundleError::NoEnvelope)?,
        })
    }
}

/// Signs a statement: the bytes of a bundle that cosign and npm's `@sigstore/verify` check with the public key.
///
/// A signature of ECDSA holds a random number, so the bytes differ from one call to the next.
pub fn sign(statement: &Statement, key: &PrivateKey) -> Result<Vec<u8>, KeyError> {
    write(statement, key, &key.public_key().cosign_hint())
}

/// The same, with another hint at the key.
pub(crate) fn write(
    statement: &Statement,
    key: &PrivateKey,
    hint: &str,
) -> Result<Vec<u8>, KeyError> {
    let document = Written {
        media_type: BUNDLE_MEDIA_TYPE,
        verification_material: WrittenMaterial::Key {
            public_key: Hint { hint },
        },
        dsse_envelope: &Envelope::sign(statement.to_json(), key)?,
    };
    Ok(document.to_json())
}

/// The bytes of a bundle whose envelope the certificate's key signed, while the certificate was valid by `log_entries`
/// (`TransparencyLogEntry` of Sigstore's protobufs in JSON) or by `timestamps` (`TimeStampResp` of RFC 3161 in DER).
pub fn certified(
    envelope: &Envelope,
    certificate: &Certificate,
    log_entries: &[Value],
    timestamps: &[Vec<u8>],
) -> Vec<u8> {
    let timestamps = timestamps.iter();
    let document = Written {
        media_type: BUNDLE_MEDIA_TYPE,
        verification_material: WrittenMaterial::Certificate {
            certificate: RawBytes {
                raw_bytes: certificate.der(),
            },
            tlog_entries: log_entries,
            timestamp_verification_data: Timestamps {
                timestamps: timestamps
                    .map(|signed_timestamp| SignedTimestamp { signed_timestamp })
                    .collect(),
            },
        },
        dsse_envelope: envelope,
    };
    document.to_json()
}

impl Written<'_> {
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and JSON values always serialise")
    }
}

#[cfg(test)]
mod tests;
