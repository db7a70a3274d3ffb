//! Where the checkout is, and the one way its binaries are built.
//!
//! The demo, the tests and CI all build through [`Workspace::cargo`], with the same flags, so that they share
//! one set of compiled dependencies and test the very binaries that the demo runs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The packages whose binaries make up the chain; each binary carries its package's name. Those of one group are built
/// by one command.
///
/// Cargo gives a crate that several packages of a command depend on the features that any of them asks for. Only `train`
/// asks for candle, so it is built on its own; built with the others, it would put candle into the server too.
pub(crate) const BINARY_PACKAGES: [&[&str]; 2] = [
    &["trainyard-train"],
    &[
        "trainyard-evaluate",
        "trainyard-gate",
        "trainyard-publish-image",
        "trainyard-verify",
        "trainyard-deploy",
        "trainyard-serve",
    ],
];

/// Linked statically, the server runs in an image with nothing else in it.
const STATIC_RUSTFLAGS: &str = "-C target-feature=+crt-static";

/// The checkout and the compiler that works on it.
pub(crate) struct Workspace {
    /// The repository's root folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Target triple of this machine.
    pub(crate) host: String,
    cargo: PathBuf,
    linking: Linking,
}

/// How the binaries are linked.
enum Linking {
    /// As the platform does by default.
    Plain,
    /// With the C library inside, for this target triple. The target is always named: without it the flags
    /// would reach procedural macros too, which cannot be linked statically.
    Static { triple: String, rustflags: String },
}

impl Workspace {
    /// Asks cargo where the workspace is, and the compiler which machine this is.
    pub(crate) fn locate() -> Result<Self> {
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let metadata = process::stdout(Command::new(&cargo).args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ]))?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("reading the output of `cargo metadata`")?;
        let folder = |key: &str| {
            let path = metadata.get(key).and_then(serde_json::Value::as_str);
            path.map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` has no `{key}`"))
        };

        let version = process::stdout(Command::new("rustc").arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("`rustc -vV` names no host")?;
        let rustflags = env::var("RUSTFLAGS").unwrap_or_default();

        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            host: host.to_owned(),
            cargo,
            linking: Linking::of_host(host, &rustflags),
        })
    }

    /// A cargo command in the root folder with the flags that all builds share.
    /// `subcommand` is the first argument, such as `build` or `clippy`.
    pub(crate) fn cargo(&self, subcommand: &[&str]) -> Command {
        let mut command = self.plain_cargo(subcommand);
        command.arg("--release");
        if let Linking::Static { triple, rustflags } = &self.linking {
            command
                .args(["--target", triple])
                .env("RUSTFLAGS", rustflags);
        }
        command
    }

    /// A cargo command in the root folder that compiles nothing of ours.
    pub(crate) fn plain_cargo(&self, subcommand: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(subcommand).current_dir(&self.root);
        command
    }

    /// Builds every binary of the chain and returns the folder they are in.
    pub(crate) fn build_binaries(&self) -> Result<PathBuf> {
        for group in BINARY_PACKAGES {
            let mut build = self.cargo(&["build"]);
            for package in group {
                build.args(["--package", package]);
            }
            process::run(&mut build)?;
        }
        Ok(self.binaries())
    }

    /// The folder that [`Self::build_binaries`] fills.
    pub(crate) fn binaries(&self) -> PathBuf {
        match &self.linking {
            Linking::Plain => self.target.join("release"),
            Linking::Static { triple, .. } => self.target.join(triple).join("release"),
        }
    }

    /// `path` as a reader in the root folder would type it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

impl Linking {
    fn of_host(host: &str, rustflags: &str) -> Self {
        if !matches!(
            host,
            "x86_64-unknown-linux-gnu" | "aarch64-unknown-linux-gnu"
        ) {
            return Self::Plain;
        }
        let rustflags = if rustflags.contains("crt-static") {
            rustflags.to_owned()
        } else {
            format!("{rustflags} {STATIC_RUSTFLAGS}").trim().to_owned()
        };
        Self::Static {
            triple: host.to_owned(),
            rustflags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_linux_links_statically_and_keeps_the_callers_flags() {
        let linking = Linking::of_host("x86_64-unknown-linux-gnu", "-C debuginfo=1");
        let Linking::Static { triple, rustflags } = linking else {
            panic!("should be static")
        };
        assert_eq!(triple, "x86_64-unknown-linux-gnu");
        assert_eq!(rustflags, "-C debuginfo=1 -C target-feature=+crt-static");
    }

    #[test]
    fn a_caller_who_decided_on_crt_static_is_left_alone() {
        let flags = "-C target-feature=-crt-static";
        let linking = Linking::of_host("aarch64-unknown-linux-gnu", flags);
        let Linking::Static { rustflags, .. } = linking else {
            panic!("should be static")
        };
        assert_eq!(rustflags, flags);
    }

    #[test]
    fn other_platforms_link_as_they_do() {
        for host in [
            "aarch64-apple-darwin",
            "x86_64-pc-windows-msvc",
            "x86_64-unknown-linux-musl",
        ] {
            assert!(
                matches!(Linking::of_host(host, ""), Linking::Plain),
                "{host}"
            );
        }
    }
}
