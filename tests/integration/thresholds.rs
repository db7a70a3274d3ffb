//! A threshold chosen by an aim: by `train` on its validation rows, and on another tool's validation predictions.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::chain::assert_valid;
use crate::project::{Said, read_json};
use crate::support::stage;

/// A folder with a table of two classes that overlap, and a logistic regression.
struct Project(tempfile::TempDir);

const CONFIG: &str = "[model]\nname = \"screening\"\ninput_shape = [2]\n\n[[model.layers]]\ntype = \"Dense\"\nunits = 1\nactivation = \"sigmoid\"\n\n\
    [data]\nformat = \"csv\"\nclasses = [\"ill\", \"well\"]\nvalidation_fraction = 0.3\ntrain = { path = \"train.csv\" }\n\
    test = { path = \"test.csv\" }\n\n[data.csv]\nlabel = \"outcome\"\n\n[train]\nepochs = 5\nloss = \"binary_crossentropy\"\n\n\
    [evaluate]\npositive_class = \"ill\"\nthreshold = { aim = \"min_recall\", at = 0.9 }\n";

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("trainyard.toml", CONFIG);
        for (name, n_rows, shift) in [("train.csv", 300, 0), ("test.csv", 120, 7)] {
            let mut text = "a,b,outcome\n".to_owned();
            for row in 0..n_rows {
                // Spread evenly enough, and not the same in both files.
                let (a, b) = ((row * 37 + shift) % 101, (row * 53 + shift) % 97);
                let outcome = if a + b / 2 > 75 { "ill" } else { "well" };
                writeln!(
                    text,
                    "{},{},{outcome}",
                    f64::from(a) / 50.0,
                    f64::from(b) / 50.0
                )
                .unwrap();
            }
            project.write(name, &text);
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    #[track_caller]
    fn edit(&self, from: &str, to: &str) {
        let config = fs::read_to_string(self.path("trainyard.toml")).unwrap();
        assert!(config.contains(from), "{from}");
        self.write("trainyard.toml", &config.replace(from, to));
    }

    #[track_caller]
    fn run(&self, name: &str, arguments: &[&str], code: i32) -> Said {
        let mut command = stage(name);
        command.args(arguments).current_dir(self.0.path());
        Said::of(&mut command, code)
    }

    fn evaluation(&self) -> Value {
        read_json(&self.path("trainyard-out/evaluation/evaluation.json"))
    }
}

#[test]
fn train_chooses_on_its_validation_rows_and_evaluate_predicts_by_it() {
    let project = Project::new();
    project
        .run("train", &[], 0)
        .has_error("chosen by `{ aim = \"min_recall\", at = 0.9 }` on 90 validation rows");
    let model = read_json(&project.path("trainyard-out/model/model.json"));
    assert_valid("model", &model);
    let chosen = &model["threshold"];
    assert_eq!(chosen["n_rows"], 90);
    assert_eq!(chosen["by"], json!({ "aim": "min_recall", "at": 0.9 }));
    assert!(chosen["value"].as_f64().unwrap() >= 0.9, "{chosen}");
    assert!(chosen["rows"].as_str().unwrap().starts_with("sha256:"));

    project.run("evaluate", &[], 0).has_error("chosen by");
    let evaluation = project.evaluation();
    assert_valid("evaluation", &evaluation);
    assert_eq!(evaluation["threshold"]["chosen"], *chosen);
    assert_eq!(evaluation["threshold"]["value"], chosen["threshold"]);

    // Another aim is another model; without validation rows nothing is trained.
    project.edit("min_recall\", at = 0.9", "max_f1\"");
    project
        .run("evaluate", &[], 4)
        .has_error("the model holds no threshold that was chosen by `{ aim = \"max_f1\" }`");
    project.edit("validation_fraction = 0.3\n", "");
    let said = project.run("train", &[], 2);
    said.has_error("set `[data] validation_fraction`");
    // A number needs no validation rows.
    project.edit("{ aim = \"max_f1\" }", "0.4");
    project.run("train", &[], 0);
    project.run("evaluate", &[], 0);
    assert_eq!(project.evaluation()["threshold"], json!({ "value": 0.4 }));
}

