//! `actions/support/run.sh`: where it looks for a binary, in which order, and what it refuses to run.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{output, repository, run};

/// An action's tree as a runner checks it out, with a tool cache and a place for releases beside it.
pub(crate) struct Runner {
    folder: TempDir,
}

impl Runner {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let support = folder.path().join("suite/actions/support");
        fs::create_dir_all(&support).unwrap();
        fs::copy(
            repository().join("actions/support/run.sh"),
            support.join("run.sh"),
        )
        .unwrap();
        fs::write(support.join("checksums.json"), "{}\n").unwrap();
        fs::write(
            folder.path().join("suite/Cargo.toml"),
            "[workspace.package]\nversion = \"1.2.3\"\n",
        )
        .unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Runs `run.sh train`; a stand-in cargo says that it was asked to build, and fails.
    fn train(&self, environment: &[(&str, &Path)]) -> Output {
        output(self.command().envs(environment.iter().copied()))
    }

    /// `run.sh train` as [`Self::train`] runs it.
    pub(crate) fn command(&self) -> Command {
        self.stage("train")
    }

    /// `run.sh` for that stage.
    fn stage(&self, stage: &str) -> Command {
        let cargo = self.path("bin/cargo");
        write_program(&cargo, "echo \"cargo $*\"; exit 101");
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.path("bin").display()
        );
        let releases = format!("file://{}", self.path("releases").display());
        let mut script = Command::new(self.path("suite/actions/support/run.sh"));
        script
            .arg(stage)
            .env_clear()
            .env("PATH", path)
            .env("INPUT_CONFIG", "model a/trainyard.toml")
            .env("TRAINYARD_RELEASES", releases)
            .env("RUNNER_TOOL_CACHE", self.path("tools"));
        script
    }

    /// Lays down a release whose `trainyard-train` prints `answer`, and returns its sha256.
    pub(crate) fn release(&self, answer: &str) -> String {
        let program = self.unpacked_release().join("trainyard-train");
        write_program(&program, &format!("echo \"{answer} $INPUT_CONFIG\""));
        self.pack_release()
    }

    /// What [`Self::pack_release`] packs.
    pub(crate) fn unpacked_release(&self) -> PathBuf {
        let folder = self.path("unpacked").join(release_name());
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Lays down the archive of a release, as `cargo xtask dist` names it, and returns its sha256.
    pub(crate) fn pack_release(&self) -> String {
        let archive = self.archive();
        fs::create_dir_all(archive.parent().unwrap()).unwrap();
        run(Command::new("tar")
            .arg("-czf")
            .arg(&archive)
            .arg("-C")
            .arg(self.path("unpacked"))
            .arg(release_name()));
        run(Command::new("sha256sum").arg(&archive))
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    }

    /// Where the archive of the release lies.
    pub(crate) fn archive(&self) -> PathBuf {
        let name = format!("{}.tar.gz", release_name());
        self.path("releases/v1.2.3").join(name)
    }

    /// Records the release as `cargo xtask dist` does; a unit test of it holds the two together.
    pub(crate) fn record(&self, sha256: &str) {
        let entry = |target: &str, name: &str, sha256: &str| {
            format!("    \"{target}\": {{ \"file\": \"{name}.tar.gz\", \"sha256\": \"{sha256}\" }}")
        };
        let older = entry(&target(), "older", &"0".repeat(64));
        let other = entry("sparc-sun-solaris", "other", &"1".repeat(64));
        let this = entry(&target(), &release_name(), sha256);
        let text = format!(
            "{{\n  \"1.2.2\": {{\n{older}\n  }},\n  \"1.2.3\": {{\n{other},\n{this}\n  }}\n}}\n"
        );
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        fs::write(self.path("suite/actions/support/checksums.json"), text).unwrap();
    }

    /// What is in the tool cache for this version.
    pub(crate) fn tool_cache(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.path("tools/trainyard/1.2.3"));
        let entries = folder.into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn release_name() -> String {
    format!("trainyard-1.2.3-{}", target())
}

pub(crate) fn target() -> String {
    let version = run(Command::new("rustc").arg("-vV"));
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap()
        .replace("-musl", "-gnu")
}

fn write_program(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_named_folder_comes_first_and_inputs_arrive_with_their_blanks() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    let bin = runner.path("built here");
    write_program(
        &bin.join("trainyard-train"),
        "echo \"named $# $INPUT_CONFIG\"; exit 3",
    );
    let output = runner.train(&[("TRAINYARD_BIN", &bin)]);
    assert_eq!(stdout(&output), "named 0 model a/trainyard.toml\n");
    assert_eq!(
        output.status.code(),
        Some(3),
        "the stage's exit code is the step's"
    );
    let found = "running trainyard-train 1.2.3 from TRAINYARD_BIN, found in ";
    assert!(stderr(&output).contains(found), "{}", stderr(&output));
}

#[test]
fn a_named_folder_without_the_binary_is_a_usage_error() {
    let runner = Runner::new();
    let output = runner.train(&[("TRAINYARD_BIN", &runner.path("nowhere"))]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stdout(&output).contains("there is no trainyard-train in it"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_recorded_release_is_downloaded_once_and_then_found_in_the_tool_cache() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    let first = runner.train(&[]);
    assert_eq!(
        stdout(&first),
        "released model a/trainyard.toml\n",
        "{first:?}"
    );
    fs::remove_dir_all(runner.path("releases")).unwrap();
    let second = runner.train(&[]);
    assert_eq!(
        stdout(&second),
        "released model a/trainyard.toml\n",
        "{second:?}"
    );
    assert_eq!(
        runner.tool_cache().len(),
        1,
        "only the finished folder stays in the tool cache"
    );
}

/// A cache is written by other jobs too, and may be cut off.
#[test]
fn a_damaged_program_in_the_tool_cache_is_fetched_again() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    runner.train(&[]);
    let cached = runner
        .path("tools/trainyard/1.2.3")
        .join(target())
        .join("trainyard-train");
    write_program(&cached, "echo damaged");
    let output = runner.train(&[]);
    assert_eq!(stdout(&output), "released model a/trainyard.toml\n");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&cached, mode).unwrap();
    let output = runner.train(&[]);
    assert_eq!(stdout(&output), "released model a/trainyard.toml\n");
}

/// What replaced the damaged file in the meantime may be running: it is neither deleted nor replaced once more.
#[test]
fn what_another_job_mended_is_left_alone() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    runner.train(&[]);
    let folder = runner.path("tools/trainyard/1.2.3").join(target());
    let cached = folder.join("trainyard-train");
    let mended = runner.path("mended");
    fs::rename(&cached, &mended).unwrap();
    let inode = fs::metadata(&mended).unwrap().ino();
    write_program(&cached, "echo damaged");
    // The other job is quicker by the time of the download.
    write_program(
        &runner.path("bin/curl"),
        &format!(
            "mv '{}' '{}' || exit 1; exec /usr/bin/curl \"$@\"",
            mended.display(),
            cached.display()
        ),
    );
    let output = runner.train(&[]);
    assert_eq!(stdout(&output), "released model a/trainyard.toml\n");
    let said = stderr(&output);
    assert!(
        said.contains("/trainyard-train is damaged, so it is replaced"),
        "{said}"
    );
    assert_eq!(fs::metadata(&cached).unwrap().ino(), inode);
    assert_eq!(runner.tool_cache(), [folder]);
}

