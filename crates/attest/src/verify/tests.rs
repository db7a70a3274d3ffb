use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::bundle::sign;
use crate::key::PrivateKey;

const KEYS: [&str; 3] = [
    include_str!("../../fixtures/p256.pem"),
    include_str!("../../fixtures/p384.pem"),
    include_str!("../../fixtures/ed25519.pem"),
];

fn private(idx: usize) -> PrivateKey {
    PrivateKey::from_pem(KEYS[idx]).unwrap()
}

fn image() -> Sha256Digest {
    Sha256Digest::of(b"image")
}

fn signed(idx: usize) -> Bundle {
    let subject = ResourceDescriptor::new("image", &image());
    let statement = Statement::new(subject, "https://example.com/p", json!({ "held": true }));
    Bundle::from_json(&sign(&statement, &private(idx)).unwrap()).unwrap()
}

fn check(bundle: &Bundle, idx: usize) -> Result<Verified, VerifyError> {
    verify(bundle, &[private(idx).public_key().clone()], &image())
}

#[test]
fn a_statement_comes_back_with_its_signer() {
    for idx in 0..KEYS.len() {
        let verified = check(&signed(idx), idx).unwrap();
        assert_eq!(verified.predicate_type, "https://example.com/p");
        assert_eq!(verified.predicate, json!({ "held": true }));
        let fingerprint = private(idx).public_key().fingerprint();
        assert_eq!(verified.signer, Signer::Key(fingerprint));
        assert_eq!(verified.n_unchecked_log_entries, 0);
    }
}

/// See `fixtures/README.md`. cosign writes statements of version 0.1.
#[test]
fn a_bundle_of_cosigns_is_verified() {
    let bundle = Bundle::from_json(include_bytes!("../../fixtures/cosign.json")).unwrap();
    let keys = [private(0).public_key().clone()];
    let verified = verify(&bundle, &keys, &Sha256Digest::of(b"hi\n")).unwrap();
    assert_eq!(verified.predicate_type, "https://example.com/p");
    assert_eq!(verified.predicate, json!({ "a": 1 }));
    assert!(
        verify(&bundle, &keys, &image())
            .unwrap_err()
            .is_contradiction()
    );
}

#[test]
fn one_of_several_keys_is_enough_and_none_is_too_few() {
    let keys: Vec<_> = (0..KEYS.len())
        .map(|idx| private(idx).public_key().clone())
        .collect();
    for (idx, key) in keys.iter().enumerate() {
        let verified = verify(&signed(idx), &keys, &image()).unwrap();
        assert_eq!(verified.signer, Signer::Key(key.fingerprint()));
    }
    let error = verify(&signed(0), &[], &image()).unwrap_err();
    assert!(!error.is_contradiction());
}

#[test]
fn a_statement_about_something_else_is_a_contradiction() {
    let keys = [private(0).public_key().clone()];
    let error = verify(&signed(0), &keys, &Sha256Digest::of(b"other")).unwrap_err();
    assert!(error.is_contradiction());
    let image = image();
    let hex = image.hex();
    assert!(
        error.to_string().starts_with(&format!(
            "the statement is about `image` (sha256:{hex}), not about "
        )),
        "{error}"
    );
}

/// Valid signatures of two statements, exchanged: each is of this key, and neither is over these bytes.
#[test]
fn a_signature_over_other_bytes_is_a_contradiction() {
    for idx in 0..KEYS.len() {
        let mut bundle = signed(idx);
        bundle.envelope.payload = Statement::new(
            ResourceDescriptor::new("image", &image()),
            "https://example.com/p",
            json!({ "held": false }),
        )
        .to_json();
        let error = check(&bundle, idx).unwrap_err();
        assert!(error.is_contradiction(), "{error}");
    }
}

#[test]
fn a_payload_of_another_type_is_not_under_the_signature() {
    let mut bundle = signed(0);
    bundle.envelope.payload_type = "text/plain".to_owned();
    assert!(check(&bundle, 0).unwrap_err().is_contradiction());
}

