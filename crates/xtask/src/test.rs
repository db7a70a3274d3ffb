//! `cargo xtask test`: every check that CI runs, from one command.
//!
//! The checks are independent, so all of them run and the failed ones are named at the end; the test runner's
//! own summary is the last thing printed.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::github::GitHubApi;
use crate::stopwatch::Stopwatch;
use crate::workspace::Workspace;
use crate::{generate, peers, process};

/// What `cargo xtask test` takes.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Install no third-party programs and leave out the checks that need them (for machines without root).
    #[arg(long)]
    no_peers: bool,

    /// Arguments for `cargo nextest run`, such as a filter: `cargo xtask test -- gate`.
    #[arg(last = true, value_name = "NEXTEST ARGUMENTS")]
    nextest: Vec<String>,
}

/// Installs what is needed, builds the binaries once and runs all checks. Success when every one passed.
pub(crate) fn run(args: &TestArgs, workspace: &Workspace) -> Result<ExitCode> {
    let mut stopwatch = Stopwatch::default();
    let mut toolbox = peers::Toolbox::new(workspace);
    let has_cluster = stopwatch.time("peers", || {
        toolbox.ensure_nextest(workspace)?;
        if args.no_peers {
            return Ok(false);
        }
        toolbox.ensure_peers()?;
        toolbox.ensure_control_plane(workspace)
    })?;
    let binaries = stopwatch.time("build", || workspace.build_binaries())?;

    let path = toolbox.path()?;
    let mut failed = Vec::new();
    let mut checks = static_checks(workspace);
    if !args.no_peers {
        checks.extend(dependency_checks(workspace));
    }
    for (name, mut check) in checks {
        check.env("PATH", &path);
        if !stopwatch
            .time(name, || process::status(&mut check))?
            .success()
        {
            failed.push(name);
        }
    }
    let mut not_run = Vec::new();
    if args.no_peers {
        not_run.push(format!("every check against {}", peers::names()));
    } else {
        if !has_cluster {
            not_run.push("deployments to Kubernetes (no `kube-apiserver` on the `PATH`, and no archive with one)".to_owned());
        }
        match stopwatch.time(ADVISORIES, || check_advisories(workspace, &path))? {
            Advisories::Passed => {}
            Advisories::Failed => failed.push(ADVISORIES),
            Advisories::NotRun(reason) => not_run.push(format!("{ADVISORIES} ({reason})")),
        }
    }
    let profile = match (args.no_peers, has_cluster) {
        (true, _) => "ci",
        (false, true) => "peers",
        (false, false) => "peers-without-cluster",
    };
    let mut tests = test_runner(args, workspace, &binaries, profile);
    tests.env("PATH", &path);
    let api = if args.no_peers {
        None
    } else {
        Some(stopwatch.time("GitHub's API", || GitHubApi::start(&toolbox, workspace))?)
    };
    if let Some(api) = &api {
        api.announce(&mut tests);
    }
    let (status, log) = stopwatch.time("tests", || process::tee_stderr(&mut tests))?;
    if !status.success() {
        failed.push("tests");
    }

    println!("\nTimes\n{stopwatch}\n");
    for check in not_run {
        println!("Not run: {check}.\n");
    }
    if !failed.is_empty() {
        println!(
            "Failed: {}. Each one's own message is above.\n",
            failed.join(", ")
        );
    }
    println!("{}", closing_lines(&log).join("\n"));
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The checks that start none of our binaries, cheapest first.
fn static_checks(workspace: &Workspace) -> Vec<(&'static str, Command)> {
    let mut clippy = workspace.cargo(&["clippy", "--workspace", "--all-targets"]);
    clippy.args(["--", "--deny", "warnings"]);
    vec![
        (
            "format",
            workspace.plain_cargo(&["fmt", "--all", "--check"]),
        ),
        ("generated files", generate::command(workspace, true)),
        ("lints", clippy),
        (
            "doc tests",
            workspace.cargo(&["test", "--workspace", "--doc"]),
        ),
    ]
}

/// What comes into the dependency tree, and what is in it for nothing.
fn dependency_checks(workspace: &Workspace) -> [(&'static str, Command); 2] {
    let mut deny = workspace.plain_cargo(&["deny", "--locked", "check"]);
    deny.args(["bans", "licenses", "sources"]);
    let shear = workspace.plain_cargo(&["shear", "--locked", "--deny-warnings"]);
    [("dependencies", deny), ("unused dependencies", shear)]
}

const ADVISORIES: &str = "advisories";

/// How the check for known vulnerabilities ended.
enum Advisories {
    Passed,
    Failed,
    NotRun(&'static str),
}

/// Holds the dependencies against RustSec's advisories. Their database is a git repository, which no package registry
/// has, so that a machine may install every peer and still not reach it; on GitHub it is always there.
fn check_advisories(workspace: &Workspace, path: &OsStr) -> Result<Advisories> {
    let deny = |arguments: &[&str]| {
        let mut command = workspace.plain_cargo(&["deny", "--locked"]);
        command.args(arguments).env("PATH", path);
        // A proxy that asks for a password fails at once.
        command.env("GIT_TERMINAL_PROMPT", "0");
        command
    };
    if !process::status(&mut deny(&["fetch", "db"]))?.success() {
        return Ok(if env::var_os("GITHUB_ACTIONS").is_some() {
            Advisories::Failed
        } else {
            Advisories::NotRun(
                "the database, https://github.com/RustSec/advisory-db, is unreachable",
            )
        });
    }
    let check = process::status(&mut deny(&["--offline", "check", "advisories"]))?;
    Ok(if check.success() {
        Advisories::Passed
    } else {
        Advisories::Failed
    })
}

/// nextest leaves out what its profile does not name, and counts it as skipped.
fn test_runner(args: &TestArgs, workspace: &Workspace, binaries: &Path, profile: &str) -> Command {
    let mut command = workspace.cargo(&["nextest", "run", "--workspace", "--profile", profile]);
    command.args(&args.nextest).env("TRAINYARD_BIN", binaries);
    command
}

/// From nextest's `Summary` line to the end of its log; the last line where there is none.
fn closing_lines(log: &[String]) -> &[String] {
    let summary = log
        .iter()
        .rposition(|line| line.trim_start().starts_with("Summary ["));
    log.get(summary.unwrap_or(log.len().saturating_sub(1))..)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_summary_closes_the_log() {
        let log = lines(
            "        PASS [   0.004s] xtask tests::a\n------------\n     Summary [   0.01s] 2 tests run: 1 passed, 1 \
             failed\n        FAIL [   0.004s] xtask tests::b\nerror: test run failed",
        );
        assert_eq!(closing_lines(&log), &log[2..]);
    }

    #[test]
    fn a_log_without_summary_gives_its_last_line() {
        let log = lines("error: could not compile\nerror: command exited with code 101");
        assert_eq!(closing_lines(&log), &log[1..]);
        assert_eq!(closing_lines(&[]).len(), 0);
    }
}
