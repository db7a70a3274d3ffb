//! Why a statement is not accepted.
//!
//! What contradicts (a signature that is not over these bytes, a statement about something else) is told apart from what
//! could not be verified (no signature, another key, another identity): both are red, but only the first is evidence of a
//! change.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trainyard_core::digest::Sha256Digest;

use crate::bundle::BundleError;
use crate::dsse::PAYLOAD_TYPE;
use crate::key::Algorithm;
use crate::signer::Signer;
use crate::statement::StatementError;

/// Why a statement is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is evidence of a change.
    #[error(transparent)]
    Contradicted(#[from] Contradiction),
    /// Nothing can be said about it.
    #[error(transparent)]
    Unverified(#[from] Unverified),
}

const SHA256_BYTES: usize = 32;

/// cosign 3.1 signs with Ed25519 keys by Ed25519ph, which it cannot verify itself; aws-lc-rs does not have it.
const PREHASHED: &str = "; or `cosign` made it, whose signatures with Ed25519 keys (Ed25519ph) are not supported: sign \
                         with a P-256 key";

/// What is evidence of a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The bundle names a trusted key, which did not sign these bytes.
    #[error(
        "the signature is not that of the key {fingerprint}, which the bundle names: payload or signature was changed \
         after signing{}",
        if *algorithm == Algorithm::Ed25519 { PREHASHED } else { "" }
    )]
    Signature {
        /// Of the key.
        fingerprint: Sha256Digest,
        /// Of the key.
        algorithm: Algorithm,
    },
    /// The statement is about something else.
    #[error("the statement is about {found}, not about {expected}")]
    Subject {
        /// What it should be about.
        expected: Sha256Digest,
        /// What it is about, in words.
        found: String,
    },
    /// The statement does not hold together, or not with what it is about.
    #[error("{0}")]
    Content(String),
}

/// Why nothing can be said about a statement.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// It is not a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle holds no signature.
    #[error("the envelope has no signature")]
    NoSignature,
    /// The bundle holds several.
    #[error("the envelope has {0} signatures, where a Sigstore bundle has one")]
    ManySignatures(usize),
    /// It is signed by a certificate, and no identity is trusted.
    #[error(
        "keyless: signed by a certificate, and no identity is trusted: name the signer by `identity` and `issuer`"
    )]
    Keyless,
    /// It is signed by a certificate of an identity that is not trusted.
    #[error("keyless: signed by {found}, which is not a trusted identity")]
    OtherIdentity {
        /// Whom the certificate names, which is not checked.
        found: Signer,
    },
    /// The certificate, the proof of its time or the signature does not hold.
    #[error("keyless: the signature by the certificate is not proven")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// None of the trusted keys signed it.
    #[error("signed by none of the {n_keys} trusted keys{}", named_key(hint))]
    UnknownKey {
        /// How many there are.
        n_keys: usize,
        /// The bundle's unauthenticated hint; may be empty.
        hint: String,
    },
    /// The payload is not a statement.
    #[error("the payload is of the type `{0}`, not `{PAYLOAD_TYPE}`")]
    PayloadType(String),
    /// A trusted key signed something that is not a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A trusted key signed a predicate that is not of its type's shape.
    #[error("the predicate is not of the shape that its type has")]
    Predicate(#[source] serde_json::Error),
    /// A model is signed in a way that is not checked here.
    #[error(
        "the model is signed by {method} with {hash}, but only `files` with `sha256` are checked here; verify it with \
         `model_signing verify key`"
    )]
    ModelSerialization {
        /// How the folder was read.
        method: String,
        /// How its parts were hashed.
        hash: String,
    },
    /// It says something else than was asked for.
    #[error("the statement is of the type `{found}`, not `{expected}`")]
    PredicateType {
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// The key that a bundle names, as fingerprints are written elsewhere where it is one.
fn named_key(hint: &str) -> String {
    let fingerprint = STANDARD.decode(hint).ok();
    let fingerprint = fingerprint.filter(|bytes| bytes.len() == SHA256_BYTES);
    match fingerprint {
        Some(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("; the bundle names the key `sha256:{hex}`")
        }
        None if hint.is_empty() => String::new(),
        // As the tools of OpenSSF Model Signing do.
        None if format!("sha256:{hint}").parse::<Sha256Digest>().is_ok() => {
            format!("; the bundle names the key whose PEM file has the digest `sha256:{hint}`")
        }
        None => format!("; the bundle names the key `{hint}`"),
    }
}

impl VerifyError {
    /// Whether it is evidence of a change, and not only a lack of evidence.
    pub const fn is_contradiction(&self) -> bool {
        matches!(self, Self::Contradicted(_))
    }
}

impl From<BundleError> for VerifyError {
    fn from(error: BundleError) -> Self {
        Self::Unverified(error.into())
    }
}
