//! `cargo xtask dist`: what a release offers for download.
//!
//! In: the checkout. Out, in one folder: an archive a target, its bill of materials, `SHA256SUMS`, and the
//! `checksums.json` that `actions/support/run.sh` holds a download against. Two checkouts of one commit give the same
//! bytes, wherever they are.
//!
//! Building and packing are separate steps, since each archive also holds the servers of the other machines.

mod archive;
mod build;
mod checksums;
mod components;
mod notices;
mod sbom;
mod target;

#[cfg(test)]
mod binstall;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::checksums::Sums;
use self::target::Target;
use crate::stopwatch::Stopwatch;
use crate::workspace::Workspace;

/// Every package of the workspace has this version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `cargo xtask dist` takes.
#[derive(Args)]
pub(crate) struct DistArgs {
    /// Build for this target; by default for this machine and for the other Linux processor, where its compiler is here.
    #[arg(long, value_name = "TRIPLE")]
    target: Vec<String>,
    /// Folder of the results; by default `distribution` in cargo's target folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Do one step alone: `build` fills `binaries/TRIPLE` in the folder, `pack` takes all that is there.
    #[arg(long)]
    only: Option<Step>,
}

/// The two halves of the work.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// On each of the machines of a release.
    Build,
    /// On one of them, with the binaries of all.
    Pack,
}

/// Builds one program for this machine as a release has it, and returns where it is.
pub(crate) fn released(package: &str, workspace: &Workspace) -> Result<PathBuf> {
    build::program(&Target::new(&workspace.host)?, workspace, package)
}

/// Builds and packs.
pub(crate) fn run(args: &DistArgs, workspace: &Workspace) -> Result<ExitCode> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => workspace.target.join("distribution"),
    };
    let binaries = out.join("binaries");
    let mut stopwatch = Stopwatch::default();
    let targets = match args.only {
        Some(Step::Pack) => {
            if !args.target.is_empty() {
                bail!(
                    "`--only pack` packs every target in `{}`; leave out `--target`",
                    binaries.display()
                );
            }
            built(&binaries)?
        }
        _ => wanted(&args.target, workspace)?,
    };
    if args.only != Some(Step::Pack) {
        for target in &targets {
            let folder = binaries.join(target.triple());
            stopwatch.time(target.triple(), || {
                build::binaries(target, workspace, &folder)
            })?;
        }
    }
    if args.only != Some(Step::Build) {
        stopwatch.time("pack", || pack(&targets, workspace, &binaries, &out))?;
    }
    println!("\nTimes\n{stopwatch}");
    Ok(ExitCode::SUCCESS)
}

/// The targets that were asked for, all of which must be possible; else those that are, with a word about the others.
fn wanted(asked: &[String], workspace: &Workspace) -> Result<Vec<Target>> {
    if !asked.is_empty() {
        let targets = asked.iter().map(|triple| {
            let target = Target::new(triple)?;
            match target.obstacle(&workspace.host)? {
                None => Ok(target),
                Some(obstacle) => bail!("{triple} cannot be built here: {obstacle}"),
            }
        });
        return targets.collect();
    }
    let mut targets = vec![Target::new(&workspace.host)?];
    if workspace.host.contains("-linux-") {
        for target in Target::linux() {
            match target.obstacle(&workspace.host)? {
                _ if target.triple() == workspace.host => {}
                None => targets.push(target),
                Some(obstacle) => println!("Left out: {}: {obstacle}.", target.triple()),
            }
        }
    }
    Ok(targets)
}

/// The targets whose binaries are in `folder`.
fn built(folder: &Path) -> Result<Vec<Target>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("reading `{}`", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let name = entry
            .with_context(|| format!("reading `{}`", folder.display()))?
            .file_name();
        targets.push(Target::new(&name.to_string_lossy())?);
    }
    targets.sort_by(|a, b| a.triple().cmp(b.triple()));
    if targets.is_empty() {
        bail!(
            "there are no binaries in `{}`; run `cargo xtask dist --only build` first",
            folder.display()
        );
    }
    Ok(targets)
}

