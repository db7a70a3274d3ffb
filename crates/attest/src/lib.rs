//! Statements about a published model, signed and verified: what was judged, built and measured in, Sigstore bundles out;
//! bundles and public keys in, statements that somebody answers for out.
//!
//! No network, clock, environment or disk: times, identities and bytes are arguments. Signatures are made with keys;
//! keyless ones, by certificates, are recognised and never accepted.

mod bundle;
mod dsse;
mod key;
mod ml_bom;
mod model_signing;
mod pem;
mod provenance;
mod statement;
mod test_result;
mod verify;

pub use bundle::{BUNDLE_MEDIA_TYPE, Bundle, BundleError, Material, sign};
pub use dsse::{Envelope, EnvelopeSignature, PAYLOAD_TYPE};
pub use key::{Algorithm, KeyError, PrivateKey, PublicKey};
pub use ml_bom::{BomInputs, CYCLONEDX, MlBom, MlBomError, ServerBinary};
pub use model_signing::{MODEL_SIGNATURE, ModelFile, ModelSigningError, sign_model, verify_model};
pub use provenance::{
    BUILD_TYPE, Build, BuildDefinition, BuildSystem, Builder, GITHUB_BUILD_TYPE, GitHubRun,
    PROVENANCE, Provenance, ProvenanceError, RunDetails, RunMetadata, Source,
};
pub use statement::{ResourceDescriptor, Statement, StatementError};
pub use test_result::{TEST_RESULT, TestOutcome, TestResult};
pub use verify::{Contradiction, Signer, Unverified, Verified, VerifyError, verify};
