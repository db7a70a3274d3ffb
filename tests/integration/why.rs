//! Why a verdict is what it is: rows that flipped, computations written out, SARIF.

use std::fmt::Write as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::project::{Said, read_json};
use crate::support::stage;

const RULES: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.5\nconfidence = 0.95\n\n[[gate.rules]]\nmax_new_errors = 1\n";

/// Forty rows of two classes; `is_wrong` says which.
fn predictions(is_wrong: impl Fn(u32) -> bool) -> String {
    let mut text = String::from("row_id,label,predicted\n");
    for row in 0..40 {
        let (label, other) = if row % 2 == 0 {
            ("cat", "dog")
        } else {
            ("dog", "cat")
        };
        let predicted = if is_wrong(row) { other } else { label };
        let _ = writeln!(text, "r{row:02},{label},{predicted}");
    }
    text
}

/// The baseline misses r00 to r02, the candidate r02 to r06; both judged in one folder.
fn judged(arguments: &[&str]) -> (TempDir, Said) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("old.csv", &predictions(|row| row < 3));
    write("new.csv", &predictions(|row| (2..7).contains(&row)));
    write("trainyard.toml", RULES);
    let run = |name: &str, arguments: &[&str], code: i32| {
        let mut command = stage(name);
        command.args(arguments).current_dir(folder.path());
        Said::of(&mut command, code)
    };
    run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    run("evaluate", &["--predictions", "new.csv"], 0);
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    let said = run("gate", &[&baseline[..], arguments].concat(), 1);
    (folder, said)
}

#[test]
fn the_comment_lists_the_rows_that_flipped() {
    let (folder, said) = judged(&[]);
    said.has_output("4 new errors of 37 rows that the baseline predicts right, more than 1");
    let comment = std::fs::read_to_string(folder.path().join("trainyard-out/verdict/comment.md"));
    let comment = comment.unwrap();
    for expected in [
        "4 newly wrong, 2 newly right, of 40 rows",
        "| cat | 2 | 1 |",
        "| r03 | dog | dog | cat |",
        "| r00 | cat | dog | cat |",
        "| **cat** |  | +1 |",
    ] {
        assert!(
            comment.contains(expected),
            "`{expected}` is not in\n{comment}"
        );
    }
    let flips = &read_json(&folder.path().join("trainyard-out/verdict/verdict.json"))["flips"];
    assert_eq!(flips["n_lost"], 4);
    assert_eq!(flips["lost"][0]["row"], "r04");
}

#[test]
fn an_explanation_can_be_checked_by_hand() {
    let (folder, said) = judged(&["--explain", "text"]);
    said.has_output("value: 35 / 40 = 0.875");
    said.has_output("check: scipy.stats.binomtest(35, 40).proportion_ci(0.95)");
    said.has_output("missed at level `fail` comes to fail");
    said.has_output("verdict: fail, the worst of all rules: [1] accuracy");
    let file = read_json(&folder.path().join("trainyard-out/verdict/explanation.json"));
    let (_folder, said) = judged(&["--explain", "json"]);
    let printed: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(printed["rules"], file["rules"]);
}

/// Three samples that differ by chance alone: a drop of 0 is missed by each worse one of a pair.
#[test]
fn the_a_a_test_tells_which_rules_the_seed_decides() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let run = |name: &str, arguments: &[&str], code: i32| {
        let mut command = stage(name);
        command.args(arguments).current_dir(folder.path());
        Said::of(&mut command, code)
    };
    let rule = |text: &str| format!("[[gate.rules]]\nmetric = \"accuracy\"\n{text}\n");
    let rules = [
        rule("min = 0.9"),
        rule("max_drop = 0.0"),
        rule("max_drop = 0.2\nconfidence = 0.95"),
    ];
    write("trainyard.toml", &rules.concat());
    for n_wrong in [3, 4, 5] {
        write("p.csv", &predictions(|row| row < n_wrong));
        let out = format!("seeds/{n_wrong}");
        run("evaluate", &["--predictions", "p.csv", "--out", &out], 0);
    }
    let said = run("gate", &["--aa", "seeds"], 0);
    said.has_output("A/A test of 3 evaluations");
    said.has_output("accuracy at least 0.9: held 2, missed 1, uncertain 0, not judged 0: missed 33.3 % of the time: the seed decides");
    said.has_output("accuracy not below the baseline: held 3, missed 3, uncertain 0, not judged 0: missed 50 % of the time though nothing changed");
    said.has_output("with 95 % confidence: held 6, missed 0");
    assert!(
        folder
            .path()
            .join("trainyard-out/verdict/aa.json")
            .is_file()
    );
    assert!(
        !folder
            .path()
            .join("trainyard-out/verdict/verdict.json")
            .exists()
    );
    run("gate", &["--aa", "seeds/3"], 2).has_error("at least 2 are compared");
}

#[test]
fn sarif_names_the_line_of_the_rule() {
    let (folder, _) = judged(&[]);
    let sarif = read_json(&folder.path().join("trainyard-out/verdict/results.sarif"));
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let kinds: Vec<&str> = results
        .iter()
        .map(|result| result["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["pass", "fail"]);
    assert_eq!(results[1]["level"], "error");
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "trainyard.toml");
    assert_eq!(place["region"]["startLine"], 6);
}
