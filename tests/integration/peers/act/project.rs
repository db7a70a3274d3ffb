//! A user's repository made from the example, and what GitHub would provide around it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Run;
use crate::github::Api;
use crate::peers::program;
use crate::support::{binaries, output, repository, run};

/// A user's repository made from the example, with everything around it that GitHub would provide.
pub(in crate::peers) struct Project {
    folder: TempDir,
}

impl Project {
    /// The example with a few rows of its data and `min_accuracy` as its rule's bound. Images go to `registry`.
    pub(in crate::peers) fn new(min_accuracy: &str, registry: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Self { folder };
        let example = repository().join("examples/mnist");

        let config = fs::read_to_string(example.join("trainyard.toml")).unwrap();
        project.write("project/trainyard.toml", &small(&config, min_accuracy));
        let workflow = fs::read_to_string(example.join(".github/workflows/trainyard.yml")).unwrap();
        let destination = "ghcr.io/${{ github.repository }}";
        assert!(workflow.contains(destination), "{workflow}");
        let workflow = workflow.replace(destination, &format!("{registry}/acme/digits"));
        project.write("project/.github/workflows/trainyard.yml", &workflow);
        let forks = ".github/workflows/trainyard-forks.yml";
        let workflow = fs::read_to_string(example.join(forks)).unwrap();
        project.write(&format!("project/{forks}"), &workflow);
        for entry in fs::read_dir(example.join("data")).unwrap() {
            let entry = entry.unwrap();
            let to = project.path("project/data").join(entry.file_name());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(entry.path(), to).unwrap();
        }
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.git(&["add", "."]);
        project.git(&["commit", "--quiet", "--message=the example"]);
        project.git(&[
            "remote",
            "add",
            "origin",
            "https://github.com/acme/digits.git",
        ]);

        project.add_suite();
        project.add_stand_ins();
        fs::create_dir(project.path("home")).unwrap();
        fs::create_dir(project.path("store")).unwrap();
        project
    }

