//! Statements about a published model, signed and verified: what was judged, built and measured in, Sigstore bundles out;
//! bundles and public keys in, statements of trusted signers out.
//!
//! No network, clock, environment or disk: times, identities and bytes are arguments. Signatures by keys are made and
//! checked here; certificates are checked by the caller, who has the trusted roots.
//!
//! ```
//! use std::path::Path;
//! use trainyard_attest::*;
//! use trainyard_core::digest::Sha256Digest;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What publishes an image signs a statement about its digest …
//! let key = PrivateKey::from_pem(include_str!("../fixtures/p256.pem"))?;
//! let image = Sha256Digest::of(b"the image's manifest");
//! let subject = ResourceDescriptor::new("ghcr.io/owner/name", &image);
//! let predicate = serde_json::json!({ "result": "PASSED", "configuration": [] });
//! let bundle = sign(&Statement::new(subject, TEST_RESULT, predicate), &key)?;
//!
//! // … and what deploys the image checks it with the public key, and judges it by a policy.
//! let keys = [PublicKey::from_pem(include_str!("../fixtures/p256.pub"))?];
//! let verified = verify(&Bundle::from_json(&bundle)?, &keys, &image)?;
//! let policy = format!(
//!     "verdict = 'pass'\n[[signers]]\nkey = '{}'",
//!     keys[0].fingerprint()
//! );
//! let policy = Policy::parse(&policy, Path::new("policy.toml"))?;
//! let judgement = policy.judge(&[verified], 1_773_100_800);
//! assert_eq!(judgement.outcome(), FindingOutcome::Held);
//! # Ok(())
//! # }
//! ```

mod bundle;
mod certificate;
mod der;
mod dsse;
mod key;
mod ml_bom;
mod model_signing;
mod pem;
mod policy;
mod provenance;
mod signer;
mod statement;
mod test_result;
mod timestamp;
mod verify;
mod verify_error;

pub use bundle::{BUNDLE_MEDIA_TYPE, Bundle, BundleError, Material, certified, sign};
pub use certificate::{Certificate, CertificateError};
pub use dsse::{Envelope, EnvelopeSignature, PAYLOAD_TYPE};
pub use key::{Algorithm, KeyError, PrivateKey, PublicKey};
pub use ml_bom::{BomInputs, CYCLONEDX, MlBom, MlBomError, ServerBinary};
pub use model_signing::{
    MODEL_SIGNATURE, ModelFile, ModelSigningError, SignedModel, model_statement, sign_model,
    verify_model,
};
pub use policy::{
    Finding, FindingOutcome, Judgement, PermittedSigner, Policy, PolicyError, PredicateType,
    ReferencePattern, RequiredVerdict, short_name,
};
pub use provenance::{
    BUILD_TYPE, Build, BuildDefinition, BuildSystem, Builder, GITHUB_BUILD_TYPE, GitHubRun,
    MODEL_FILES, PROVENANCE, Provenance, ProvenanceError, RunDetails, RunMetadata, Source,
};
pub use signer::{Signer, SigningTime, TimeProof};
pub use statement::{ResourceDescriptor, Statement, StatementError};
pub use test_result::{TEST_RESULT, TestOutcome, TestResult};
pub use timestamp::{is_granted, timestamp_request};
pub use verify::{Authenticated, Certified, Verified, verify};
pub use verify_error::{Contradiction, Unverified, VerifyError};
