//! The server to pack: found, and checked to start in an image that holds nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use trainyard_core::files;
use trainyard_oci::Platform;
use trainyard_runner::{ExitCode, WithExitCode as _};

/// The server's file name.
pub(crate) const PROGRAM: &str = "trainyard-serve";

/// A server binary and the machines that it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) path: PathBuf,
    pub(crate) platform: Platform,
    /// Whether it is the one beside this program, of this program's version.
    pub(crate) is_ours: bool,
}

impl Server {
    /// The servers in `named`, or else those beside this program: one for each of `platforms`, where these are given.
    pub(crate) fn find_all(named: &[PathBuf], platforms: &[String]) -> anyhow::Result<Vec<Self>> {
        let paths = if named.is_empty() {
            let program = std::env::current_exe()
                .context("finding this program's folder")
                .exit_code(ExitCode::Bug)?;
            let folder = program.parent().unwrap_or(Path::new("."));
            beside(folder, std::env::consts::OS, platforms)?
        } else {
            named.to_vec()
        };
        let mut servers: Vec<Self> = Vec::new();
        for path in &paths {
            let server = Self::read(path, named.is_empty())?;
            if !servers
                .iter()
                .any(|known| known.platform == server.platform)
            {
                servers.push(server);
            }
        }
        if platforms.is_empty() {
            return Ok(servers);
        }
        let wanted = platforms.iter().map(|platform| {
            let fits = |server: &&Self| server.platform.to_string() == *platform;
            servers
                .iter()
                .find(fits)
                .cloned()
                .with_context(|| format!("there is no server for `{platform}`"))
                .exit_code(ExitCode::Usage)
                .hint("name one for each of `[image] platforms` with `--server`; `linux/amd64` and `linux/arm64` are known")
        });
        wanted.collect()
    }

    fn read(path: &Path, is_ours: bool) -> anyhow::Result<Self> {
        let bytes = files::read(path)
            .exit_code(ExitCode::Usage)
            .hint("name the server to pack with `--server`")?;
        let architecture = static_architecture(&bytes)
            .map_err(|problem| anyhow!("`{}` {problem}", path.display()))
            .exit_code(ExitCode::Usage)
            .hint("build it with `RUSTFLAGS=\"-C target-feature=+crt-static\"`, or take the released one")?;
        let platform = match architecture {
            Architecture::Amd64 => Platform::linux_amd64(),
            Architecture::Arm64 => Platform::linux_arm64(),
        };
        Ok(Self {
            path: path.to_owned(),
            platform,
            is_ours,
        })
    }

    /// Whether this machine can start it.
    pub(crate) fn runs_here(&self) -> bool {
        cfg!(target_os = "linux") && self.platform.architecture == architecture()
    }
}

