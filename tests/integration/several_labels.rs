//! Rows of several labels through `evaluate` and `gate`: multilabel classes, and numbers of several outputs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::project::Said;
use crate::support::stage;

/// 240 rows of three classes, scored; each `modulus`-th score is wrong. Every other row in the order of `reversed` columns.
fn sets(modulus: usize, is_reversed: bool) -> String {
    let classes = if is_reversed {
        ["car", "dog", "cat"]
    } else {
        ["cat", "dog", "car"]
    };
    let mut text = String::from("row_id,country,group");
    for class in classes {
        let _ = write!(text, ",label_{class},score_{class}");
    }
    text.push('\n');
    let mut rows: Vec<usize> = (0..240).collect();
    if is_reversed {
        rows.reverse();
    }
    for row in rows {
        let country = ["DE", "FR"][row / 5 % 2];
        let _ = write!(text, "r{row},{country},g{}", row / 4);
        for class in classes {
            let place = ["cat", "dog", "car"]
                .iter()
                .position(|name| *name == class)
                .unwrap();
            let is_there = (row + place) % 3 == 0 || (row * 7 + place) % 5 == 0;
            let is_wrong = (row * 11 + place * 5) % modulus == 0;
            let noise = (row * 13 + place * 29) % 40;
            let score = if is_there == is_wrong {
                noise
            } else {
                99 - noise
            };
            let _ = write!(text, ",{},0.{score:02}", u8::from(is_there));
        }
        text.push('\n');
    }
    text
}

fn outputs(scale: f64) -> String {
    let mut text =
        String::from("row_id,label_height,label_width,predicted_height,predicted_width\n");
    for row in 0..200 {
        let (height, width) = (f64::from(row) / 10.0, f64::from(row * 37 % 101));
        let (of_height, of_width) = (f64::from(row % 7) / 10.0 - 0.3, f64::from(row % 11) - 5.0);
        let _ = writeln!(
            text,
            "{row},{height},{width},{},{}",
            height + scale * of_height,
            width + scale * of_width
        );
    }
    text
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("trainyard.toml", config);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    #[track_caller]
    fn run(&self, name: &str, arguments: &[&str], code: i32) -> Said {
        let mut command = stage(name);
        command.args(arguments).current_dir(self.path());
        Said::of(&mut command, code)
    }

    /// Scores `text` into the folder `out`.
    fn evaluate(&self, text: &str, out: &str) -> Said {
        self.write("p.csv", text);
        self.run("evaluate", &["--predictions", "p.csv", "--out", out], 0)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path().join(name)).unwrap()).unwrap()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Judges the evaluation in `new` against that in `old`.
    #[track_caller]
    fn gate(&self, new: &str, old: &str, code: i32) -> Value {
        let baseline = format!("{old}/evaluation/evaluation.json");
        self.run("gate", &["--out", new, "--baseline", &baseline], code);
        self.json(&format!("{new}/verdict/verdict.json"))
    }
}

