//! The folder of results that a fork's run left: none of it was written by this run.

use std::fs;
use std::path::{Path, PathBuf};

/// The largest file that is read as a whole. An evaluation of a million rows takes less.
const MAX_JSON_BYTES: u64 = 32 << 20;

/// Files that are looked at; an artifact of ours has about ten.
const MAX_FILES: usize = 1_000;

/// Why nothing in `folder` may be read; `None` where there is no reason.
///
/// Links could lead to files of this machine, and a huge file or a huge number of files could take its memory or time.
pub(crate) fn refusal(folder: &Path) -> Option<String> {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut n_files = 0;
    while let Some(path) = open.pop() {
        n_files += 1;
        if n_files > MAX_FILES {
            return Some(format!("the artifact has more than {MAX_FILES} files"));
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            // What is not there is said when it is missed.
            continue;
        };
        let named = || shown(path.strip_prefix(folder).unwrap_or(&path));
        if metadata.is_symlink() || !(metadata.is_file() || metadata.is_dir()) {
            return Some(format!("`{}` in the artifact is not a plain file", named()));
        }
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if metadata.is_file() && is_json && metadata.len() > MAX_JSON_BYTES {
            return Some(format!(
                "`{}` in the artifact is larger than {} MiB",
                named(),
                MAX_JSON_BYTES >> 20
            ));
        }
        if metadata.is_dir() {
            match fs::read_dir(&path) {
                Ok(entries) => open.extend(
                    entries
                        .flatten()
                        .take(MAX_FILES + 1)
                        .map(|entry| entry.path()),
                ),
                Err(error) => return Some(format!("`{}` cannot be listed: {error}", named())),
            }
        }
    }
    None
}

/// A name from outside, as short as a sentence bears.
fn shown(path: &Path) -> String {
    path.display().to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_files_are_read_and_a_missing_folder_is_missed_later() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(refusal(&folder.path().join("nothing")), None);
        fs::create_dir(folder.path().join("charts")).unwrap();
        fs::write(folder.path().join("charts/a.svg"), "x").unwrap();
        fs::write(folder.path().join("evaluation.json"), "{}").unwrap();
        assert_eq!(refusal(folder.path()), None);
    }

    #[test]
    fn a_huge_file_and_a_flood_of_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("evaluation.json")).unwrap();
        file.set_len(MAX_JSON_BYTES + 1).unwrap();
        assert!(
            refusal(folder.path())
                .unwrap()
                .contains("larger than 32 MiB")
        );
        file.set_len(2).unwrap();
        for idx in 0..MAX_FILES {
            fs::write(folder.path().join(format!("{idx}")), "").unwrap();
        }
        assert!(
            refusal(folder.path())
                .unwrap()
                .contains("more than 1000 files")
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_and_other_things_are_refused_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("charts")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("charts/x")).unwrap();
        let reason = refusal(folder.path()).unwrap();
        assert_eq!(reason, "`charts/x` in the artifact is not a plain file");
        let linked = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), linked.path().join("evaluation")).unwrap();
        assert!(refusal(&linked.path().join("evaluation")).is_some());
    }
}
