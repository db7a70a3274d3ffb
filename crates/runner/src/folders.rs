//! Folders that hold results of several runs.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What a stage calls the folder of an evaluation, beside those of its other results.
const RESULT_FOLDER: &str = "evaluation";

/// What was found below a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FoundFolders {
    /// The folders that hold the file, sorted by name.
    pub with: Vec<PathBuf>,
    /// The outermost folders in which nothing holds it, sorted by name: a run that broke off, or something else altogether.
    pub without: Vec<PathBuf>,
}

impl FoundFolders {
    /// The folders without the file, in words; `None` where there are none.
    pub fn named_without(&self) -> Option<String> {
        /// Names that are given.
        const MAX_NAMES: usize = 5;
        let named = self.without.iter().take(MAX_NAMES);
        let named: Vec<String> = named.map(|path| format!("`{}`", path.display())).collect();
        let more = match self.without.len().saturating_sub(MAX_NAMES) {
            0 => String::new(),
            n_more => format!(" and {n_more} more"),
        };
        (!named.is_empty()).then(|| named.join(", ") + &more)
    }
}

/// Why a folder cannot be searched.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the folder `{}`", path.display())]
pub struct FolderError {
    path: PathBuf,
    source: io::Error,
}

/// Searches `folder` and the folders below it for those that hold `file`.
///
/// `except` is passed over, as if it held nothing that could be missed. So is what lies beside a folder called `evaluation` that
/// holds the file, such as the `model` of the same run, and what has a name that begins with a dot. What lies in a folder that was
/// found is not searched.
pub fn folders_with(
    file: &str,
    folder: &Path,
    except: Option<&Path>,
) -> Result<FoundFolders, FolderError> {
    let mut search = Search {
        file,
        except: except.and_then(|except| except.canonicalize().ok()),
        seen: BTreeSet::new(),
        found: FoundFolders::default(),
    };
    if search.visit(folder)? == Holds::Nothing {
        // What is empty as a whole has no part that is missed.
        search.found.without.clear();
    }
    search.found.with.sort();
    search.found.without.sort();
    Ok(search.found)
}

struct Search<'a> {
    file: &'a str,
    except: Option<PathBuf>,
    /// Folders that were visited: links may lead back.
    seen: BTreeSet<PathBuf>,
    found: FoundFolders,
}

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// The file, in itself or further below.
    File,
    /// No such file.
    Nothing,
}

impl Search<'_> {
    fn visit(&mut self, folder: &Path) -> Result<Holds, FolderError> {
        let error = |source| FolderError {
            path: folder.to_owned(),
            source,
        };
        let place = folder.canonicalize().map_err(error)?;
        if self.except.as_ref() == Some(&place) || !self.seen.insert(place) {
            return Ok(Holds::File);
        }
        if folder.join(self.file).is_file() {
            self.found.with.push(folder.to_owned());
            return Ok(Holds::File);
        }
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for entry in folder.read_dir().map_err(error)? {
            let path = entry.map_err(error)?.path();
            let is_hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if is_hidden || !path.is_dir() {
                continue;
            }
            match self.visit(&path)? {
                Holds::File => with.push(path),
                Holds::Nothing => without.push(path),
            }
        }
        if with.is_empty() {
            return Ok(Holds::Nothing);
        }
        let is_one_run = with.iter().any(|path| path.ends_with(RESULT_FOLDER));
        if !is_one_run {
            self.found.without.extend(without);
        }
        Ok(Holds::File)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_run_without_the_file_is_named_and_what_lies_beside_a_result_is_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let file = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        file("1/evaluation/evaluation.json");
        file("1/model/model.json");
        file("2/evaluation/evaluation.json");
        file("3/model/model.json");
        file("own/evaluation/evaluation.json");
        file(".cache/x");
        file("readme.txt");
        fs::create_dir(root.join("4")).unwrap();
        let own = root.join("own/evaluation");
        let found = folders_with("evaluation.json", root, Some(&own)).unwrap();
        let at =
            |names: &[&str]| -> Vec<PathBuf> { names.iter().map(|name| root.join(name)).collect() };
        assert_eq!(found.with, at(&["1/evaluation", "2/evaluation"]));
        assert_eq!(found.without, at(&["3", "4"]));
        let named = found.named_without().unwrap();
        assert!(named.contains("/3`, `"), "{named}");
        let found = folders_with("evaluation.json", root, None).unwrap();
        assert_eq!(found.with.len(), 3);
        let found = folders_with("evaluation.json", &root.join("3"), None).unwrap();
        assert_eq!(found, FoundFolders::default());
        let error = folders_with("evaluation.json", &root.join("none"), None).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }

    /// Copies of evaluations side by side, without the folders of their runs.
    #[test]
    fn evaluations_side_by_side_are_runs_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("a/evaluation.json"), "{}").unwrap();
        let found = folders_with("evaluation.json", root.path(), None).unwrap();
        assert_eq!(found.without, [root.path().join("b")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_ends_the_search() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::write(root.path().join("a/evaluation.json"), "{}").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("back")).unwrap();
        let found = folders_with("evaluation.json", root.path(), None).unwrap();
        assert_eq!((found.with.len(), found.without.len()), (1, 0));
    }
}
