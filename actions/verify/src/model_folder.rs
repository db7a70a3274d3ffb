//! A model on this machine, which was unpacked from an image: its files, and those beside them that no signature covers.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use trainyard_core::model::{FileEntry, ModelFolder as Files};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// What PyPI's `model-signing` passes over unless it is told otherwise.
const PASSED_OVER: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// So many names are enough to find the others by.
const MAX_NAMES: usize = 5;

/// What lies in the folder of a model.
pub(crate) struct ModelFolder {
    /// The model's files, checked against its manifest.
    pub(crate) files: Vec<FileEntry>,
    /// Paths of all others, with forward slashes, sorted.
    others: Vec<String>,
}

impl ModelFolder {
    /// Reads the folder.
    ///
    /// Ends with [`ExitCode::Data`].
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let model = Files::open(folder).exit_code(ExitCode::Data)?;
        let names = model.files().into_iter();
        let files = names.map(|name| FileEntry::measure(folder, name));
        let files: Vec<FileEntry> = files.collect::<Result<_, _>>().exit_code(ExitCode::Data)?;
        let mut others = Vec::new();
        list(folder, "", &mut others)
            .with_context(|| format!("cannot list `{}`", folder.display()))
            .exit_code(ExitCode::Data)?;
        others.retain(|path| files.iter().all(|file| file.path != *path));
        others.sort_unstable();
        Ok(Self { files, others })
    }

    /// The files that are not signed, as a sentence.
    pub(crate) fn not_checked(&self) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        let n_named = self.others.len().min(MAX_NAMES);
        let more = match self.others.len() - n_named {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some(format!(
            "files beside the model's in that folder, which its signature does not cover: {}{more}",
            self.others[..n_named].join(", ")
        ))
    }
}

/// Adds what lies below `folder`, which is at `prefix` in the model's; links as they are, since what they lead to is another file.
fn list(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if prefix.is_empty() && PASSED_OVER.contains(&&*name) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
