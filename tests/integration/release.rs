//! `.ci/release`, which `.github/workflows/release.yml` runs step by step: with git for real, and a stand-in for `gh`
//! that writes down what it was asked.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{output, repository, run};

/// What the stand-in does: CI passed `$PASSED` times, and the release is a draft, or published, as `$IS_DRAFT` says.
const GH: &str = r#"#!/bin/sh
echo "$*" >> "$GH_LOG"
case "$1 $2" in
  "api --method") echo "$PASSED" ;;
  "release view") [ -n "$IS_DRAFT" ] || exit 1; echo "$IS_DRAFT" ;;
  "release create") cat > "$GH_LOG.notes" ;;
esac
"#;

/// A checkout of the commit to release, and the repository on GitHub that it is of.
struct Checkout {
    folder: TempDir,
}

impl Checkout {
    fn new(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Self { folder };
        let root = checkout.path("checkout");
        fs::create_dir_all(root.join(".ci")).unwrap();
        fs::create_dir_all(root.join("actions/support")).unwrap();
        fs::copy(repository().join(".ci/release"), root.join(".ci/release")).unwrap();
        fs::write(root.join("actions/support/checksums.json"), "{}\n").unwrap();
        let manifest = format!("[workspace.package]\nversion = \"{version}\"\n");
        fs::write(root.join("Cargo.toml"), manifest).unwrap();
        let changes = format!("# Changes\n\n## {version}\n\n- New.\n\n## 0.0.1\n\n- Old.\n");
        fs::write(root.join("CHANGELOG.md"), changes).unwrap();
        fs::create_dir_all(checkout.path("bin")).unwrap();
        let gh = checkout.path("bin/gh");
        fs::write(&gh, GH).unwrap();
        fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();

        let origin = checkout.path("origin");
        let origin = origin.to_str().unwrap();
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout.git(&["init", "--quiet", "--bare", origin]);
        checkout.git(&["remote", "add", "origin", origin]);
        checkout.git(&["add", "."]);
        checkout.git(&["commit", "--quiet", "--message=The commit to release"]);
        checkout.git(&["push", "--quiet", "origin", "main"]);
        checkout
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=A", "-c", "user.email=a@example.org"]);
        git.args(arguments).current_dir(self.path("checkout"));
        run(&mut git).trim().to_owned()
    }

    /// What the ref on GitHub leads to; empty where there is none.
    fn at_origin(&self, name: &str) -> String {
        let line = self.git(&["ls-remote", "origin", name]);
        line.split('\t').next().unwrap_or_default().to_owned()
    }

    fn release(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut script = Command::new(self.path("checkout/.ci/release"));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        script
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("GITHUB_REPOSITORY", "trainyard/trainyard")
            .env("GH_LOG", self.path("gh.log"))
            .env("PASSED", "1");
        output(script.envs(variables.iter().copied()))
    }

