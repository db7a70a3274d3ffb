use serde_json::json;

use super::*;

/// Accuracy 0.93 and loss 0.3 on 200 rows.
const EVALUATION: &str = include_str!("../../../../crates/attest/fixtures/evaluation.json");

const RULES: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.9\n\n[[gate.rules]]\nmetric = \"loss\"\nmax = 0.2\nlevel = \"warn\"\n\n[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.1\n";

/// What a verdict that lists these rules as passed and as warned comes to.
fn judged(passed: &[&str], warned: &[&str], rules_digest: Option<&str>) -> Rejudged {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("trainyard.toml");
    std::fs::write(&rules, RULES).unwrap();
    let evaluation =
        Evaluation::parse(EVALUATION.as_bytes(), Path::new("evaluation.json")).unwrap();
    let digest = Sha256Digest::of(EVALUATION.as_bytes());
    let own = JudgingConfig::read(&rules)
        .unwrap()
        .gate
        .rules_digest()
        .unwrap();
    let predicate = json!({
        "result": "WARNED",
        "configuration": [
            { "name": "verdict.json" },
            { "name": "rules", "digest": { "sha256": rules_digest.unwrap_or(own.hex()) } },
        ],
        "passedTests": passed, "warnedTests": warned, "failedTests": [],
    });
    let verdict = TestResult::from_predicate(&predicate).unwrap();
    rejudge(&rules, &evaluation, &digest, &verdict).unwrap()
}

const ACCURACY: &str = "rule 1: accuracy at least 0.9";
const LOSS: &str = "rule 2: loss at most 0.2";

#[test]
fn a_rule_that_compares_is_left_out_and_the_others_must_come_out_again() {
    let same = Rejudged::Same {
        n_same: 2,
        n_skipped: 1,
    };
    assert_eq!(judged(&[ACCURACY], &[LOSS], None), same);
}

/// A signer can put into a verdict what the evaluation does not give.
#[test]
fn a_verdict_that_the_evaluation_does_not_give_is_told() {
    for (passed, warned, expected) in [
        (
            &[ACCURACY, LOSS][..],
            &[][..],
            "passed by the verdict, and warned",
        ),
        (&[ACCURACY], &[], "is not by the verdict, and warned"),
        (&[LOSS], &[ACCURACY], "warned by the verdict, and passed"),
    ] {
        let found = judged(passed, warned, None);
        let Rejudged::Different(words) = &found else {
            panic!("{found:?}");
        };
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn other_rules_judge_nothing() {
    let digest = "0".repeat(64);
    let found = judged(&[], &[], Some(&digest));
    assert!(matches!(found, Rejudged::OtherRules(_)), "{found:?}");
}
