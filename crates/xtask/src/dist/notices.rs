//! The licences of the crates that are linked in: most ask that their text goes with each copy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::components::{Component, Key};

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
