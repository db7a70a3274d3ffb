//! Inputs of `evaluate` and `gate` that once ended green and wrong, or red without a word why; each with the right end.

use std::fmt::Write as _;

use crate::folder::Folder;
use crate::project::Project;

const AT_LEAST: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.9\n";
const NO_DROP: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.01\n";

#[test]
fn labels_and_predictions_may_write_whole_numbers_in_two_forms() {
    let predictions = "label,predicted\n1,1.0\n0,0.0\n1,1.0\n0,0.0\n";
    let folder = Folder::with(&[("p.csv", predictions), ("trainyard.toml", AT_LEAST)]);
    folder.run("evaluate", &["--predictions", "p.csv", "--name", "m"], 0);
    folder
        .run("gate", &["--name", "m"], 0)
        .has_output("verdict: pass");
}

#[test]
fn a_value_just_below_its_bound_is_written_with_the_digits_that_show_it() {
    let folder = Folder::with(&[
        ("m.json", "{\"accuracy\": 0.8999999761581421}"),
        ("trainyard.toml", AT_LEAST),
    ]);
    folder
        .run("gate", &["--metrics", "m.json"], 1)
        .has_output("0.89999998 is not at least 0.9");
}

#[test]
fn two_metrics_of_one_name_are_not_judged() {
    let rules = "[[gate.rules]]\nmetric = \"test.f1\"\nmin = 0.5\n";
    let twice = "{\"test.f1\": 0.1, \"test\": {\"f1\": 0.9}}";
    let folder = Folder::with(&[("m.json", twice), ("trainyard.toml", rules)]);
    folder
        .run("gate", &["--metrics", "m.json"], 3)
        .has_output("two metrics called `test.f1`");
    // In the baseline as well.
    folder.write("once.json", "{\"test.f1\": 0.9}");
    folder.write(
        "trainyard.toml",
        &rules.replace("min = 0.5", "max_drop = 0.5"),
    );
    folder
        .run(
            "gate",
            &["--metrics", "once.json", "--baseline", "m.json"],
            3,
        )
        .has_output("two metrics called `test.f1`");
}

#[test]
fn a_byte_order_mark_before_metrics_is_read_over() {
    let folder = Folder::with(&[
        ("m.json", "\u{FEFF}{\"accuracy\": 0.95}"),
        ("trainyard.toml", AT_LEAST),
    ]);
    folder
        .run("gate", &["--metrics", "m.json"], 0)
        .has_output("verdict: pass");
}

#[test]
fn spellings_that_would_give_an_accuracy_of_0_are_errors() {
    for (text, said) in [
        (
            "label,predicted\nTrue,true\nFalse,false\n",
            "by case or blanks",
        ),
        ("label,predicted\n0,1\n1,2\n2,3\n0,1\n", "off by +1"),
        ("label,predicted\n1.5,1.25\n2.5,3.5\n", "--task regression"),
        (
            "label,predicted\nNA,NA\na,a\n",
            "list it in `[data] classes`",
        ),
    ] {
        let folder = Folder::with(&[("p.csv", text)]);
        folder
            .run("evaluate", &["--predictions", "p.csv"], 4)
            .has_error(said);
    }
}

/// By hand: each of eight predictions is off by 25, at a magnitude where single precision holds multiples of 64 alone.
#[test]
fn large_numbers_are_judged_to_the_last_digit() {
    let rows: String = (0..8)
        .map(|row| {
            format!(
                "{},{}\n",
                1_000_000_000 + row * 10,
                1_000_000_025 + row * 10
            )
        })
        .collect();
    let folder = Folder::with(&[
        ("p.csv", &format!("label,predicted\n{rows}")),
        (
            "trainyard.toml",
            "[[gate.rules]]\nmetric = \"mae\"\nmax = 24\n",
        ),
    ]);
    folder.run(
        "evaluate",
        &["--predictions", "p.csv", "--task", "regression"],
        0,
    );
    folder
        .run("gate", &[], 1)
        .has_output("25 is not at most 24");
}