fn outcomes(verdict: &Value) -> Vec<&str> {
    let rules = verdict["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| rule["outcome"].as_str().unwrap())
        .collect()
}

#[test]
fn multilabel_rows_are_scored_compared_and_reported() {
    let folder = Folder::new(
        "[[evaluate.slices]]\ncolumns = [\"country\"]\n[[evaluate.slices]]\ncolumns = [\"label_cat\"]\n\
         [[gate.rules]]\nmetric = \"subset_accuracy\"\nmax_drop = 0.05\nconfidence = 0.95\n\
         [[gate.rules]]\nmetric = \"recall\"\nclass = \"cat\"\nmax_drop = 0.05\nconfidence = 0.95\n\
         [[gate.rules]]\nmetric = \"f1_macro\"\nmax_drop = 0.05\nconfidence = 0.95\n\
         [[gate.rules]]\nmetric = \"roc_auc\"\nmax_drop = 0.05\nconfidence = 0.95\n\
         [[gate.rules]]\nmax_new_errors = 20\n",
    );
    let said = folder.evaluate(&sets(61, false), "good");
    assert!(said.stdout.contains("subset_accuracy"), "{}", said.stdout);
    folder.evaluate(&sets(6, false), "bad");
    let evaluation = folder.json("good/evaluation/evaluation.json");
    assert_eq!(evaluation["task"], "multilabel");
    // By their names, in whatever order the columns are.
    for (idx, class) in ["car", "cat", "dog"].into_iter().enumerate() {
        assert_eq!(evaluation["classes"][idx]["class"], class);
    }
    assert_eq!(evaluation["threshold"]["value"], 0.5);
    let has = |metric: &str, slice: &str| {
        let mut measurements = evaluation["measurements"].as_array().unwrap().iter();
        measurements.any(|found| found["key"]["metric"] == metric && found["key"]["slice"] == slice)
    };
    assert!(has("hamming_loss", "country=DE") && has("subset_accuracy", "label_cat=1"));
    let verdict = folder.gate("bad", "good", 1);
    assert_eq!(outcomes(&verdict), ["missed"; 5], "{:#}", verdict["rules"]);
    assert!(verdict["flips"]["lost"][0]["label"].is_string());
    let comment = folder.text("bad/verdict/comment.md");
    assert!(
        comment.contains("Per class") && comment.contains("newly wrong"),
        "{comment}"
    );
    let page = folder.text("bad/evaluation/report.html");
    assert!(page.contains("<h2>Per class</h2>") && page.contains("<td>car</td>"));
    let verdict = folder.gate("good", "bad", 0);
    assert_eq!(outcomes(&verdict), ["holds"; 5], "{:#}", verdict["rules"]);
    // Rows, columns and classes in another order: nothing has changed.
    folder.evaluate(&sets(61, true), "turned");
    let verdict = folder.gate("turned", "good", 0);
    let changes = verdict["rules"].as_array().unwrap().iter().take(4);
    let changes = changes.map(|rule| rule["comparison"]["change"]["value"].as_f64().unwrap());
    assert!(
        changes.map(f64::abs).all(|change| change < 1e-12),
        "{:#}",
        verdict["rules"]
    );
    assert_eq!(outcomes(&verdict), ["holds"; 5], "{:#}", verdict["rules"]);
    assert_eq!(
        verdict["rules"][4]["comparison"]["key"]["metric"],
        "accuracy"
    );
    // Another class makes other rows, which are not compared.
    folder.evaluate(&sets(61, false).replace("_car", "_bus"), "renamed");
    let verdict = folder.gate("renamed", "good", 3);
    assert_eq!(
        outcomes(&verdict),
        ["not_judged"; 5],
        "{:#}",
        verdict["rules"]
    );
}

/// By hand: each fold is measured, and the mean over them is what a rule on all rows judges.
#[test]
fn folds_of_multilabel_rows_are_measured() {
    let folder = Folder::new("[[gate.rules]]\nmetric = \"subset_accuracy\"\nmin = 0.5\n");
    let text = sets(61, false)
        .replace(",group", ",fold")
        .replace(",g", ",");
    // 60 groups of four rows become five folds.
    let rows = text.lines().enumerate().map(|(line, row)| {
        let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
        if line > 0 {
            cells[2] = (line % 5).to_string();
        }
        cells.join(",") + "\n"
    });
    folder.evaluate(&rows.collect::<String>(), "folds");
    let evaluation = folder.json("folds/evaluation/evaluation.json");
    assert_eq!(evaluation["folds"]["folds"].as_array().unwrap().len(), 5);
    let of_folds = |fold: Value| {
        let mut measurements = evaluation["measurements"].as_array().unwrap().iter();
        let is_it = |key: &Value| key["metric"] == "subset_accuracy" && key["fold"] == fold;
        let found = measurements.find(|found| is_it(&found["key"]));
        found.unwrap()["value"].as_f64().unwrap()
    };
    let sum: f64 = (0..5).map(|fold| of_folds(fold.into())).sum();
    assert!((of_folds("mean".into()) - sum / 5.0).abs() < 1e-12);
}

#[test]
fn several_outputs_are_scored_compared_and_reported() {
    let folder = Folder::new(
        "[[gate.rules]]\nmetric = \"rmse\"\nmax_drop = 0.2\nconfidence = 0.95\n\
         [[gate.rules]]\nmetric = \"rmse\"\noutput = \"height\"\nmax = 0.15\nconfidence = 0.95\n\
         [[gate.rules]]\nmetric = \"mae\"\noutput = \"*\"\nmax_drop_pct = 5\n",
    );
    folder.evaluate(&outputs(0.5), "good");
    folder.evaluate(&outputs(1.0), "bad");
    let evaluation = folder.json("good/evaluation/evaluation.json");
    assert_eq!(evaluation["task"], "regression");
    assert_eq!(
        evaluation["outputs"],
        serde_json::json!(["height", "width"])
    );
    let page = folder.text("good/evaluation/report.html");
    assert!(page.contains("<h2>Per output</h2>") && page.contains("<td>width</td>"));
    let verdict = folder.gate("bad", "good", 1);
    assert_eq!(outcomes(&verdict), ["missed"; 4], "{:#}", verdict["rules"]);
    let comment = folder.text("bad/verdict/comment.md");
    assert!(
        comment.contains("rmse of output height") && comment.contains("Per output"),
        "{comment}"
    );
    let verdict = folder.gate("good", "bad", 0);
    assert_eq!(outcomes(&verdict), ["holds"; 4], "{:#}", verdict["rules"]);
}

#[test]
fn what_cannot_be_done_with_several_labels_says_so() {
    let folder = Folder::new("[evaluate.ranking]\ngroup = \"group\"\nk = 3\n");
    folder.write("o.csv", &outputs(1.0));
    let refused = |arguments: &[&str], code, part: &str| {
        let said = folder.run(
            "evaluate",
            &[&["--predictions", "o.csv"], arguments].concat(),
            code,
        );
        said.has_error(part);
    };
    refused(&[], 4, "ranked by one number");
    folder.write(
        "trainyard.toml",
        "[[evaluate.slices]]\ncolumns = [\"label\"]\n",
    );
    refused(&[], 4, "name one of them, such as `label_height`");
    folder.write("trainyard.toml", "");
    refused(&["--task", "multilabel"], 4, "neither 0 nor 1");
    folder.write("trainyard.toml", "[evaluate]\nthreshold = 0.5\n");
    refused(&[], 4, "numbers are predicted");
}
