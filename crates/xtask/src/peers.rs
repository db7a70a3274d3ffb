//! The third-party programs that the tests run Trainyard against: registries, container tools, a workflow
//! runner, linters, scikit-learn.
//!
//! Programs of the distribution come by apt, Python packages go into a virtual environment in a cache folder, and so does
//! cosign, which Debian 12 has too old or not at all.
//! `cargo deny` and `cargo shear` come as Python packages too: as wheels that Astral builds, in seconds, where
//! `cargo install` would compile for minutes.
//! What is there already is left alone, so a second call takes milliseconds.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian;
use crate::kubernetes;
use crate::process;
use crate::workspace::Workspace;

/// Programs of the distribution: what is run, and the Debian package that holds it.
const SYSTEM_PROGRAMS: [(&str, &str); 20] = [
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("podman", "podman"),
    ("buildah", "buildah"),
    ("umoci", "umoci"),
    ("openssl", "openssl"),
    ("runc", "runc"),
    ("htpasswd", "apache2-utils"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("rsyslogd", "rsyslog"),
    ("shellcheck", "shellcheck"),
    ("git", "git"),
    ("chromium", "chromium"),
    // In Jenkins's version, which is why its files are parsed by it.
    ("groovy", "groovy"),
    // A service manager that need not be the machine's first process.
    ("runsvdir", "runit"),
    ("systemd-analyze", "systemd"),
    ("etcd", "etcd-server"),
    // Network namespaces.
    ("ip", "iproute2"),
    ("xz", "xz-utils"),
];

/// Files of the distribution below `/usr/lib/<architecture>` that are no program, and the Debian package that holds each. A runner may have
/// the program and not its module.
const SYSTEM_MODULES: [(&str, &str); 1] = [("rsyslog/omelasticsearch.so", "rsyslog-elasticsearch")];

/// A program that must be newer than what Debian 12 and 13 have: the package's name is the program's.
const COSIGN: &str = "cosign";

/// Where Debian puts programs that an ordinary user's `PATH` leaves out, `runc` among them.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// The Python packages, pinned; a dependency bot keeps this file fresh.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Ansible with its linter and test runner, in an environment of its own: it pins what other packages would have newer.
const ANSIBLE_REQUIREMENTS: &str = include_str!("../requirements-ansible.txt");

/// The test runner that is installed where there is none.
const NEXTEST_VERSION: &str = "0.9.143";

const DOWNLOAD_ATTEMPTS: u32 = 4;

/// The `PATH` under which everything installed here is found.
pub(crate) struct Toolbox {
    cache: PathBuf,
    path: Vec<PathBuf>,
}

impl Toolbox {
    /// An empty toolbox over `$TRAINYARD_PEERS_DIR`, or else `peers` in cargo's target folder.
    pub(crate) fn new(workspace: &Workspace) -> Self {
        let cache = env::var_os("TRAINYARD_PEERS_DIR").map_or_else(
            || workspace.target.join("peers"),
            |folder| workspace.root.join(folder),
        );
        let path = env::var_os("PATH").map(|path| env::split_paths(&path).collect());
        Self {
            cache,
            path: path.unwrap_or_default(),
        }
    }

    /// The folder of everything installed here.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The value for the environment variable `PATH`.
    pub(crate) fn path(&self) -> Result<OsString> {
        env::join_paths(&self.path).context("joining the folders of `PATH`")
    }

    /// Sees to it that `cargo nextest` runs.
    pub(crate) fn ensure_nextest(&mut self, workspace: &Workspace) -> Result<()> {
        let root = self.cache.join("cargo");
        self.path.push(root.join("bin"));
        let path = self.path()?;
        if process::succeeds(
            workspace
                .plain_cargo(&["nextest", "--version"])
                .env("PATH", &path),
        ) {
            return Ok(());
        }
        eprintln!(
            "`cargo nextest` is not installed; building it once into `{}`",
            root.display()
        );
        let mut install = workspace.plain_cargo(&["install", "cargo-nextest", "--locked"]);
        install
            .args(["--version", NEXTEST_VERSION])
            .arg("--root")
            .arg(&root);
        process::run_with_retries(&mut install, DOWNLOAD_ATTEMPTS)
    }

    /// Installs the peers that are missing.
    pub(crate) fn ensure_peers(&mut self) -> Result<()> {
        self.ensure_system_programs()?;
        self.ensure_cosign()?;
        self.ensure_python_packages()?;
        let clients = kubernetes::clients(&self.cache, DOWNLOAD_ATTEMPTS)?;
        self.path.insert(0, clients);
        Ok(())
    }

    /// Sees to a control plane of Kubernetes. `false` where there is none to be had.
    pub(crate) fn ensure_control_plane(&mut self, workspace: &Workspace) -> Result<bool> {
        let folder = kubernetes::control_plane(&self.cache, &workspace.root)?;
        let is_there = folder.is_some();
        self.path.extend(folder);
        Ok(is_there || self.has("kube-apiserver"))
    }

    /// cosign 3, which checks a bundle without a network. Where there is no apt, the one on the `PATH` is taken.
    fn ensure_cosign(&mut self) -> Result<()> {
        if !self.has("apt-get") {
            if self.has(COSIGN) {
                return Ok(());
            }
            bail!(
                "the tests need `cosign` 3 and apt-get is not here to download it; install it yourself, or leave the \
                 peers out with `cargo xtask test --no-peers`"
            );
        }
        if !Path::new(debian::KEYRING).is_file() {
            let Some(privilege) = apt_privilege() else {
                bail!(
                    "downloading `{COSIGN}` needs `sudo apt-get install debian-archive-keyring` first"
                );
            };
            let install = ["install", "--yes", "--quiet", "debian-archive-keyring"];
            process::run_with_retries(&mut apt_get(privilege, &install), DOWNLOAD_ATTEMPTS)?;
        }
        let programs = debian::unpacked(&self.cache, COSIGN, COSIGN, DOWNLOAD_ATTEMPTS)?;
        self.path.insert(0, programs);
        Ok(())
    }

    fn ensure_system_programs(&mut self) -> Result<()> {
        self.path.extend(SYSTEM_FOLDERS.map(PathBuf::from));
        let is_missing =
            |(program, package): (&str, &'static str)| (!self.has(program)).then_some(package);
        let missing_modules = SYSTEM_MODULES
            .into_iter()
            .filter(|(module, _)| !has_module(module))
            .map(|(_, package)| package);
        let missing: Vec<&str> = SYSTEM_PROGRAMS
            .into_iter()
            .filter_map(is_missing)
            .chain(missing_modules)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let command = format!(
            "apt-get install --yes --no-install-recommends {}",
            missing.join(" ")
        );
        if !self.has("apt-get") {
            bail!(
                "the tests need programs this machine lacks and apt-get is not here to install them; install {} \
                 yourself, or leave the peers out with `cargo xtask test --no-peers`",
                missing.join(", ")
            );
        }
        let Some(privilege) = apt_privilege() else {
            bail!(
                "installing test peers needs root; run `sudo {command}` first, or leave the peers out with `cargo \
                 xtask test --no-peers`"
            );
        };
        process::run_with_retries(
            &mut apt_get(privilege, &["update", "--quiet"]),
            DOWNLOAD_ATTEMPTS,
        )?;
        let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
        let mut install = apt_get(privilege, &install);
        process::run_with_retries(install.args(&missing), DOWNLOAD_ATTEMPTS)
    }

    fn ensure_python_packages(&mut self) -> Result<()> {
        let programs = self.python_environment("python", REQUIREMENTS)?;
        self.path.insert(0, programs);
        // Last, since it has a `python` too.
        let programs = self.python_environment("ansible", ANSIBLE_REQUIREMENTS)?;
        self.path.push(programs);
        Ok(())
    }

    /// A Python that has the packages which the file `requirements` lists, in a virtual environment of its own.
    pub(crate) fn python_with(&self, name: &str, requirements: &Path) -> Result<PathBuf> {
        let text = fs::read_to_string(requirements)
            .with_context(|| format!("reading `{}`", requirements.display()))?;
        Ok(self.python_environment(name, &text)?.join("python"))
    }

    /// The folder of programs of the virtual environment `name`, made where it is not current.
    fn python_environment(&self, name: &str, requirements: &str) -> Result<PathBuf> {
        let environment = self.cache.join(name);
        let programs = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
        // Written last, so an installation that broke off is done again.
        let stamp = environment.join("installed-requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
            return Ok(programs);
        }
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("creating `{}`", self.cache.display()))?;
        self.create_virtual_environment(&environment)?;
        let wanted = environment.join("requirements.txt");
        fs::write(&wanted, requirements)
            .with_context(|| format!("writing `{}`", wanted.display()))?;
        let mut install = Command::new(programs.join("python"));
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        install.arg("--requirement").arg(&wanted);
        process::run_with_retries(&mut install, DOWNLOAD_ATTEMPTS)?;
        fs::write(&stamp, requirements)
            .with_context(|| format!("writing `{}`", stamp.display()))?;
        Ok(programs)
    }

    /// Debian and Ubuntu ship `venv` apart from Python, so it may have to come by apt first.
    fn create_virtual_environment(&self, environment: &Path) -> Result<()> {
        let create = || {
            let mut command = Command::new("python3");
            command.args(["-m", "venv", "--clear"]).arg(environment);
            command
        };
        let Err(error) = process::run(&mut create()) else {
            return Ok(());
        };
        match apt_privilege() {
            Some(privilege) if self.has("apt-get") => {
                let mut install = apt_get(privilege, &["install", "--yes", "--quiet", "python3-venv"]);
                process::run_with_retries(&mut install, DOWNLOAD_ATTEMPTS)?;
                process::run(&mut create())
            }
            _ => Err(error.context(
                "making a Python environment for the test peers; install Python 3.11 or newer with its `venv` \
                 module, or leave the peers out with `cargo xtask test --no-peers`",
            )),
        }
    }

    fn has(&self, program: &str) -> bool {
        self.path
            .iter()
            .any(|folder| folder.join(program).is_file())
    }
}

/// Whether a module lies below any architecture's libraries.
fn has_module(module: &str) -> bool {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join(module))
        .any(|path| path.is_file())
}

