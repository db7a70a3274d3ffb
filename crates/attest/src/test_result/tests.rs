use serde_json::json;

use super::*;

fn rule(rule_idx: usize, metric: &str, outcome: &str, decision: &str, level: &str) -> Value {
    json!({
        "rule_idx": rule_idx,
        "bound": { "min": 0.9 },
        "wanted": "at least 0.9",
        "comparison": {
            "key": { "metric": metric },
            "measured": null, "baseline": null, "change": null,
        },
        "level": level,
        "outcome": outcome,
        "decision": decision,
        "reason": "because",
    })
}

fn verdict(decision: &str, rules: &[Value], more: Value) -> Verdict {
    let mut verdict = json!({
        "schema_version": 1,
        "verdict": decision,
        "summary": "All is said.",
        "model_name": "digits",
        "model_digest": Sha256Digest::of(b"model"),
        "evaluation_digest": Sha256Digest::of(b"evaluation"),
        "rules_digest": Sha256Digest::of(b"rules"),
        "data_digest": Sha256Digest::of(b"data"),
        "n_rows": 100,
        "rules": rules,
        "metrics": [],
        "baseline": null,
        "notes": ["And this."],
        "trainyard_version": "0.1.0",
        "commit": "c0ffee",
    });
    let fields = more.as_object().unwrap().clone();
    verdict.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(verdict).unwrap()
}

fn predicate(verdict: &Verdict) -> TestResult {
    let digest = Sha256Digest::of(b"verdict");
    TestResult::of(
        verdict,
        &digest,
        Some(&Sha256Digest::of(b"predictions")),
        Some("https://example.com/run/1"),
    )
}

#[test]
fn a_verdict_has_the_fields_of_the_specification() {
    let verdict = verdict(
        "pass",
        &[rule(0, "accuracy", "holds", "pass", "fail")],
        json!({}),
    );
    let subject = ResourceDescriptor::new("image", &Sha256Digest::of(b"image"));
    let statement = predicate(&verdict).statement(subject);
    assert_eq!(
        statement.predicate_type,
        "https://in-toto.io/attestation/test-result/v0.1"
    );
    let hex = |text: &str| Sha256Digest::of(text.as_bytes()).hex().to_owned();
    assert_eq!(
        statement.predicate,
        json!({
            "result": "PASSED",
            "configuration": [
                {
                    "name": "verdict.json",
                    "digest": { "sha256": hex("verdict") },
                    "annotations": {
                        "dev.trainyard.verdict": "pass",
                        "dev.trainyard.reason": "All is said. And this.",
                        "dev.trainyard.model.digest": Sha256Digest::of(b"model"),
                        "dev.trainyard.commit": "c0ffee",
                    },
                },
                { "name": "rules", "digest": { "sha256": hex("rules") } },
                { "name": "evaluation.json", "digest": { "sha256": hex("evaluation") } },
                { "name": "predictions.npz", "digest": { "sha256": hex("predictions") } },
                { "name": "test data", "digest": { "sha256": hex("data") } },
            ],
            "url": "https://example.com/run/1",
            "passedTests": ["rule 1: accuracy at least 0.9"],
            "warnedTests": [],
            "failedTests": [],
        })
    );
    let read = TestResult::from_predicate(&statement.predicate).unwrap();
    assert_eq!(read, predicate(&verdict));
    assert_eq!(read.overridden().unwrap(), None);
}

#[test]
fn what_is_inconclusive_failed_and_says_why() {
    for (decision, outcome) in [
        ("pass", TestOutcome::Passed),
        ("warn", TestOutcome::Warned),
        ("fail", TestOutcome::Failed),
        ("inconclusive", TestOutcome::Failed),
        ("skipped", TestOutcome::Failed),
    ] {
        let result = predicate(&verdict(decision, &[], json!({})));
        assert_eq!(result.result, outcome);
        assert_eq!(result.annotation(DECISION).unwrap(), decision);
        assert_eq!(result.reason(), Some("All is said. And this."));
    }
}

/// A miss that does not count against the verdict is not written as a rule that passed.
#[test]
fn only_what_holds_passed() {
    let rules = [
        rule(0, "holds", "holds", "pass", "fail"),
        rule(1, "missed", "missed", "fail", "fail"),
        rule(2, "unknown", "not_judged", "inconclusive", "fail"),
        rule(3, "uncertain", "uncertain", "warn", "fail"),
        rule(4, "skipped", "skipped", "skipped", "fail"),
        rule(5, "informs", "missed", "pass", "info"),
        rule(6, "eased", "missed", "pass", "fail"),
    ];
    let group = |at_least: u32, decision: &str| json!({ "rules": ["a", "b"], "at_least": at_least, "n_hold": 1, "decision": decision });
    let groups = json!({ "groups": [group(1, "pass"), group(2, "fail")] });
    let result = predicate(&verdict("fail", &rules, groups));
    let name = |idx: u32, metric: &str| format!("rule {idx}: {metric} at least 0.9");
    assert_eq!(
        result.passed_tests,
        [name(1, "holds"), "group 1: at least 1 of a, b".to_owned()]
    );
    assert_eq!(
        result.failed_tests,
        [
            name(2, "missed"),
            name(3, "unknown"),
            "group 2: at least 2 of a, b".to_owned()
        ]
    );
    assert_eq!(
        result.warned_tests,
        [
            name(4, "uncertain"),
            name(5, "skipped"),
            name(6, "informs"),
            name(7, "eased")
        ]
    );
}

#[test]
fn an_override_stays_a_failure_and_names_the_person() {
    let overridden =
        json!({ "commit": "c0ffee", "by": "ada", "reason": "known", "url": "https://x" });
    let result = predicate(&verdict("fail", &[], json!({ "override": overridden })));
    assert_eq!(result.result, TestOutcome::Failed);
    assert_eq!(result.overridden().unwrap().unwrap().by, "ada");
    let mut damaged = result;
    damaged.configuration[0].annotations[OVERRIDE] = json!("ada");
    assert!(damaged.overridden().is_err());
}

#[test]
fn what_is_not_known_is_absent() {
    let unknown = json!({ "model_digest": null, "evaluation_digest": null, "data_digest": null, "commit": null });
    let verdict = verdict("inconclusive", &[], unknown);
    let result = TestResult::of(&verdict, &Sha256Digest::of(b"verdict"), None, None);
    let names: Vec<_> = result
        .configuration
        .iter()
        .map(|descriptor| descriptor.name.as_str())
        .collect();
    assert_eq!(names, ["verdict.json", "rules"]);
    let of_verdict = &result.configuration[0].annotations;
    assert_eq!(of_verdict.len(), 2);
}
