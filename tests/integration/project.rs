//! A user's project made from the MNIST example: the same network and files, fewer rows and epochs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{output, repository, stage};

/// A folder with `trainyard.toml`, whose data are those of the example.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// The example's configuration on 4,000 rows and one epoch, scored on 1,000 rows.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Self { folder };
        let example = repository().join("examples/mnist");
        let config = fs::read_to_string(example.join("trainyard.toml")).unwrap();
        let data = example.join("data");
        let config = config
            .replace("\"data/", &format!("\"{}/", data.display()))
            .replace(
                "[data]\n",
                "[data]\nmax_train_rows = 4000\nmax_test_rows = 1000\n",
            )
            .replace("epochs = 10", "epochs = 1")
            .replace("min = 0.98", "min = 0.5")
            .replace("max = 0.08", "max = 1.5")
            .replace("min = 0.95", "min = 0.1");
        project.write("trainyard.toml", &config);
        project
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces text in the configuration.
    #[track_caller]
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let config = fs::read_to_string(self.path("trainyard.toml")).unwrap();
        assert!(config.contains(from), "`{from}` is not in\n{config}");
        self.write("trainyard.toml", config.replace(from, to));
    }

    /// The configuration without any rule.
    pub(crate) fn remove_rules(&self) {
        let config = fs::read_to_string(self.path("trainyard.toml")).unwrap();
        let (before, rest) = config.split_once("# Judged by").unwrap();
        let (_, after) = rest.split_once("[image]").unwrap();
        self.write("trainyard.toml", format!("{before}[image]{after}"));
    }

    /// The stage's command in this folder.
    pub(crate) fn stage(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = stage(name);
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs a stage to its end and returns what it said; `code` is the exit code that it must have.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, arguments: &[&str], code: i32) -> Said {
        Said::of(&mut self.stage(name, arguments), code)
    }

    /// Trains and evaluates.
    #[track_caller]
    pub(crate) fn scored() -> Self {
        let project = Self::new();
        project.run("train", &[], 0);
        project.run("evaluate", &[], 0);
        project
    }

    /// Trains, evaluates and passes the gate.
    #[track_caller]
    pub(crate) fn passed() -> Self {
        let project = Self::scored();
        project.run("gate", &[], 0);
        project
    }

    #[track_caller]
    pub(crate) fn json(&self, relative: &str) -> Value {
        read_json(&self.path("trainyard-out").join(relative))
    }
}

#[track_caller]
pub(crate) fn read_json(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a program wrote.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn of(command: &mut Command, code: i32) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = output(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = Self {
            stdout: text(&stdout),
            stderr: text(&stderr),
        };
        assert_eq!(
            status.code(),
            Some(code),
            "{command:?}\n{}\n{}",
            said.stdout,
            said.stderr
        );
        said
    }

    #[track_caller]
    pub(crate) fn has_error(&self, expected: &str) {
        assert!(
            self.stderr.contains(expected),
            "`{expected}` is not in\n{}",
            self.stderr
        );
    }

    #[track_caller]
    pub(crate) fn has_output(&self, expected: &str) {
        assert!(
            self.stdout.contains(expected),
            "`{expected}` is not in\n{}",
            self.stdout
        );
    }
}
