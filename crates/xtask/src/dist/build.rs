//! Building the binaries of one target so that the same sources give the same bytes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::target::Target;
use super::{VERSION, megabytes};
use crate::process;
use crate::workspace::{BINARY_PACKAGES, Workspace};

/// What no binary may exceed: a first use of an action downloads it.
const MAX_SIZE_BYTES: u64 = 10_000_000;

/// The one that goes on after a panic: it ends a request there, not the server. The others end in any case (`runner::run`), and are a tenth
/// smaller without what unwinding takes.
const UNWINDS: &str = "trainyard-serve";

/// The binaries of a release, each with its package's name.
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    BINARY_PACKAGES.into_iter().flatten().copied()
}

/// Builds every binary for `target` and lays them into `folder`, which then holds nothing else.
pub(crate) fn binaries(target: &Target, workspace: &Workspace, folder: &Path) -> Result<()> {
    let renamed = renamed_folders(workspace)?;
    for (group, panic) in groups() {
        process::run(&mut build(target, workspace, &renamed, &group, panic))?;
    }

    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("creating `{}`", folder.display()))?;
    let built = built(target, workspace);
    for program in programs() {
        let program = target.file_name(program);
        let from = built.join(&program);
        fs::copy(&from, folder.join(&program))
            .with_context(|| format!("copying `{}`", from.display()))?;
    }
    if target.triple() == workspace.host {
        check_starts(target, folder)?;
    }
    check_names(target, folder, &renamed)?;
    check_sizes(target, folder)
}

/// What a panic does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panic {
    Abort,
    Unwind,
}

impl Panic {
    const fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Unwind => "unwind",
        }
    }
}

/// The packages that one command builds, and what a panic does in them.
fn groups() -> impl Iterator<Item = (Vec<&'static str>, Panic)> {
    let aborting = BINARY_PACKAGES.into_iter().map(|group| {
        let packages = group.iter().copied().filter(|package| *package != UNWINDS);
        (packages.collect(), Panic::Abort)
    });
    aborting.chain([(vec![UNWINDS], Panic::Unwind)])
}

/// Builds the binary of `package` alone, and returns where it is. Nothing but the features that other packages would ask for tells it
/// from a release's.
pub(crate) fn program(target: &Target, workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let renamed = renamed_folders(workspace)?;
    let panic = if package == UNWINDS {
        Panic::Unwind
    } else {
        Panic::Abort
    };
    process::run(&mut build(target, workspace, &renamed, &[package], panic))?;
    Ok(built(target, workspace).join(target.file_name(package)))
}

/// The folder that cargo fills.
fn built(target: &Target, workspace: &Workspace) -> PathBuf {
    workspace.target.join(target.triple()).join("dist")
}

/// The command that builds these packages.
fn build(
    target: &Target,
    workspace: &Workspace,
    renamed: &[Renamed],
    packages: &[&str],
    panic: Panic,
) -> Command {
    let mut build = workspace.plain_cargo(&["build", "--locked", "--profile", "dist"]);
    build.args(["--target", target.triple()]);
    let setting = format!("profile.dist.panic='{}'", panic.name());
    build.args(["--config", &setting]);
    for package in packages {
        build.args(["--package", package]);
    }
    let flags = rustflags(target, renamed, panic);
    // What a developer sets for quicker builds of their own would change the bytes.
    build
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_INCREMENTAL", "0");
    if panic == Panic::Abort && target.image_platform().is_some() {
        // Of the C code, as of ours.
        build.env(target.c_flags_variable(), "-fno-asynchronous-unwind-tables");
    }
    if let Some(linker) = target.cross_linker(&workspace.host) {
        let variable = target.linker_variable();
        if env::var_os(&variable).is_none() {
            build.env(variable, linker);
        }
    }
    build
}

/// A folder of this machine, and what it is called in the binaries.
type Renamed = (PathBuf, String);

/// The folders whose files messages and debugging information name.
fn renamed_folders(workspace: &Workspace) -> Result<Vec<Renamed>> {
    let mut renamed = vec![
        (registry_sources()?, "/registry".to_owned()),
        standard_library_sources(workspace)?,
        (workspace.root.clone(), "/trainyard".to_owned()),
    ];
    if !workspace.target.starts_with(&workspace.root) {
        renamed.push((workspace.target.clone(), "/trainyard/target".to_owned()));
    }
    Ok(renamed)
}