/// The names of all peers, for saying what was left out.
pub(crate) fn names() -> String {
    let programs = SYSTEM_PROGRAMS.into_iter().map(|(program, _)| program);
    let packages = [ANSIBLE_REQUIREMENTS, REQUIREMENTS].into_iter();
    let packages = packages
        .flat_map(str::lines)
        .filter_map(|line| line.split_once("=="))
        .map(|(name, _)| name);
    // Of an aggregate's name, what is inside.
    let packages = packages.map(|name| name.trim_start_matches("astral-dev-toolchain-"));
    programs
        .chain([COSIGN])
        .chain(packages)
        .chain([
            "Prism",
            "@sigstore/mock",
            "@sigstore/sign",
            "@sigstore/verify",
            "helm",
            "kubectl",
        ])
        .collect::<Vec<_>>()
        .join(", ")
}

/// What to put before `apt-get`: nothing for root, `sudo` where it asks no password, `None` where neither.
fn apt_privilege() -> Option<&'static [&'static str]> {
    let user = process::stdout(Command::new("id").arg("-u")).ok()?;
    if user.trim() == "0" {
        return Some(&[]);
    }
    process::succeeds(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

fn apt_get(privilege: &[&str], arguments: &[&str]) -> Command {
    let settings = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "Acquire::Retries=3",
    ];
    let mut words = privilege.iter().chain(&settings).chain(arguments);
    let mut command = Command::new(words.next().copied().unwrap_or("env"));
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_python_package_is_pinned() {
        let packages = [REQUIREMENTS, ANSIBLE_REQUIREMENTS].into_iter();
        let packages = packages
            .flat_map(str::lines)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for package in packages {
            assert!(package.contains("=="), "`{package}` has no pinned version");
        }
    }

    #[test]
    fn sudo_goes_before_apt_get() {
        let command = apt_get(&["sudo", "-n"], &["update"]);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let settings = "env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3";
        assert_eq!(words.join(" "), format!("sudo -n {settings} update"));
    }

    #[test]
    fn names_are_bare() {
        assert!(names().contains("skopeo, podman"));
        assert!(names().contains(", cargo-deny, cargo-shear, "));
        assert!(
            names().ends_with(
                "zizmor, Prism, @sigstore/mock, @sigstore/sign, @sigstore/verify, helm, kubectl"
            ),
            "{}",
            names()
        );
    }
}