#[test]
fn predictions_take_their_threshold_from_other_rows() {
    let project = Project(tempfile::tempdir().unwrap());
    project.write(
        "trainyard.toml",
        "[evaluate]\npositive_class = \"ill\"\nthreshold = { aim = \"min_precision\", at = 0.7 }\n",
    );
    let file = |name: &str, first: u32, rows: &[(&str, f64)]| {
        let mut text = "row_id,label,score_ill,score_well\n".to_owned();
        for (row, (label, score)) in rows.iter().enumerate() {
            writeln!(
                text,
                "{},{label},{score},{}",
                first + row as u32,
                1.0 - score
            )
            .unwrap();
        }
        project.write(name, &text);
    };
    // By hand: from 0.9 and 0.8 down the precision is 1 and 1, from 0.4 on 3/4 with a recall of 1.
    let rows = [
        ("ill", 0.9),
        ("ill", 0.8),
        ("well", 0.7),
        ("ill", 0.4),
        ("well", 0.2),
        ("well", 0.1),
    ];
    file("validation.csv", 100, &rows);
    file(
        "test.csv",
        0,
        &[("ill", 0.45), ("well", 0.35), ("ill", 0.3), ("well", 0.4)],
    );
    let test = ["--predictions", "test.csv"];
    project
        .run("evaluate", &test, 2)
        .has_error("with `--threshold-from`");
    let with = |file: &'static str| [test[0], test[1], "--threshold-from", file];
    project.run("evaluate", &with("validation.csv"), 0);
    let evaluation = project.evaluation();
    assert_valid("evaluation", &evaluation);
    assert_eq!(evaluation["threshold"]["value"], 0.4);
    assert_eq!(evaluation["threshold"]["chosen"]["value"], 0.75);
    let key = json!({ "metric": "precision" });
    let found = evaluation["measurements"].as_array().unwrap().iter();
    let precision = found.clone().find(|found| found["key"] == key).unwrap();
    // At 0.4 one ill and one well row are predicted ill.
    assert_eq!(precision["value"], 0.5);

    project
        .run("evaluate", &with("test.csv"), 4)
        .has_error("is the file of test predictions");
    file("overlap.csv", 3, &rows);
    project
        .run("evaluate", &with("overlap.csv"), 4)
        .has_error("holds 1 row of the test, such as `3`");
    file(
        "poor.csv",
        200,
        &[("well", 0.9), ("ill", 0.5), ("well", 0.1)],
    );
    project.run("evaluate", &with("poor.csv"), 4).has_error(
        "no threshold reaches a precision of 0.7 on the 3 validation rows: the best is 0.5",
    );
    project.write("trainyard.toml", "");
    project
        .run("evaluate", &with("validation.csv"), 2)
        .has_error("has no effect without an aim");
}

/// By hand: from 0.4 on, both rows of fold 0 are right and both of fold 1 wrong; by the higher score one of each would be.
#[test]
fn folds_of_predictions_are_scored_with_a_threshold_that_was_chosen_elsewhere() {
    let project = Project(tempfile::tempdir().unwrap());
    project.write(
        "trainyard.toml",
        "[evaluate]\npositive_class = \"ill\"\nthreshold = { aim = \"min_recall\", at = 1.0 }\n",
    );
    project.write(
        "validation.csv",
        "row_id,label,score_ill,score_well\na,ill,0.4,0.6\nb,well,0.2,0.8\n",
    );
    project.write(
        "test.csv",
        "row_id,label,fold,score_ill,score_well\n0,ill,0,0.45,0.55\n1,well,0,0.35,0.65\n2,ill,1,0.3,0.7\n3,well,1,0.4,0.6\n",
    );
    let arguments = [
        "--predictions",
        "test.csv",
        "--threshold-from",
        "validation.csv",
    ];
    project.run("evaluate", &arguments, 0);
    let evaluation = project.evaluation();
    let accuracy = |fold: u32| {
        let key = json!({ "metric": "accuracy", "fold": fold });
        let mut found = evaluation["measurements"].as_array().unwrap().iter();
        let found = found.find(|found| found["key"] == key);
        found.unwrap_or_else(|| panic!("{evaluation}"))["value"].clone()
    };
    assert_eq!([accuracy(0), accuracy(1)], [1.0, 0.0]);
}

#[test]
fn folds_of_a_cross_validation_are_scored_with_a_threshold_that_is_written() {
    let project = Project::new();
    let folds = "[evaluate.cross_validation]\nn_splits = 3\n";
    project.write("trainyard.toml", &format!("{CONFIG}\n{folds}"));
    project.run("train", &[], 0);
    project
        .run("evaluate", &[], 0)
        .has_error("The folds are scored without the threshold");
    // Nearly no probability is as high, so that no row is predicted ill.
    project.edit("{ aim = \"min_recall\", at = 0.9 }", "0.9999999");
    project.run("train", &[], 0);
    let said = project.run("evaluate", &[], 0);
    assert!(
        !said.stderr.contains("without the threshold"),
        "{}",
        said.stderr
    );
    let evaluation = project.evaluation();
    let key = json!({ "metric": "recall", "fold": "mean" });
    let mut found = evaluation["measurements"].as_array().unwrap().iter();
    let found = found.find(|found| found["key"] == key);
    assert_eq!(
        found.unwrap_or_else(|| panic!("{evaluation}"))["value"],
        0.0
    );
}