/// Flags that link the C library in, and take this machine's folders out of messages and debugging information.
///
/// Cargo leaves `--remap-path-prefix` out of the names of symbols, so that only what the compiler writes depends on it.
/// Its own setting for this, `trim-paths`, is not stable in the compiler that `rust-toolchain.toml` names.
fn rustflags(target: &Target, renamed: &[Renamed], panic: Panic) -> Vec<String> {
    let remaps = renamed.iter();
    let mut flags: Vec<String> = remaps
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    // Cargo passes `strip = true` on only where the package has no settings of its own in the profile.
    flags.push("-Cstrip=symbols".to_owned());
    if target.image_platform().is_some() || target.is_windows() {
        flags.push("-Ctarget-feature=+crt-static".to_owned());
    }
    if target.image_platform().is_some() {
        // Relative relocations as a bitmap: 24 bytes each otherwise, 0.8 MB of the gate.
        flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    }
    if panic == Panic::Abort && !target.is_windows() {
        // Only backtraces would still read them, and these have no names without symbols.
        flags.push("-Cforce-unwind-tables=no".to_owned());
    }
    if target.triple() == "x86_64-unknown-linux-gnu" {
        // The compiler's own linker, lld, folds functions of the same code into one. No code here tells functions apart by their addresses.
        flags.push("-Clink-arg=-Wl,--icf=all".to_owned());
    }
    if target.is_windows() {
        // Without it, the linker writes the time of the build into the file.
        flags.push("-Clink-arg=/Brepro".to_owned());
    }
    flags
}

/// Generic code of the standard library is compiled here. Its messages name the folder of its sources where rustup's
/// component `rust-src` is installed, else this name, which the compiler makes up.
fn standard_library_sources(workspace: &Workspace) -> Result<Renamed> {
    let rustc = |arguments: &[&str]| {
        process::stdout(
            Command::new("rustc")
                .args(arguments)
                .current_dir(&workspace.root),
        )
    };
    let root = rustc(&["--print", "sysroot"])?;
    let version = rustc(&["-vV"])?;
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "))
        .context("`rustc -vV` names no commit")?;
    let sources = Path::new(root.trim()).join("lib/rustlib/src/rust");
    Ok((sources, format!("/rustc/{commit}")))
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

/// Fails where a binary does not start: the C library that is linked in must know packed relocations (glibc 2.36).
fn check_starts(target: &Target, folder: &Path) -> Result<()> {
    for program in programs() {
        let path = folder.join(target.file_name(program));
        let version = process::stdout(Command::new(&path).arg("--version"))?;
        if version.trim() != format!("{program} {VERSION}") {
            bail!("`{} --version` says `{}`", path.display(), version.trim());
        }
    }
    Ok(())
}

/// Fails where a binary names a folder of this machine: a build elsewhere would differ.
fn check_names(target: &Target, folder: &Path, renamed: &[Renamed]) -> Result<()> {
    for program in programs() {
        let path = folder.join(target.file_name(program));
        let bytes = fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        for (from, to) in renamed {
            let from = from.display().to_string();
            if !to.starts_with(&from) && text.contains(&from) {
                bail!(
                    "`{program}` names `{from}`, which should be called `{to}` in it; find out what it was compiled from with `strings`"
                );
            }
        }
    }
    Ok(())
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
    fn a_binary_that_names_a_folder_of_this_machine_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let renamed = [
            (PathBuf::from("/home/me/checkout"), "/trainyard".to_owned()),
            // Where the checkout happens to be there.
            (PathBuf::from("/registry"), "/registry".to_owned()),
        ];
        for program in programs() {
            let text = "\u{7f}ELF/trainyard/src/lib.rs/registry/src/lib.rs";
            fs::write(folder.path().join(program), text).unwrap();
        }
        let target = Target::new("x86_64-unknown-linux-gnu").unwrap();
        check_names(&target, folder.path(), &renamed).unwrap();
        let gate = folder.path().join("trainyard-gate");
        fs::write(gate, b"\xff\xfe/home/me/checkout/src/lib.rs").unwrap();
        let error = check_names(&target, folder.path(), &renamed).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("`trainyard-gate` names `/home/me/checkout`,"),
            "{error}"
        );
    }

    #[test]
    fn every_binary_is_built_once_and_the_server_alone_unwinds() {
        let mut built: Vec<_> = groups()
            .flat_map(|(group, panic)| group.into_iter().map(move |package| (package, panic)))
            .collect();
        built.sort_by_key(|(package, _)| *package);
        let mut expected: Vec<_> = programs().collect();
        expected.sort_unstable();
        assert_eq!(built.iter().map(|it| it.0).collect::<Vec<_>>(), expected);
        for (package, panic) in built {
            assert_eq!(panic == Panic::Unwind, package == "trainyard-serve");
        }
    }

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
