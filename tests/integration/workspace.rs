//! The repository's own shape: which crate may know which, and what must not be in any file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{files, repository, run};

/// Package, and the packages of ours that it may depend on.
const EDGES: [(&str, &[&str]); 23] = [
    ("trainyard-npz", &[]),
    ("trainyard-core", &["trainyard-npz"]),
    ("trainyard-ml", &["trainyard-core", "trainyard-npz"]),
    ("trainyard-ecs", &[]),
    ("trainyard-runner", &["trainyard-core", "trainyard-ecs"]),
    ("trainyard-net", &["trainyard-core"]),
    ("trainyard-oci", &["trainyard-core", "trainyard-net"]),
    (
        "trainyard-registry",
        &["trainyard-core", "trainyard-oci", "trainyard-runner"],
    ),
    ("trainyard-attest", &["trainyard-core"]),
    (
        "trainyard-serve",
        &["trainyard-core", "trainyard-ecs", "trainyard-ml"],
    ),
    (
        "trainyard-fetch",
        &[
            "trainyard-core",
            "trainyard-ml",
            "trainyard-net",
            "trainyard-runner",
        ],
    ),
    ("trainyard-github", &["trainyard-core", "trainyard-net"]),
    ("trainyard-kubernetes", &["trainyard-core", "trainyard-net"]),
    (
        "trainyard-telemetry",
        &[
            "trainyard-core",
            "trainyard-ecs",
            "trainyard-net",
            "trainyard-runner",
        ],
    ),
    (
        "trainyard-train",
        &[
            "trainyard-core",
            "trainyard-fetch",
            "trainyard-ml",
            "trainyard-runner",
            "trainyard-telemetry",
        ],
    ),
    (
        "trainyard-evaluate",
        &[
            "trainyard-core",
            "trainyard-fetch",
            "trainyard-ml",
            "trainyard-runner",
            "trainyard-telemetry",
        ],
    ),
    (
        "trainyard-gate",
        &[
            "trainyard-core",
            "trainyard-github",
            "trainyard-oci",
            "trainyard-registry",
            "trainyard-runner",
            "trainyard-telemetry",
        ],
    ),
    (
        "trainyard-publish-image",
        &[
            "trainyard-attest",
            "trainyard-core",
            "trainyard-fetch",
            "trainyard-github",
            "trainyard-ml",
            "trainyard-net",
            "trainyard-oci",
            "trainyard-registry",
            "trainyard-runner",
        ],
    ),
    (
        "trainyard-verify",
        &[
            "trainyard-attest",
            "trainyard-core",
            "trainyard-oci",
            "trainyard-registry",
            "trainyard-runner",
        ],
    ),
    (
        "trainyard-deploy",
        &[
            "trainyard-core",
            "trainyard-github",
            "trainyard-kubernetes",
            "trainyard-oci",
            "trainyard-registry",
            "trainyard-runner",
            "trainyard-verify",
        ],
    ),
    (
        "trainyard-devtools",
        &[
            "trainyard-core",
            "trainyard-deploy",
            "trainyard-evaluate",
            "trainyard-gate",
            "trainyard-ml",
            "trainyard-publish-image",
            "trainyard-runner",
            "trainyard-telemetry",
            "trainyard-train",
            "trainyard-verify",
        ],
    ),
    ("xtask", &[]),
    (
        "trainyard-tests",
        &[
            "trainyard-attest",
            "trainyard-core",
            "trainyard-github",
            "trainyard-ml",
            "trainyard-oci",
            "trainyard-runner",
        ],
    ),
];

/// What a package must not link, not even through others.
const BANS: [(&str, &[&str]); 13] = [
    ("trainyard-core", &["tokio", "candle-core", "reqwest"]),
    (
        "trainyard-ml",
        &["tokio", "octocrab", "reqwest", "oci-client", "candle-core"],
    ),
    ("trainyard-runner", &["tokio", "candle-core", "reqwest"]),
    ("trainyard-telemetry", &["octocrab", "trainyard-ml"]),
    (
        "trainyard-attest",
        &["tokio", "reqwest", "rustls", "trainyard-ml"],
    ),
    ("trainyard-train", &["octocrab", "oci-client"]),
    (
        "trainyard-evaluate",
        &["octocrab", "oci-client", "candle-core"],
    ),
    (
        "trainyard-gate",
        &["trainyard-ml", "candle-core", "candle-nn"],
    ),
    ("trainyard-publish-image", &["candle-core", "candle-nn"]),
    (
        "trainyard-verify",
        &["octocrab", "trainyard-ml", "candle-core", "candle-nn"],
    ),
    (
        "trainyard-kubernetes",
        &["octocrab", "oci-client", "trainyard-ml"],
    ),
    (
        "trainyard-deploy",
        &["trainyard-ml", "candle-core", "candle-nn"],
    ),
    (
        "trainyard-serve",
        &["reqwest", "oci-client", "candle-core", "candle-nn"],
    ),
];

