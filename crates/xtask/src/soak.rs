//! `cargo xtask soak`: what runs for as long as one lets it, and is therefore outside CI.
//!
//! Today these are the fuzz targets of `tests/fuzz`, which need a nightly compiler and `cargo fuzz`.

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
    /// The fuzz target, a file in `tests/fuzz/targets`.
    name: String,
    /// How long to run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

/// Runs the fuzz target until the time is over or it finds something.
pub(crate) fn run(args: &SoakArgs, workspace: &Workspace) -> Result<ExitCode> {
    let folder = workspace.root.join("tests/fuzz");
    let targets = targets(&folder.join("targets"))?;
    if !targets.contains(&args.name) {
        bail!(
            "there is no fuzz target `{}`; there are {}",
            args.name,
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
    let mut fuzz = nightly(&["fuzz", "run", "--fuzz-dir", ".", &args.name, "--"]);
    fuzz.arg(format!("-max_total_time={}", args.minutes * 60));
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
