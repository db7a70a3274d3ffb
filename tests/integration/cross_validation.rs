//! Cross-validation by the real binary: what it writes, that it repeats, and how it goes on after an interruption.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trainyard_ml::data::npz::{Values, read_npz};

use crate::chain::assert_valid;
use crate::project::{Said, read_json};
use crate::support::{repository, stage};

/// The diabetes example with fewer epochs and three folds, in a folder of its own.
struct Table {
    folder: tempfile::TempDir,
}

impl Table {
    fn new() -> Self {
        let example = repository().join("examples/diabetes");
        let folder = tempfile::tempdir().unwrap();
        let config = fs::read_to_string(example.join("trainyard.toml")).unwrap();
        assert!(config.contains("n_splits = 5") && config.contains("epochs = 400"));
        let config = config
            .replace("n_splits = 5", "n_splits = 3")
            .replace("epochs = 400", "epochs = 40")
            .replace("\"data/", &format!("\"{}/", example.join("data").display()));
        fs::write(folder.path().join("trainyard.toml"), config).unwrap();
        Self { folder }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn train(&self, arguments: &[&str]) -> Command {
        let mut command = stage("train");
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    #[track_caller]
    fn trained(&self, arguments: &[&str]) -> Said {
        Said::of(&mut self.train(arguments), 0)
    }

    /// Both files of the cross-validation in an output folder.
    fn result(&self, out: &str) -> [Vec<u8>; 2] {
        ["cross-validation.json", "predictions.npz"]
            .map(|name| fs::read(self.path(out).join("cross-validation").join(name)).unwrap())
    }
}

fn is_there(folder: &Path, extension: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .any(|entry| entry.path().extension().is_some_and(|e| e == extension))
}

#[test]
fn every_training_row_is_predicted_by_a_fold_that_does_not_train_on_it() {
    let table = Table::new();
    table.trained(&["--threads", "1"]);
    let folder = table.path("trainyard-out/cross-validation");
    let record = read_json(&folder.join("cross-validation.json"));
    assert_valid("cross-validation", &record);
    let model = read_json(&table.path("trainyard-out/model/model.json"));
    assert_eq!(record["config_digest"], model["origin"]["config_digest"]);
    assert_eq!(record["data_digest"], model["origin"]["data_digest"]);

    let arrays = read_npz(&fs::read(folder.join("predictions.npz")).unwrap()).unwrap();
    let integers = |name: &str| match &arrays[name].values {
        Values::I64(values) => values.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let mut rows = integers("row");
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..331));
    let mut n_rows_of: BTreeMap<i64, u64> = BTreeMap::new();
    for fold in integers("fold") {
        *n_rows_of.entry(fold).or_default() += 1;
    }
    // As scikit-learn's `KFold(3)` divides 331 rows.
    assert!(n_rows_of.into_values().eq([111, 110, 110]));
    assert_eq!(record["folds"][2]["n_test"], 110);

    table.trained(&["--threads", "3", "--out", "other"]);
    assert_eq!(table.result("other"), table.result("trainyard-out"));

    table
        .trained(&[])
        .has_error("already holds this cross-validation");
    // Damaged, it is made again; the model is not.
    fs::write(folder.join("predictions.npz"), "x").unwrap();
    let said = table.trained(&[]);
    said.has_error("nothing to train");
    said.has_error("fold 3 of 3: ");
    assert_eq!(table.result("other"), table.result("trainyard-out"));
}

#[test]
fn the_content_key_covers_the_folds_and_the_model_does_not() {
    let table = Table::new();
    let key = || table.trained(&["--content-key"]).stdout;
    let digest = || {
        read_json(&table.path("trainyard-out/model/model.json"))["origin"]["config_digest"].clone()
    };
    let before = key();
    table.trained(&[]);
    let of_model = digest();
    let config = fs::read_to_string(table.path("trainyard.toml")).unwrap();
    let other = config.replace("n_splits = 3", "n_splits = 2");
    fs::write(table.path("trainyard.toml"), &other).unwrap();
    assert_ne!(key(), before);
    let said = table.trained(&[]);
    said.has_error("nothing to train");
    said.has_error("fold 2 of 2: ");
    assert_eq!(digest(), of_model);

    // Without the section, the earlier result is no result.
    let without = other.replace("[evaluate.cross_validation]\nn_splits = 2\n", "");
    assert_ne!(without, other);
    fs::write(table.path("trainyard.toml"), without).unwrap();
    table.trained(&[]);
    assert!(!is_there(
        &table.path("trainyard-out/cross-validation"),
        "json"
    ));

    let too_many = other.replace("n_splits = 2", "n_splits = 400");
    fs::write(table.path("trainyard.toml"), too_many).unwrap();
    Said::of(&mut table.train(&[]), 4).has_error("331 rows are too few for `n_splits = 400`");
}

/// Ended by SIGTERM after the first fold: the model is there, and the next run goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_cross_validation_goes_on_after_its_last_fold() {
    let table = Table::new();
    // Some tenths of a second a fold, so that the signal comes before the end.
    let config = fs::read_to_string(table.path("trainyard.toml")).unwrap();
    let config = config
        .replace("epochs = 40", "epochs = 800")
        .replace("patience = 30", "patience = 800");
    fs::write(table.path("trainyard.toml"), config).unwrap();
    table.trained(&["--out", "whole"]);
    fs::create_dir(table.path("trainyard-out")).unwrap();
    fs::rename(table.path("whole/model"), table.path("trainyard-out/model")).unwrap();
    let kept = table.path("trainyard-out/checkpoint/folds");
    let mut process = table.train(&[]).stderr(Stdio::piped()).spawn().unwrap();
    while !is_there(&kept, "json") && process.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Command::new("kill")
        .args(["-TERM", &process.id().to_string()])
        .status()
        .unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(table.path("trainyard-out/model/model.json").exists());
    assert!(!is_there(
        &table.path("trainyard-out/cross-validation"),
        "json"
    ));

