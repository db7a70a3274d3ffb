use serde_json::{Value, json};
use trainyard_core::digest::Sha256Digest;

use super::*;
use crate::statement::ResourceDescriptor;

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_str!("../../fixtures/p256.pem")).unwrap()
}

fn statement() -> Statement {
    let subject = ResourceDescriptor::new("image", &Sha256Digest::of(b"image"));
    Statement::new(subject, "https://example.com/p", json!({ "held": true }))
}

fn document() -> Value {
    serde_json::from_slice(&sign(&statement(), &key()).unwrap()).unwrap()
}

fn read(document: &Value) -> Result<Bundle, BundleError> {
    Bundle::from_json(document.to_string().as_bytes())
}

#[test]
fn a_bundle_has_the_fields_of_the_protobuf_specification() {
    let document = document();
    assert_eq!(
        document["mediaType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    // Independent source of the hint: OpenSSL, see the tests of keys.
    assert_eq!(
        document["verificationMaterial"],
        json!({ "publicKey": { "hint": "JWPWSKwoiTBs1m9WC92Y31YrHlTNCyy2jez+L1U2+lY=" } })
    );
    let envelope = &document["dsseEnvelope"];
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(envelope["signatures"].as_array().unwrap().len(), 1);
    let bundle = read(&document).unwrap();
    assert_eq!(bundle.envelope.payload, statement().to_json());
    assert!(bundle.envelope.is_signed_by(key().public_key()));
    assert_eq!(bundle.n_log_entries, 0);
}

#[test]
fn unknown_fields_are_ignored_and_log_entries_counted() {
    let mut document = document();
    document["new"] = json!(1);
    document["verificationMaterial"]["new"] = json!([]);
    document["dsseEnvelope"]["new"] = json!({});
    document["verificationMaterial"]["tlogEntries"] = json!([{ "logIndex": "1" }]);
    document["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.3");
    let bundle = read(&document).unwrap();
    assert_eq!(bundle.n_log_entries, 1);
    assert!(bundle.envelope.is_signed_by(key().public_key()));
}

/// OpenSSF Model Signing 1.0, section 4.1: verifiers must accept a `keyid` that is absent, empty or null.
#[test]
fn a_key_id_may_be_absent_empty_or_null() {
    for keyid in [json!(""), Value::Null, json!("a name")] {
        let mut document = document();
        document["dsseEnvelope"]["signatures"][0]["keyid"] = keyid;
        let bundle = read(&document).unwrap();
        assert!(bundle.envelope.is_signed_by(key().public_key()));
    }
}

#[test]
fn certificates_are_keyless() {
    let mut document = document();
    document["verificationMaterial"] =
        json!({ "certificate": { "rawBytes": "MA==" }, "tlogEntries": [{}, {}] });
    let bundle = read(&document).unwrap();
    assert_eq!(bundle.material, Material::Certificate);
    assert_eq!(bundle.n_log_entries, 2);
    document["verificationMaterial"] = json!({ "x509CertificateChain": { "certificates": [] } });
    assert_eq!(read(&document).unwrap().material, Material::Certificate);
}

#[test]
fn what_is_not_such_a_bundle_is_refused() {
    let changed = |change: fn(&mut Value)| {
        let mut document = document();
        change(&mut document);
        read(&document)
    };
    assert!(matches!(
        changed(|bundle| bundle["mediaType"] = json!("application/json")),
        Err(BundleError::MediaType(found)) if found == "application/json"
    ));
    assert!(matches!(
        changed(|bundle| bundle["verificationMaterial"] = json!({})),
        Err(BundleError::Material(0))
    ));
    assert!(matches!(
        changed(|bundle| bundle["verificationMaterial"]["certificate"] = json!({})),
        Err(BundleError::Material(2))
    ));
    assert!(matches!(
        changed(|bundle| {
            bundle["messageSignature"] = json!({ "signature": "MA==" });
            bundle.as_object_mut().unwrap().remove("dsseEnvelope");
        }),
        Err(BundleError::NoEnvelope)
    ));
    // Base64 without its padding, or with bits behind its end, would be a second text of the same bytes.
    for payload in ["e30", "e31="] {
        let mut document = document();
        document["dsseEnvelope"]["payload"] = json!(payload);
        assert!(matches!(read(&document), Err(BundleError::Json(_))));
    }
    assert!(matches!(Bundle::from_json(b""), Err(BundleError::Json(_))));
}
