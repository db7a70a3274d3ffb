//! Building the binaries of one target so that the same sources give the same bytes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::megabytes;
use super::target::Target;
use crate::process;
use crate::workspace::{BINARY_PACKAGES, Workspace};

/// What no binary may exceed: a first use of an action downloads it.
const MAX_SIZE_BYTES: u64 = 10_000_000;

/// The binaries of a release, each with its package's name.
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    BINARY_PACKAGES.into_iter().flatten().copied()
}

/// Builds every binary for `target` and lays them into `folder`, which then holds nothing else.
pub(crate) fn binaries(target: &Target, workspace: &Workspace, folder: &Path) -> Result<()> {
    let registry = registry_sources()?;
    for group in BINARY_PACKAGES {
        let mut build = workspace.plain_cargo(&["build", "--locked", "--profile", "dist"]);
        build.args(["--target", target.triple()]);
        for package in group {
            build.args(["--package", package]);
        }
        let flags = rustflags(target, workspace, &registry);
        // What a developer sets for quicker builds of their own would change the bytes.
        build
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("CARGO_INCREMENTAL", "0");
        if let Some(linker) = target.cross_linker(&workspace.host) {
            let variable = target.linker_variable();
            if env::var_os(&variable).is_none() {
                build.env(variable, linker);
            }
        }
        process::run(&mut build)?;
    }

    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("creating `{}`", folder.display()))?;
    let built = workspace.target.join(target.triple()).join("dist");
    for program in programs() {
        let program = target.file_name(program);
        let from = built.join(&program);
        fs::copy(&from, folder.join(&program))
            .with_context(|| format!("copying `{}`", from.display()))?;
    }
    check_sizes(target, folder)
}

/// Flags that link the C library in, and take this machine's folders out of messages and debugging information.
///
/// Cargo leaves `--remap-path-prefix` out of the names of symbols, so that only what the compiler writes depends on it.
/// Its own setting for this, `trim-paths`, is not stable in the compiler that `rust-toolchain.toml` names.
fn rustflags(target: &Target, workspace: &Workspace, registry: &Path) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![
        remap(registry, "/registry"),
        remap(&workspace.root, "/trainyard"),
    ];
    if !workspace.target.starts_with(&workspace.root) {
        flags.push(remap(&workspace.target, "/trainyard/target"));
    }
    if target.image_platform().is_some() || target.is_windows() {
        flags.push("-Ctarget-feature=+crt-static".to_owned());
    }
    if target.is_windows() {
        // Without it, the linker writes the time of the build into the file.
        flags.push("-Clink-arg=/Brepro".to_owned());
    }
    flags
}

/// Where cargo unpacks the crates of registries.
fn registry_sources() -> Result<PathBuf> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()
            .context("there is neither a home folder nor `CARGO_HOME`")?
            .join(".cargo"),
    };
    Ok(home.join("registry/src"))
}

/// Prints how large the binaries are, and fails where one is too large.
pub(crate) fn check_sizes(target: &Target, folder: &Path) -> Result<()> {
    println!("\n{}", target.triple());
    let mut too_large = Vec::new();
    for program in programs() {
        let program = target.file_name(program);
        let path = folder.join(&program);
        let size_bytes = fs::metadata(&path)
            .with_context(|| format!("reading `{}`", path.display()))?
            .len();
        println!("  {program:24}  {:>8}", megabytes(size_bytes));
        if size_bytes > MAX_SIZE_BYTES {
            too_large.push(program);
        }
    }
    if !too_large.is_empty() {
        bail!(
            "a released binary has at most {}, but larger are: {}; `cargo tree` shows what each links",
            megabytes(MAX_SIZE_BYTES),
            too_large.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_above_the_limit_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for program in programs() {
            fs::write(folder.path().join(program), "small").unwrap();
        }
        let target = Target::new("x86_64-unknown-linux-gnu").unwrap();
        check_sizes(&target, folder.path()).unwrap();
        let gate = fs::File::create(folder.path().join("trainyard-gate")).unwrap();
        gate.set_len(MAX_SIZE_BYTES).unwrap();
        check_sizes(&target, folder.path()).unwrap();
        gate.set_len(MAX_SIZE_BYTES + 1).unwrap();
        let error = check_sizes(&target, folder.path()).unwrap_err().to_string();
        assert!(error.contains("larger are: trainyard-gate;"), "{error}");
    }
}
