//! Bundles signed with a key, through cosign and npm's `@sigstore/verify`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use trainyard_attest::{Bundle, PrivateKey, PublicKey, Signer, verify};
use trainyard_core::digest::Sha256Digest;

use super::super::program;
use super::{PAYLOAD, PREDICATE_TYPE, SIGNATURE, Signed, flip, key_file};
use crate::support::{output, repository, run};

/// cosign 3.1 and npm's library check every key on a curve with SHA-256, also P-384, which Sigstore's registry of algorithms
/// pairs with SHA-384; cosign refuses its own signatures with P-384, too (sigstore/cosign#5091).
const VERIFIED_BY_ALL: [&str; 2] = ["p256", "ed25519"];

/// cosign without a network: it would fetch trusted roots into its home folder.
fn cosign(home: &Path) -> Command {
    let mut command = program("cosign");
    command
        .env("HOME", home)
        .env("COSIGN_PASSWORD", "a password")
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:1");
    command
}

/// Has cosign check the signed folder's bundle as a statement of the type about the folder's file.
pub(super) fn cosign_verify(signed: &Signed, public_key: &Path, predicate_type: &str) -> Output {
    let mut command = cosign(signed.folder.path());
    command
        .args(["verify-blob-attestation", "--insecure-ignore-tlog=true"])
        .args(["--type", predicate_type, "--key"])
        .arg(public_key)
        .arg("--bundle")
        .arg(signed.path("bundle.json"))
        .arg(signed.path("model"));
    output(&mut command)
}

fn sigstore_verify(signed: &Signed, public_key: &Path) -> Output {
    let modules =
        PathBuf::from(env::var("TRAINYARD_NODE_MODULES").expect("use `cargo xtask test`"));
    let mut command = program("node");
    command
        .arg(repository().join("tests/fixtures/attest/verify-bundle.mjs"))
        .arg(modules)
        .arg(public_key)
        .arg(signed.path("bundle.json"));
    output(&mut command)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn cosign_verifies_what_we_sign_and_refuses_every_change() {
    for key in VERIFIED_BY_ALL {
        let signed = Signed::with(key);
        let public_key = signed.public_key_file();
        let verified = cosign_verify(&signed, &public_key, PREDICATE_TYPE);
        assert!(verified.status.success(), "{key}: {}", said(&verified));

        let refused = cosign_verify(&signed, &key_file("p256-params", "pub"), PREDICATE_TYPE);
        assert!(!refused.status.success(), "{key}");

        for pointer in [PAYLOAD, SIGNATURE] {
            let signed = Signed::with(key);
            signed.change(|bundle| flip(bundle, pointer, 40));
            let refused = cosign_verify(&signed, &public_key, PREDICATE_TYPE);
            assert!(!refused.status.success(), "{key} {pointer}");
        }

        fs::write(signed.path("model"), b"another model").unwrap();
        let refused = cosign_verify(&signed, &public_key, PREDICATE_TYPE);
        assert!(!refused.status.success(), "{key}");
        assert!(said(&refused).contains("digest"), "{}", said(&refused));
    }
}

#[test]
fn npms_sigstore_verifies_what_we_sign_and_refuses_every_change() {
    for key in VERIFIED_BY_ALL {
        let signed = Signed::with(key);
        let public_key = signed.public_key_file();
        let verified = sigstore_verify(&signed, &public_key);
        assert!(verified.status.success(), "{key}: {}", said(&verified));

        let refused = sigstore_verify(&signed, &key_file("p384", "pub"));
        assert!(
            said(&refused).contains("key not found"),
            "{}",
            said(&refused)
        );

        for pointer in [PAYLOAD, SIGNATURE] {
            let signed = Signed::with(key);
            signed.change(|bundle| flip(bundle, pointer, 40));
            let refused = sigstore_verify(&signed, &public_key);
            assert!(
                said(&refused).contains("SIGNATURE_ERROR"),
                "{key} {pointer}: {}",
                said(&refused)
            );
        }
    }
}

/// A bundle about the file `model` with the text `the model`, which cosign signed with a key of ours.
fn signed_by_cosign(key: &str) -> (tempfile::TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let path = |name: &str| home.join(name);
    fs::write(path("model"), b"the model").unwrap();
    let predicate = json!({ "held": true }).to_string();
    fs::write(path("predicate.json"), predicate).unwrap();
    let mut import = cosign(home);
    import
        .args(["import-key-pair", "--yes", "--key"])
        .arg(key_file(key, "pem"))
        .arg("--output-key-prefix")
        .arg(path("imported"));
    run(&mut import);
    let mut attest = cosign(home);
    attest
        .args(["attest-blob", "--yes", "--use-signing-config=false"])
        .args(["--tlog-upload=false", "--type", PREDICATE_TYPE, "--key"])
        .arg(path("imported.key"))
        .arg("--predicate")
        .arg(path("predicate.json"))
        .arg("--bundle")
        .arg(path("bundle.json"))
        .arg(path("model"));
    run(&mut attest);
    let bundle = Bundle::from_json(&fs::read(path("bundle.json")).unwrap()).unwrap();
    (folder, bundle)
}

fn public_key(key: &str) -> PublicKey {
    PublicKey::from_pem(&fs::read_to_string(key_file(key, "pub")).unwrap()).unwrap()
}

#[test]
fn what_cosign_signs_with_a_key_is_read_and_verified() {
    for key in ["p256", "p384"] {
        let (folder, mut bundle) = signed_by_cosign(key);
        let keys = [public_key(key)];
        let digest = Sha256Digest::of(b"the model");
        let verified = verify(&bundle, &keys, &digest).unwrap();
        assert_eq!(verified.predicate_type, PREDICATE_TYPE);
        assert_eq!(verified.predicate, json!({ "held": true }));
        assert_eq!(verified.signer, Signer::Key(keys[0].fingerprint()));

        let error = verify(&bundle, &keys, &Sha256Digest::of(b"another")).unwrap_err();
        assert!(error.is_contradiction());
        bundle.envelope.payload[40] ^= 1;
        let error = verify(&bundle, &keys, &digest).unwrap_err();
        assert!(error.is_contradiction());

        // The key pair that cosign wrote is encrypted.
        let text = fs::read_to_string(folder.path().join("imported.key")).unwrap();
        let error = PrivateKey::from_pem(&text).unwrap_err().to_string();
        assert!(error.contains("openssl genpkey"), "{error}");
    }
}

#[test]
fn what_cosign_signs_with_ed25519_is_refused_with_the_reason() {
    let (_folder, bundle) = signed_by_cosign("ed25519");
    let keys = [public_key("ed25519")];
    let error = verify(&bundle, &keys, &Sha256Digest::of(b"the model")).unwrap_err();
    assert!(error.to_string().contains("Ed25519ph"), "{error}");
}
