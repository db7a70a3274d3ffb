//! Evaluations and baselines that are not what the configuration or the user takes them for: never a silent green.

use std::fmt::Write as _;

use crate::folder::Folder;
use crate::project::Project;

const NO_DROP: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.5\n";

/// 40 rows of two classes, of which the first `n_missed` are predicted wrong.
fn predictions(n_missed: usize, classes: [&str; 2]) -> String {
    let mut text = "row_id,label,predicted\n".to_owned();
    for row in 0..40 {
        let label = classes[row % 2];
        let predicted = classes[(row + usize::from(row < n_missed)) % 2];
        let _ = writeln!(text, "{row},{label},{predicted}");
    }
    text
}

fn evaluated(rules: &str) -> Folder {
    let folder = Folder::with(&[
        ("p.csv", &predictions(4, ["cat", "dog"])),
        ("trainyard.toml", rules),
    ]);
    folder.evaluate("p.csv", "trainyard-out");
    folder
}

#[test]
fn an_evaluation_of_another_model_or_task_is_not_judged() {
    let min = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.5\n";
    let folder = Folder::with(&[
        ("p.csv", &predictions(4, ["cat", "dog"])),
        ("trainyard.toml", min),
    ]);
    let named = ["--predictions", "p.csv", "--name", "dogs"];
    folder.run("evaluate", &named, 0);
    folder.run("gate", &[], 0);
    folder.write(
        "trainyard.toml",
        &format!("[model]\nname = \"prices\"\n{min}"),
    );
    folder
        .run("gate", &[], 3)
        .has_output("of the model `dogs`, but `[model] name` is `prices`");
    let task = "[model]\nname = \"dogs\"\ntask = \"regression\"\n";
    folder.write("trainyard.toml", &format!("{task}{min}"));
    folder
        .run("gate", &[], 3)
        .has_output("of classification, but `[model] task` is `regression`");
}

#[test]
fn a_baseline_of_another_name_or_the_judged_file_itself_shows_no_change() {
    let folder = evaluated(NO_DROP);
    for file in ["evaluation.json", "metrics.json"] {
        let baseline = format!("trainyard-out/evaluation/{file}");
        folder
            .run("gate", &["--baseline", &baseline], 3)
            .has_output("is the evaluation that is judged");
    }
    folder
        .run("gate", &["--baseline", "trainyard-out/evaluation"], 3)
        .has_output("it is a folder: name a file in it");
    for (name, out) in [("dogs", "trainyard-out"), ("cats", "base")] {
        let named = ["--predictions", "p.csv", "--name", name, "--out", out];
        folder.run("evaluate", &named, 0);
    }
    folder
        .run(
            "gate",
            &["--baseline", "base/evaluation/evaluation.json"],
            3,
        )
        .has_output("the baseline is of the model `cats`, and this evaluation of `dogs`");
}

/// Byte for byte, with rows and columns in another order, and with the classes named the other way round.
#[test]
fn the_same_predictions_are_the_same_in_any_order_and_by_their_names() {
    let rules = "[[gate.rules]]\nmetric = \"recall\"\nclass = \"cat\"\nmax_drop = 0.01\nconfidence = 0.95\nwhen_uncertain = \"fail\"\n";
    let folder = evaluated(rules);
    let text = predictions(4, ["cat", "dog"]);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    folder.write("same.csv", &text);
    lines[1..].reverse();
    let swapped = lines.iter().map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        [cells[2], cells[0], cells[1]].join(",")
    });
    let swapped: Vec<String> = swapped.collect();
    folder.write("ordered.csv", &(swapped.join("\n") + "\n"));
    let baseline = ["--baseline", "base/evaluation/evaluation.json"];
    for file in ["same.csv", "ordered.csv"] {
        folder.evaluate(file, "base");
        folder.run("gate", &baseline, 0).has_output("verdict: pass");
        let comment = folder.text("trainyard-out/verdict/comment.md");
        assert!(
            comment.contains("the same predictions"),
            "{file}: {comment}"
        );
    }
    // The digest of the indices is the same, what they stand for is not.
    folder.write("renamed.csv", &predictions(4, ["dog", "cat"]));
    folder.evaluate("renamed.csv", "base");
    let said = folder.run("gate", &baseline, 3);
    said.has_output("was scored on other rows");
    let comment = folder.text("trainyard-out/verdict/comment.md");
    assert!(!comment.contains("same predictions"), "{comment}");
}

