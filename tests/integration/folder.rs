//! A folder in which stages run on files that a test writes.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::project::{Said, read_json};
use crate::support::stage;

pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            folder.write(name, content);
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Runs a stage to its end and returns what it said; `code` is the exit code that it must have.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, arguments: &[&str], code: i32) -> Said {
        let mut command = stage(name);
        command.args(arguments).current_dir(self.0.path());
        Said::of(&mut command, code)
    }

    /// Scores the predictions in `file`, with the output in the folder `out`.
    #[track_caller]
    pub(crate) fn evaluate(&self, file: &str, out: &str) -> Said {
        self.run("evaluate", &["--predictions", file, "--out", out], 0)
    }

    /// The JSON at `name`, relative to the folder.
    #[track_caller]
    pub(crate) fn json(&self, name: &str) -> Value {
        read_json(&self.path(name))
    }

    /// The text at `name`, relative to the folder.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}
