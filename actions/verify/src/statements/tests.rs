use trainyard_attest::{
    Build, BuildSystem, MODEL_FILES, PrivateKey, ResourceDescriptor, TEST_RESULT, sign, sign_model,
};

use super::*;

/// The trusted key, and another one.
const TRUSTED: &str = include_str!("../../../../crates/attest/fixtures/p256.pem");
const OTHER: &str = include_str!("../../../../crates/attest/fixtures/p384.pem");

fn image() -> Sha256Digest {
    Sha256Digest::of(b"the image's manifest")
}

fn model(weights: &[u8]) -> Vec<FileEntry> {
    vec![
        FileEntry::of_bytes("model.json", b"{}"),
        FileEntry::of_bytes("weights.safetensors", weights),
    ]
}

fn attached(name: &str, bytes: Vec<u8>) -> AttachedFile {
    AttachedFile {
        referrer: Sha256Digest::of(name.as_bytes()),
        media_type: trainyard_attest::BUNDLE_MEDIA_TYPE.to_owned(),
        bytes: bytes.into(),
    }
}

fn signed(statement: &Statement, key: &str) -> Vec<u8> {
    sign(statement, &PrivateKey::from_pem(key).unwrap()).unwrap()
}

/// A provenance that says that the image holds these files.
fn provenance(files: &[FileEntry], key: &str) -> AttachedFile {
    let files = files.iter();
    let build = Build {
        system: BuildSystem::Other("local".to_owned()),
        repository: None,
        reference: None,
        commit: None,
        has_changes: false,
        builder_id: "https://example.com/builder".to_owned(),
        run_url: None,
        dependencies: files
            .map(|file| {
                ResourceDescriptor::new(format!("{MODEL_FILES}{}", file.path), &file.sha256)
            })
            .collect(),
        byproducts: Vec::new(),
        started_on: None,
        finished_on: None,
    };
    let about = ResourceDescriptor::new("m", &image());
    let statement = Provenance::of(&build).unwrap().statement(about);
    attached("provenance", signed(&statement, key))
}

fn model_signature(files: &[FileEntry], key: &str) -> AttachedFile {
    let files: Vec<_> = files.iter().map(model_file).collect();
    let key = PrivateKey::from_pem(key).unwrap();
    attached("signature", sign_model("m", &files, &[], &key).unwrap())
}

fn of(bundles: &[AttachedFile], at_hand: Option<&[FileEntry]>) -> Statements {
    let key = PrivateKey::from_pem(TRUSTED).unwrap();
    let trust = Trust::of_key(key.public_key().clone());
    Statements::of(bundles, &trust, &image(), at_hand)
}

fn kinds(statements: &Statements) -> Vec<&str> {
    let verified = statements.verified.iter();
    verified.map(|it| short_name(&it.predicate_type)).collect()
}

/// It names no image, so a signature of another model of the same maker could be attached to this one.
#[test]
fn a_models_signature_counts_where_a_trusted_provenance_names_the_same_files() {
    let ours = model(b"ours");
    let bundles = [model_signature(&ours, TRUSTED), provenance(&ours, TRUSTED)];
    let held = of(&bundles, None);
    assert_eq!(kinds(&held), ["provenance", "model-signature"]);
    assert_eq!(held.contradictions.len(), 0, "{held:?}");
    // The order in which the registry lists them does not matter.
    let [signature, provenance] = bundles;
    assert_eq!(kinds(&of(&[provenance, signature], None)), kinds(&held));
}

#[test]
fn a_models_signature_of_other_files_is_a_contradiction() {
    let (ours, theirs) = (model(b"ours"), model(b"theirs"));
    let found = of(
        &[
            model_signature(&theirs, TRUSTED),
            provenance(&ours, TRUSTED),
        ],
        None,
    );
    assert_eq!(kinds(&found), ["provenance"]);
    assert!(
        found.contradictions[0].contains("is not of the model in this image"),
        "{found:?}"
    );
    // The same files at hand do not help: they are not those of the image.
    let bundles = [
        model_signature(&theirs, TRUSTED),
        provenance(&ours, TRUSTED),
    ];
    assert_eq!(of(&bundles, Some(&theirs)).contradictions.len(), 1);
    let bundles = [model_signature(&ours, TRUSTED), provenance(&ours, TRUSTED)];
    let found = of(&bundles, Some(&theirs));
    assert_eq!(
        (kinds(&found).len(), found.contradictions.len()),
        (1, 1),
        "{found:?}"
    );
}

#[test]
fn without_a_provenance_by_a_trusted_key_a_models_signature_is_not_checked() {
    let ours = model(b"ours");
    for bundles in [
        vec![model_signature(&ours, TRUSTED)],
        vec![model_signature(&ours, TRUSTED), provenance(&ours, OTHER)],
        // One that names no file of a model says nothing about it.
        vec![model_signature(&ours, TRUSTED), provenance(&[], TRUSTED)],
    ] {
        let found = of(&bundles, None);
        assert!(!kinds(&found).contains(&"model-signature"), "{found:?}");
        assert_eq!(found.contradictions.len(), 0, "{found:?}");
        let said = found.not_checked.join("\n");
        assert!(
            said.contains("no provenance by a trusted signer says"),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_bundle_is_named_and_hides_nothing_else() {
    let predicate = serde_json::json!({ "result": "PASSED", "configuration": [] });
    let about = ResourceDescriptor::new("m", &image());
    let verdict = signed(&Statement::new(about, TEST_RESULT, predicate), TRUSTED);
    let bundles = [
        attached("junk", b"{}".to_vec()),
        attached("verdict", verdict),
    ];
    let found = of(&bundles, None);
    assert_eq!(kinds(&found), ["verdict"]);
    assert_eq!(found.contradictions.len(), 0, "{found:?}");
    let referrer = Sha256Digest::of(b"junk").to_string();
    assert!(found.not_checked[0].contains(&referrer), "{found:?}");
}

/// Signed for three verifiers by three keys, an image has three times as many statements.
#[test]
fn statements_by_another_key_are_one_line() {
    let files = model(b"weights");
    let predicate = serde_json::json!({ "result": "PASSED", "configuration": [] });
    let about = ResourceDescriptor::new("m", &image());
    let verdict = signed(&Statement::new(about, TEST_RESULT, predicate), OTHER);
    let bundles = [
        provenance(&files, OTHER),
        attached("verdict", verdict.clone()),
        provenance(&files, TRUSTED),
        attached("second verdict", verdict),
    ];
    let found = of(&bundles, None);
    assert_eq!(kinds(&found), ["provenance"]);
    let key = PrivateKey::from_pem(OTHER).unwrap();
    let fingerprint = key.public_key().fingerprint();
    let line = format!(
        "3 statements (provenance, verdict): signed by none of the 1 trusted keys; the bundle names the key `{fingerprint}`"
    );
    assert_eq!(found.not_checked, [line]);
}
