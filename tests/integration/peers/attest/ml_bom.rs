//! Bills of materials, through the validator of cyclonedx-python-lib with the schemas that it carries.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use trainyard_attest::{BomInputs, MlBom, ServerBinary};
use trainyard_core::digest::Sha256Digest;

use super::super::python_with;
use crate::support::repository;

/// A bill of the model in the crate's fixtures; `is_full` with everything that may be absent.
pub(super) fn bom(is_full: bool) -> Value {
    let read = |name: &str| {
        let path = repository().join("crates/attest/fixtures").join(name);
        std::fs::read(path).unwrap()
    };
    let manifest = serde_json::from_slice(&read("model.json")).unwrap();
    let evaluation = serde_json::from_slice(&read("evaluation.json")).unwrap();
    let (model_digest, sha256) = (Sha256Digest::of(b"model"), Sha256Digest::of(b"server"));
    let server = ServerBinary {
        name: "trainyard-serve",
        version: Some("0.1.0"),
        sha256: &sha256,
    };
    let inputs = BomInputs {
        manifest: &manifest,
        model_digest: &model_digest,
        evaluation: &evaluation,
        version: is_full.then_some("1.2.3"),
        server: is_full.then_some(server),
        timestamp: is_full.then_some("2026-03-04T05:06:07Z"),
    };
    MlBom::of(&inputs).unwrap().document().clone()
}

/// What the validator has against a document, if anything.
fn problem(version: &str, document: &Value) -> Option<String> {
    let mut python = python_with("cyclonedx", "cyclonedx-python-lib[json-validation]");
    let mut python = python
        .arg(repository().join("tests/fixtures/attest/validate_bom.py"))
        .arg(version)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(document.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

#[test]
fn a_bill_of_materials_fits_cyclonedxs_schemas() {
    for is_full in [true, false] {
        let mut document = bom(is_full);
        assert_eq!(problem("1.6", &document), None);
        document["specVersion"] = json!("1.7");
        assert_eq!(problem("1.7", &document), None);
    }
}

/// `cargo xtask dist` writes its bills as this one, which a unit test of it holds.
#[test]
fn the_bill_of_a_release_fits_cyclonedxs_schema() {
    let path = repository().join("tests/fixtures/dist/bill.cdx.json");
    let text = std::fs::read_to_string(path).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem("1.6", &document), None);
    document["components"][0]["licenses"][0]["expression"] = json!(["MIT"]);
    let said = problem("1.6", &document).unwrap();
    assert!(said.contains("licenses"), "{said}");
}

/// The validator looks into the model card: a number that is not a text, and a member that the schema does not know.
#[test]
fn what_does_not_fit_is_found() {
    let metric = "/metadata/component/modelCard/quantitativeAnalysis/performanceMetrics/0";
    for (member, value) in [("value", json!(0.93)), ("unit", json!("proportion"))] {
        let mut document = bom(true);
        document.pointer_mut(metric).unwrap()[member] = value;
        let said = problem("1.6", &document).unwrap();
        assert!(said.contains("performanceMetrics"), "{said}");
    }
}
