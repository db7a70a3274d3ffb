//! The other examples, beside scikit-learn on the same split.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use trainyard_core::digest::Sha256Digest;

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

/// Python's own server is the peer; it knows no ranges, so a whole file comes each time.
#[test]
fn data_are_downloaded_once_and_then_need_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let example = repository().join("examples/diabetes");
    let mut server = Command::new("python3")
        .args([
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(example.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split_once("(http:")
        .unwrap()
        .1
        .split_once("/)")
        .unwrap()
        .0;
    let mut config = std::fs::read_to_string(example.join("trainyard.toml")).unwrap();
    for name in ["train", "test"] {
        let path = format!("\"data/{name}.csv\"");
        assert!(config.contains(&path), "{config}");
        let digest = Sha256Digest::of_file(&example.join(format!("data/{name}.csv"))).unwrap();
        let source = format!(
            "{{ url = \"http:{address}/{name}.csv\", sha256 = \"{}\" }}",
            digest.hex()
        );
        config = config.replace(&path, &source);
    }
    let file = folder.path().join("trainyard.toml");
    std::fs::write(&file, config).unwrap();
    let stage = |name: &str, code: i32| {
        let mut command = stage(name);
        command.current_dir(folder.path());
        command.env("TRAINYARD_CACHE", folder.path().join("cache"));
        Said::of(&mut command, code)
    };
    let said = stage("train", 0);
    assert!(
        said.stderr.contains("/train.csv`, 0.0 MB"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("10 features: age (number)"),
        "{}",
        said.stderr
    );
    stage("evaluate", 0);
    server.kill().unwrap();
    server.wait().unwrap();
    // All is there, so nobody is asked.
    let said = stage("train", 0);
    assert!(said.stderr.contains("nothing to train"), "{}", said.stderr);
    stage("evaluate", 0);
    std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let said = stage("evaluate", 5);
    assert!(
        said.stderr.contains("cannot download `http://127.0.0.1:"),
        "{}",
        said.stderr
    );
}