fn host() -> String {
    let version = run(Command::new("rustc").arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    // Without it, cargo would fetch what only other platforms need.
    cargo.arg("--filter-platform").arg(host());
    serde_json::from_str(&run(cargo.current_dir(repository()))).unwrap()
}

#[test]
fn a_crate_depends_only_on_those_before_it() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: Vec<&Value> = packages
        .iter()
        .filter(|package| members.contains(package["id"].as_str().unwrap()))
        .collect();
    let names: BTreeSet<&str> = ours
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    assert_eq!(
        names,
        EDGES.iter().map(|(name, _)| *name).collect(),
        "each package has its line in EDGES"
    );
    for package in ours {
        let name = package["name"].as_str().unwrap();
        let found: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|dependency| names.contains(dependency))
            .collect();
        let (_, allowed) = EDGES.iter().find(|(package, _)| *package == name).unwrap();
        let strangers: Vec<_> = found
            .iter()
            .filter(|name| !allowed.contains(name))
            .collect();
        assert!(
            strangers.is_empty(),
            "{name} may not depend on {strangers:?}"
        );
    }
}

/// Names of the packages that `package` links when it is built by a command of its own, with the features that it and
/// its dependencies ask for.
fn linked(package: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--locked",
        "--package",
        package,
        "--target",
        &host(),
    ]);
    tree.args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let tree = run(tree.current_dir(repository()));
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    tree.lines().filter_map(name).collect()
}

/// By `cargo tree`, package by package: in the metadata of the whole workspace, what one package switches on counts for
/// all.
#[test]
fn each_binary_links_only_what_it_needs() {
    for (package, banned) in BANS {
        let linked = linked(package);
        assert!(linked.contains(package), "{linked:?}");
        let strangers: Vec<_> = banned
            .iter()
            .filter(|name| linked.contains(**name))
            .collect();
        assert!(
            strangers.is_empty(),
            "{package} must not link {strangers:?}"
        );
    }
    // The search finds candle where it is.
    assert!(linked("trainyard-train").contains("candle-core"));
}

/// What the resolver says is one thing, how the binaries were built another: packages built by one command share their
/// features. A panic names the source file, so a program that holds candle's code holds its path.
#[test]
fn no_built_binary_but_train_holds_candle() {
    for (stage, is_expected) in [
        ("train", true),
        ("evaluate", false),
        ("gate", false),
        ("publish-image", false),
        ("verify", false),
        ("deploy", false),
        ("serve", false),
    ] {
        let path = crate::support::binaries().join(format!("trainyard-{stage}"));
        let program = fs::read(&path).unwrap();
        let is_found = program.windows(11).any(|bytes| bytes == b"candle-core");
        assert_eq!(is_found, is_expected, "{}", path.display());
    }
}

#[test]
fn the_readme_names_both_commands_and_every_link_leads_somewhere() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains("cargo xtask demo") && readme.contains("cargo xtask test"));
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    for file in files().into_iter().filter(is_page) {
        let path = repository().join(&file);
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split(['#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let full = path.parent().unwrap().join(target);
            assert!(
                full.exists(),
                "{} links to `{target}`, which is not there",
                file.display()
            );
        }
    }
}

#[test]
fn no_file_holds_both_sides_of_a_merge() {
    for file in files() {
        let Ok(text) = fs::read_to_string(repository().join(&file)) else {
            continue;
        };
        let is_side = |line: &&str| {
            ["<<<<<<< ", ">>>>>>> "]
                .iter()
                .any(|side| line.starts_with(side))
        };
        let found = text.lines().find(is_side);
        assert_eq!(found, None, "{}", file.display());
    }
}

/// Each invariant of ARCHITECTURE.md names the test that stands behind it.
#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let mut git = Command::new("git");
    git.args([
        "grep",
        "--untracked",
        "-hoE",
        r"fn [a-z0-9_]+\(",
        "--",
        "*.rs",
    ]);
    let functions = run(git.current_dir(repository()));
    let known: BTreeSet<&str> = functions
        .lines()
        .map(|line| line.trim_start_matches("fn ").trim_end_matches('('))
        .collect();
    let invariants: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("- **"))
        .collect();
    assert!(invariants.len() >= 8, "{invariants:?}");
    for invariant in invariants {
        let test = invariant.rsplit('`').nth(1).unwrap_or_default();
        assert!(known.contains(test), "no test `{test}` behind: {invariant}");
    }
}