    /// What `gh` was asked, a line each.
    fn asked(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("gh.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The folder that `cargo xtask dist` fills.
    fn distribution(&self) -> String {
        let folder = self.path("dist");
        fs::create_dir_all(&folder).unwrap();
        for file in ["a.tar.gz", "a.cdx.json", "SHA256SUMS"] {
            fs::write(folder.join(file), "").unwrap();
        }
        fs::write(folder.join("checksums.json"), "{ \"recorded\": {} }\n").unwrap();
        folder.to_str().unwrap().to_owned()
    }
}

#[track_caller]
fn assert_refused(output: &Output, reason: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said.contains("::error title=Release::") && said.contains(reason),
        "{said}"
    );
}

#[test]
fn a_commit_may_be_released_once_when_ci_has_passed_and_the_changes_are_written() {
    let checkout = Checkout::new("0.2.0");
    let accepted = checkout.release(&["check"], &[]);
    assert_eq!(
        String::from_utf8_lossy(&accepted.stdout),
        "version=0.2.0\n",
        "{accepted:?}"
    );
    let commit = checkout.git(&["rev-parse", "HEAD"]);
    let asked = checkout.asked().join("\n");
    for part in [
        format!("head_sha={commit}"),
        "branch=main".into(),
        "event=push".into(),
        "status=success".into(),
    ] {
        assert!(asked.contains(&format!("-f {part}")), "{asked}");
    }

    assert_refused(
        &checkout.release(&["check"], &[("PASSED", "0")]),
        "CI has not passed",
    );
    checkout.git(&["push", "--quiet", "origin", "HEAD:refs/tags/v0.2.0"]);
    assert_refused(
        &checkout.release(&["check"], &[]),
        "v0.2.0 is there already",
    );

    let silent = Checkout::new("0.2.0");
    fs::write(
        silent.path("checkout/CHANGELOG.md"),
        "# Changes\n\n## 0.2.0-rc.1\n\n- New.\n",
    )
    .unwrap();
    let rename = "rename its line '## Unreleased' to '## 0.2.0'";
    assert_refused(&silent.release(&["check"], &[]), rename);
    let left = "# Changes\n\n## Unreleased\n\n- Newer.\n\n## 0.2.0 - 2026-12-01\n\n- New.\n";
    fs::write(silent.path("checkout/CHANGELOG.md"), left).unwrap();
    let forgotten = "changes below '## Unreleased'";
    assert_refused(&silent.release(&["check"], &[]), forgotten);
    let dated = left.replace("- Newer.\n", "");
    fs::write(silent.path("checkout/CHANGELOG.md"), dated).unwrap();
    assert!(silent.release(&["check"], &[]).status.success());
    assert_refused(
        &Checkout::new("2.0.0").release(&["check"], &[]),
        "guides name v1",
    );
    assert_refused(&silent.release(&["publish"], &[]), "usage");
}

#[test]
fn the_tagged_tree_has_the_digests_and_main_has_not() {
    let checkout = Checkout::new("0.2.0");
    let main = checkout.git(&["rev-parse", "HEAD"]);
    let published = checkout.release(&["publish", &checkout.distribution()], &[]);
    assert!(published.status.success(), "{published:?}");

    let tagged = checkout.at_origin("refs/tags/v0.2.0");
    let recorded = checkout.git(&["show", &format!("{tagged}:actions/support/checksums.json")]);
    assert_eq!(recorded, "{ \"recorded\": {} }");
    let changed = checkout.git(&["diff", "--name-only", &main, &tagged]);
    assert_eq!(changed, "actions/support/checksums.json");
    assert_eq!(checkout.at_origin("refs/heads/main"), main);
    assert_eq!(
        checkout.at_origin("refs/tags/v1"),
        "",
        "it moves after a first use"
    );

    let asked = checkout.asked();
    let create = &asked[1];
    assert!(
        create.starts_with("release create v0.2.0 --draft --prerelease=false"),
        "{asked:?}"
    );
    for file in ["/a.tar.gz", "/a.cdx.json", "/SHA256SUMS"] {
        assert!(create.contains(file), "{create}");
    }
    assert_eq!(asked[2..], ["release edit v0.2.0 --draft=false"]);
    let notes = fs::read_to_string(checkout.path("gh.log.notes")).unwrap();
    assert_eq!(notes.trim(), "- New.");

    let moved = checkout.release(&["move"], &[]);
    assert!(moved.status.success(), "{moved:?}");
    assert_eq!(checkout.at_origin("refs/tags/v1"), tagged);
}

#[test]
fn a_prerelease_says_so_and_does_not_move_v1() {
    let checkout = Checkout::new("1.0.0-rc.1");
    let published = checkout.release(&["publish", &checkout.distribution()], &[]);
    assert!(published.status.success(), "{published:?}");
    assert!(
        checkout.asked()[1].contains("--prerelease=true"),
        "{:?}",
        checkout.asked()
    );
    assert!(checkout.release(&["move"], &[]).status.success());
    assert_eq!(checkout.at_origin("refs/tags/v1"), "");
}

/// Of a run that broke off, the draft is made again; what is published is left alone.
#[test]
fn a_draft_is_replaced_and_a_published_release_is_not() {
    let checkout = Checkout::new("0.2.0");
    let distribution = checkout.distribution();
    let refused = checkout.release(&["publish", &distribution], &[("IS_DRAFT", "false")]);
    assert_refused(&refused, "v0.2.0 is published already");
    assert_eq!(checkout.at_origin("refs/tags/v0.2.0"), "");
    let replaced = checkout.release(&["publish", &distribution], &[("IS_DRAFT", "true")]);
    assert!(replaced.status.success(), "{replaced:?}");
    assert!(
        checkout
            .asked()
            .contains(&"release delete v0.2.0 --yes".to_owned())
    );
}

#[test]
fn the_workflow_runs_every_step_and_no_other() {
    let workflow = repository().join(".github/workflows/release.yml");
    let workflow = fs::read_to_string(workflow).unwrap();
    let steps = workflow.lines().filter(|line| line.contains("run: "));
    let steps = steps.filter_map(|line| line.split(".ci/release ").nth(1));
    assert_eq!(steps.collect::<Vec<_>>(), ["check", "publish dist", "move"]);
}
