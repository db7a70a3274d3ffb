//! Documents that are not sent yet, in a folder of the user: each file is the body that is to be sent.
//!
//! A stage keeps its documents before it sends them and removes them once the server has them all, so nothing is lost where either is
//! killed. What is sent twice is there once, so stages that share the folder need no lock. The folder is not the output folder's:
//! that one travels as an artifact, and a fork's artifact must not be sent.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::Url;
use trainyard_core::digest::Sha256Digest;
use trainyard_runner::Environment;

use crate::bulk::{Entry, body};
use crate::document::Document;

/// The most that is kept for one server; beyond it the oldest goes.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// What the server will never take is kept below this folder, to be looked at.
const REFUSED: &str = "refused";

const SUFFIX: &str = ".ndjson";

/// The folder of one server's documents.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    folder: PathBuf,
    max_bytes: u64,
}

/// A file of it.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Absent where it could not be kept.
    pub(crate) path: Option<PathBuf>,
    pub(crate) entries: Vec<Entry>,
}

impl Spool {
    /// That of the server at `url` in the folder where the user's programs keep their state; `None` where nothing says where that is.
    pub(crate) fn of_user(environment: &Environment, url: &Url) -> Option<Self> {
        let folder = |name| environment.get(name).map(PathBuf::from);
        let state = folder("XDG_STATE_HOME")
            .or_else(|| folder("LOCALAPPDATA"))
            .or_else(|| Some(folder("HOME")?.join(".local/state")))?;
        // Documents for one server are not for another.
        let name = Sha256Digest::of(url.as_str().as_bytes());
        let folder = state.join("trainyard/documents").join(name.short());
        Some(Self::in_folder(folder, MAX_BYTES))
    }

    pub(crate) const fn in_folder(folder: PathBuf, max_bytes: u64) -> Self {
        Self { folder, max_bytes }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps the documents of a stage, unless they are kept already.
    pub(crate) fn keep(&self, documents: &[Document], now: SystemTime) -> io::Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let ids: String = documents
            .iter()
            .map(|document| document.id.as_str())
            .collect();
        let name = Sha256Digest::of(ids.as_bytes());
        let ending = format!("-{}{SUFFIX}", name.short());
        let is_kept = |path: &PathBuf| path.to_string_lossy().ends_with(&ending);
        if self.paths().iter().any(is_kept) {
            return Ok(());
        }
        let ms = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        // Sorted by name, the oldest is first.
        let path = self.folder.join(format!("{:013}{ending}", ms.as_millis()));
        let text: String = documents.iter().map(Document::lines).collect();
        write(&path, &text)
    }

    /// What is kept, the oldest first. Damaged files are removed, since no server would take them, and named.
    pub(crate) fn batches(&self) -> (Vec<Batch>, Vec<PathBuf>) {
        let (mut batches, mut damaged) = (Vec::new(), Vec::new());
        for path in self.paths() {
            // Another stage may have sent and removed it.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            if let Some(entries) = Entry::parse_all(&text) {
                let path = Some(path);
                batches.push(Batch { path, entries });
            } else {
                let _ = fs::remove_file(&path);
                damaged.push(path);
            }
        }
        (batches, damaged)
    }

    /// Leaves of the file at `path` what is still to be sent, and puts what is refused aside. Returns where that is.
    pub(crate) fn settle(
        &self,
        path: &Path,
        rest: &[Entry],
        refused: &[Entry],
    ) -> io::Result<Option<PathBuf>> {
        let mut aside = None;
        if !refused.is_empty() {
            let name = path.file_name().unwrap_or_default();
            let place = self.folder.join(REFUSED).join(name);
            write(&place, &body(refused))?;
            aside = Some(place);
        }
        if !rest.is_empty() {
            write(path, &body(rest))?;
            return Ok(aside);
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(aside),
        }
    }

    /// Removes the oldest files until the rest is not too large; returns how many documents that were.
    pub(crate) fn trim(&self) -> usize {
        let mut n_dropped = 0;
        for folder in [self.folder.clone(), self.folder.join(REFUSED)] {
            let size = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
            let paths = paths_in(&folder);
            let mut n_bytes: u64 = paths.iter().map(size).sum();
            for path in paths {
                if n_bytes <= self.max_bytes {
                    break;
                }
                n_bytes -= size(&path);
                let text = fs::read_to_string(&path).unwrap_or_default();
                if fs::remove_file(&path).is_ok() {
                    n_dropped += text.lines().count() / 2;
                }
            }
        }
        n_dropped
    }

    fn paths(&self) -> Vec<PathBuf> {
        paths_in(&self.folder)
    }
}