#[test]
fn core_is_pure() {
    let banned = [
        "std::env",
        "SystemTime",
        "Instant",
        "std::net",
        "std::process",
        "std::thread",
    ];
    let disk = ["std::fs", "File::open"];
    let is_core = |path: &PathBuf| path.starts_with("crates/core/src");
    for file in files().into_iter().filter(is_core) {
        let Ok(text) = fs::read_to_string(repository().join(&file)) else {
            continue;
        };
        let is_for_files = file.ends_with("src/files.rs") || file.ends_with("src/digest.rs");
        let is_for_threads = file.ends_with("metrics/parallel.rs");
        let words = banned.iter().chain(disk.iter().filter(|_| !is_for_files));
        let words = words.filter(|word| **word != "std::thread" || !is_for_threads);
        let found: Vec<_> = words.filter(|word| text.contains(**word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", file.display());
    }
}

/// Statements are made and judged from arguments alone: times, identities and bytes.
#[test]
fn attest_is_pure() {
    let banned = [
        "std::env",
        "SystemTime",
        "Instant",
        "std::net",
        "std::process",
        "std::thread",
        "std::fs",
        "File::open",
        "Utc::now",
    ];
    let is_attest = |path: &PathBuf| path.starts_with("crates/attest/src");
    let mut n_files = 0;
    for file in files().into_iter().filter(is_attest) {
        let text = fs::read_to_string(repository().join(&file)).unwrap();
        let found: Vec<_> = banned.iter().filter(|word| text.contains(**word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", file.display());
        n_files += 1;
    }
    assert!(n_files > 10);
}

/// What started a run is parsed once, in `runner/src/context`; all other code matches on its `Event`.
#[test]
fn events_are_named_in_one_place() {
    let banned = [
        "\"pull_request\"",
        "\"pull_request_target\"",
        "\"pull_request_review\"",
        "\"pull_request_review_comment\"",
        "\"merge_group\"",
        "\"workflow_run\"",
        "\"check_run\"",
        "\"issue_comment\"",
        "\"commit_comment\"",
        "\"discussion_comment\"",
        "\"workflow_dispatch\"",
        "\"repository_dispatch\"",
        "event_name",
        "EVENT_NAME",
        "EVENT_TYPE",
    ];
    let is_code = |path: &PathBuf| {
        (path.starts_with("crates") || path.starts_with("actions"))
            && path.extension().is_some_and(|extension| extension == "rs")
    };
    let context = Path::new("crates/runner/src/context");
    // Writes GitHub's name of a field and compares nothing.
    let provenance = Path::new("crates/attest/src/provenance");
    let mut n_allowed = 0;
    for file in files().into_iter().filter(is_code) {
        let Ok(text) = fs::read_to_string(repository().join(&file)) else {
            continue;
        };
        let found: Vec<_> = banned.iter().filter(|word| text.contains(**word)).collect();
        if file.starts_with(context) {
            n_allowed += found.len();
        } else if file.with_extension("").starts_with(provenance) {
            assert_eq!(found, [&"event_name"], "{}", file.display());
        } else {
            assert!(
                found.is_empty(),
                "{}: {found:?}; match on `trainyard_runner::Event`",
                file.display()
            );
        }
    }
    assert!(
        n_allowed >= banned.len(),
        "the names are looked for as they are written"
    );
}

/// Each `INPUT_…` that an action passes is an option of the binary that it runs.
#[test]
fn every_input_reaches_its_binary() {
    for stage in [
        "train",
        "evaluate",
        "gate",
        "publish-image",
        "verify",
        "deploy",
    ] {
        let action =
            fs::read_to_string(repository().join(format!("actions/{stage}/action.yml"))).unwrap();
        let help = run(crate::support::stage(stage).arg("--help"));
        let passed: Vec<&str> = action
            .lines()
            .filter_map(|line| line.trim().strip_prefix("INPUT_")?.split(':').next())
            .collect();
        assert!(passed.len() > 5, "{passed:?}");
        for input in passed {
            let option = format!("--{}", input.to_ascii_lowercase().replace('_', "-"));
            assert!(help.contains(&option), "{stage}: {option}");
        }
    }
}

/// A release raises the version in `Cargo.toml` alone unless a test says where else it stands.
#[test]
fn every_page_and_pipeline_names_the_version_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    let mut git = Command::new("git");
    git.args(["grep", "--untracked", "-hoE"]);
    git.arg(r"(trainyard-|trainyard/releases/download/v)[0-9]+\.[0-9]+\.[0-9]+[-+.0-9a-z]*");
    git.args(["--", "docs", "examples", "deploy"]);
    let named = run(git.current_dir(repository()));
    let named: Vec<&str> = named.lines().collect();
    assert!(named.len() >= 8, "{named:?}");
    for name in named {
        let found = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let rest = found.strip_prefix(version);
        // A target's name may follow.
        let is_whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        assert!(is_whole, "`{name}` is not of version {version}");
    }
    let collection = fs::read_to_string(repository().join("deploy/ansible/galaxy.yml")).unwrap();
    let line = format!("version: {version}");
    assert!(
        collection.lines().any(|found| found == line),
        "{collection}"
    );
}
