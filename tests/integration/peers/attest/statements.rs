//! Statements of a verdict, a build and a bill of materials, through in-toto's own messages and cosign.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use trainyard_attest::{
    Build, BuildSystem, GitHubRun, Provenance, ResourceDescriptor, Statement, TestResult, sign,
};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::gate::Verdict;

use super::super::python_with;
use super::Signed;
use super::ml_bom::bom;
use super::signatures::cosign_verify;
use crate::support::repository;

fn verdict() -> Verdict {
    let rule = json!({
        "rule_idx": 0, "bound": { "min": 0.9 }, "wanted": "at least 0.9",
        "comparison": { "key": { "metric": "accuracy" }, "measured": null, "baseline": null, "change": null },
        "level": "fail", "outcome": "missed", "decision": "fail", "reason": "0.8 is not at least 0.9",
    });
    let overridden =
        json!({ "commit": "c0ffee", "by": "ada", "reason": "known", "url": "https://example.com" });
    let verdict = json!({
        "schema_version": 1, "verdict": "fail", "summary": "A rule is missed.", "model_name": "m",
        "model_digest": Sha256Digest::of(b"model"), "evaluation_digest": Sha256Digest::of(b"evaluation"),
        "rules_digest": Sha256Digest::of(b"rules"), "data_digest": Sha256Digest::of(b"data"),
        "n_rows": 10, "rules": [rule], "metrics": [], "baseline": null, "notes": [],
        "override": overridden, "trainyard_version": "0.1.0", "commit": "c0ffee",
    });
    serde_json::from_value(verdict).unwrap()
}

fn build(system: BuildSystem) -> Build {
    Build {
        system,
        repository: Some("https://github.com/owner/name".to_owned()),
        reference: Some("refs/tags/v1".to_owned()),
        commit: Some("c".repeat(40)),
        has_changes: false,
        builder_id: "https://github.com/owner/name/.github/workflows/ci.yml@refs/tags/v1"
            .to_owned(),
        run_url: Some("https://github.com/owner/name/actions/runs/1/attempts/1".to_owned()),
        dependencies: vec![ResourceDescriptor::new("data", &Sha256Digest::of(b"data"))],
        byproducts: vec![ResourceDescriptor::new(
            "model",
            &Sha256Digest::of(b"model"),
        )],
        started_on: Some("2026-03-04T05:06:07Z".to_owned()),
        finished_on: Some("2026-03-04T05:16:07.5Z".to_owned()),
    }
}

/// A verdict, a build at GitHub and one elsewhere.
fn statements(subject: &ResourceDescriptor) -> Vec<Statement> {
    let digest = Sha256Digest::of(b"verdict");
    let result = TestResult::of(
        &verdict(),
        &digest,
        Some(&digest),
        Some("https://example.com"),
    );
    let github = BuildSystem::GitHub(GitHubRun {
        workflow_ref: "owner/name/.github/workflows/ci.yml@refs/tags/v1".to_owned(),
        event: Some("push".to_owned()),
        ..GitHubRun::default()
    });
    let builds = [github, BuildSystem::Other("jenkins".to_owned())];
    let builds = builds.map(|system| {
        let provenance = Provenance::of(&build(system)).unwrap();
        provenance.statement(subject.clone())
    });
    [result.statement(subject.clone())]
        .into_iter()
        .chain(builds)
        .collect()
}

fn subject() -> ResourceDescriptor {
    ResourceDescriptor::new("image", &Sha256Digest::of(b"image"))
}

/// What in-toto's messages have against a statement, if anything.
fn problem(statement: &Value) -> Option<String> {
    let mut python = python_with("in_toto_attestation", "model-signing");
    let mut python = python
        .arg(repository().join("tests/fixtures/attest/parse_predicate.py"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(statement.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

#[test]
fn in_totos_messages_take_verdicts_and_builds() {
    for statement in statements(&subject()) {
        let mut document: Value = serde_json::from_slice(&statement.to_json()).unwrap();
        assert_eq!(problem(&document), None);
        // The parser is strict: it finds a field that the message does not have.
        document["predicate"]["verdict"] = json!("pass");
        let said = problem(&document).unwrap();
        assert!(said.contains("no field named \"verdict\""), "{said}");
    }
}

#[test]
fn cosign_verifies_every_kind_of_statement() {
    let signed = Signed::with("p256");
    let model = signed.statement().subject.remove(0);
    let mut statements = statements(&model);
    statements.push(Statement::new(
        model,
        "https://cyclonedx.org/bom",
        bom(true),
    ));
    // cosign's own short names of the types, where it has some.
    for (statement, name) in statements.iter().zip([
        "https://in-toto.io/attestation/test-result/v0.1",
        "slsaprovenance1",
        "https://slsa.dev/provenance/v1",
        "cyclonedx",
    ]) {
        let bundle = sign(statement, &signed.private_key()).unwrap();
        fs::write(signed.path("bundle.json"), bundle).unwrap();
        let verified = cosign_verify(&signed, &signed.public_key_file(), name);
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success(), "{name}: {said}");
        let refused = cosign_verify(&signed, &signed.public_key_file(), "spdxjson");
        assert!(!refused.status.success(), "{name}");
    }
}
