//! What is in a folder of models, as far as the names of its files tell.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use trainyard_core::model::MANIFEST_FILE;

use crate::drift::DriftArgs;
use crate::model::Model;

/// The version of a model that is not in a folder of versions.
const ONLY_VERSION: u64 = 1;

const LABELS_FILE: &str = "labels.json";

/// Versions by their labels.
pub(super) type Labels = BTreeMap<String, u64>;

/// What was found, in the order of names and versions. Equal to another where nothing has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scan {
    pub(super) found: Vec<Found>,
    /// The label files of models.
    pub(super) labels: BTreeMap<String, LabelsFile>,
    /// What is no model.
    pub(super) passed_over: Vec<PassedOver>,
    /// Why the folder could not be read any more.
    pub(super) problem: Option<String>,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    path: PathBuf,
    /// Those of its folders; absent where there is one model, which names itself.
    named: Option<(String, u64)>,
}

/// A model's files, as they are now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) place: Place,
    files: BTreeMap<OsString, FileState>,
}

/// A file of labels, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LabelsFile {
    path: PathBuf,
    state: FileState,
}

/// Something in the folder that is no model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PassedOver {
    pub(super) path: PathBuf,
    pub(super) why: &'static str,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, PartialEq)]
struct FileState {
    n_bytes: u64,
    modified: Option<SystemTime>,
    /// Another file under the same name has another, where the system has such numbers.
    inode: u64,
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self {
            n_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            inode: inode(metadata),
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

impl Place {
    /// The name of its folder, for what cannot be opened.
    pub(super) fn name(&self) -> String {
        match &self.named {
            Some((name, _)) => name.clone(),
            None => self.path.display().to_string(),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.named
            .as_ref()
            .map_or(ONLY_VERSION, |(_, version)| *version)
    }
}

impl Found {
    /// The model that is there.
    pub(super) fn load(&self, drift: DriftArgs) -> anyhow::Result<Model> {
        let Place { path, named } = &self.place;
        let name = named.as_ref().map(|(name, _)| name.as_str());
        Model::open(path, name, self.place.version(), drift)
            .with_context(|| format!("cannot serve the model in `{}`", path.display()))
    }
}

impl LabelsFile {
    pub(super) fn read(&self) -> anyhow::Result<Labels> {
        let text = fs::read_to_string(&self.path);
        let labels = text.map_err(anyhow::Error::from).and_then(|text| {
            serde_json::from_str(&text).context("it should be like {\"stable\": 1, \"canary\": 2}")
        });
        labels.with_context(|| format!("cannot use the labels in `{}`", self.path.display()))
    }
}

impl Scan {
    /// What is in `path`.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or holds no model.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let metadata =
            fs::metadata(path).with_context(|| format!("there is no `{}`", path.display()))?;
        let mut scan = Self::default();
        if metadata.is_file() || is_model(path) {
            scan.add(path.to_owned(), None)?;
        } else {
            for (name, folder) in entries(path, &mut scan.passed_over)? {
                scan.take_model(name, &folder)?;
            }
        }
        if scan.found.is_empty() {
            bail!(
                "cannot serve the model in `{}`: it holds neither `{MANIFEST_FILE}` nor folders of models, `NAME/VERSION/{MANIFEST_FILE}`",
                path.display()
            );
        }
        Ok(scan)
    }

    fn add(&mut self, path: PathBuf, named: Option<(String, u64)>) -> anyhow::Result<()> {
        let files = files(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let place = Place { path, named };
        self.found.push(Found { place, files });
        Ok(())
    }

    fn pass_over(&mut self, path: PathBuf, why: &'static str) {
        self.passed_over.push(PassedOver { path, why });
    }

    /// Takes the folder of one model.
    fn take_model(&mut self, name: String, folder: &Path) -> anyhow::Result<()> {
        if is_model(folder) {
            return self.add(folder.to_owned(), Some((name, ONLY_VERSION)));
        }
        let n_before = self.found.len();
        for (version, path) in entries(folder, &mut self.passed_over)? {
            let number = version.parse().ok();
            match number.filter(|number: &u64| number.to_string() == version) {
                None => self.pass_over(path, "its name is not a version, a whole number"),
                Some(number) if is_model(&path) => self.add(path, Some((name.clone(), number)))?,
                Some(_) => self.pass_over(path, "it has no `model.json`"),
            }
        }
        let labels = folder.join(LABELS_FILE);
        if self.found.len() > n_before
            && let Ok(metadata) = fs::metadata(&labels)
        {
            let state = FileState::of(&metadata);
            self.labels.insert(
                name,
                LabelsFile {
                    path: labels,
                    state,
                },
            );
        }
        Ok(())
    }
}

fn is_model(folder: &Path) -> bool {
    folder.join(MANIFEST_FILE).is_file()
}

/// The files in a folder, or the one that `path` is.
fn files(path: &Path) -> std::io::Result<BTreeMap<OsString, FileState>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return Ok(BTreeMap::from([(
            OsString::new(),
            FileState::of(&metadata),
        )]));
    }
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        // Of what a link leads to, as volumes of Kubernetes have them; one that leads nowhere is no file.
        if let (Some(name), Ok(metadata)) = (path.file_name(), fs::metadata(&path)) {
            files.insert(name.to_owned(), FileState::of(&metadata));
        }
    }
    Ok(files)
}

/// The folders in `folder`, by their names. Hidden ones, as volumes of Kubernetes have them, do not count, nor do files.
fn entries(
    folder: &Path,
    passed_over: &mut Vec<PassedOver>,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let unreadable = || format!("cannot read `{}`", folder.display());
    let mut folders = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        // A link to a folder is one.
        if !path.is_dir() {
            continue;
        }
        match path.file_name().and_then(OsStr::to_str) {
            Some(name) if name.starts_with('.') || name == "lost+found" => {}
            Some(name) => {
                folders.insert(name.to_owned(), path);
            }
            None => passed_over.push(PassedOver {
                path,
                why: "its name is not UTF-8",
            }),
        }
    }
    passed_over.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(folders)
}
