//! `sequential = "fresh-rows"` through the real binaries: evidence that goes from run to run in a file.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::{Said, read_json};
use crate::support::stage;

const RULE: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.02\nconfidence = 0.95\nsequential = \"fresh-rows\"\n";

const EVIDENCE: &str = "trainyard-out/verdict/fresh-rows.json";

/// A folder in which nights are judged.
struct Nights {
    folder: TempDir,
}

impl Nights {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("trainyard.toml"), RULE).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, name: &str, arguments: &[&str], code: i32) -> Said {
        let mut command = stage(name);
        command.args(arguments).current_dir(self.path());
        Said::of(&mut command, code)
    }

    /// A hundred rows of `night`, of which those in `missed` are wrong, as scored with the model of this name.
    fn scored(&self, night: &str, model: &str, missed: std::ops::Range<u32>, out: &str) {
        let mut text = String::from("row_id,label,predicted\n");
        for row in 0..100 {
            let (label, other) = [("cat", "dog"), ("dog", "cat")][(row % 2) as usize];
            let predicted = if missed.contains(&row) { other } else { label };
            let _ = writeln!(text, "{night}-{row:02},{label},{predicted}");
        }
        std::fs::write(self.path().join("p.csv"), text).unwrap();
        self.run("evaluate", &["--predictions", "p.csv", "--out", out], 0);
        // As `evaluate --model` writes it; predictions alone do not say which model they are of.
        let path = self.path().join(out).join("evaluation/evaluation.json");
        let mut evaluation = read_json(&path);
        let digit = if model == "old" { "0" } else { "1" };
        evaluation["model"]["digest"] = json!(format!("sha256:{}", digit.repeat(64)));
        std::fs::write(&path, evaluation.to_string()).unwrap();
    }

    /// Judges a night on which the new model gains row 0 to `n_gained` and loses as many as `n_lost` more.
    fn judged(&self, night: &str, [n_gained, n_lost]: [u32; 2], code: i32) -> Said {
        self.scored(night, "new", n_gained..n_gained + n_lost, "trainyard-out");
        self.scored(night, "old", 0..n_gained, "old");
        self.gate(&["--fresh-rows", EVIDENCE], code)
    }

    fn gate(&self, arguments: &[&str], code: i32) -> Said {
        let baseline = ["--baseline", "old/evaluation/evaluation.json"];
        self.run("gate", &[&baseline[..], arguments].concat(), code)
    }

    fn sets(&self) -> Value {
        read_json(&self.path().join(EVIDENCE))["process"]["sets"].clone()
    }
}

/// The e-values are those that `core/gate/tests/fresh_rows.rs` computes by hand.
#[test]
fn three_nights_prove_a_drop_and_the_same_night_twice_counts_once() {
    let nights = Nights::new();
    let said = nights.judged("monday", [1, 9], 0);
    said.has_output("is not there, so the evidence of fresh rows begins without it");
    said.has_output("e-value 2.5191 for a miss");
    nights
        .judged("tuesday", [0, 8], 0)
        .has_output("1 gained, 17 lost, of 200 fresh rows in 2 sets: e-value 19.825 for a miss");
    // Tuesday's rows once more.
    let said = nights.gate(&["--fresh-rows", EVIDENCE], 0);
    said.has_output("e-value 19.825 for a miss");
    said.has_output("these rows were judged before, so they add nothing");
    assert_eq!(nights.sets().as_array().unwrap().len(), 2);
    let said = nights.judged("wednesday", [1, 9], 1);
    said.has_output("e-value 125.28 for a miss, 0.351 against it, 40 needed at 2.5 %: the miss is proven since set 3");
    // The product, step by step.
    let explained = read_json(&nights.path().join("trainyard-out/verdict/explanation.json"));
    let computation = &explained["rules"][0]["computation"];
    assert_eq!(computation["kind"], "e_process");
    assert_eq!(computation["sets"][2]["all_rows"]["n_lost"], 26);
    let said = nights.gate(&["--fresh-rows", EVIDENCE, "--explain", "text"], 1);
    said.has_output("for a miss e^2.98");
    // Without what came before, one night proves nothing.
    let said = nights.gate(&[], 0);
    said.has_output("No evidence of earlier fresh rows was given");
}

#[test]
fn rows_that_come_again_are_left_out_and_another_model_begins_anew() {
    let nights = Nights::new();
    nights.judged("monday", [1, 9], 0);
    // Monday's rows with one more class of label are another set of the same rows.
    let path = nights.path().join("trainyard.toml");
    let sets_before = nights.sets();
    nights.scored("monday", "new", 1..10, "trainyard-out");
    let said = nights.gate(&["--fresh-rows", EVIDENCE], 0);
    said.has_output("add nothing");
    assert_eq!(nights.sets(), sets_before);
    // The baseline is another model from now on.
    nights.scored("tuesday", "new", 0..8, "trainyard-out");
    nights.scored("tuesday", "new", 0..0, "old");
    let evaluation = nights.path().join("old/evaluation/evaluation.json");
    let text = std::fs::read_to_string(&evaluation).unwrap();
    std::fs::write(&evaluation, text.replace(&"1".repeat(64), &"2".repeat(64))).unwrap();
    let said = nights.gate(&["--fresh-rows", EVIDENCE], 0);
    said.has_output(
        "begun anew: the baseline is another model than in the evidence of 1 set before",
    );
    assert_eq!(nights.sets().as_array().unwrap().len(), 1);
    // What cannot be read is not taken for nothing.
    std::fs::write(nights.path().join("damaged.json"), "{").unwrap();
    let said = nights.gate(&["--fresh-rows", "damaged.json"], 3);
    said.has_output("the evidence of earlier runs is not known");
    // A rule that cannot be judged so is refused on its line.
    std::fs::write(&path, RULE.replace("accuracy", "log_loss")).unwrap();
    nights.gate(&[], 2).has_error("trainyard.toml:5:");
}
