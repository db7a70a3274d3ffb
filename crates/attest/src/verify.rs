//! A bundle, whom to trust and the digest of what it should be about in; the statement out, or why not.
//!
//! Signatures by keys are checked here. A certificate is checked by who has the trusted roots, and comes in as [`Certified`].

use serde_json::Value;
use trainyard_core::digest::Sha256Digest;

use crate::bundle::{Bundle, Material};
use crate::dsse::PAYLOAD_TYPE;
use crate::key::PublicKey;
use crate::signer::{Signer, SigningTime};
use crate::statement::{ResourceDescriptor, Statement};
use crate::verify_error::{Contradiction, Unverified, VerifyError};

/// A statement that a trusted signer made and that is about the right thing. Made by [`verify`] and
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
    /// When it was signed; `None` where a key signed, which proves no time.
    pub signed_at: Option<SigningTime>,
    /// Number of transparency log entries in the bundle. They were not checked.
    pub n_unchecked_log_entries: usize,
}

/// A signer whose certificate, proof of time and signature hold for a bundle. The code that makes one must have checked all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The certificate's subject alternative name.
    pub identity: String,
    /// The OpenID Connect issuer's URL.
    pub issuer: String,
    /// When the signature was made.
    pub signed_at: SigningTime,
}

/// A statement and who signed it, about whatever it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Authenticated {
    pub(crate) statement: Statement,
    signer: Signer,
    signed_at: Option<SigningTime>,
    n_unchecked_log_entries: usize,
}

/// Checks that one of `keys` signed the bundle and that its statement is about `subject`.
pub fn verify(
    bundle: &Bundle,
    keys: &[PublicKey],
    subject: &Sha256Digest,
) -> Result<Verified, VerifyError> {
    Authenticated::by_key(bundle, keys)?.about(subject)
}

impl Authenticated {
    /// The statement that one of `keys` signed.
    pub fn by_key(bundle: &Bundle, keys: &[PublicKey]) -> Result<Self, VerifyError> {
        let Material::PublicKey { hint } = &bundle.material else {
            return Err(Unverified::Keyless.into());
        };
        let envelope = &bundle.envelope;
        has_one_signature(bundle)?;
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
        Ok(Self {
            statement: statement_of(bundle)?,
            signer: Signer::Key(key.fingerprint()),
            signed_at: None,
            n_unchecked_log_entries: bundle.n_log_entries,
        })
    }

    /// The statement that the bundle's certificate signed, which is `certified`'s, with all the log entries in the bundle.
    pub fn by_certificate(bundle: &Bundle, certified: Certified) -> Result<Self, VerifyError> {
        let Certified {
            identity,
            issuer,
            signed_at,
        } = certified;
        has_one_signature(bundle)?;
        Ok(Self {
            statement: statement_of(bundle)?,
            signer: Signer::Identity { identity, issuer },
            signed_at: Some(signed_at),
            n_unchecked_log_entries: 0,
        })
    }

    /// The statement, where it is about `subject`.
    pub fn about(self, subject: &Sha256Digest) -> Result<Verified, VerifyError> {
        if !self.statement.is_about(subject) {
            return Err(Contradiction::Subject {
                expected: subject.clone(),
                found: words(&self.statement.subject),
            }
            .into());
        }
        Ok(self.verified())
    }

    /// The statement, about something that the caller has checked.
    pub(crate) fn verified(self) -> Verified {
        let Self {
            statement,
            signer,
            signed_at,
            n_unchecked_log_entries,
        } = self;
        Verified {
            predicate_type: statement.predicate_type,
            predicate: statement.predicate,
            subjects: statement.subject,
            signer,
            signed_at,
            n_unchecked_log_entries,
        }
    }
}

fn has_one_signature(bundle: &Bundle) -> Result<(), Unverified> {
    match bundle.envelope.signatures.len() {
        0 => Err(Unverified::NoSignature),
        1 => Ok(()),
        n_signatures => Err(Unverified::ManySignatures(n_signatures)),
    }
}

fn statement_of(bundle: &Bundle) -> Result<Statement, Unverified> {
    let envelope = &bundle.envelope;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Unverified::PayloadType(envelope.payload_type.clone()));
    }
    Statement::from_json(&envelope.payload).map_err(Unverified::Statement)
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