/// This machine's architecture, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The servers for `platforms` in the folder of this program, which runs on `system`.
///
/// A release has `trainyard-serve` for its own system, and one for each platform of an image under that platform's name.
/// Without `platforms`, the image is for this machine's architecture; it is of Linux wherever it is built.
fn beside(folder: &Path, system: &str, platforms: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let is_linux = system == "linux";
    if is_linux && platforms.is_empty() {
        return Ok(vec![folder.join(PROGRAM)]);
    }
    let own = [format!("linux/{}", architecture())];
    let platforms = if platforms.is_empty() {
        &own[..]
    } else {
        platforms
    };
    let servers = platforms.iter().map(|platform| {
        let name = format!("{PROGRAM}-{}", platform.replace('/', "-"));
        let path = folder.join(&name);
        if path.is_file() {
            return Ok(path);
        }
        if is_linux {
            return Ok(folder.join(PROGRAM));
        }
        Err(anyhow!("the server in an image runs on Linux, and there is no `{name}` in `{}`", folder.display()))
            .exit_code(ExitCode::Usage)
            .hint(format!("copy `{name}` from the archive of a release, which holds it on every system, or name a server with `--server`; a build on {system} makes none"))
    });
    servers.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Architecture {
    Amd64,
    Arm64,
}

/// The architecture of a Linux program that needs no loader and no library; the error says what is wrong, in words.
///
/// System V ABI, chapter 4 and 5: `e_machine`, and a program header `PT_INTERP` where a loader is asked for.
fn static_architecture(bytes: &[u8]) -> Result<Architecture, String> {
    const PT_INTERP: u32 = 3;
    // Little-endian, 64 bits.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Err("is not a 64-bit Linux program".to_owned());
    }
    let number = |at: usize, n_bytes: usize| -> Result<u64, String> {
        let field = bytes.get(at..at.saturating_add(n_bytes));
        let field = field.ok_or("is cut off")?;
        Ok(field
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let architecture = match number(18, 2)? {
        62 => Architecture::Amd64,
        183 => Architecture::Arm64,
        machine => {
            return Err(format!(
                "is for a machine that is not known here (ELF {machine})"
            ));
        }
    };
    let (start, size, n) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for header in 0..n {
        let at = usize::try_from(start + header * size).map_err(|_| "is cut off")?;
        if number(at, 4)? == u64::from(PT_INTERP) {
            return Err(
                "is linked dynamically, so it would not start in an empty image".to_owned(),
            );
        }
    }
    Ok(architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of an ELF file with one program header.
    fn elf(machine: u8, header_type: u8) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64 + 56, 0);
        bytes[18] = machine;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = header_type;
        bytes
    }

    #[test]
    fn a_static_program_is_told_from_a_dynamic_one() {
        assert_eq!(static_architecture(&elf(62, 1)), Ok(Architecture::Amd64));
        assert_eq!(static_architecture(&elf(183, 1)), Ok(Architecture::Arm64));
        let problem = |bytes: &[u8]| static_architecture(bytes).unwrap_err();
        assert!(problem(&elf(62, 3)).contains("linked dynamically"));
        assert!(problem(&elf(3, 1)).contains("not known here"));
        assert!(problem(&elf(62, 1)[..64]).contains("cut off"));
        assert!(problem(b"#!/bin/sh").contains("not a 64-bit Linux program"));
    }

    #[test]
    fn an_image_is_of_linux_wherever_it_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let find = |system: &str, platforms: &[&str]| {
            let platforms: Vec<String> = platforms.iter().map(|name| (*name).to_owned()).collect();
            let found = beside(folder.path(), system, &platforms)?;
            let names = found.iter().filter_map(|path| path.file_name()?.to_str());
            anyhow::Ok(names.map(str::to_owned).collect::<Vec<_>>())
        };
        let of_this_machine = format!("{PROGRAM}-linux-{}", architecture());
        assert_eq!(find("linux", &[]).unwrap(), [PROGRAM]);
        assert_eq!(find("linux", &["linux/arm64"]).unwrap(), [PROGRAM]);
        for system in ["macos", "windows"] {
            let error = find(system, &[]).unwrap_err().to_string();
            let problem = format!("runs on Linux, and there is no `{of_this_machine}` in `");
            assert!(error.contains(&problem), "{error}");
        }

        // As a release lays them down.
        let other = if architecture() == "amd64" {
            "arm64"
        } else {
            "amd64"
        };
        let of_the_other = format!("{PROGRAM}-linux-{other}");
        for name in [PROGRAM, &of_this_machine, &of_the_other] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let both = ["linux/amd64", "linux/arm64"];
        let servers = both.map(|platform| format!("{PROGRAM}-{}", platform.replace('/', "-")));
        assert_eq!(find("linux", &[]).unwrap(), [PROGRAM]);
        for system in ["macos", "windows"] {
            assert_eq!(
                find(system, &[]).unwrap(),
                std::slice::from_ref(&of_this_machine)
            );
        }
        for system in ["linux", "macos", "windows"] {
            assert_eq!(find(system, &both).unwrap(), servers);
        }
    }

    /// The shell of this machine is linked dynamically.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_real_dynamic_program_is_refused() {
        let error = Server::find_all(&["/bin/sh".into()], &[]).unwrap_err();
        assert!(error.to_string().contains("linked dynamically"), "{error}");
    }
}
