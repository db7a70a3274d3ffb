use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_str!("../../fixtures/p256.pem")).unwrap()
}

fn verify(bundle: &[u8], files: &[(&str, &str)]) -> Result<Verified, VerifyError> {
    let digests: Vec<_> = files
        .iter()
        .map(|(_, text)| Sha256Digest::of(text.as_bytes()))
        .collect();
    let bundle = Bundle::from_json(bundle).unwrap();
    verify_model(&bundle, &[key().public_key().clone()], &of(files, &digests))
}

fn of<'a>(files: &[(&'a str, &str)], digests: &'a [Sha256Digest]) -> Vec<ModelFile<'a>> {
    let pairs = files.iter().zip(digests);
    pairs
        .map(|(&(name, _), sha256)| ModelFile { name, sha256 })
        .collect()
}

fn sign(files: &[(&str, &str)]) -> Result<Vec<u8>, ModelSigningError> {
    let digests: Vec<_> = files
        .iter()
        .map(|(_, text)| Sha256Digest::of(text.as_bytes()))
        .collect();
    sign_model("m", &of(files, &digests), &["model.sig"], &key())
}

fn statement(bundle: &[u8]) -> Value {
    let bundle = Bundle::from_json(bundle).unwrap();
    serde_json::from_slice(&bundle.envelope.payload).unwrap()
}

/// `for t in a c b; do printf $t | openssl dgst -sha256 -binary; done | sha256sum`
const ROOT: &str = "8c02ed18325ba6847feeabffc8ac743e29ffd8e6ccd926d23d20ee1341807ad2";

const FILES: [(&str, &str); 3] = [("a.txt", "a"), ("sub/b.bin", "b"), ("sub.txt", "c")];

/// Independent source of the digests: `printf a | sha256sum` and so on.
#[test]
fn the_statement_is_the_specifications() {
    let bundle = sign(&FILES).unwrap();
    let resource =
        |name: &str, digest: &str| json!({ "name": name, "algorithm": "sha256", "digest": digest });
    assert_eq!(
        statement(&bundle),
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{
                "name": "m",
                "digest": { "sha256": ROOT },
            }],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": false,
                    "ignore_paths": [".git", ".gitignore", ".gitattributes", ".github", "model.sig"],
                },
                "resources": [
                    resource("a.txt", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
                    // A full stop comes before a slash.
                    resource("sub.txt", "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"),
                    resource("sub/b.bin", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"),
                ],
            },
        })
    );
    let document: Value = serde_json::from_slice(&bundle).unwrap();
    // `sha256sum < p256.pub`
    assert_eq!(
        document["verificationMaterial"]["publicKey"]["hint"],
        "c8d63d2a6108f6e70a321daf5aefdc1c645e745c446fef148c32e6f4688b2ec9"
    );
    assert!(verify(&bundle, &FILES).is_ok());
    let reversed: Vec<_> = FILES.into_iter().rev().collect();
    assert!(verify(&bundle, &reversed).is_ok());
    assert_eq!(statement(&sign(&reversed).unwrap()), statement(&bundle));
}

/// It sorts by the parts of a path, so that its root is another one.
#[test]
fn what_pypis_model_signing_signs_is_verified() {
    let bundle = include_bytes!("../../fixtures/model-signing.json");
    let verified = verify(bundle, &FILES).unwrap();
    assert_eq!(verified.predicate_type, MODEL_SIGNATURE);
    assert!(verify(bundle, &FILES[1..]).unwrap_err().is_contradiction());
}

#[test]
fn every_difference_of_the_files_is_named() {
    let bundle = sign(&FILES).unwrap();
    let error = verify(
        &bundle,
        &[("a.txt", "changed"), ("sub.txt", "c"), ("new", "")],
    )
    .unwrap_err();
    assert!(error.is_contradiction());
    assert_eq!(
        error.to_string(),
        "the model's files are not those that were signed (changed: `a.txt`; missing: `sub/b.bin`; not signed: `new`)"
    );
    // The path that a verifier may pass over is not passed over where it is going to be used.
    let error = verify(&bundle, &[&FILES[..], &[("model.sig", "")]].concat()).unwrap_err();
    assert!(error.is_contradiction());
    assert!(verify(&bundle, &[]).unwrap_err().is_contradiction());
}

/// The bundle of a predicate that the trusted key signed, whatever is in it.
fn signed(subject: &str, predicate: Value) -> Vec<u8> {
    let digest: Sha256Digest = format!("sha256:{subject}").parse().unwrap();
    let subject = ResourceDescriptor::new("m", &digest);
    let statement = Statement::new(subject, MODEL_SIGNATURE, predicate);
    bundle::write(&statement, &key(), "").unwrap()
}

fn predicate(method: &str, algorithm: &str, names: &[&str]) -> Value {
    let digest = Sha256Digest::of(b"a").hex().to_owned();
    let resource = |name: &&str| json!({ "name": name, "algorithm": algorithm, "digest": digest });
    json!({
        "serialization": { "method": method, "hash_type": algorithm, "allow_symlinks": false },
        "resources": names.iter().map(resource).collect::<Vec<_>>(),
        "new": 1,
    })
}