/// A figure that its own interval holds, but not the predictions, and one that not even its interval holds.
#[test]
fn an_evaluation_that_was_edited_is_not_judged() {
    let folder = evaluated("[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.91\n");
    folder.run("gate", &[], 1);
    let file = "trainyard-out/evaluation/evaluation.json";
    let text = folder.text(file);
    let mut evaluation = folder.json(file);
    let measurements = evaluation["measurements"].as_array_mut().unwrap();
    let is_accuracy = |found: &&mut serde_json::Value| {
        found["key"]["metric"] == "accuracy" && found["value"] == 0.9
    };
    let accuracy = measurements.iter_mut().find(is_accuracy).unwrap();
    accuracy["value"] = serde_json::json!(0.92);
    folder.write(file, &evaluation.to_string());
    folder
        .run("gate", &[], 3)
        .has_output("it says accuracy is 0.92, but its predictions give 0.9");
    let measurements = evaluation["measurements"].as_array_mut().unwrap();
    for found in measurements {
        if found["value"] == 0.92 {
            found["value"] = serde_json::json!(0.999);
        }
    }
    folder.write(file, &evaluation.to_string());
    folder
        .run("gate", &[], 3)
        .has_output("outside of its own interval");
    // As a baseline, too.
    folder.write("base.json", &evaluation.to_string());
    folder.write(file, &text);
    folder.write("trainyard.toml", NO_DROP);
    folder
        .run("gate", &["--baseline", "base.json"], 3)
        .has_output("outside of its own interval");
}

/// The rows of `predictions(4, …)` in four folds: accuracies 0.6, 1, 1 and 1, so 0.9 on average.
#[test]
fn folds_that_were_edited_are_not_judged() {
    let mut rows = String::new();
    for (idx, line) in predictions(4, ["cat", "dog"]).lines().enumerate() {
        let fold = match idx {
            0 => "fold".to_owned(),
            _ => ((idx - 1) / 10).to_string(),
        };
        let _ = writeln!(rows, "{line},{fold}");
    }
    let rules = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.91\n";
    let folder = Folder::with(&[("p.csv", &rows), ("trainyard.toml", rules)]);
    folder.evaluate("p.csv", "trainyard-out");
    folder.run("gate", &[], 1);
    let file = "trainyard-out/evaluation/evaluation.json";
    let honest = folder.json(file);
    let with_fold = |fold: serde_json::Value, value: f64| {
        let mut edited = honest.clone();
        let key = serde_json::json!({ "metric": "accuracy", "fold": fold });
        let measurements = edited["measurements"].as_array_mut().unwrap();
        let mut found = measurements.iter_mut().filter(|found| found["key"] == key);
        found.next().unwrap()["value"] = serde_json::json!(value);
        edited
    };
    let other_counts = {
        let mut edited = honest.clone();
        edited["folds"]["folds"][0]["n_train"] = serde_json::json!(3000);
        edited
    };
    let without = {
        let mut edited = honest.clone();
        edited.as_object_mut().unwrap().remove("folds");
        edited
    };
    let elsewhere = {
        let mut edited = honest.clone();
        edited["folds"]["of_training_rows"] = serde_json::json!(true);
        edited
    };
    for (edited, expected) in [
        (
            with_fold("mean".into(), 0.92),
            "is 0.92, but its predictions give 0.9",
        ),
        (
            with_fold(0.into(), 0.7),
            "is 0.7, but its predictions give 0.6",
        ),
        (other_counts, "its folds have other rows"),
        (without, "it has no folds, but its predictions have"),
        (
            elsewhere,
            "its folds are of the training rows, but its predictions have folds",
        ),
    ] {
        folder.write(file, &edited.to_string());
        folder.run("gate", &[], 3).has_output(expected);
    }
    folder.write(file, &honest.to_string());
    folder.run("gate", &[], 1);
}

#[test]
fn negative_errors_of_other_tools_hold_no_bound() {
    let rules = "[[gate.rules]]\nmetric = \"mse\"\nmax = 0.5\n";
    let folder = Folder::with(&[("m.json", "{\"mse\": -3}"), ("trainyard.toml", rules)]);
    folder
        .run("gate", &["--metrics", "m.json"], 3)
        .has_output("is never below 0");
}

/// Edited and not trained again, before the evaluation or behind it; an input is the user's own word.
#[test]
fn a_model_of_another_training_configuration_is_neither_judged_nor_published() {
    let project = Project::scored();
    project.run("gate", &[], 0);
    project.edit("epochs = 1", "epochs = 2");
    project
        .run("gate", &[], 3)
        .has_output("trained by another configuration");
    project.run("publish-image", &["--dry-run"], 3);
    project.run("evaluate", &[], 0);
    project
        .run("gate", &[], 3)
        .has_output("trained by another configuration");
    project.run("train", &["--epochs", "1"], 0);
    project.run("evaluate", &[], 0);
    project.run("gate", &[], 0);
}