/// The image's server is the other half of what `publish-image` runs.
#[test]
fn a_damaged_server_in_the_tool_cache_is_replaced_before_it_is_packed() {
    let runner = Runner::new();
    let program = |name: &str, body: &str| {
        write_program(&runner.unpacked_release().join(name), body);
    };
    program(
        "trainyard-publish-image",
        "exec \"$(dirname \"$0\")/trainyard-serve\"",
    );
    program("trainyard-serve", "echo released");
    runner.record(&runner.pack_release());
    let answer = || stdout(&output(&mut runner.stage("publish-image")));
    assert_eq!(answer(), "released\n");
    let folder = runner.path("tools/trainyard/1.2.3").join(target());
    write_program(&folder.join("trainyard-serve"), "echo damaged");
    assert_eq!(answer(), "released\n");
    for file in ["trainyard-serve", "trainyard-serve.sha256"] {
        fs::remove_file(folder.join(file)).unwrap();
    }
    assert_eq!(answer(), "released\n");
}

#[test]
fn a_replaced_release_is_refused() {
    let runner = Runner::new();
    let sha256 = runner.release("released");
    runner.record(&sha256);
    runner.release("replaced");
    let output = runner.train(&[]);
    assert_eq!(output.status.code(), Some(5));
    assert!(
        stdout(&output).contains(&format!("was released with {sha256}")),
        "{}",
        stdout(&output)
    );
    assert!(!runner.path("tools/trainyard/1.2.3").join(target()).exists());
}

