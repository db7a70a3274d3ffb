//! Finding the repository and running third-party programs, for the tests of this binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root folder.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Files that git knows or would add, relative to the repository's root.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository());
    run(&mut git)
        .lines()
        .map(PathBuf::from)
        .filter(|path| repository().join(path).is_file())
        .collect()
}

/// The folder of the binaries that `cargo xtask test` built.
pub(crate) fn binaries() -> PathBuf {
    let folder = env::var_os("TRAINYARD_BIN")
        .expect("run `cargo xtask test`, which builds the binaries first");
    PathBuf::from(folder)
}

/// A stage's binary, with no trace of the CI system that may run these tests.
pub(crate) fn stage(name: &str) -> Command {
    let mut command = Command::new(binaries().join(format!("trainyard-{name}")));
    let of_ci = [
        "GITHUB_",
        "RUNNER_",
        "INPUT_",
        "TRAINYARD_",
        "JENKINS_",
        "TRAVIS",
        "GITLAB_",
        "CI_",
    ];
    for (variable, _) in env::vars() {
        let is_of_ci = of_ci.iter().any(|prefix| variable.starts_with(prefix));
        if is_of_ci || ["CI", "NO_COLOR", "SOURCE_DATE_EPOCH"].contains(&&*variable) {
            command.env_remove(variable);
        }
    }
    command
}

/// Runs `command` to success and returns its standard output.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = output(command);
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{stdout}\n{stderr}"
    );
    stdout
}

/// Runs `command` to its end, whatever that is.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}"))
}