/// The files in the folder, by name.
fn paths_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.to_string_lossy().ends_with(SUFFIX) && path.is_file())
        .collect();
    paths.sort_unstable();
    paths
}

/// Writes the file whole or not at all, for the user alone.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // A temporary file is the user's alone, and so becomes this one.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::document::Kind;

    fn documents(values: &[u64]) -> Vec<Document> {
        let of = |value: &u64| {
            let known = json!({ "trainyard": { "epoch": { "number": value } } });
            Document::new(Kind::Epoch, "2026-11-24T09:30:00.123Z", known, json!({}))
        };
        values.iter().map(of).collect()
    }

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn kept(spool: &Spool) -> Vec<usize> {
        let (batches, damaged) = spool.batches();
        assert!(damaged.is_empty());
        batches.iter().map(|batch| batch.entries.len()).collect()
    }

    #[test]
    fn documents_are_kept_in_order_for_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::in_folder(folder.path().join("a/b"), 1 << 20);
        spool.keep(&[], at(1)).unwrap();
        assert!(!spool.folder().exists());
        spool.keep(&documents(&[1, 2]), at(1_000)).unwrap();
        spool.keep(&documents(&[3]), at(999)).unwrap();
        // Found out again by a run that the server was away from too: the first stays, with its time.
        spool.keep(&documents(&[1, 2]), at(2_000)).unwrap();
        assert_eq!(kept(&spool), [1, 2]);
        #[cfg(unix)]
        for path in spool.paths() {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_was_sent_goes_and_what_is_refused_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::in_folder(folder.path().to_owned(), 1 << 20);
        spool.keep(&documents(&[1, 2, 3]), at(1)).unwrap();
        let (mut batches, _) = spool.batches();
        let Batch { path, entries } = batches.remove(0);
        let path = path.unwrap();
        let aside = spool.settle(&path, &entries[2..], &entries[1..2]).unwrap();
        assert_eq!(kept(&spool), [1]);
        assert_eq!(spool.batches().0[0].entries, entries[2..]);
        let aside = fs::read_to_string(aside.unwrap()).unwrap();
        assert_eq!(Entry::parse_all(&aside).unwrap(), entries[1..2]);
        for _ in 0..2 {
            // Another stage may have been quicker.
            assert_eq!(spool.settle(&path, &[], &[]).unwrap(), None);
            assert!(kept(&spool).is_empty());
        }
    }

    #[test]
    fn the_oldest_goes_where_it_gets_too_much_and_the_loss_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let size = documents(&[1])[0].lines().len() as u64;
        let spool = Spool::in_folder(folder.path().to_owned(), size * 3);
        spool.keep(&documents(&[1, 2]), at(1)).unwrap();
        spool.keep(&documents(&[3]), at(2)).unwrap();
        assert_eq!(spool.trim(), 0);
        spool.keep(&documents(&[4]), at(3)).unwrap();
        assert_eq!(spool.trim(), 2);
        assert_eq!(kept(&spool), [1, 1]);
    }

    #[test]
    fn a_damaged_file_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::in_folder(folder.path().to_owned(), 1 << 20);
        spool.keep(&documents(&[1]), at(2)).unwrap();
        let path = folder.path().join(format!("1-x{SUFFIX}"));
        fs::write(&path, "{\"create\":").unwrap();
        let (batches, damaged) = spool.batches();
        assert_eq!((batches.len(), damaged), (1, vec![path]));
        assert_eq!(kept(&spool), [1]);
    }

    #[test]
    fn each_server_has_a_folder_with_the_users_state() {
        let environment: Environment = [("HOME", "/home/ann")].into_iter().collect();
        let of = |url: &str| {
            let spool = Spool::of_user(&environment, &Url::parse(url).unwrap()).unwrap();
            spool.folder().display().to_string().replace('\\', "/")
        };
        let one = of("https://a.example/");
        assert!(
            one.starts_with("/home/ann/.local/state/trainyard/documents/"),
            "{one}"
        );
        assert_ne!(one, of("https://b.example/"));
        let nowhere = Environment::default();
        assert!(Spool::of_user(&nowhere, &Url::parse("https://a.example/").unwrap()).is_none());
    }
}
