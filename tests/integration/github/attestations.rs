//! Signed statements in the attestations of a repository.

use serde_json::{Value, json};

use super::{Repository, block_on};
use crate::keyless::fixture;

fn stored(repository: &Repository) -> Value {
    repository.state()["attestations"].clone()
}

#[test]
fn a_bundle_is_stored_as_it_is() {
    let repository = Repository { name: "attested" };
    let bundle = fixture("bundles", "both");
    let github = repository.checked();
    for number in 1..=2 {
        let id = block_on(github.create_attestation(&bundle)).unwrap();
        assert_eq!(id, number);
    }
    assert_eq!(stored(&repository), json!([bundle, bundle]));
}

/// Without the permission, and where GitHub takes no such bundle.
#[test]
fn a_refusal_says_what_to_do() {
    let repository = Repository {
        name: "not-attested",
    };
    let bundle = fixture("bundles", "both");
    let refused = |status: u16, message: &str| {
        repository.fault(json!({
            "method": "POST", "status": status, "message": message, "times": 1,
        }));
        let github = repository.direct();
        block_on(github.create_attestation(&bundle)).unwrap_err()
    };
    let error = refused(403, "Resource not accessible by integration");
    assert_eq!(error.status(), Some(403));
    assert!(
        error
            .to_string()
            .contains("add `attestations: write` to the job's `permissions:`"),
        "{error}"
    );
    let error = refused(404, "Not Found");
    assert!(error.to_string().contains("attestations: write"), "{error}");
    let by_a_key = json!({ "mediaType": "a", "verificationMaterial": {}, "dsseEnvelope": {} });
    let error = block_on(repository.direct().create_attestation(&by_a_key)).unwrap_err();
    assert_eq!(error.status(), Some(422));
    assert_eq!(stored(&repository), json!([]));
}
