//! `cargo xtask soak`: what runs for as long as one lets it, and is therefore outside CI.
//!
//! These are the fuzz targets of `tests/fuzz`, which need a nightly compiler and `cargo fuzz`, and `serve`: the server under more than
//! it can do, which also runs the fuzz target of its requests.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// What `cargo xtask soak` takes.
#[derive(Args)]
pub(crate) struct SoakArgs {
    /// The fuzz target, a file in `tests/fuzz/targets`; or `serve` for the server under load, mutated requests and SIGTERM.
    name: String,
    /// How long to fuzz.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Of `serve`: only the checks whose name contains this: `overload`, `slow`, `mutated`, `terminated`, `fuzzed`.
    #[arg(long, default_value = "")]
    only: String,
    /// Of `serve`: length of each overload.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Of `serve`: mutated requests.
    #[arg(long, default_value_t = 100_000)]
    mutations: u32,
    /// Of `serve`: servers that are ended under load.
    #[arg(long, default_value_t = 100)]
    terminations: u32,
    /// Of `serve`: of the mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The name that stands for the server's checks instead of a fuzz target.
const SERVE: &str = "serve";

/// The fuzz target of the server.
const REQUESTS: &str = "requests";

/// Runs what was asked for until the time is over or it finds something.
pub(crate) fn run(args: &SoakArgs, workspace: &Workspace) -> Result<ExitCode> {
    if args.name == SERVE {
        serve(args, workspace)
    } else {
        fuzz(&args.name, args.minutes, workspace)
    }
}

/// Trains the example's model, and does to its server what a server must stand.
fn serve(args: &SoakArgs, workspace: &Workspace) -> Result<ExitCode> {
    const FUZZED: &str = "fuzzed";
    let binaries = workspace.build_binaries()?;
    let package = "trainyard-tests";
    let mut soak = workspace.cargo(&["build", "--package", package, "--bin", "soak-serve"]);
    process::run(&mut soak)?;
    let out = workspace.target.join("soak");
    let mut train = Command::new(binaries.join("trainyard-train"));
    train
        .arg("--config")
        .arg(workspace.root.join("examples/mnist/trainyard.toml"))
        .arg("--out")
        .arg(&out)
        // The weights' values do not matter here, their number does.
        .args(["--epochs", "1", "--force"]);
    process::run(&mut train)?;
    if args.only != FUZZED {
        let mut soak = Command::new(binaries.join("soak-serve"));
        soak.arg(binaries.join("trainyard-serve"))
            .arg(out.join("model"))
            .args(["--seconds", &args.seconds.to_string()])
            .args(["--mutations", &args.mutations.to_string()])
            .args(["--terminations", &args.terminations.to_string()])
            .args(["--seed", &args.seed.to_string()])
            .args(["--only", &args.only]);
        process::run(&mut soak)?;
    }
    if FUZZED.contains(&args.only) {
        return fuzz(REQUESTS, args.minutes, workspace);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the fuzz target until the time is over or it finds something.
fn fuzz(name: &str, minutes: u64, workspace: &Workspace) -> Result<ExitCode> {
    let folder = workspace.root.join("tests/fuzz");
    let targets = targets(&folder.join("targets"))?;
    if !targets.iter().any(|target| target == name) {
        bail!(
            "there is no fuzz target `{name}`; there are {}, and `{SERVE}` for the server",
            targets.join(", ")
        );
    }
    // By rustup, since the environment here already names the repository's own compiler.
    let nightly = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo"]).args(arguments);
        command.current_dir(&folder);
        command
    };
    if !process::succeeds(&mut nightly(&["--version"])) {
        bail!("fuzzing needs a nightly compiler; run `rustup toolchain install nightly`");
    }
    if !process::succeeds(&mut nightly(&["fuzz", "--version"])) {
        bail!("`cargo fuzz` is not installed; run `cargo install cargo-fuzz --locked`");
    }
    let mut fuzz = nightly(&["fuzz", "run", "--fuzz-dir", ".", name, "--"]);
    fuzz.arg(format!("-max_total_time={}", minutes * 60));
    process::run(&mut fuzz)?;
    Ok(ExitCode::SUCCESS)
}

/// The names of all fuzz targets.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("reading `{}`", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading `{}`", folder.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that `Cargo.toml` does not name would never be built, one that the scheduled run does not name never run.
    #[test]
    fn every_target_is_in_the_manifest_and_the_schedule() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let manifest = read("tests/fuzz/Cargo.toml");
        let targets = targets(&root.join("tests/fuzz/targets")).unwrap();
        assert!(targets.len() >= 8, "{targets:?}");
        for target in &targets {
            let path = format!("path = \"targets/{target}.rs\"");
            assert!(manifest.contains(&path), "{path}");
        }
        let matrix = format!("target: [{}]\n", targets.join(", "));
        assert!(
            read(".github/workflows/audit.yml").contains(&matrix),
            "{matrix}"
        );
    }
}
