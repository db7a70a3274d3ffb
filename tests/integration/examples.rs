//! The other examples, beside scikit-learn on the same split.

use std::process::Command;

use crate::project::{Said, read_json};
use crate::support::{repository, stage};

fn metric(example: &str, name: &str) -> f64 {
    let out = tempfile::tempdir().unwrap();
    let config = repository()
        .join("examples")
        .join(example)
        .join("trainyard.toml");
    let run = |stage_name: &str| {
        let mut command: Command = stage(stage_name);
        Said::of(
            command
                .arg("--config")
                .arg(&config)
                .arg("--out")
                .arg(out.path()),
            0,
        )
    };
    run("train");
    run("evaluate");
    run("gate");
    read_json(&out.path().join("evaluation/metrics.json"))[name]
        .as_f64()
        .unwrap()
}

fn peer(example: &str, name: &str) -> f64 {
    let path = repository()
        .join("examples")
        .join(example)
        .join("scikit-learn.json");
    read_json(&path)[name].as_f64().unwrap()
}

#[test]
fn a_table_is_regressed_about_as_well_as_by_scikit_learn() {
    let found = metric("diabetes", "mse");
    // The test set is small: the interval of its mean squared error is a fifth of the value wide on either side.
    assert!(
        found < 1.1 * peer("diabetes", "linear_regression"),
        "{found}"
    );
    assert!(found < 1.1 * peer("diabetes", "mlp_regressor"), "{found}");
}

#[test]
fn a_folder_of_images_is_classified_better_than_by_a_logistic_regression() {
    let found = metric("digits", "accuracy");
    assert!(found >= peer("digits", "logistic_regression"), "{found}");
}