#[test]
fn a_stage_that_fails_leaves_nothing_for_the_next_to_believe() {
    let good = "label,predicted\na,a\nb,b\na,a\nb,b\n";
    let folder = Folder::with(&[("p.csv", good), ("trainyard.toml", AT_LEAST)]);
    folder.run("evaluate", &["--predictions", "p.csv"], 0);
    folder.run("gate", &[], 0);
    folder.write("p.csv", "label,predicted\na,\n");
    folder.run("evaluate", &["--predictions", "p.csv"], 4);
    folder.run("gate", &[], 3).has_output("evaluation.json");
    // Nor do its page and its flat metrics stay, which `gate --metrics` would believe.
    for file in ["metrics.json", "report.html"] {
        let path = folder.path(&format!("trainyard-out/evaluation/{file}"));
        assert!(!path.exists(), "{}", path.display());
    }
    // A verdict that cannot be given leaves none of yesterday's.
    folder.write("p.csv", good);
    folder.run("evaluate", &["--predictions", "p.csv"], 0);
    folder.run("gate", &[], 0);
    folder.write("trainyard.toml", "[[gate.rules]\n");
    folder.run("gate", &[], 2);
    let verdict = folder.path("trainyard-out/verdict/verdict.json");
    let verdict = std::fs::read_to_string(verdict).unwrap();
    assert!(
        verdict.contains("\"verdict\": \"inconclusive\""),
        "{verdict}"
    );
}

#[test]
fn a_typo_costs_no_model() {
    let project = Project::new();
    project.run("train", &[], 0);
    let manifest = project.path("trainyard-out/model/model.json");
    project.edit("batch_size = 128", "batchsize = 128");
    project.run("train", &[], 2);
    assert!(!manifest.exists());
    project.run("evaluate", &[], 2);
    project.edit("batchsize = 128", "batch_size = 128");
    project.run("train", &[], 0).has_error("nothing to train");
    assert!(manifest.exists());
}

#[test]
fn without_a_baseline_a_comparing_rule_leaves_a_warning_at_best() {
    let folder = Folder::with(&[
        ("m.json", "{\"accuracy\": 0.95}"),
        ("trainyard.toml", NO_DROP),
    ]);
    let said = folder.run("gate", &["--metrics", "m.json"], 0);
    said.has_output("verdict: warn");
    said.has_output("No change was judged");
    // A configured file that is missing may exist elsewhere: that is red, unless the configuration says otherwise.
    let configured = format!("[gate]\nbaseline = \"old.json\"\n{NO_DROP}");
    folder.write("trainyard.toml", &configured);
    folder
        .run("gate", &["--metrics", "m.json"], 3)
        .has_output("the file is missing");
    folder.write(
        "trainyard.toml",
        &configured.replace("[gate]", "[gate]\non_missing_baseline = \"absolute-only\""),
    );
    folder
        .run("gate", &["--metrics", "m.json"], 0)
        .has_output("verdict: warn");
}

#[test]
fn no_rule_that_was_judged_publishes_nothing() {
    let project = Project::scored();
    project.remove_rules();
    let config = std::fs::read_to_string(project.path("trainyard.toml")).unwrap();
    project.write("trainyard.toml", format!("{config}\n{NO_DROP}"));
    project.run("gate", &[], 0).has_output("verdict: warn");
    project
        .run("publish-image", &[], 3)
        .has_error("no rule was judged, so nothing is published");
}

#[test]
fn the_same_rows_in_another_order_are_compared_and_other_rows_are_not() {
    let old = "row_id,label,predicted\n1,a,a\n2,b,b\n3,a,b\n4,b,b\n";
    let folder = Folder::with(&[("old.csv", old), ("trainyard.toml", NO_DROP)]);
    folder.run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    let baseline = &["--baseline", "old/evaluation/evaluation.json"];
    let judged = |text: &str, code| {
        folder.write("p.csv", text);
        folder.run("evaluate", &["--predictions", "p.csv"], 0);
        folder.run("gate", baseline, code)
    };
    judged("predicted,row_id,label\nb,4,b\na,3,a\nb,2,b\na,1,a\n", 0).has_output("verdict: pass");
    let said = judged("row_id,label,predicted\n1,a,a\n2,b,b\n3,a,a\n5,b,b\n", 3);
    said.has_output("other rows");
    judged("row_id,label,predicted\n1,a,a\n2,b,b\n3,b,b\n4,b,b\n", 3).has_output("other labels");
    // The same file twice is said to be one.
    judged(old, 0).has_output("the same predictions");
}

