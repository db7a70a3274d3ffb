//! The machines that binaries are built for, and whether this one can build for them.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// The targets of a release, as `actions/support/run.sh` names them, each with the name of its system in images.
const TARGETS: [(&str, Option<&str>); 5] = [
    ("x86_64-unknown-linux-gnu", Some("linux-amd64")),
    ("aarch64-unknown-linux-gnu", Some("linux-arm64")),
    ("x86_64-apple-darwin", None),
    ("aarch64-apple-darwin", None),
    ("x86_64-pc-windows-msvc", None),
];

/// One of [`TARGETS`].
#[derive(Debug)]
pub(crate) struct Target {
    triple: &'static str,
    image_platform: Option<&'static str>,
}

impl Target {
    /// The target of that name.
    pub(crate) fn new(triple: &str) -> Result<Self> {
        let found = TARGETS.iter().find(|(known, _)| *known == triple);
        let Some((triple, image_platform)) = found else {
            let known = TARGETS.map(|(triple, _)| triple).join(", ");
            bail!("no release is built for `{triple}`; name one of {known}");
        };
        Ok(Self {
            triple,
            image_platform: *image_platform,
        })
    }

    /// Every target of a release.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        TARGETS.into_iter().map(|(triple, image_platform)| Self {
            triple,
            image_platform,
        })
    }

    /// Those whose server runs in images.
    pub(crate) fn linux() -> impl Iterator<Item = Self> {
        Self::all().filter(|target| target.image_platform.is_some())
    }

    /// Its name to the compiler.
    pub(crate) fn triple(&self) -> &'static str {
        self.triple
    }

    /// Its name to an image, such as `linux-amd64`; absent where no image runs.
    pub(crate) fn image_platform(&self) -> Option<&'static str> {
        self.image_platform
    }

    /// The program's file on this target.
    pub(crate) fn file_name(&self, program: &str) -> String {
        if self.is_windows() {
            format!("{program}.exe")
        } else {
            program.to_owned()
        }
    }

    pub(crate) fn is_windows(&self) -> bool {
        self.triple.ends_with("-windows-msvc")
    }

    /// The linker for another processor's Linux, under the name that Debian gives it.
    pub(crate) fn cross_linker(&self, host: &str) -> Option<String> {
        let (processor, _) = self.triple.split_once('-')?;
        let is_other_linux = self.image_platform.is_some() && self.triple != host;
        is_other_linux.then(|| format!("{processor}-linux-gnu-gcc"))
    }

    /// The variable by which cargo is told of a linker.
    pub(crate) fn linker_variable(&self) -> String {
        let triple = self.triple.to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{triple}_LINKER")
    }

    /// The variable by which C code is told of flags.
    pub(crate) fn c_flags_variable(&self) -> String {
        format!("CFLAGS_{}", self.triple.replace('-', "_"))
    }

    /// Why this machine, `host`, cannot build it, and what would help; `None` if it can.
    pub(crate) fn obstacle(&self, host: &str) -> Result<Option<String>> {
        let triple = self.triple;
        if triple == host {
            return Ok(None);
        }
        if system(triple) != system(host) {
            return Ok(Some(format!("it is built on {} alone", system(triple))));
        }
        let mut rustc = Command::new("rustc");
        let folder = process::stdout(rustc.args(["--print", "target-libdir", "--target", triple]))?;
        if !Path::new(folder.trim()).is_dir() {
            let help =
                format!("its standard library is not installed; run `rustup target add {triple}`");
            return Ok(Some(help));
        }
        let linker = self.cross_linker(host);
        let linker = linker.filter(|_| env::var_os(self.linker_variable()).is_none());
        Ok(linker
            .filter(|linker| !process::succeeds(Command::new(linker).arg("--version")))
            .map(|linker| format!("its linker `{linker}` is not installed; on Debian run `apt-get install gcc-{}`", linker.trim_end_matches("-gcc"))))
    }
}

fn system(triple: &str) -> &'static str {
    if triple.contains("-linux-") {
        "Linux"
    } else if triple.contains("-apple-") {
        "macOS"
    } else {
        "Windows"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "x86_64-unknown-linux-gnu";

    #[test]
    fn what_cannot_be_built_says_what_is_missing() {
        let obstacle = |triple: &str| Target::new(triple).unwrap().obstacle(HOST).unwrap();
        assert_eq!(obstacle(HOST), None);
        let elsewhere = obstacle("x86_64-pc-windows-msvc").unwrap();
        assert_eq!(elsewhere, "it is built on Windows alone");
        let error = Target::new("sparc-sun-solaris").unwrap_err().to_string();
        assert!(
            error.contains("name one of x86_64-unknown-linux-gnu, "),
            "{error}"
        );
    }

    #[test]
    fn another_processor_needs_its_own_linker() {
        let target = Target::new("aarch64-unknown-linux-gnu").unwrap();
        assert_eq!(
            target.cross_linker(HOST).as_deref(),
            Some("aarch64-linux-gnu-gcc")
        );
        assert_eq!(target.cross_linker(target.triple()), None);
        assert_eq!(
            target.linker_variable(),
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"
        );
    }

    /// A target that `run.sh` does not know would never be downloaded.
    #[test]
    fn run_sh_knows_every_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let script = std::fs::read_to_string(root.join("actions/support/run.sh")).unwrap();
        for (triple, _) in TARGETS {
            assert!(script.contains(&format!("echo {triple} ;;")), "{triple}");
        }
    }
}