    pub(in crate::peers) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Acme", "-c", "user.email=acme@example.com"])
            .args(arguments);
        run(git.current_dir(self.path("project")));
    }

    /// Our actions as a tag of this repository holds them.
    fn add_suite(&self) {
        for stage in ["train", "evaluate", "gate", "publish-image"] {
            let action = format!("actions/{stage}/action.yml");
            self.write(
                &format!("suite/{action}"),
                &fs::read_to_string(repository().join(&action)).unwrap(),
            );
        }
        for action in ["action.yml", "actions/support/action.yml"] {
            let text = fs::read_to_string(repository().join(action)).unwrap();
            self.write(&format!("suite/{action}"), &text);
        }
        let script = "actions/support/run.sh";
        self.write(&format!("suite/{script}"), "");
        fs::copy(repository().join(script), self.path("suite").join(script)).unwrap();
        fs::copy(
            repository().join("Cargo.toml"),
            self.path("suite/Cargo.toml"),
        )
        .unwrap();
    }

    /// GitHub's own actions talk to GitHub's services; these keep the files in the folder `store` instead.
    fn add_stand_ins(&self) {
        let keep = |kind: &str| {
            let to = format!("\"$STORE/{kind}/$NAME\"");
            format!("rm -rf {to} && mkdir -p {to} && cp -R \"$FILES/.\" {to}")
        };
        // A cache may be of several folders, one a line, of which some are not there.
        let each = |body: &str| {
            format!(
                "n=0; printf '%s\\n' \"$FILES\" | while IFS= read -r path; do
          n=$((n + 1)); kept=\"$STORE/cache/$NAME/$n\"
          {body}
        done"
            )
        };
        let restore =
            each("if [ -d \"$kept\" ]; then mkdir -p \"$path\" && cp -R \"$kept/.\" \"$path\"; fi");
        let restore = format!(
            "if [ -d \"$STORE/cache/$NAME\" ]; then
        {restore}
        echo cache-hit=true >>\"$GITHUB_OUTPUT\"
        fi"
        );
        let keep_cache = each(
            "if [ -n \"$path\" ] && [ -d \"$path\" ]; then mkdir -p \"$kept\" && cp -R \"$path/.\" \"$kept\"; fi",
        );
        let keep_cache = format!(
            "rm -rf \"$STORE/cache/$NAME\" && mkdir -p \"$STORE/cache/$NAME\"\n        {keep_cache}"
        );
        // By name, or a folder each by a pattern of names.
        let fetch = "mkdir -p \"$FILES\"
        if [ -n \"$NAME\" ]; then
          cp -R \"$STORE/artifacts/$NAME/.\" \"$FILES\"
        else
          cp -R \"$STORE\"/artifacts/$PATTERN \"$FILES\"
        fi";
        self.write(
            "stand-ins/cache/restore/action.yml",
            &stand_in("key", &restore),
        );
        self.write("stand-ins/cache/action.yml", &stand_in("key", &restore));
        self.write(
            "stand-ins/cache/save/action.yml",
            &stand_in("key", &keep_cache),
        );
        self.write(
            "stand-ins/upload-artifact/action.yml",
            &stand_in("name", &keep("artifacts")),
        );
        self.write(
            "stand-ins/download-artifact/action.yml",
            &stand_in("name", fetch),
        );
    }

    /// Every action the workflow names, as `owner/name@ref=folder`.
    fn local_repositories(&self) -> Vec<String> {
        let folder = self.path("project/.github/workflows");
        let mut workflows: String = fs::read_dir(folder)
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        // What the one-step action uses.
        workflows.push_str(&fs::read_to_string(self.path("suite/action.yml")).unwrap());
        let named = workflows
            .lines()
            .filter_map(|line| line.split_once("uses: "))
            .map(|(_, action)| action);
        let mut folders = HashMap::new();
        for action in named {
            let action = action.split_whitespace().next().unwrap();
            // A workflow of the project itself.
            let Some((path, reference)) = action.split_once('@') else {
                continue;
            };
            let mut words = path.split('/');
            let (owner, name) = (words.next().unwrap(), words.next().unwrap());
            let folder = if owner == "trainyard" {
                "suite".to_owned()
            } else {
                format!("stand-ins/{name}")
            };
            // act itself copies the files where a workflow says `actions/checkout`.
            if name != "checkout" {
                folders.insert(format!("{owner}/{name}@{reference}"), self.path(&folder));
            }
        }
        folders
            .into_iter()
            .map(|(action, folder)| format!("{action}={}", folder.display()))
            .collect()
    }

    /// Lets all that the workflow writes on GitHub go to the repository `acme/<name>` at `api_url`. act sets that variable
    /// itself, so the binaries are called through scripts that set it anew.
    pub(super) fn report_to(&self, api_url: &str, name: &str) {
        let url = format!("https://github.com/acme/{name}.git");
        let graphql_url = format!("{}/graphql", Api::Direct.address());
        self.git(&["remote", "set-url", "origin", &url]);
        for stage in ["train", "evaluate", "gate", "publish-image", "serve"] {
            let binary = format!("trainyard-{stage}");
            let script = format!(
                "#!/bin/sh\nexport GITHUB_API_URL={api_url} GITHUB_GRAPHQL_URL={graphql_url}\nexec {} \"$@\"\n",
                binaries().join(&binary).display()
            );
            self.write(&format!("bin/{binary}"), &script);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(self.path("bin").join(&binary), mode).unwrap();
        }
    }

    /// Commits, and returns the commit.
    pub(super) fn commit(&self, message: &str) -> String {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        let mut git = Command::new("git");
        git.args(["rev-parse", "HEAD"]);
        let sha = run(git.current_dir(self.path("project")));
        sha.trim().to_owned()
    }

    /// Runs the workflow for one event in an environment with nothing of this machine's in it.
    fn act(&self, event: &str, payload: &Value) -> Run {
        self.act_on("trainyard.yml", event, payload)
    }

    pub(super) fn act_on(&self, workflow: &str, event: &str, payload: &Value) -> Run {
        self.write("event.json", &payload.to_string());
        let mut act = program("act");
        act.args([event, "--json", "--no-cache-server", "-W"]);
        act.arg(format!(".github/workflows/{workflow}"));
        act.args(["-P", "ubuntu-latest=-self-hosted"])
            .arg("-e")
            .arg(self.path("event.json"));
        let reports = self.path("bin");
        if reports.exists() {
            act.args(["--env", &format!("TRAINYARD_BIN={}", reports.display())]);
            act.args(["--secret", "GITHUB_TOKEN=ghs_1234567890"]);
        } else {
            act.args(["--env", &format!("TRAINYARD_BIN={}", binaries().display())]);
        }
        act.args(["--env", &format!("STORE={}", self.path("store").display())]);
        for repository in self.local_repositories() {
            act.args(["--local-repository", &repository]);
        }
        act.env_clear()
            .env("PATH", env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"));
        let output = output(act.current_dir(self.path("project")));
        let log = String::from_utf8_lossy(&output.stdout).into_owned();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Run {
            is_green: output.status.success(),
            events,
            log,
        }
    }

    /// Puts our reusable workflow and one that calls it into the project, as the README has it.
    pub(super) fn call_reusable(&self, registry: &str) {
        let reusable = repository().join(".github/workflows/model.yml");
        self.write(
            "project/.github/workflows/model.yml",
            &fs::read_to_string(reusable).unwrap(),
        );
        let readme = fs::read_to_string(repository().join("README.md")).unwrap();
        let (_, rest) = readme.split_once("```yaml\n").unwrap();
        let (caller, _) = rest.split_once("```\n").unwrap();
        let remote = "trainyard/trainyard/.github/workflows/model.yml@v1";
        let destination = "ghcr.io/${{ github.repository }}";
        assert!(
            caller.contains(remote) && caller.contains(destination),
            "{caller}"
        );
        let caller = caller
            .replace(remote, "./.github/workflows/model.yml")
            .replace(destination, &format!("{registry}/Acme/Digits"));
        self.write("project/.github/workflows/caller.yml", &caller);
    }

    /// Puts this workflow into the project.
    pub(super) fn add_workflow(&self, name: &str, text: &str) {
        self.write(&format!("project/.github/workflows/{name}"), text);
    }

    /// Moves the project's model into two folders, as two models.
    pub(super) fn split_in_two(&self) {
        let config = fs::read_to_string(self.path("project/trainyard.toml")).unwrap();
        for name in ["digits", "prices"] {
            let config = config
                .replace("name = \"mnist\"", &format!("name = \"{name}\""))
                .replace("\"data/", "\"../data/");
            self.write(&format!("project/{name}/trainyard.toml"), &config);
        }
        fs::remove_file(self.path("project/trainyard.toml")).unwrap();
    }

    pub(in crate::peers) fn pull_request(&self) -> Run {
        let side = |name: &str| json!({"ref": name, "sha": "0".repeat(40), "repo": {"full_name": "acme/digits"}});
        let pull_request = json!({"number": 7, "head": side("feature"), "base": side("main")});
        self.act(
            "pull_request",
            &json!({"action": "opened", "number": 7, "pull_request": pull_request}),
        )
    }

    pub(super) fn tag(&self, tag: &str) -> Run {
        self.act("push", &json!({"ref": format!("refs/tags/{tag}")}))
    }

    pub(super) fn has_kept(&self, relative: &str) -> bool {
        self.path("store/artifacts").join(relative).is_file()
    }

    /// A file of an artifact, as text.
    pub(super) fn kept(&self, relative: &str) -> String {
        let path = self.path("store/artifacts").join(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file that the workflow kept as an artifact.
    pub(in crate::peers) fn artifact(&self, relative: &str) -> Value {
        serde_json::from_str(&self.kept(&format!("trainyard-out/{relative}"))).unwrap()
    }
}

/// A composite action with the inputs and outputs of those in `actions/*` that the workflow uses.
fn stand_in(name_input: &str, script: &str) -> String {
    format!(
        "name: Stand-in
description: Keeps files in a local folder
inputs:
  path: {{description: Files}}
  {name_input}: {{description: Name}}
  if-no-files-found: {{description: Ignored}}
  restore-keys: {{description: Ignored}}
  overwrite: {{description: Ignored}}
  pattern: {{description: Names}}
outputs:
  cache-hit: {{description: Whether it was there, value: '${{{{ steps.copy.outputs.cache-hit }}}}'}}
  cache-matched-key: {{description: Empty where nothing was there, value: '${{{{ steps.copy.outputs.cache-hit && inputs.key }}}}'}}
  cache-primary-key: {{description: The key, value: '${{{{ inputs.key }}}}'}}
runs:
  using: composite
  steps:
    - id: copy
      shell: bash
      env:
        FILES: ${{{{ inputs.path }}}}
        NAME: ${{{{ inputs.{name_input} }}}}
        PATTERN: ${{{{ inputs.pattern }}}}
      run: |
        {script}
"
    )
}

/// The example's configuration with fewer rows and epochs, and `min_accuracy` as every rule's lower bound.
fn small(config: &str, min_accuracy: &str) -> String {
    let mut n_changed = 0;
    let lines = config.lines().map(|line| {
        let changed = match line.split('=').next().unwrap_or_default().trim() {
            "[data]" => format!("{line}\nmax_train_rows = 4000\nmax_test_rows = 1000"),
            "epochs" => "epochs = 1".to_owned(),
            "min" => format!("min = {min_accuracy}"),
            "max" => "max = 1.5".to_owned(),
            _ => return line.to_owned(),
        };
        n_changed += 1;
        changed
    });
    let small = lines.collect::<Vec<_>>().join("\n");
    assert!(
        n_changed >= 3,
        "the example's configuration has changed its shape:\n{config}"
    );
    small
}
