//! Keyless signatures: a bundle with a certificate and trusted roots in; whom the certificate names, once everything about it holds, out.
//!
//! The checks are those of `sigstore-verify`: the certificate's chain at the time of signing, its timestamp by a certificate log, the
//! entry in the transparency log, RFC 3161 timestamps, the signature, and that the entry is of this signature. What the statement is
//! about is checked by the caller.

use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::{Bundle as SigstoreBundle, Sha256Hash, SignatureContent};
use sigstore_verify::{Error as SigstoreError, TransparencyLogError, VerificationResult};
use trainyard_attest::{
    Authenticated, Bundle, Certified, Contradiction, PermittedSigner, Signer, SigningTime,
    Statement, TimeProof, Unverified, VerifyError,
};
use trainyard_core::error_chain::in_one_line;

use crate::roots::Root;

/// Why a certificate does not hold, beside what the library says.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the bundle cannot be read: {0}")]
    Bundle(#[from] sigstore_verify::types::Error),
    #[error("the certificate cannot be read: {0}")]
    Certificate(#[from] sigstore_verify::crypto::Error),
    #[error("the bundle holds no certificate")]
    NoCertificate,
    #[error("the certificate names no identity")]
    NoIdentity,
    #[error("the certificate names no issuer, which Fulcio's do")]
    NoIssuer,
    #[error("the bundle is read in two ways: its payload is not the same for both")]
    Ambiguous,
    #[error("no time of signing is proven")]
    NoTime,
    #[error("the payload is not a statement about something with a SHA-256 digest")]
    NoSubject,
    #[error("{}", .0.join("; "))]
    Roots(Vec<String>),
}

impl From<Problem> for VerifyError {
    fn from(problem: Problem) -> Self {
        Unverified::Certificate(Box::new(problem)).into()
    }
}

/// The statement in `bundle`, whose text is `bytes`, if a certificate of one of `trusted` signed it by one of `roots`.
pub(crate) fn authenticate(
    bundle: &Bundle,
    bytes: &[u8],
    trusted: &[PermittedSigner],
    roots: &[Root],
) -> Result<Authenticated, VerifyError> {
    let text = String::from_utf8_lossy(bytes);
    let read = SigstoreBundle::from_json(&text).map_err(Problem::from)?;
    let certificate = read.signing_certificate().ok_or(Problem::NoCertificate)?;
    let claims = parse_certificate_info(certificate).map_err(Problem::from)?;
    let identity = claims.identity.ok_or(Problem::NoIdentity)?;
    let identity = identity.as_str().to_owned();
    let issuer = claims.issuer.ok_or(Problem::NoIssuer)?;
    let signer = Signer::Identity {
        identity: identity.clone(),
        issuer: issuer.clone(),
    };
    // Before anything is checked: a bundle that another signer attached is not a contradiction.
    if !trusted.iter().any(|permitted| permitted.permits(&signer)) {
        return Err(Unverified::OtherIdentity { found: signer }.into());
    }
    let SignatureContent::DsseEnvelope(envelope) = &read.content else {
        return Err(Problem::Ambiguous.into());
    };
    if envelope.payload.as_bytes() != bundle.envelope.payload {
        return Err(Problem::Ambiguous.into());
    }
    // The library asks for an artifact, and compares it with the statement's subjects. The caller compares the image with them.
    let artifact = first_subject(bundle).ok_or(Problem::NoSubject)?;
    let mut problems = Vec::new();
    for root in roots {
        let policy = root.policy(&identity, &issuer);
        match root.verifier.verify(artifact, &read, &policy) {
            Ok(verified) => {
                let certified = Certified {
                    identity,
                    issuer,
                    signed_at: signing_time(&verified, &read).ok_or(Problem::NoTime)?,
                };
                return Authenticated::by_certificate(bundle, certified);
            }
            Err(error) if is_change(&error) => {
                return Err(Contradiction::Content(format!(
                    "the certificate of {signer} did not sign these bytes, so that payload or signature was changed after signing: {}",
                    in_one_line(&error)
                ))
                .into());
            }
            Err(error) => problems.push(format!("{}: {}", root.name, in_one_line(&error))),
        }
    }
    Err(Problem::Roots(problems).into())
}

/// The earliest time that is proven, and by what.
fn signing_time(verified: &VerificationResult, bundle: &SigstoreBundle) -> Option<SigningTime> {
    let earliest = verified.verified_timestamps().iter().min()?;
    let stamps = &bundle.verification_material.timestamp_verification_data;
    let is_logged = verified.integrated_time().is_some();
    let proof = match (is_logged, stamps.rfc3161_timestamps.is_empty()) {
        (true, false) => TimeProof::LogEntryAndTimestamp,
        (true, true) => TimeProof::LogEntry,
        (false, _) => TimeProof::Timestamp,
    };
    Some(SigningTime {
        at_s: earliest.as_second(),
        proof,
    })
}

/// Whether it says that something was changed after signing, when chain and time already held.
fn is_change(error: &SigstoreError) -> bool {
    matches!(
        error,
        SigstoreError::SignatureInvalid(_)
            | SigstoreError::TransparencyLog(TransparencyLogError::EntryMismatch(_))
    )
}

fn first_subject(bundle: &Bundle) -> Option<Sha256Hash> {
    let statement = Statement::from_json(&bundle.envelope.payload).ok()?;
    let mut digests = statement.subject.iter().map(|subject| &subject.digest);
    digests.find_map(|digest| Sha256Hash::from_hex(digest.get("sha256")?).ok())
}

#[cfg(test)]
mod tests;