    let said = table.trained(&[]);
    said.has_error("nothing to train");
    said.has_error("fold 1 of 3: kept from an earlier run");
    assert_eq!(table.result("trainyard-out"), table.result("whole"));
    assert!(!kept.exists());
}

/// By hand: the mean of the squared errors of each fold's rows, and the mean over the folds, each counted alike.
#[test]
fn evaluate_and_gate_judge_the_mean_over_the_folds() {
    let table = Table::new();
    table.trained(&[]);
    let config = fs::read_to_string(table.path("trainyard.toml")).unwrap();
    let rule = "\n[[gate.rules]]\nmetric = \"mse\"\nfold = \"mean\"\nmax = 100.0\nconfidence = 0.9\nlevel = \"warn\"\n";
    fs::write(table.path("trainyard.toml"), config + rule).unwrap();
    let run = |name: &str| {
        let mut command = stage(name);
        Said::of(command.current_dir(table.folder.path()), 0)
    };
    run("evaluate").has_output("Mean of 3 folds");
    let evaluation = read_json(&table.path("trainyard-out/evaluation/evaluation.json"));
    assert_eq!(evaluation["folds"]["of_training_rows"], true);
    assert_eq!(evaluation["folds"]["folds"][0]["n_train"], 220);
    let bytes = fs::read(table.path("trainyard-out/cross-validation/predictions.npz")).unwrap();
    let arrays = read_npz(&bytes).unwrap();
    let numbers = |name: &str| arrays[name].to_f64().unwrap();
    let (labels, predicted, folds) = (numbers("label"), numbers("predicted"), numbers("fold"));
    let mse = |fold: f64| {
        let of_fold = |row: &usize| folds[*row] == fold;
        let rows: Vec<usize> = (0..labels.len()).filter(of_fold).collect();
        let squares = rows
            .iter()
            .map(|&row| (predicted[row] - labels[row]).powi(2));
        squares.sum::<f64>() / rows.len() as f64
    };
    let expected = (mse(0.0) + mse(1.0) + mse(2.0)) / 3.0;
    run("gate").has_output("mse, mean of the folds");
    let verdict = read_json(&table.path("trainyard-out/verdict/verdict.json"));
    let rules = verdict["rules"].as_array().unwrap();
    let measured = &rules.last().unwrap()["comparison"]["measured"];
    let value = measured["value"].as_f64().unwrap();
    assert!(
        (value - expected).abs() < 1e-9 * expected,
        "{value} is not {expected}"
    );
    assert_eq!(measured["interval"]["method"], "corrected_resampled_t");

    // Without what training left, nothing is judged in its place.
    fs::remove_dir_all(table.path("trainyard-out/cross-validation")).unwrap();
    let mut command = stage("evaluate");
    Said::of(command.current_dir(table.folder.path()), 4)
        .has_error("run `trainyard-train`, which cross-validates");
}