/// `gate --start` has no evaluation yet, so the check cannot be called by a name that only the evaluation knows.
#[test]
fn a_check_is_completed_under_the_name_that_it_was_opened_by() {
    let predictions = "label,predicted\na,a\nb,b\na,a\nb,b\n";
    let folder = Folder::with(&[("p.csv", predictions), ("trainyard.toml", AT_LEAST)]);
    folder.run(
        "evaluate",
        &["--predictions", "p.csv", "--name", "digits"],
        0,
    );
    // Nothing was opened, so the evaluation's name is free to be used: two models have two checks.
    let said = folder.run("gate", &["--dry-run"], 0);
    said.has_output("the check run `trainyard / digits (branch)`");
    folder.write("trainyard-out/check.json", "{}");
    let said = folder.run("gate", &["--dry-run"], 0);
    said.has_output("the check run `trainyard / model (branch)`");
    folder
        .run("gate", &["--dry-run", "--name", "digits"], 0)
        .has_output("the check run `trainyard / digits (branch)`");
}

/// Forty groups of five rows, of which a group is wrong as a whole: by groups the drop is not disproven, by rows it would be.
#[test]
fn rows_are_compared_by_the_groups_that_the_candidate_left_out() {
    let text = |n_wrong: u32, has_group: bool| {
        let mut text = "row_id,label,predicted".to_owned();
        text += if has_group { ",group\n" } else { "\n" };
        for row in 0..200_u32 {
            let (label, other) = [("cat", "dog"), ("dog", "cat")][(row % 2) as usize];
            let predicted = if row / 5 < n_wrong { other } else { label };
            let group = if has_group {
                format!(",g{}", row / 5)
            } else {
                String::new()
            };
            writeln!(text, "r{row},{label},{predicted}{group}").unwrap();
        }
        text
    };
    let rule = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.12\nconfidence = 0.95\n";
    let folder = Folder::with(&[
        ("old.csv", &text(0, true)),
        ("grouped.csv", &text(2, true)),
        ("alone.csv", &text(2, false)),
        ("trainyard.toml", rule),
    ]);
    folder.evaluate("old.csv", "old");
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    let interval = |file: &str| {
        folder.evaluate(file, "trainyard-out");
        let said = folder.run("gate", &baseline, 0);
        let verdict = folder.json("trainyard-out/verdict/verdict.json");
        (
            said,
            verdict["rules"][0]["comparison"]["change"]["interval"].clone(),
        )
    };
    let (_, grouped) = interval("grouped.csv");
    let (said, alone) = interval("alone.csv");
    assert_eq!(alone, grouped);
    assert!(alone.is_object(), "{}", said.stdout);
    said.has_output("this evaluation has no column `group`");
    said.has_output("intervals of changes use the baseline's groups");
}

#[test]
fn an_evaluation_by_another_configuration_is_not_judged_by_this_one() {
    let predictions = "row_id,label,score_ill,score_well\n1,ill,0.45,0.55\n2,well,0.1,0.9\n3,ill,0.8,0.2\n4,well,0.3,0.7\n";
    let with = |threshold: &str| {
        format!("[evaluate]\npositive_class = \"ill\"\nthreshold = {threshold}\n{AT_LEAST}")
    };
    let folder = Folder::with(&[("p.csv", predictions), ("trainyard.toml", &with("0.4"))]);
    folder.evaluate("p.csv", "trainyard-out");
    folder.run("gate", &[], 0);
    folder.write("trainyard.toml", &with("0.6"));
    let said = folder.run("gate", &[], 3);
    said.has_output("`threshold` is `0.6` in the configuration and `0.4` in this evaluation");
    said.has_output("run `trainyard-evaluate` again");
    folder.evaluate("p.csv", "trainyard-out");
    folder.run("gate", &[], 1);
}
