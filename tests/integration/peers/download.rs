//! Downloads of data from Python's own server. It knows no ranges, so a whole file comes each time.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use trainyard_core::digest::Sha256Digest;

use super::program;
use crate::project::Said;
use crate::support::{repository, stage};

#[test]
fn data_are_downloaded_once_and_then_need_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let example = repository().join("examples/diabetes");
    let mut server = program("python")
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
    // All is there, so no server is asked.
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
