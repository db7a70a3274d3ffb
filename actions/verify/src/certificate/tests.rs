use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use trainyard_attest::Verified;
use trainyard_core::digest::Sha256Digest;

use super::*;

/// Made by `tests/fixtures/attest/make-keyless.mjs` with npm's `@sigstore/sign` at an instance of npm's `@sigstore/mock`.
const FIXTURES: &str = include_str!("../../fixtures/keyless.json");

const WORKFLOW: &str = "https://github.com/acme/digits/.github/workflows/release.yml@refs/tags/*";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn fixture(kind: &str, name: &str) -> Value {
    let mut fixtures: Value = serde_json::from_str(FIXTURES).unwrap();
    let found = fixtures[kind][name].take();
    assert_ne!(found, Value::Null, "{kind} {name}");
    found
}

fn check_by(
    bundle: &Value,
    root: &Value,
    identity: &str,
    issuer: &str,
) -> Result<Verified, VerifyError> {
    let text = bundle.to_string();
    let read = Bundle::from_json(text.as_bytes()).unwrap();
    let trusted = PermittedSigner::Identity {
        identity: identity.to_owned(),
        issuer: issuer.to_owned(),
    };
    let root = Root::parse("the root", &root.to_string()).unwrap();
    authenticate(&read, text.as_bytes(), &[trusted], &[root])?.about(&Sha256Digest::of(b"image"))
}

fn check(bundle: &Value, root: &str) -> Result<Verified, VerifyError> {
    check_by(bundle, &fixture("roots", root), WORKFLOW, GITHUB)
}

/// That nothing is proven, for a reason with these words.
#[track_caller]
fn refused(result: Result<Verified, VerifyError>, words: &str) {
    let error = result.unwrap_err();
    let text = in_one_line(&error);
    assert!(text.contains(words), "{text}");
    assert!(!error.is_contradiction(), "{text}");
}

#[track_caller]
fn contradicted(result: Result<Verified, VerifyError>, words: &str) {
    let error = result.unwrap_err();
    let text = in_one_line(&error);
    assert!(text.contains(words), "{text}");
    assert!(error.is_contradiction(), "{text}");
}

/// Changes one byte of base64 text.
fn flip(bundle: &mut Value, pointer: &str) {
    let text = bundle.pointer_mut(pointer).unwrap();
    let mut letters = text.as_str().unwrap().to_owned().into_bytes();
    letters[40] = if letters[40] == b'A' { b'B' } else { b'A' };
    *text = String::from_utf8(letters).unwrap().into();
}

#[test]
fn an_entry_or_a_time_stamp_proves_the_time() {
    for (name, root, proof) in [
        ("logged", "usual", TimeProof::LogEntry),
        ("intoto", "usual", TimeProof::LogEntry),
        ("both", "usual", TimeProof::LogEntryAndTimestamp),
        // As GitHub's own instance, whose root names no log.
        ("own", "own", TimeProof::Timestamp),
    ] {
        let bundle = fixture("bundles", name);
        let verified = check(&bundle, root).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let signed_at = verified.signed_at.unwrap();
        assert_eq!(signed_at.proof, proof, "{name}");
        let Signer::Identity { identity, issuer } = verified.signer else {
            panic!("a certificate names an identity");
        };
        assert_eq!(identity, WORKFLOW.replace('*', "v1.0.0"));
        assert_eq!(issuer, GITHUB);
        if proof == TimeProof::LogEntry {
            let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
            assert_eq!(entry["integratedTime"], signed_at.at_s.to_string());
        }
    }
}

#[test]
fn another_identity_or_issuer_is_not_trusted() {
    let bundle = fixture("bundles", "both");
    let root = fixture("roots", "usual");
    for (identity, issuer) in [
        (WORKFLOW.replace("tags", "heads").as_str(), GITHUB),
        ("https://github.com/acme/digits", GITHUB),
        (WORKFLOW, "https://accounts.google.com"),
    ] {
        let result = check_by(&bundle, &root, identity, issuer);
        refused(result, "which is not a trusted identity");
    }
}

#[test]
fn a_certificate_that_had_expired_proves_nothing() {
    for name in ["late_entry", "late_timestamp"] {
        let mut root = fixture("roots", "late");
        if name == "late_timestamp" {
            root["tlogs"] = Value::Array(Vec::new());
        }
        let result = check_by(&fixture("bundles", name), &root, WORKFLOW, GITHUB);
        refused(result, "certificate");
    }
}

