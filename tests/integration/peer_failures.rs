//! Cases that other tools were measured to judge wrongly, as `docs/concepts/measured-failures.md` lists them: metrics files in, verdict
//! and exit code out.

use crate::project::Said;
use crate::support::{repository, stage};

struct Case {
    /// The row of the document, by its first words.
    row: &'static str,
    /// The baseline's metrics; `None` where there is no such file.
    baseline: Option<&'static str>,
    /// The metrics that are judged; `None` where the file is gone.
    metrics: Option<&'static str>,
    rule: &'static str,
    exit_code: i32,
    said: &'static str,
}

const CASES: &[Case] = &[
    Case {
        row: "Accuracy falls from 0.99 to 0.10",
        baseline: Some(r#"{"acc": 0.99, "loss": 0.05, "auc": 0.9}"#),
        metrics: Some(r#"{"acc": 0.10, "loss": 0.05, "auc": 0.9}"#),
        rule: "metric = 'acc'\nmax_drop = 0.01",
        exit_code: 1,
        said: "worse by 0.89, more than 0.01",
    },
    Case {
        row: "The loss is NaN",
        baseline: Some(r#"{"acc": 0.99, "loss": 0.05}"#),
        metrics: Some(r#"{"acc": 0.99, "loss": NaN}"#),
        rule: "metric = 'loss'\nmax_drop_pct = 5",
        exit_code: 3,
        said: "it is NaN, which is not a finite number",
    },
    Case {
        row: "A metric is gone",
        baseline: Some(r#"{"acc": 0.99, "auc": 0.9}"#),
        metrics: Some(r#"{"acc": 0.99}"#),
        rule: "metric = 'auc'\nmax_drop = 0.01",
        exit_code: 3,
        said: "the baseline has `auc`, 0.9, and this evaluation no longer has it",
    },
    Case {
        row: "The file of metrics is gone",
        baseline: Some(r#"{"acc": 0.99}"#),
        metrics: None,
        rule: "metric = 'acc'\nmax_drop = 0.01",
        exit_code: 3,
        said: "The metrics could not be read",
    },
    Case {
        row: "The file of metrics is damaged",
        baseline: Some(r#"{"acc": 0.99}"#),
        metrics: Some("{bad"),
        rule: "metric = 'acc'\nmax_drop = 0.01",
        exit_code: 3,
        said: "not valid JSON",
    },
    Case {
        row: "A metric is a list",
        baseline: Some(r#"{"acc": 0.99, "per_class": [0.9, 0.8]}"#),
        metrics: Some(r#"{"acc": 0.99, "per_class": [0.9, 0.1]}"#),
        rule: "metric = 'per_class'\nmin = 0.5",
        exit_code: 3,
        said: "`per_class` has no value",
    },
    Case {
        row: "A NaN where a gain is asked for",
        baseline: Some(r#"{"acc": 0.9}"#),
        metrics: Some(r#"{"acc": NaN}"#),
        rule: "metric = 'acc'\nmin_gain_pct = 1",
        exit_code: 3,
        said: "it is NaN, which is not a finite number",
    },
    Case {
        row: "A drop of at most 0.02 is allowed",
        baseline: Some(r#"{"acc": 0.90}"#),
        metrics: Some(r#"{"acc": 0.89}"#),
        rule: "metric = 'acc'\nmax_drop = 0.02",
        exit_code: 0,
        said: "worse by 0.01",
    },
    Case {
        row: "A relative change without a baseline",
        baseline: None,
        metrics: Some(r#"{"acc": 0.9}"#),
        rule: "metric = 'acc'\nmin_gain_pct = 0",
        exit_code: 3,
        said: "the file is missing",
    },
    Case {
        row: "Accuracy falls from 0.99 to 0.50 with the default settings",
        baseline: Some(r#"{"acc": 0.99}"#),
        metrics: Some(r#"{"acc": 0.50}"#),
        rule: "metric = 'acc'\nmax_drop_pct = 10",
        exit_code: 1,
        said: "worse by 0.49",
    },
    Case {
        row: "A negative metric falls from −0.5 to −0.9",
        baseline: Some(r#"{"return": -0.5}"#),
        metrics: Some(r#"{"return": -0.9}"#),
        rule: "metric = 'return'\nmax_drop_pct = 10\ndirection = 'higher_is_better'",
        exit_code: 1,
        said: "worse by 0.4",
    },
    Case {
        row: "A negative metric rises from −0.9 to −0.5",
        baseline: Some(r#"{"return": -0.9}"#),
        metrics: Some(r#"{"return": -0.5}"#),
        rule: "metric = 'return'\nmax_drop_pct = 10\ndirection = 'higher_is_better'",
        exit_code: 0,
        said: "better by 0.4",
    },
    Case {
        row: "A metric rises from 0 to 0.3",
        baseline: Some(r#"{"return": 0}"#),
        metrics: Some(r#"{"return": 0.3}"#),
        rule: "metric = 'return'\nmax_drop_pct = 10\ndirection = 'higher_is_better'",
        exit_code: 0,
        said: "better by 0.3",
    },
];

#[test]
fn what_other_tools_judge_wrongly_is_judged_right() {
    let document = repository().join("docs/concepts/measured-failures.md");
    let document = std::fs::read_to_string(document).unwrap();
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "trainyard.toml",
            &format!("[[gate.rules]]\n{}\n", case.rule),
        );
        for (name, text) in [("base.json", case.baseline), ("metrics.json", case.metrics)] {
            if let Some(text) = text {
                write(name, text);
            }
        }
        let mut command = stage("gate");
        command
            .args(["--metrics", "metrics.json", "--baseline", "base.json"])
            .current_dir(folder.path());
        Said::of(&mut command, case.exit_code);
        let verdict = folder.path().join("trainyard-out/verdict/verdict.json");
        let verdict = std::fs::read_to_string(verdict).unwrap();
        assert!(
            verdict.contains(case.said),
            "`{}` is not in\n{verdict}",
            case.said
        );
        assert!(
            document.contains(&format!("| {} ", case.row)),
            "`{}` is not in the document",
            case.row
        );
    }
    let n_rows = document
        .lines()
        .filter(|line| line.starts_with("| "))
        .count();
    // Beside the head of the table and its rule.
    assert_eq!(n_rows, CASES.len() + 2, "a row of the document has no case");
}
