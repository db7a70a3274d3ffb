//! The licences of what is linked in: most ask that their text goes with each copy.
//!
//! Crates bring their own. Rust's standard library is not among the crates, and neither is the C library, whose licence also asks that
//! users can link another version of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::components::{Component, Key};
use crate::process;
use crate::workspace::Workspace;

/// The GNU Lesser General Public License, version 2.1, as Debian's `base-files` has it.
const LGPL: &str = include_str!("notices/lgpl-2.1.txt");

/// Copyright and licences of the parts of the C library, as Debian's `libc6-dev` has them.
const GLIBC: &str = include_str!("notices/glibc-copyright.txt");

/// How names of files with a licence begin.
const NAMES: [&str; 5] = ["license", "licence", "copying", "notice", "copyright"];

/// Every text once, after the crates that it comes with; crates without a text by their licence's name.
pub(crate) fn text(components: &BTreeMap<Key, Component>) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((name, version), component) in components {
        if component.is_ours {
            continue;
        }
        let mut found = texts_in(&component.folder)?;
        if found.is_empty() {
            let license = component.license.as_deref().unwrap_or("not given");
            found.push(format!("No text is in the crate. Its licence: {license}\n"));
        }
        for text in found {
            let crates = texts.entry(text).or_default();
            crates.push(format!("{name} {version}"));
        }
    }
    let mut all =
        String::from("Trainyard's binaries contain the crates below, under these licences.\n");
    for (text, crates) in &texts {
        let line = "-".repeat(80);
        let _ = write!(all, "\n{line}\n{}\n{line}\n\n{text}", crates.join(", "));
    }
    Ok(all)
}

/// The notices of Rust's standard library and of the crates in it, as the toolchain brings them.
pub(crate) fn standard_library(workspace: &Workspace) -> Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]);
    let root = process::stdout(rustc.current_dir(&workspace.root))?;
    let path = Path::new(root.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    fs::read_to_string(&path).with_context(|| {
        format!(
            "reading `{}`, which rustup's toolchains have",
            path.display()
        )
    })
}

/// The notice of the C library, which the programs for Linux contain.
pub(crate) fn c_library(version: &str) -> String {
    let line = "-".repeat(80);
    format!(
        "\
The programs for Linux contain parts of the GNU C Library (glibc), which is linked statically.

The GNU C Library is free software under the GNU Lesser General Public License, version 2.1 or later, below. Its version is that of the
system on which the archive was built: for releases the one that .github/workflows/release.yml names in `runs-on`. Its sources are that
system's package `glibc` (`apt-get source glibc`), and upstream's: https://sourceware.org/git/glibc.git

You may use the programs with a version of the library that you changed. Their complete sources are
https://github.com/trainyard/trainyard, tag v{version}, under the MIT or the Apache-2.0 licence:

- `RUSTFLAGS=\"-C target-feature=+crt-static -L native=FOLDER\" cargo build --release` links the `libc.a` in FOLDER;
- `cargo build --release` links no part of it: the programs load the system's library at their start, of this version or a later one.

{line}
Copyright and licences of parts of the GNU C Library
{line}

{GLIBC}
{line}
{line}

{LGPL}"
    )
}

/// The licences in a crate's folder, in the order of their names.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let context = || format!("reading `{}`", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    let texts = paths.iter().map(|path| {
        let bytes = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        Ok(format!("{}\n", text.trim_end()))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Section 6 of the licence: its text, a notice, and a way to link another version of the library.
    #[test]
    fn the_c_library_comes_with_its_licence_and_a_way_to_replace_it() {
        let text = c_library("1.2.3");
        for part in [
            "contain parts of the GNU C Library",
            "GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 2.1, February 1999",
            "tag v1.2.3,",
            "`RUSTFLAGS=\"-C target-feature=+crt-static -L native=FOLDER\" cargo build --release`",
            "Regents of the University of California",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn a_text_that_crates_share_stands_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut components = BTreeMap::new();
        for (name, text) in [
            ("a", Some("Be kind.\r\n")),
            ("b", Some("Be kind.\n\n")),
            ("c", None),
        ] {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("lib.rs"), "not a licence").unwrap();
            if let Some(text) = text {
                fs::write(folder.join("LICENSE-MIT"), text).unwrap();
            }
            let component = Component {
                license: Some("MIT".to_owned()),
                repository: None,
                sha256: None,
                folder,
                is_ours: false,
                dependencies: BTreeSet::new(),
            };
            components.insert((name.to_owned(), "1.0.0".to_owned()), component);
        }
        let text = text(&components).unwrap();
        assert_eq!(text.matches("Be kind.\n").count(), 1, "{text}");
        assert!(text.contains("\na 1.0.0, b 1.0.0\n"), "{text}");
        assert!(
            text.contains("\nc 1.0.0\n") && text.contains("Its licence: MIT\n"),
            "{text}"
        );
        assert!(!text.contains("not a licence"));
    }
}