/// The root decides: where it names logs, a signature beside them is refused.
#[test]
fn a_root_with_logs_wants_their_entries() {
    refused(
        check(&fixture("bundles", "unlogged"), "usual"),
        "the root: ",
    );
    let mut root = fixture("roots", "logged");
    let bundle = fixture("bundles", "without_certificate_log");
    assert!(check_by(&bundle, &root, WORKFLOW, GITHUB).is_ok());
    root["ctlogs"] = fixture("roots", "usual")["ctlogs"].take();
    let result = check_by(&bundle, &root, WORKFLOW, GITHUB);
    refused(result, "signed certificate timestamp");
}

#[test]
fn without_a_proof_of_the_time_nothing_is_proven() {
    let mut bundle = fixture("bundles", "own");
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    material.remove("timestampVerificationData").unwrap();
    refused(check(&bundle, "own"), "the root: ");
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    for (name, root) in [("logged", "logged"), ("own", "usual"), ("both", "late")] {
        refused(check(&fixture("bundles", name), root), "the root: ");
    }
}

/// Of several roots one is enough, and where none is, each says why.
#[test]
fn each_root_is_tried() {
    let text = fixture("bundles", "own").to_string();
    let bundle = Bundle::from_json(text.as_bytes()).unwrap();
    let trusted = [PermittedSigner::Identity {
        identity: WORKFLOW.to_owned(),
        issuer: GITHUB.to_owned(),
    }];
    let root = |name: &str| Root::parse(name, &fixture("roots", name).to_string()).unwrap();
    let by = |roots: &[Root]| authenticate(&bundle, text.as_bytes(), &trusted, roots);
    assert!(by(&[root("usual"), root("own")]).is_ok());
    let text = in_one_line(&by(&[root("usual"), root("late")]).unwrap_err());
    assert!(
        text.contains("usual: ") && text.contains("; late: "),
        "{text}"
    );
}

/// Whatever of a bundle is edited, it is not accepted; what was signed or logged is evidence of a change.
#[test]
fn an_edited_bundle_is_refused() {
    const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
    let edited = |pointer: &str| {
        let mut bundle = fixture("bundles", "logged");
        flip(&mut bundle, pointer);
        check(&bundle, "usual")
    };
    let mut failed = fixture("bundles", "logged");
    let payload = failed.pointer_mut("/dsseEnvelope/payload").unwrap();
    let text = String::from_utf8(STANDARD.decode(payload.as_str().unwrap()).unwrap()).unwrap();
    assert!(text.contains("PASSED"), "{text}");
    *payload = STANDARD.encode(text.replace("PASSED", "FAILED")).into();
    contradicted(
        check(&failed, "usual"),
        "payload or signature was changed after signing",
    );
    refused(edited("/dsseEnvelope/payload"), "not a statement");
    contradicted(
        edited("/dsseEnvelope/signatures/0/sig"),
        "payload or signature was changed after signing",
    );
    for pointer in [
        format!("{ENTRY}/canonicalizedBody"),
        format!("{ENTRY}/inclusionPromise/signedEntryTimestamp"),
        "/verificationMaterial/certificate/rawBytes".to_owned(),
    ] {
        assert!(edited(&pointer).is_err(), "{pointer}");
    }
    let mut other_entry = fixture("bundles", "logged");
    let pointer = "/verificationMaterial/tlogEntries";
    *other_entry.pointer_mut(pointer).unwrap() =
        fixture("bundles", "both").pointer(pointer).unwrap().clone();
    contradicted(
        check(&other_entry, "usual"),
        "log entry does not match the bundle",
    );
    let mut later = fixture("bundles", "logged");
    *later
        .pointer_mut(&format!("{ENTRY}/integratedTime"))
        .unwrap() = "1700000000".into();
    refused(check(&later, "usual"), "the root: ");
    let mut stamped = fixture("bundles", "both");
    flip(&mut stamped, "/dsseEnvelope/signatures/0/sig");
    assert!(check(&stamped, "usual").is_err());
}

#[test]
fn a_statement_about_something_else_is_a_contradiction() {
    let text = fixture("bundles", "logged").to_string();
    let bundle = Bundle::from_json(text.as_bytes()).unwrap();
    let trusted = PermittedSigner::Identity {
        identity: "**".to_owned(),
        issuer: GITHUB.to_owned(),
    };
    let root = Root::parse("the root", &fixture("roots", "usual").to_string()).unwrap();
    let signed = authenticate(&bundle, text.as_bytes(), &[trusted], &[root]).unwrap();
    let error = signed.about(&Sha256Digest::of(b"other")).unwrap_err();
    assert!(error.is_contradiction());
}