/// Writes archives, bills of materials and both lists of digests into `out`.
fn pack(targets: &[Target], workspace: &Workspace, binaries: &Path, out: &Path) -> Result<()> {
    let mut sums = Sums::new(VERSION);
    for target in targets {
        let folder = binaries.join(target.triple());
        build::check_sizes(target, &folder)?;
        let components = components::linked(target, workspace)?;
        let name = release_name(target);

        let mut contents = archive::Contents::new(&name);
        for program in build::programs() {
            let program = target.file_name(program);
            contents.program(&program, &folder.join(&program))?;
        }
        for server in targets
            .iter()
            .filter(|server| server.image_platform().is_some())
        {
            let platform = server.image_platform().unwrap_or_default();
            let alias = format!("trainyard-serve-{platform}");
            if server.triple() == target.triple() {
                contents.link(&alias, "trainyard-serve");
            } else {
                let file = binaries.join(server.triple()).join("trainyard-serve");
                contents.program(&alias, &file)?;
            }
        }
        for page in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            contents.file(page, &workspace.root.join(page))?;
        }
        contents.text("THIRD-PARTY-LICENSES.txt", &notices::text(&components)?);
        let standard_library = notices::standard_library(workspace)?;
        contents.text("RUST-STANDARD-LIBRARY.html", &standard_library);
        // Those for other systems hold the servers of Linux, too.
        contents.text("GNU-C-LIBRARY.txt", &notices::c_library(VERSION));

        let archive = contents.pack()?;
        let archive_name = archive_name(target);
        let digest = sums.add(&archive_name, &archive);
        sums.record(target.triple(), &archive_name, &digest);
        write(&out.join(&archive_name), &archive)?;
        println!("{archive_name}  {}", megabytes(archive.len() as u64));

        let bill = sbom::json(target, VERSION, &archive_name, &digest, &components);
        let bill = format!("{bill:#}\n");
        let bill_name = format!("{name}.cdx.json");
        sums.add(&bill_name, bill.as_bytes());
        write(&out.join(&bill_name), bill.as_bytes())?;
    }
    write(&out.join("SHA256SUMS"), sums.lines().as_bytes())?;
    write(&out.join("checksums.json"), sums.json().as_bytes())?;
    println!("Results are in `{}`.", workspace.relative(out).display());
    Ok(())
}

/// The folder in a target's archive, and what the archive's name begins with.
fn release_name(target: &Target) -> String {
    format!("trainyard-{VERSION}-{}", target.triple())
}

fn archive_name(target: &Target) -> String {
    format!("{}.tar.gz", release_name(target))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))
}

fn megabytes(size_bytes: u64) -> String {
    format!("{:.1} MB", size_bytes as f64 / 1e6)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process;

    #[test]
    fn the_install_page_names_every_target_and_this_version() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = fs::read_to_string(root.join("docs/guides/install.md")).unwrap();
        for target in Target::all() {
            let row = format!("| `{}` |", target.triple());
            assert!(page.contains(&row), "{row}");
        }
        for platform in ["linux-gnu", "apple-darwin", "windows-msvc"] {
            let names = page
                .split(['=', ' ', '"'])
                .filter(|word| word.starts_with("trainyard-") && word.trim().ends_with(platform));
            let names: Vec<&str> = names.collect();
            let known: Vec<String> = Target::all().map(|target| release_name(&target)).collect();
            assert!(!names.is_empty(), "{platform}");
            for name in names {
                assert!(known.iter().any(|known| known == name), "{name}");
            }
        }
        assert!(page.contains(&format!("version=v{VERSION}")));
        assert!(page.contains(&format!("/releases/download/v{VERSION}\"")));
    }

    /// The two halves meet in a test: what is packed and recorded here is what `run.sh` looks for, holds against its
    /// digest, unpacks and starts.
    #[test]
    fn run_sh_starts_what_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |relative: &str| folder.path().join(relative);
        let support = path("suite/actions/support");
        fs::create_dir_all(&support).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        fs::copy(root.join("actions/support/run.sh"), support.join("run.sh")).unwrap();
        fs::copy(root.join("Cargo.toml"), path("suite/Cargo.toml")).unwrap();
        let program = path("trainyard-train");
        fs::write(&program, "#!/bin/sh\necho packed\n").unwrap();

        let triple = if cfg!(target_arch = "aarch64") {
            "aarch64-unknown-linux-gnu"
        } else {
            "x86_64-unknown-linux-gnu"
        };
        let name = format!("trainyard-{VERSION}-{triple}");
        let mut contents = archive::Contents::new(&name);
        contents.program("trainyard-train", &program).unwrap();
        let archive = contents.pack().unwrap();
        let mut sums = Sums::new(VERSION);
        let digest = sums.add(&format!("{name}.tar.gz"), &archive);
        sums.record(triple, &format!("{name}.tar.gz"), &digest);
        fs::write(support.join("checksums.json"), sums.json()).unwrap();
        let releases = path(&format!("releases/v{VERSION}"));
        fs::create_dir_all(&releases).unwrap();
        fs::write(releases.join(format!("{name}.tar.gz")), archive).unwrap();

        // On macOS the target is another, and `uname` says so.
        let uname = path("bin/uname");
        fs::create_dir_all(path("bin")).unwrap();
        let machine = triple.split('-').next().unwrap();
        let said = format!("#!/bin/sh\ncase $1 in -s) echo Linux ;; *) echo {machine} ;; esac\n");
        fs::write(&uname, said).unwrap();
        for file in [&uname, &support.join("run.sh")] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(file, mode).unwrap();
        }
        let mut script = Command::new(support.join("run.sh"));
        script
            .arg("train")
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", path("bin").display()))
            .env("RUNNER_TOOL_CACHE", path("tools"))
            .env(
                "TRAINYARD_RELEASES",
                format!("file://{}", path("releases").display()),
            );
        assert_eq!(process::stdout(&mut script).unwrap(), "packed\n");
    }
}