#[test]
fn a_signature_that_contradicts_itself_is_refused() {
    let once = root_digest([Sha256Digest::of(b"a").hex()].into_iter()).unwrap();
    let twice = root_digest([Sha256Digest::of(b"a").hex(); 2].into_iter()).unwrap();
    let files = [("a.txt", "a")];
    let good = signed(once.hex(), predicate("files", "sha256", &["a.txt"]));
    assert!(verify(&good, &files).is_ok());
    let other_root = signed(twice.hex(), predicate("files", "sha256", &["a.txt"]));
    let error = verify(&other_root, &files).unwrap_err();
    assert!(
        error.is_contradiction() && error.to_string().contains("root digest"),
        "{error}"
    );
    let double = signed(
        twice.hex(),
        predicate("files", "sha256", &["a.txt", "a.txt"]),
    );
    let error = verify(&double, &files).unwrap_err();
    assert!(
        error.is_contradiction() && error.to_string().contains("twice"),
        "{error}"
    );
}

#[test]
fn shards_and_other_hashes_are_unverified() {
    let once = root_digest([Sha256Digest::of(b"a").hex()].into_iter()).unwrap();
    for (method, algorithm) in [("shards", "sha256"), ("files", "blake2b")] {
        let bundle = signed(once.hex(), predicate(method, algorithm, &["a.txt"]));
        let error = verify(&bundle, &[("a.txt", "a")]).unwrap_err();
        assert!(!error.is_contradiction());
        assert!(
            error
                .to_string()
                .contains(&format!("by {method} with {algorithm}"))
        );
    }
    let bundle = signed(once.hex(), json!({}));
    assert!(matches!(
        verify(&bundle, &[]),
        Err(VerifyError::Unverified(Unverified::Predicate(_)))
    ));
    let subject = ResourceDescriptor::new("m", &once);
    let other = bundle::write(&Statement::new(subject, "p", json!({})), &key(), "").unwrap();
    assert!(matches!(
        verify(&other, &[]),
        Err(VerifyError::Unverified(Unverified::PredicateType { .. }))
    ));
}

#[test]
fn names_that_leave_the_folder_are_not_signed() {
    for name in ["", "/a", "a/", "a//b", ".", "a/../b", "..", "./a", "a\\b"] {
        let error = sign(&[(name, "a")]).unwrap_err();
        assert_eq!(error, ModelSigningError::Name(name.to_owned()));
    }
    for name in [
        "model.sig",
        "model.sig/a",
        ".git/config",
        ".github",
        ".gitignore",
    ] {
        let error = sign(&[(name, "a")]).unwrap_err();
        assert_eq!(error, ModelSigningError::Ignored(name.to_owned()));
    }
    assert!(sign(&[("model.signature", "a"), ("sub/.gitignore", "b")]).is_ok());
    for ignored in ["/model.sig", "*.sig", "../a"] {
        let digest = Sha256Digest::of(b"a");
        let file = ModelFile {
            name: "a",
            sha256: &digest,
        };
        let error = sign_model("m", &[file], &[ignored], &key()).unwrap_err();
        assert_eq!(error, ModelSigningError::Name(ignored.to_owned()));
    }
    let double = sign(&[("a", "a"), ("a", "b")]).unwrap_err();
    assert_eq!(double, ModelSigningError::Name("a".to_owned()));
    assert_eq!(sign(&[]).unwrap_err(), ModelSigningError::NoFiles);
    let key = PrivateKey::from_pem(include_str!("../../fixtures/ed25519.pem")).unwrap();
    let digest = Sha256Digest::of(b"a");
    let file = ModelFile {
        name: "a",
        sha256: &digest,
    };
    let refused = sign_model("m", &[file], &[], &key).unwrap_err();
    assert_eq!(refused, ModelSigningError::Ed25519);
}

#[test]
fn what_is_not_a_digest_has_no_root() {
    for digest in ["", "ab", &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32)] {
        assert_eq!(root_digest([digest].into_iter()), None);
    }
}

proptest! {
    #[test]
    fn a_changed_byte_of_a_file_is_a_contradiction(
        files in prop::collection::btree_map("[a-z./]{1,6}", ".{1,8}", 1..5), which: prop::sample::Index, flip in 1_u8..128,
    ) {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        prop_assume!(files.iter().all(|(name, _)| is_relative(name)));
        let bundle = sign(&files).unwrap();
        prop_assert!(verify(&bundle, &files).is_ok());
        let idx = which.index(files.len());
        let changed: String = files[idx].1.chars().map(|letter| char::from_u32(letter as u32 ^ u32::from(flip)).unwrap_or('x')).collect();
        prop_assume!(changed != files[idx].1);
        let mut others = files.clone();
        others[idx].1 = &changed;
        prop_assert!(verify(&bundle, &others).unwrap_err().is_contradiction());
    }
}
