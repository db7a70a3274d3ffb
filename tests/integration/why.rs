//! Why a verdict is what it is: rows that flipped, computations written out, SARIF.

use std::fmt::Write as _;

use serde_json::Value;

use crate::folder::Folder;
use crate::project::Said;

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
fn judged(arguments: &[&str]) -> (Folder, Said) {
    let folder = Folder::with(&[
        ("old.csv", &predictions(|row| row < 3)),
        ("new.csv", &predictions(|row| (2..7).contains(&row))),
        ("trainyard.toml", RULES),
    ]);
    folder.evaluate("old.csv", "old");
    folder.evaluate("new.csv", "trainyard-out");
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    let said = folder.run("gate", &[&baseline[..], arguments].concat(), 1);
    (folder, said)
}

#[test]
fn the_comment_lists_the_rows_that_flipped() {
    let (folder, said) = judged(&[]);
    said.has_output("4 new errors of 37 rows that the baseline predicts right, more than 1");
    let comment = folder.text("trainyard-out/verdict/comment.md");
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
    let page = folder.text("trainyard-out/verdict/verdict.html");
    for expected in [
        "4 newly wrong, 2 newly right, of 40 rows",
        "<td>r03</td><td class=\"text\">dog</td><td class=\"text\">dog</td><td class=\"text\">cat</td>",
        "<tr><th>cat</th><td>·</td><td class=\"more\"",
        "at most 1 new error",
    ] {
        assert!(page.contains(expected), "`{expected}` is not in\n{page}");
    }
    // Nothing is loaded from elsewhere.
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("src="));
    let flips = &folder.json("trainyard-out/verdict/verdict.json")["flips"];
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
    let file = folder.json("trainyard-out/verdict/explanation.json");
    let (_folder, said) = judged(&["--explain", "json"]);
    let printed: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(printed["rules"], file["rules"]);
}

#[test]
fn listed_rows_must_be_right_whatever_the_figures_say() {
    let folder = Folder::with(&[]);
    folder.write("p.csv", &predictions(|row| row == 7));
    let rule = "\n[[gate.rules]]\nmust_pass = \"golden.csv\"\n";
    folder.write(
        "trainyard.toml",
        &format!("{RULES}{rule}").replace("max_new_errors = 1", "metric = \"accuracy\"\nmin = 0.1"),
    );
    folder.run("evaluate", &["--predictions", "p.csv"], 0);
    folder.run("gate", &[], 3).has_output("`golden.csv`: ");
    folder.write("golden.csv", "row_id\nr01\nr02\n");
    folder.run("gate", &[], 0).has_output("All 3 rules hold.");
    folder.write("golden.csv", "row_id\nr01\nr07\n");
    folder
        .run("gate", &[], 1)
        .has_output("1 of 2 listed rows wrong: r07");
    folder.write("golden.csv", "row_id\nr01\nr99\n");
    folder
        .run("gate", &[], 3)
        .has_output("1 of 2 listed rows not among the rows judged: r99");
}

/// Every metric's change on the same rows: equal predictions are no news, and a much worse model is.
#[test]
fn changes_of_any_metric_are_judged_row_by_row() {
    let folder = Folder::with(&[]);
    let scored = |n_wrong: u32| {
        let mut text = String::from("row_id,label,score_cat,score_dog,country\n");
        for row in 0..1000_u32 {
            let is_right = row * 7 % 1000 >= n_wrong;
            let is_cat = row % 2 == 0;
            // Never the same score twice, so that the order of the rows says something.
            let own = if is_right { 0.9 } else { 0.2 } + f64::from(row) / 20_000.0;
            let cat = if is_cat { own } else { 1.0 - own };
            let label = if is_cat { "cat" } else { "dog" };
            let country = ["DE", "FR"][(row / 2 % 2) as usize];
            let _ = writeln!(text, "r{row},{label},{cat},{},{country}", 1.0 - cat);
        }
        text
    };
    let mut config = String::from("[[evaluate.slices]]\ncolumns = [\"country\"]\n");
    for metric in [
        "metric = \"f1_macro\"",
        "metric = \"log_loss\"",
        "metric = \"roc_auc\"",
        "metric = \"matthews_corrcoef\"",
        "metric = \"precision\"\nclass = \"*\"",
        "metric = \"accuracy\"\nslice = \"country=*\"",
    ] {
        let _ = writeln!(
            config,
            "[[gate.rules]]\n{metric}\nmax_drop = 0.03\nconfidence = 0.95"
        );
    }
    folder.write("trainyard.toml", &config);
    folder.write("old.csv", &scored(50));
    folder.write("worse.csv", &scored(250));
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    folder.run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    folder.run("evaluate", &["--predictions", "old.csv"], 0);
    folder
        .run("gate", &baseline, 0)
        .has_output("All 8 rules hold.");
    folder.run("evaluate", &["--predictions", "worse.csv"], 0);
    let said = folder.run("gate", &baseline, 1);
    said.has_output("8 rules missed.");
    for method in [
        "(Tango)",
        "(paired DeLong)",
        "(BCa bootstrap)",
        "(skewness-corrected t)",
    ] {
        said.has_output(method);
    }
}

/// Three samples that differ by chance alone: a drop of 0 is missed by each worse one of a pair.
#[test]
fn the_a_a_test_tells_which_rules_the_seed_decides() {
    let folder = Folder::with(&[]);
    let rule = |text: &str| format!("[[gate.rules]]\nmetric = \"accuracy\"\n{text}\n");
    let rules = [
        rule("min = 0.9"),
        rule("max_drop = 0.0"),
        rule("max_drop = 0.2\nconfidence = 0.95"),
    ];
    folder.write("trainyard.toml", &rules.concat());
    for n_wrong in [3, 4, 5] {
        folder.write("p.csv", &predictions(|row| row < n_wrong));
        let out = format!("seeds/{n_wrong}");
        folder.run("evaluate", &["--predictions", "p.csv", "--out", &out], 0);
    }
    let said = folder.run("gate", &["--aa", "seeds"], 0);
    said.has_output("A/A test of 3 evaluations");
    said.has_output("accuracy at least 0.9: held 2, missed 1, uncertain 0, not judged 0: missed 33.333 % of the time: the seed decides");
    said.has_output("accuracy not below the baseline: held 3, missed 3, uncertain 0, not judged 0: missed 50 % of the time though nothing changed");
    said.has_output("with 95 % confidence: held 6, missed 0");
    assert!(folder.path("trainyard-out/verdict/aa.json").is_file());
    assert!(!folder.path("trainyard-out/verdict/verdict.json").exists());
    // A sample twice proves nothing, and the test says so.
    folder.run(
        "evaluate",
        &["--predictions", "p.csv", "--out", "seeds/6"],
        0,
    );
    folder
        .run("gate", &["--aa", "seeds"], 0)
        .has_output("seeds/5/evaluation and seeds/6/evaluation are identical: the same model");
    folder
        .run("gate", &["--aa", "seeds/3"], 2)
        .has_error("at least 2 are compared");
}

#[test]
fn sarif_names_the_line_of_the_rule() {
    let (folder, _) = judged(&[]);
    let sarif = folder.json("trainyard-out/verdict/results.sarif");
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
