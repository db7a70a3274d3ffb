//! Every workflow, action and shell script of the repository, before the linters that its readers would use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::program;
use crate::guides;
use crate::support::{files, repository, run};

fn workflows() -> Vec<PathBuf> {
    let is_workflow = |path: &PathBuf| {
        path.parent()
            .is_some_and(|folder| folder.ends_with(".github/workflows"))
            && path.extension().is_some_and(|extension| extension == "yml")
    };
    let found: Vec<_> = files().into_iter().filter(is_workflow).collect();
    assert!(
        found.len() >= 2,
        "our own workflow and the example's should be among {found:?}"
    );
    found
}

fn actions() -> Vec<PathBuf> {
    let found: Vec<_> = files()
        .into_iter()
        .filter(|path| path.ends_with("action.yml"))
        .collect();
    assert!(
        found.len() >= 5,
        "the root action and four stages should be among {found:?}"
    );
    found
}

fn in_repository(name: &str) -> Command {
    let mut command = program(name);
    command.current_dir(repository());
    command
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    run(in_repository("actionlint")
        .args(["-no-color"])
        .args(workflows()));
}

/// A git repository that holds our actions as local ones: actionlint knows the inputs and outputs of those only.
fn project_with_our_actions() -> TempDir {
    let project = tempfile::tempdir().unwrap();
    run(Command::new("git")
        .args(["init", "--quiet"])
        .arg(project.path()));
    for action in actions() {
        copy(
            &repository().join(&action),
            &project.path().join("suite").join(&action),
        );
    }
    let reusable = repository().join(".github/workflows/model.yml");
    let reusable = with_local_actions(&fs::read_to_string(reusable).unwrap());
    write(&project, "model.yml", &reusable);
    project
}

/// The workflow with our actions as local ones.
fn with_local_actions(workflow: &str) -> String {
    workflow
        .replace("trainyard/trainyard/.github/", "./.github/")
        .replace("trainyard/trainyard/", "./suite/")
        .replace("trainyard/trainyard@v1", "./suite")
        .replace("@v1\n", "\n")
}

/// Writes a workflow of the project.
fn write(project: &TempDir, name: &str, workflow: &str) -> PathBuf {
    let path = project.path().join(".github/workflows").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, workflow).unwrap();
    path
}

fn actionlint(project: &TempDir, workflows: &[PathBuf]) {
    run(program("actionlint")
        .arg("-no-color")
        .args(workflows)
        .current_dir(project.path()));
}

#[test]
fn the_example_uses_inputs_and_outputs_that_our_actions_have() {
    let project = project_with_our_actions();
    let examples = repository().join("examples/mnist/.github/workflows");
    for name in [
        "trainyard.yml",
        "trainyard-forks.yml",
        "trainyard-override.yml",
        "trainyard-re-evaluate.yml",
    ] {
        let workflow = fs::read_to_string(examples.join(name)).unwrap();
        let local = with_local_actions(&workflow);
        assert!(local.contains("uses: ./suite/actions/gate\n"), "{local}");
        actionlint(&project, &[write(&project, name, &local)]);
    }
}

#[test]
fn the_guides_use_inputs_and_outputs_that_our_actions_have() {
    let project = project_with_our_actions();
    let shown: Vec<_> = guides::workflows()
        .iter()
        .map(|block| {
            let local = with_local_actions(&block.text);
            write(&project, &block.file_name(), &local)
        })
        .collect();
    assert!(shown.len() >= 10, "{shown:?}");
    actionlint(&project, &shown);
    run(in_repository("check-jsonschema")
        .args(["--builtin-schema", "vendor.github-workflows"])
        .args(shown));
}

#[test]
fn zizmor_finds_nothing_that_applies() {
    let mut zizmor = in_repository("zizmor");
    zizmor.args([
        "--offline",
        "--no-progress",
        "--persona",
        "auditor",
        "--strict-collection",
    ]);
    zizmor.args(["--config", ".github/zizmor.yml", "."]);
    // Given a folder, it looks for workflows in that folder's own `.github` alone.
    zizmor.args(
        workflows()
            .into_iter()
            .filter(|path| path.starts_with("examples")),
    );
    run(&mut zizmor);
}

#[test]
fn what_other_systems_read_fits_their_schemas() {
    for (schema, files) in [
        ("vendor.github-workflows", workflows()),
        ("vendor.github-actions", actions()),
        (
            "vendor.dependabot",
            vec![PathBuf::from(".github/dependabot.yml")],
        ),
        (
            "vendor.travis",
            vec![PathBuf::from("examples/travis/.travis.yml")],
        ),
        (
            "vendor.gitlab-ci",
            vec![PathBuf::from("examples/gitlab/.gitlab-ci.yml")],
        ),
    ] {
        run(in_repository("check-jsonschema")
            .args(["--builtin-schema", schema])
            .args(files));
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let is_script = |path: &PathBuf| {
        let bytes = fs::read(repository().join(path)).unwrap_or_default();
        let first_line = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let first_line = String::from_utf8_lossy(first_line);
        first_line.starts_with("#!")
            && (first_line.ends_with("bash") || first_line.ends_with("/sh"))
    };
    let scripts: Vec<_> = files().into_iter().filter(is_script).collect();
    assert!(
        scripts.contains(&PathBuf::from("actions/support/run.sh")),
        "{scripts:?}"
    );
    assert!(scripts.contains(&PathBuf::from(".ci/run")), "{scripts:?}");
    run(in_repository("shellcheck").args(scripts));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
