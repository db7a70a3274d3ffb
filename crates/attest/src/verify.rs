//! A bundle, the keys that are trusted and the digest of what it should be about in; the statement out, or why not.
//!
//! What contradicts (a signature that is not over these bytes, a statement about something else) is told apart from what
//! could not be verified (no signature, another key, a certificate): both are red, but only the first is evidence of a
//! change.

use serde_json::Value;
use trainyard_core::digest::Sha256Digest;

use crate::bundle::{Bundle, BundleError, Material};
use crate::dsse::PAYLOAD_TYPE;
use crate::key::{Algorithm, PublicKey};
use crate::statement::{ResourceDescriptor, Statement, StatementError};

/// A statement that a trusted key signed and that is about the right thing. Made by [`verify`] and
/// [`verify_model`](crate::verify_model).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// The URI that says what the predicate means.
    pub predicate_type: String,
    /// What is said.
    pub predicate: Value,
    /// What it is about; the expected thing is among them.
    pub subjects: Vec<ResourceDescriptor>,
    /// Who says it.
    pub signer: Signer,
    /// Number of transparency log entries in the bundle. They were not checked.
    pub n_unchecked_log_entries: usize,
}

/// Who signed a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Whoever has the key with this fingerprint.
    Key(Sha256Digest),
    /// Whoever an issuer called by this name, in a certificate. This build does not check any, so it finds none.
    Identity {
        /// The certificate's subject alternative name: a workflow's URL, an e-mail address.
        identity: String,
        /// The OpenID Connect issuer's URL.
        issuer: String,
    },
}

impl std::fmt::Display for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(formatter, "the key {fingerprint}"),
            Self::Identity { identity, issuer } => write!(formatter, "{identity} ({issuer})"),
        }
    }
}

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
    /// It is signed by a certificate.
    #[error(
        "keyless: signed by a certificate, which is not checked here; verify it with `cosign`, or sign with a key"
    )]
    Keyless,
    /// None of the trusted keys signed it.
    #[error(
        "signed by none of the {n_keys} trusted keys{}",
        if hint.is_empty() { String::new() } else { format!("; the bundle names the key `{hint}`") }
    )]
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

/// Checks that one of `keys` signed the bundle and that its statement is about `subject`.
pub fn verify(
    bundle: &Bundle,
    keys: &[PublicKey],
    subject: &Sha256Digest,
) -> Result<Verified, VerifyError> {
    let (statement, signer) = signed_statement(bundle, keys)?;
    if !statement.is_about(subject) {
        return Err(Contradiction::Subject {
            expected: subject.clone(),
            found: words(&statement.subject),
        }
        .into());
    }
    Ok(Verified {
        predicate_type: statement.predicate_type,
        predicate: statement.predicate,
        subjects: statement.subject,
        signer,
        n_unchecked_log_entries: bundle.n_log_entries,
    })
}

/// The statement that one of `keys` signed, about whatever it is.
pub(crate) fn signed_statement(
    bundle: &Bundle,
    keys: &[PublicKey],
) -> Result<(Statement, Signer), VerifyError> {
    let Material::PublicKey { hint } = &bundle.material else {
        return Err(Unverified::Keyless.into());
    };
    let envelope = &bundle.envelope;
    match envelope.signatures.len() {
        0 => return Err(Unverified::NoSignature.into()),
        1 => {}
        n_signatures => return Err(Unverified::ManySignatures(n_signatures).into()),
    }
    // The hint is not signed, so it decides nothing but how a failure is called.
    let Some(key) = keys.iter().find(|key| envelope.is_signed_by(key)) else {
        let is_named =
            |key: &&PublicKey| [key.cosign_hint(), key.model_signing_hint()].contains(hint);
        return Err(match keys.iter().find(is_named) {
            Some(key) => Contradiction::Signature {
                fingerprint: key.fingerprint(),
                algorithm: key.algorithm(),
            }
            .into(),
            None => Unverified::UnknownKey {
                n_keys: keys.len(),
                hint: hint.clone(),
            }
            .into(),
        });
    };
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Unverified::PayloadType(envelope.payload_type.clone()).into());
    }
    let statement = Statement::from_json(&envelope.payload).map_err(Unverified::Statement)?;
    Ok((statement, Signer::Key(key.fingerprint())))
}

/// Subjects by digest, for people.
fn words(subjects: &[ResourceDescriptor]) -> String {
    if subjects.is_empty() {
        return "nothing".to_owned();
    }
    let word = |subject: &ResourceDescriptor| {
        let digests = subject.digest.iter();
        let digests: Vec<_> = digests
            .map(|(algorithm, hex)| format!("{algorithm}:{hex}"))
            .collect();
        match (subject.name.as_str(), digests.is_empty()) {
            (name, true) => format!("`{name}` without a digest"),
            ("", false) => digests.join(", "),
            (name, false) => format!("`{name}` ({})", digests.join(", ")),
        }
    };
    let words: Vec<_> = subjects.iter().map(word).collect();
    words.join("; ")
}

#[cfg(test)]
mod tests;
