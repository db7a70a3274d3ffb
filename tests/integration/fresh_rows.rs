//! `sequential = "fresh-rows"` through the real binaries: evidence that goes from run to run in a file.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::project::Said;

const RULE: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.02\nconfidence = 0.95\nsequential = \"fresh-rows\"\n";

const EVIDENCE: &str = "trainyard-out/verdict/fresh-rows.json";

/// A folder in which nights are judged.
struct Nights {
    folder: Folder,
}

impl Nights {
    fn new() -> Self {
        Self {
            folder: Folder::with(&[("trainyard.toml", RULE)]),
        }
    }

    /// A hundred rows of `night`, of which those in `missed` are wrong, as scored with the model of this name.
    fn scored(&self, night: &str, model: &str, missed: std::ops::Range<u32>, out: &str) {
        let mut text = String::from("row_id,label,predicted\n");
        for row in 0..100 {
            let (label, other) = [("cat", "dog"), ("dog", "cat")][(row % 2) as usize];
            let predicted = if missed.contains(&row) { other } else { label };
            let _ = writeln!(text, "{night}-{row:02},{label},{predicted}");
        }
        self.folder.write("p.csv", &text);
        self.folder.evaluate("p.csv", out);
        // As `evaluate --model` writes it; predictions alone do not say which model they are of.
        let path = format!("{out}/evaluation/evaluation.json");
        let mut evaluation = self.folder.json(&path);
        let digit = if model == "old" { "0" } else { "1" };
        evaluation["model"]["digest"] = json!(format!("sha256:{}", digit.repeat(64)));
        self.folder.write(&path, &evaluation.to_string());
    }

    /// Judges a night on which the new model gains row 0 to `n_gained` and loses as many as `n_lost` more.
    fn judged(&self, night: &str, [n_gained, n_lost]: [u32; 2], code: i32) -> Said {
        self.scored(night, "new", n_gained..n_gained + n_lost, "trainyard-out");
        self.scored(night, "old", 0..n_gained, "old");
        self.gate(&["--fresh-rows", EVIDENCE], code)
    }

    fn gate(&self, arguments: &[&str], code: i32) -> Said {
        let baseline = ["--baseline", "old/evaluation/evaluation.json"];
        self.folder
            .run("gate", &[&baseline[..], arguments].concat(), code)
    }

    fn sets(&self) -> Value {
        self.folder.json(EVIDENCE)["process"]["sets"].clone()
    }
}

/// The e-values are those that `core/gate/tests/fresh_rows.rs` computes by hand.
#[test]
fn three_nights_prove_a_drop_and_the_same_night_twice_counts_once() {
    let nights = Nights::new();
    let said = nights.judged("monday", [1, 9], 0);
    said.has_output("does not exist, so the evidence of fresh rows begins anew with these rows");
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
    let explained = nights.folder.json("trainyard-out/verdict/explanation.json");
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
    let path = nights.folder.path("trainyard.toml");
    let sets_before = nights.sets();
    nights.scored("monday", "new", 1..10, "trainyard-out");
    let said = nights.gate(&["--fresh-rows", EVIDENCE], 0);
    said.has_output("add nothing");
    assert_eq!(nights.sets(), sets_before);
    // The baseline is another model from now on.
    nights.scored("tuesday", "new", 0..8, "trainyard-out");
    nights.scored("tuesday", "new", 0..0, "old");
    let evaluation = nights.folder.path("old/evaluation/evaluation.json");
    let text = std::fs::read_to_string(&evaluation).unwrap();
    std::fs::write(&evaluation, text.replace(&"1".repeat(64), &"2".repeat(64))).unwrap();
    let said = nights.gate(&["--fresh-rows", EVIDENCE], 0);
    said.has_output(
        "begun anew: the baseline is another model than in the evidence of 1 set before",
    );
    assert_eq!(nights.sets().as_array().unwrap().len(), 1);
    // Neither a folder nor a misspelt name ends what was begun.
    for (file, part) in [
        (
            "trainyard-out/verdict",
            "is a folder: name the file in it, such as `trainyard-out/verdict/fresh-rows.json`",
        ),
        (
            "trainyard-out/fresh-rows.json",
            "an earlier run left `trainyard-out/verdict/fresh-rows.json`: name that file",
        ),
    ] {
        nights.gate(&["--fresh-rows", file], 3).has_output(part);
        assert_eq!(nights.sets().as_array().unwrap().len(), 1, "{file}");
    }
    // What cannot be read is not taken for nothing.
    std::fs::write(nights.folder.path("damaged.json"), "{").unwrap();
    let said = nights.gate(&["--fresh-rows", "damaged.json"], 3);
    said.has_output("the evidence of earlier runs is not known");
    std::fs::write(nights.folder.path(EVIDENCE), "{").unwrap();
    nights.gate(&["--fresh-rows", EVIDENCE], 3);
    assert_eq!(nights.folder.text(EVIDENCE), "{", "it is left to be mended");
    // A rule that cannot be judged so is refused on its line.
    std::fs::write(&path, RULE.replace("accuracy", "log_loss")).unwrap();
    nights.gate(&[], 2).has_error("trainyard.toml:5:");
}

/// A rule that holds says by what, in every report.
#[test]
fn a_drop_that_is_disproven_is_explained_where_it_holds() {
    let nights = Nights::new();
    for night in ["monday", "tuesday", "wednesday"] {
        nights.judged(night, [20, 0], 0);
    }
    let verdict = nights.folder.json("trainyard-out/verdict/verdict.json");
    assert_eq!(verdict["rules"][0]["outcome"], "holds", "{verdict}");
    let said = nights.gate(&["--fresh-rows", EVIDENCE], 0);
    said.has_output("proven since set");
    let comment = nights.folder.text("trainyard-out/verdict/comment.md");
    assert!(comment.contains("proven since set"), "{comment}");
}