#[test]
fn what_lacks_evidence_is_unverified() {
    let error = check(&signed(1), 0).unwrap_err();
    assert!(!error.is_contradiction());
    // As `openssl pkey -pubin -outform DER | sha256sum` prints it, and as all reports do.
    let key = private(1).public_key().fingerprint();
    assert_eq!(
        error.to_string(),
        format!("signed by none of the 1 trusted keys; the bundle names the key `{key}`")
    );
    let hints = [("", ""), ("a key", "; the bundle names the key `a key`")];
    let of_model = private(1).public_key().model_signing_hint();
    let words =
        format!("; the bundle names the key whose PEM file has the digest `sha256:{of_model}`");
    for (hint, words) in hints.into_iter().chain([(&*of_model, &*words)]) {
        let error = Unverified::UnknownKey {
            n_keys: 2,
            hint: hint.to_owned(),
        };
        assert_eq!(
            error.to_string(),
            format!("signed by none of the 2 trusted keys{words}")
        );
    }

    let mut unsigned = signed(0);
    unsigned.envelope.signatures.clear();
    assert!(matches!(
        check(&unsigned, 0),
        Err(VerifyError::Unverified(Unverified::NoSignature))
    ));

    let mut twice = signed(0);
    twice
        .envelope
        .signatures
        .extend(signed(0).envelope.signatures);
    assert!(matches!(
        check(&twice, 0),
        Err(VerifyError::Unverified(Unverified::ManySignatures(2)))
    ));

    // Even where a trusted key signed it: a certificate says that another signer vouches for it.
    let mut keyless = signed(0);
    keyless.material = Material::Certificate;
    assert!(matches!(
        check(&keyless, 0),
        Err(VerifyError::Unverified(Unverified::Keyless))
    ));
}

#[test]
fn a_bundle_without_a_hint_or_with_another_tools_verifies() {
    for hint in ["", "a name", &private(0).public_key().model_signing_hint()] {
        let mut bundle = signed(0);
        bundle.material = Material::PublicKey {
            hint: hint.to_owned(),
        };
        assert!(check(&bundle, 0).is_ok());
    }
}

#[test]
fn a_signed_payload_that_is_not_a_statement_is_unverified() {
    let mut bundle = signed(0);
    bundle.envelope = crate::dsse::Envelope::sign(b"{}".to_vec(), &private(0)).unwrap();
    assert!(matches!(
        check(&bundle, 0),
        Err(VerifyError::Unverified(Unverified::Statement(_)))
    ));
}

#[test]
fn a_subject_without_a_digest_is_none() {
    let mut subject = ResourceDescriptor::new("image", &image());
    subject.digest = [("sha512".to_owned(), image().hex().to_owned())].into();
    let statement = Statement::new(subject, "p", json!({}));
    let bundle = Bundle::from_json(&sign(&statement, &private(0)).unwrap()).unwrap();
    assert!(check(&bundle, 0).unwrap_err().is_contradiction());
}

proptest! {
    #[test]
    fn a_changed_byte_of_the_payload_is_a_contradiction(
        key_idx in 0..KEYS.len(), byte: prop::sample::Index, flip in 1_u8..,
    ) {
        let mut bundle = signed(key_idx);
        let payload = &mut bundle.envelope.payload;
        let idx = byte.index(payload.len());
        payload[idx] ^= flip;
        prop_assert!(check(&bundle, key_idx).unwrap_err().is_contradiction());
    }

    #[test]
    fn a_changed_byte_of_the_signature_is_a_contradiction(
        key_idx in 0..KEYS.len(), byte: prop::sample::Index, flip in 1_u8..,
    ) {
        let mut bundle = signed(key_idx);
        let signature = &mut bundle.envelope.signatures[0].sig;
        let idx = byte.index(signature.len());
        signature[idx] ^= flip;
        prop_assert!(check(&bundle, key_idx).unwrap_err().is_contradiction());
    }

    /// Signed anew by the same key, the statement is about another thing.
    #[test]
    fn a_changed_digit_of_the_subject_is_a_contradiction(digit in 0..64_usize, by in 1..16_u32) {
        let digest = image();
        let mut hex: Vec<char> = digest.hex().chars().collect();
        let value = (hex[digit].to_digit(16).unwrap() + by) % 16;
        hex[digit] = char::from_digit(value, 16).unwrap();
        let other: Sha256Digest = format!("sha256:{}", hex.iter().collect::<String>()).parse().unwrap();
        let statement = Statement::new(ResourceDescriptor::new("image", &other), "p", json!({}));
        let bundle = Bundle::from_json(&sign(&statement, &private(0)).unwrap()).unwrap();
        prop_assert!(check(&bundle, 0).unwrap_err().is_contradiction());
    }

    /// Whatever byte of the whole document is changed: never accepted with another content, and nothing panics.
    #[test]
    fn no_changed_byte_of_a_document_changes_what_is_verified(byte: prop::sample::Index, flip in 1_u8..) {
        let subject = ResourceDescriptor::new("image", &image());
        let statement = Statement::new(subject, "p", json!({ "held": true }));
        let mut document = sign(&statement, &private(2)).unwrap();
        let idx = byte.index(document.len());
        document[idx] ^= flip;
        if let Ok(bundle) = Bundle::from_json(&document)
            && let Ok(verified) = check(&bundle, 2)
        {
            prop_assert_eq!(verified.predicate, json!({ "held": true }));
        }
    }
}
