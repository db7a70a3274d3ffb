//! The folder that a stage writes its result to, and how an earlier result in it is put aside.
//!
//! A stage that breaks off must not leave its earlier result for the next stage to believe. So before anything can fail,
//! the file that makes the folder a result is renamed; what it names stays, so that nothing that took hours is lost to a
//! typo, until the new result is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::digest::Sha256Digest;
use crate::files::{self, FileError, Lock};

/// What a file is called that was put aside.
const PREVIOUS: &str = "previous";

/// A stage's folder, whose earlier result has been put aside.
#[derive(Debug)]
pub struct ResultFolder {
    folder: PathBuf,
    /// The JSON that makes the folder a result: written last.
    file: &'static str,
    /// Of the folder that all stages write to: two runs in one would read each other's results.
    lock: Arc<Lock>,
}

impl ResultFolder {
    /// Puts the earlier result in `folder` aside, if there is one: `file` is renamed to `<file>.previous`, which nothing
    /// reads as a result.
    ///
    /// # Errors
    ///
    /// Where another run is at work in the folder that `folder` lies in.
    pub fn begin(folder: &Path, file: &'static str) -> Result<Self, FileError> {
        let of_all_stages = folder.parent().filter(|parent| *parent != Path::new(""));
        let this = Self {
            lock: Arc::new(Lock::take(of_all_stages.unwrap_or(Path::new(".")))?),
            folder: folder.to_owned(),
            file,
        };
        this.put_aside()?;
        Ok(this)
    }

    /// A second result of the same stage, in the folder `name` beside this one, whose earlier result is put aside too.
    pub fn beside(&self, name: &str, file: &'static str) -> Result<Self, FileError> {
        let beside = Self {
            lock: Arc::clone(&self.lock),
            folder: self.folder.with_file_name(name),
            file,
        };
        beside.put_aside()?;
        Ok(beside)
    }

    /// Puts the result aside again that [`Self::restore`] brought back.
    pub fn put_aside(&self) -> Result<(), FileError> {
        files::rename(&self.result(), &self.previous()).map(|_| ())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Takes back that the earlier result was put aside: it is what this run would make. `false` where there was none.
    pub fn restore(&self) -> Result<bool, FileError> {
        files::rename(&self.previous(), &self.result())
    }

    /// Whether an earlier result was put aside, by this run or by one that broke off.
    pub fn has_previous(&self) -> bool {
        files::is_there(&self.previous())
    }

    /// Writes the JSON that makes the folder a result, and then removes the earlier one. Returns the new one's digest.
    pub fn finish<T: Serialize>(&self, value: &T) -> Result<Sha256Digest, FileError> {
        let digest = files::write_json(&self.result(), value)?;
        files::remove(&self.previous())?;
        Ok(digest)
    }

    /// The same for a JSON with lists that may be of thousands: each element is on one line.
    pub fn finish_by_line<T: Serialize>(&self, value: &T) -> Result<Sha256Digest, FileError> {
        let digest = files::write_json_by_line(&self.result(), value)?;
        files::remove(&self.previous())?;
        Ok(digest)
    }

    fn result(&self) -> PathBuf {
        self.folder.join(self.file)
    }

    fn previous(&self) -> PathBuf {
        self.folder.join(format!("{}.{PREVIOUS}", self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_breaks_off_leaves_no_result_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("model").join(name);
        files::write(&at("model.json"), b"{}").unwrap();
        files::write(&at("weights.safetensors"), b"w").unwrap();
        for _ in 0..2 {
            // Twice: the second run finds nothing to put aside and keeps what the first one did.
            let results = ResultFolder::begin(&folder.path().join("model"), "model.json").unwrap();
            assert!(!at("model.json").exists() && results.has_previous());
        }
        assert!(at("model.json.previous").exists() && at("weights.safetensors").exists());

        let results = ResultFolder::begin(&folder.path().join("model"), "model.json").unwrap();
        assert!(results.restore().unwrap() && at("model.json").exists());
        assert!(!results.restore().unwrap());
        drop(results);

        let results = ResultFolder::begin(&folder.path().join("model"), "model.json").unwrap();
        let digest = results.finish(&1).unwrap();
        assert_eq!(digest, Sha256Digest::of(b"1\n"));
        assert!(at("model.json").exists() && !results.has_previous());
    }

    #[test]
    fn two_runs_do_not_write_to_one_folder_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let [model, verdict] = ["model", "verdict"].map(|name| folder.path().join(name));
        let first = ResultFolder::begin(&model, "model.json").unwrap();
        let error = ResultFolder::begin(&verdict, "verdict.json").unwrap_err();
        assert!(
            error.to_string().contains("in use by another run"),
            "{error}"
        );
        // Two results of one run are no two runs.
        let beside = first.beside("folds", "folds.json").unwrap();
        assert_eq!(beside.path(), folder.path().join("folds"));
        drop(first);
        assert!(ResultFolder::begin(&verdict, "verdict.json").is_err());
        drop(beside);
        ResultFolder::begin(&verdict, "verdict.json").unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_has_nothing_to_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("verdict");
        let results = ResultFolder::begin(&missing, "verdict.json").unwrap();
        assert!(!results.has_previous() && !missing.exists());
    }
}