#[test]
fn a_release_without_a_recorded_digest_is_not_run_and_the_tree_is_built_instead() {
    let runner = Runner::new();
    runner.release("released");
    let output = runner.train(&[]);
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    assert!(
        stdout(&output).starts_with("cargo build --release --locked"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains("--package trainyard-train"),
        "{}",
        stdout(&output)
    );
    let reason = format!("no release of version 1.2.3 for {} is recorded", target());
    assert!(stderr(&output).contains(&reason), "{}", stderr(&output));
}

#[test]
fn a_release_that_cannot_be_had_is_built() {
    let runner = Runner::new();
    runner.record(&"2".repeat(64));
    let output = runner.train(&[]);
    assert!(stdout(&output).starts_with("cargo build"), "{output:?}");
    let reason = "cannot be downloaded";
    assert!(stderr(&output).contains(reason), "{}", stderr(&output));
}

/// A build takes minutes, and a fresh runner has nothing but what a workflow's cache gives it.
#[test]
fn a_build_of_the_very_tree_is_kept_and_found_again() {
    let runner = Runner::new();
    let builds = runner.path("builds");
    let key = |runner: &Runner| {
        let mut script = Command::new(runner.path("suite/actions/support/run.sh"));
        let said = run(script
            .arg("key")
            .env_remove("GITHUB_OUTPUT")
            .env_remove("TRAINYARD_BIN"));
        said.trim().strip_prefix("key=").unwrap().to_owned()
    };
    let before = key(&runner);
    assert!(before.starts_with(&target()), "{before}");
    // A cargo that builds.
    let built = runner.path("suite/target").join(target()).join("release");
    fs::create_dir_all(&built).unwrap();
    write_program(&built.join("trainyard-train"), "echo built");
    let answer = |environment: &[(&str, &Path)]| stdout(&runner.train(environment));
    write_program(&runner.path("cargo-that-builds/cargo"), "exit 0");
    let path = format!(
        "{}:/usr/bin:/bin",
        runner.path("cargo-that-builds").display()
    );
    let environment = [
        ("TRAINYARD_BUILDS", builds.as_path()),
        ("PATH", Path::new(&path)),
    ];
    assert_eq!(answer(&environment), "built\n");
    let kept = builds.join(&before).join("trainyard-train");
    assert!(kept.is_file(), "{}", kept.display());
    // The next runner has no build folder, and its cargo would fail.
    fs::remove_dir_all(runner.path("suite/target")).unwrap();
    assert_eq!(answer(&[("TRAINYARD_BUILDS", &builds)]), "built\n");
    // A changed program is not run, nor is the build of another tree.
    write_program(&kept, "echo changed");
    assert!(answer(&[("TRAINYARD_BUILDS", &builds)]).starts_with("cargo build"));
    fs::create_dir_all(runner.path("suite/crates")).unwrap();
    fs::write(runner.path("suite/crates/x.rs"), "").unwrap();
    assert_ne!(key(&runner), before);
    // Where a release can be downloaded, nothing is to be cached.
    runner.record(&"0".repeat(64));
    assert_eq!(key(&runner), "");
}

#[test]
fn an_unknown_stage_is_a_usage_error() {
    let mut script = Command::new(repository().join("actions/support/run.sh"));
    let output = output(script.arg("tarin"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("usage: run.sh train|evaluate|gate|publish-image"));
}
