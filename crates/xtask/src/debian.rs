//! A program that the system's release of Debian does not have, taken from Debian's unstable suite.
//!
//! apt checks the package's signature and digest as it always does, but with folders of its own and a list of sources
//! that names the unstable suite alone; the package is unpacked rather than installed. So nothing of the system changes,
//! and neither root nor another release's libraries are needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// The suite. It keeps one version of a package, so none can be pinned.
const SUITE: &str = "sid";

/// The mirror where apt is not set up for Debian, as on Ubuntu.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// What Debian signs its suites with; the package `debian-archive-keyring` holds it.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads `package` into `cache` where it is not there yet. The folder of its programs, of which `program` runs.
pub(crate) fn unpacked(
    cache: &Path,
    package: &str,
    program: &str,
    attempts: u32,
) -> Result<PathBuf> {
    let folder = cache.join(package);
    let programs = folder.join("usr/bin");
    // Written last, so a download that broke off is done again.
    let stamp = folder.join("unpacked.txt");
    if stamp.is_file() {
        return Ok(programs);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing `{}`", folder.display()))?;
    }
    let apt = folder.join("apt");
    for part in ["lists/partial", "archives/partial"] {
        let part = apt.join(part);
        fs::create_dir_all(&part).with_context(|| format!("creating `{}`", part.display()))?;
    }
    let write = |name: &str, text: &str| {
        let path = apt.join(name);
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
    };
    write("status", "")?;
    let source = format!("deb [signed-by={KEYRING}] {} {SUITE} main\n", mirror());
    write("sources.list", &source)?;

    process::run_with_retries(apt_get(&apt).arg("update"), attempts)?;
    process::run_with_retries(apt_get(&apt).args(["download", package]), attempts)?;
    let Some(archive) = archive_in(&apt)? else {
        bail!("apt downloaded no package into `{}`", apt.display());
    };
    let mut unpack = Command::new("dpkg-deb");
    process::run(unpack.arg("--extract").arg(&archive).arg(&folder))?;
    if !process::succeeds(Command::new(programs.join(program)).arg("version")) {
        bail!(
            "`{program}` of Debian {SUITE} does not run on this system; leave the peers out with `cargo xtask test \
             --no-peers`"
        );
    }
    fs::remove_dir_all(&apt).with_context(|| format!("removing `{}`", apt.display()))?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    fs::write(&stamp, format!("{name}\n"))
        .with_context(|| format!("writing `{}`", stamp.display()))?;
    Ok(programs)
}

/// The mirror that apt is set up for.
fn mirror() -> String {
    let mut targets = Command::new("apt-get");
    targets.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Label: Debian",
    ]);
    let found = process::stdout(&mut targets).ok();
    let first = found.as_deref().and_then(|lines| lines.lines().next());
    first.unwrap_or(DEFAULT_MIRROR).to_owned()
}

/// apt over the files in `folder`: its own sources, lists, downloads, and an empty list of installed packages.
fn apt_get(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.current_dir(folder);
    for (setting, value) in [
        ("Dir::Etc::SourceList", "sources.list"),
        ("Dir::State::Lists", "lists"),
        ("Dir::State::Status", "status"),
        ("Dir::Cache", ""),
        ("Dir::Cache::Archives", "archives"),
    ] {
        let value = folder.join(value);
        command
            .arg("-o")
            .arg(format!("{setting}={}", value.display()));
    }
    command.args(["-o", "Dir::Etc::SourceParts=/dev/null"]);
    command.args(["-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3"]);
    // Root would hand the download over to a user who cannot write here.
    command.args(["-o", "APT::Sandbox::User=root", "--quiet"]);
    command
}

fn archive_in(folder: &Path) -> Result<Option<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("listing `{}`", folder.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    Ok(paths.filter(is_package).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_touches_its_own_folder_alone() {
        let command = apt_get(Path::new("/cache/cosign/apt"));
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        let settings = words.iter().filter(|word| word.starts_with("Dir::"));
        for setting in settings {
            let (_, value) = setting.split_once('=').unwrap_or_default();
            let is_own = value.starts_with("/cache/cosign/apt") || value == "/dev/null";
            assert!(is_own, "{setting}");
        }
    }
}
