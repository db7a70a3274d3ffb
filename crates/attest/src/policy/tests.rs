use serde_json::{Value, json};

use super::*;
use crate::provenance::{Build, BuildSystem, GitHubRun, Provenance};
use crate::statement::ResourceDescriptor;
use crate::verify::Verified;

const KEY: &str = "sha256:2563d648ac2889306cd66f560bdd98df562b1e54cd0b2cb68decfe2f5536fa56";

/// 2026-03-10T00:00:00Z, by `date --utc --date=2026-03-10 +%s`.
const NOW_S: i64 = 1_773_100_800;

fn key() -> Signer {
    Signer::Key(KEY.parse().unwrap())
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, Path::new("policy.toml"))
}

/// A policy that trusts the key and asks for this.
fn policy(text: &str) -> Policy {
    parse(&format!("{text}\n[[signers]]\nkey = \"{KEY}\"\n")).unwrap()
}

fn problem(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn says(predicate_type: &str, predicate: Value) -> Verified {
    Verified {
        predicate_type: predicate_type.to_owned(),
        predicate,
        subjects: vec![ResourceDescriptor::new(
            "image",
            &Sha256Digest::of(b"image"),
        )],
        signer: key(),
        signed_at: None,
        n_unchecked_log_entries: 0,
    }
}

fn verdict(result: &str, overridden: Option<&str>) -> Verified {
    let mut annotations = json!({ "dev.trainyard.reason": "It is so." });
    if let Some(by) = overridden {
        annotations["dev.trainyard.override"] =
            json!({ "commit": "c0ffee", "by": by, "reason": "known", "url": "https://x" });
    }
    let configuration = json!([{ "name": "verdict.json", "annotations": annotations }]);
    says(
        TEST_RESULT,
        json!({ "result": result, "configuration": configuration }),
    )
}

fn build(reference: Option<&str>, finished_on: Option<&str>) -> Verified {
    let build = Build {
        system: BuildSystem::GitHub(GitHubRun {
            workflow_ref: "Owner/name/.github/workflows/release.yml@refs/heads/main".to_owned(),
            ..GitHubRun::default()
        }),
        repository: Some("https://github.com/Owner/name".to_owned()),
        reference: reference.map(str::to_owned),
        commit: None,
        has_changes: false,
        builder_id: "https://github.com/x".to_owned(),
        run_url: None,
        dependencies: Vec::new(),
        byproducts: Vec::new(),
        started_on: None,
        finished_on: finished_on.map(str::to_owned),
    };
    let subject = ResourceDescriptor::default();
    says(
        PROVENANCE,
        Provenance::of(&build).unwrap().statement(subject).predicate,
    )
}

/// Outcome of the last finding, which is that of the setting asked about, and its reason.
fn last(policy: &Policy, statements: &[Verified]) -> (FindingOutcome, String) {
    let judgement = policy.judge(statements, NOW_S);
    let finding = judgement.findings.last().unwrap();
    assert!(judgement.outcome() >= finding.outcome);
    (finding.outcome, finding.reason.clone())
}

#[track_caller]
fn check(policy: &Policy, statements: &[Verified], expected: FindingOutcome) {
    let (outcome, reason) = last(policy, statements);
    assert_eq!(outcome, expected, "{reason}");
}

use FindingOutcome::{Contradicted, Held, NotChecked};

#[test]
fn everything_that_a_policy_may_say_is_read() {
    let text = format!(
        r#"
        require = ["bill-of-materials", "https://example.com/scan/v1"]
        verdict = "warn"
        allow_override = true
        max_age_days = 90
        repository = "owner/name"
        workflow = ".github/workflows/release.yml"
        tag = "v*"

        [[signers]]
        key = "{KEY}"

        [[signers]]
        identity = "https://github.com/owner/name/.github/workflows/release.yml@refs/tags/*"
        issuer = "https://token.actions.githubusercontent.com"
        "#
    );
    let policy = parse(&text).unwrap();
    let required: Vec<_> = policy.require.iter().map(PredicateType::name).collect();
    assert_eq!(
        required,
        [
            "bill-of-materials",
            "https://example.com/scan/v1",
            "verdict",
            "provenance"
        ]
    );
    assert_eq!(policy.verdict, Some(RequiredVerdict::Warn));
    assert!(policy.allow_override);
    assert_eq!(policy.max_age_days, Some(90));
    let repository = policy.repository.as_deref();
    assert_eq!(repository, Some("https://github.com/owner/name"));
    assert_eq!(
        policy.reference,
        Some(ReferencePattern::Tag("v*".to_owned()))
    );
    assert_eq!(policy.signers.len(), 2);
    assert!(policy.permits(&key()));
    let identity = |name: &str, issuer: &str| Signer::Identity {
        identity: format!("https://github.com/owner/name/.github/workflows/release.yml@{name}"),
        issuer: issuer.to_owned(),
    };
    let github = "https://token.actions.githubusercontent.com";
    assert!(policy.permits(&identity("refs/tags/v1", github)));
    assert!(!policy.permits(&identity("refs/heads/main", github)));
    assert!(!policy.permits(&identity("refs/tags/v1", "https://example.com")));
    assert!(!policy.permits(&Signer::Key(Sha256Digest::of(b"other"))));
}

#[test]
fn what_a_policy_may_not_say_is_refused_with_place_and_remedy() {
    let signer = format!("[[signers]]\nkey = \"{KEY}\"\n");
    for (text, expected) in [
        (
            "verdict = \"pass\"",
            "policy.toml:1:1: the policy names no signer: add `[[signers]]`",
        ),
        (
            &format!("\nverdit = \"pass\"\n{signer}"),
            "policy.toml:2:1: unknown field `verdit`, expected one of `signers`",
        ),
        (
            &format!("verdict = \"fail\"\n{signer}"),
            "policy.toml:1:11: unknown variant `fail`, expected `pass` or `warn`",
        ),
        (
            &format!("require = [\"sbom\"]\n{signer}"),
            "policy.toml:1:11: `sbom` is not a type of statements: write `verdict`, `provenance`",
        ),
        (
            &signer,
            "the policy asks for nothing: write `verdict = \"pass\"`",
        ),
        (
            &format!("allow_override = true\nrequire = [\"verdict\"]\n{signer}"),
            "`allow_override` needs `verdict = \"pass\"`",
        ),
        (
            &format!("branch = \"main\"\ntag = \"v1\"\n{signer}"),
            "write one of `branch` and `tag`",
        ),
        (
            "verdict = \"pass\"\n[[signers]]\nissuer = \"x\"",
            "policy.toml:2:1: a signer is a `key = \"sha256:…\"`, or",
        ),
        (
            "verdict = \"pass\"\n[[signers]]\nkey = \"abc\"",
            "policy.toml:3:7: `abc` is not a digest of the form `sha256:",
        ),
        (
            "verdict = \"pass\"\n[[signers]]\nkeys = \"abc\"",
            "policy.toml:3:1: unknown field `keys`",
        ),
        ("verdict = ", "policy.toml:1:11: "),
        (
            &format!("max_age_days = -1\n{signer}"),
            "policy.toml:1:16: ",
        ),
    ] {
        let found = problem(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn a_required_statement_must_be_there_and_by_a_permitted_signer() {
    let policy = policy("require = [\"model-signature\"]");
    check(&policy, &[], NotChecked);
    check(&policy, &[says(MODEL_SIGNATURE, json!({}))], Held);
    check(&policy, &[says(CYCLONEDX, json!({}))], NotChecked);
    let mut foreign = says(MODEL_SIGNATURE, json!({}));
    foreign.signer = Signer::Key(Sha256Digest::of(b"other"));
    check(&policy, &[foreign.clone()], NotChecked);
    let judgement = policy.judge(&[foreign, says(MODEL_SIGNATURE, json!({}))], NOW_S);
    assert_eq!(judgement.outcome(), Held);
    assert_eq!(judgement.passed_over.len(), 1);
    assert!(judgement.passed_over[0].contains("whom the policy does not name"));
}

#[test]
fn the_verdict_must_be_as_good_as_asked() {
    let pass = policy("verdict = \"pass\"");
    let warn = policy("verdict = \"warn\"");
    for (result, with_pass, with_warn) in [
        ("PASSED", Held, Held),
        ("WARNED", Contradicted, Held),
        ("FAILED", Contradicted, Contradicted),
        ("UNKNOWN", NotChecked, NotChecked),
    ] {
        check(&pass, &[verdict(result, None)], with_pass);
        check(&warn, &[verdict(result, None)], with_warn);
    }
    check(&pass, &[], NotChecked);
    let (_, reason) = last(&pass, &[verdict("FAILED", None)]);
    assert_eq!(reason, "the verdict is FAILED: It is so.");
}

#[test]
fn an_override_needs_to_be_allowed() {
    let strict = policy("verdict = \"pass\"");
    let lenient = policy("verdict = \"pass\"\nallow_override = true");
    let overridden = [verdict("FAILED", Some("ada"))];
    check(&strict, &overridden, Contradicted);
    check(&lenient, &overridden, Held);
    check(&lenient, &[verdict("FAILED", None)], Contradicted);
    assert!(
        last(&strict, &overridden)
            .1
            .ends_with("which needs `allow_override = true`")
    );
    assert!(
        last(&lenient, &overridden)
            .1
            .ends_with("ada let it through: known")
    );
    let mut damaged = verdict("FAILED", Some("ada"));
    damaged.predicate["configuration"][0]["annotations"]["dev.trainyard.override"] = json!("ada");
    check(&lenient, &[damaged], Contradicted);
}

/// A red verdict by a trusted signer is not outvoted by a green one.
#[test]
fn every_verdict_must_do() {
    let pass = policy("verdict = \"pass\"");
    let (green, red) = (verdict("PASSED", None), verdict("FAILED", None));
    check(&pass, &[green.clone(), red.clone()], Contradicted);
    check(&pass, &[red.clone(), green.clone()], Contradicted);
    let mut foreign = red;
    foreign.signer = Signer::Key(Sha256Digest::of(b"other"));
    check(&pass, &[green, foreign], Held);
}

#[test]
fn repository_workflow_and_reference_are_those_of_the_provenance() {
    let main = [build(Some("refs/heads/main"), None)];
    let tag = [build(Some("refs/tags/v1.2"), None)];
    for (text, statements, expected) in [
        ("repository = \"owner/name\"", &main, Held),
        (
            "repository = \"https://github.com/owner/name.git\"",
            &main,
            Held,
        ),
        ("repository = \"owner/other\"", &main, Contradicted),
        (
            "repository = \"https://example.com/owner/name\"",
            &main,
            Contradicted,
        ),
        ("workflow = \".github/workflows/release.yml\"", &main, Held),
        ("workflow = \".github/workflows/*.yml\"", &main, Held),
        ("workflow = \"release.yml\"", &main, Contradicted),
        ("branch = \"main\"", &main, Held),
        ("branch = \"release/*\"", &main, Contradicted),
        ("branch = \"v1.2\"", &tag, Contradicted),
        ("tag = \"v*\"", &tag, Held),
        ("tag = \"main\"", &main, Contradicted),
    ] {
        check(&policy(text), statements, expected);
        check(&policy(text), &[], NotChecked);
        check(&policy(text), &[says(PROVENANCE, json!({}))], NotChecked);
    }
    check(
        &policy("branch = \"main\""),
        &[build(None, None)],
        NotChecked,
    );
}

#[test]
fn age_is_counted_from_the_end_of_the_build() {
    let policy = policy("max_age_days = 9");
    for (finished, expected) in [
        (Some("2026-03-01T00:00:00Z"), Held),
        (Some("2026-02-28T23:59:59Z"), Contradicted),
        // The same moment in another zone.
        (Some("2026-03-01T01:00:00+01:00"), Held),
        // Another clock may be a little ahead, but not a day.
        (Some("2026-03-10T00:05:00Z"), Held),
        (Some("2026-03-10T00:05:01Z"), Contradicted),
        (Some("yesterday"), NotChecked),
        (None, NotChecked),
    ] {
        check(&policy, &[build(None, finished)], expected);
    }
    check(&policy, &[], NotChecked);
}

/// The same image built on a branch and for a tag has a provenance of each.
#[test]
fn one_provenance_must_satisfy_all() {
    let policy = policy("tag = \"v*\"\nmax_age_days = 9");
    let branch = build(Some("refs/heads/main"), Some("2026-03-09T00:00:00Z"));
    let tag = build(Some("refs/tags/v1"), Some("2026-03-09T00:00:00Z"));
    let old_tag = build(Some("refs/tags/v1"), Some("2026-01-01T00:00:00Z"));
    let outcome = |statements: &[Verified]| policy.judge(statements, NOW_S).outcome();
    assert_eq!(outcome(&[branch.clone(), tag]), Held);
    // Neither is enough, and they do not add up.
    assert_eq!(outcome(&[branch, old_tag]), Contradicted);
}

#[test]
fn a_judgement_names_all_that_was_asked_in_order() {
    let policy = policy("verdict = \"pass\"\nrepository = \"owner/name\"\nbranch = \"main\"");
    let judgement = policy.judge(
        &[
            verdict("PASSED", None),
            build(Some("refs/heads/main"), None),
        ],
        NOW_S,
    );
    let wanted: Vec<_> = judgement
        .findings
        .iter()
        .map(|finding| finding.wanted.as_str())
        .collect();
    assert_eq!(
        wanted,
        [
            "a signed verdict",
            "a signed provenance",
            "verdict = \"pass\"",
            "repository = \"https://github.com/owner/name\"",
            "branch = \"main\"",
        ]
    );
    assert_eq!(judgement.outcome(), Held);
    assert_eq!(policy.judge(&[], NOW_S).findings.len(), 5);
}
