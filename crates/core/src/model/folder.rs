//! A model folder: `model.json` and the artifact's files, checked against each other by digest.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{FileEntry, MANIFEST_FILE, ModelManifest, SCHEMA_VERSION};
use crate::digest::{self, DigestReader, Sha256Digest};
use crate::files::{self, FileError};

/// Why a model folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the folder is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Written by another version.
    #[error("`{}` has schema version {found}, but this build reads version {SCHEMA_VERSION}", path.display())]
    SchemaVersion {
        /// The manifest.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
    /// A file of the artifact is not the one that the manifest names.
    #[error("`{}` does not match the digest in {MANIFEST_FILE}: the folder was changed or only partly written", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
    },
    /// The manifest contradicts itself.
    #[error("`{}` is not consistent: {problem}", path.display())]
    Inconsistent {
        /// The manifest.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

/// A model folder whose files were checked against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: ModelManifest,
    /// The model's digest, over `model.json` and the artifact's files.
    pub digest: Sha256Digest,
    /// Bytes of `model.json` and the artifact's files together.
    pub size_bytes: u64,
}

impl ModelFolder {
    /// Opens a folder, checking schema version, digests and shapes. The artifact's files are read in constant memory.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::check(path, |entry| Ok(FileEntry::measure(path, &entry.path)?))
    }

    /// Opens a folder, or a tar archive whose files lie in one folder of it, such as a layer of an image, as [`ModelFolder::open`] does,
    /// and gives what `consume` made of each of the artifact's files: of the very bytes whose digests were checked.
    pub fn read_with<T>(
        path: &Path,
        mut consume: impl FnMut(&ModelManifest, &FileEntry, &mut dyn Read) -> T,
    ) -> Result<(Self, Vec<T>), ModelError> {
        let files = Files::of(path)?;
        let mut made = Vec::new();
        let bytes = files.read(MANIFEST_FILE)?;
        let folder = Self::check_bytes(path, &bytes, |manifest, entry| {
            let unreadable = |source| FileError::Read {
                path: path.join(&entry.path),
                source,
            };
            let mut reader = DigestReader::new(files.open(&entry.path)?);
            made.push(consume(manifest, entry, &mut reader));
            let (sha256, size_bytes) = reader.finish().map_err(unreadable)?;
            Ok(FileEntry {
                path: entry.path.clone(),
                sha256,
                size_bytes,
            })
        })?;
        Ok((folder, made))
    }

    /// Opens a folder whose files were read and digested already: each is `found` by its name. `None` there is a file that was not.
    pub fn of_digests(
        path: &Path,
        found: impl Fn(&str) -> Option<FileEntry>,
    ) -> Result<Self, ModelError> {
        let changed = |name: &str| ModelError::Digest {
            path: path.join(name),
        };
        let folder = Self::check(path, |entry| {
            found(&entry.path).ok_or_else(|| changed(&entry.path))
        })?;
        let manifest = FileEntry::measure(path, MANIFEST_FILE)?;
        if found(MANIFEST_FILE) == Some(manifest) {
            Ok(folder)
        } else {
            Err(changed(MANIFEST_FILE))
        }
    }

    /// Reads the manifest alone. What it says of the artifact is not checked yet.
    pub fn read_manifest(path: &Path) -> Result<ModelManifest, ModelError> {
        let path = path.join(MANIFEST_FILE);
        parse(&path, &files::read(&path)?)
    }

    /// Reads the manifest once, to value and digest of the same bytes, and checks each file that `measure` finds.
    fn check(
        path: &Path,
        mut measure: impl FnMut(&FileEntry) -> Result<FileEntry, ModelError>,
    ) -> Result<Self, ModelError> {
        let bytes = files::read(&path.join(MANIFEST_FILE))?;
        Self::check_bytes(path, &bytes, |_, entry| measure(entry))
    }

    fn check_bytes(
        path: &Path,
        bytes: &[u8],
        mut measure: impl FnMut(&ModelManifest, &FileEntry) -> Result<FileEntry, ModelError>,
    ) -> Result<Self, ModelError> {
        let manifest = parse(&path.join(MANIFEST_FILE), bytes)?;
        let mut entries = vec![FileEntry::of_bytes(MANIFEST_FILE, bytes)];
        for entry in manifest.artifact.files() {
            let found = measure(&manifest, entry)?;
            if found != *entry {
                return Err(ModelError::Digest {
                    path: path.join(&entry.path),
                });
            }
            entries.push(found);
        }
        let digest = digest::of_file_set(
            entries
                .iter()
                .map(|file| (&file.sha256, file.size_bytes, file.path.as_str())),
        );
        Ok(Self {
            path: path.to_owned(),
            manifest,
            digest,
            size_bytes: entries.iter().map(|file| file.size_bytes).sum(),
        })
    }

    /// The files that the digest covers, relative to the folder.
    pub fn files(&self) -> Vec<&str> {
        let artifact = self.manifest.artifact.files();
        [MANIFEST_FILE]
            .into_iter()
            .chain(artifact.into_iter().map(|file| file.path.as_str()))
            .collect()
    }
}

/// Where the files of a model lie.
enum Files<'a> {
    Folder(&'a Path),
    /// A tar archive, by the file names in it.
    Archive {
        path: &'a Path,
        places: BTreeMap<String, Place>,
    },
}

/// Bytes of an archive.
struct Place {
    offset: u64,
    size: u64,
}

impl<'a> Files<'a> {
    fn of(path: &'a Path) -> Result<Self, ModelError> {
        if !path.is_file() {
            return Ok(Self::Folder(path));
        }
        let unreadable = |source| FileError::Read {
            path: path.to_owned(),
            source,
        };
        let mut places = BTreeMap::new();
        let mut archive = tar::Archive::new(files::open(path)?);
        for entry in archive.entries_with_seek().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry.path().map_err(unreadable)?;
            let Some(name) = name.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let place = Place {
                offset: entry.raw_file_position(),
                size: entry.size(),
            };
            places.insert(name.to_owned(), place);
        }
        Ok(Self::Archive { path, places })
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read>, FileError> {
        match self {
            Self::Folder(path) => Ok(Box::new(files::open(&path.join(name))?)),
            Self::Archive { path, places } => {
                let unreadable = |source| FileError::Read {
                    path: path.join(name),
                    source,
                };
                let place = places.get(name);
                let Place { offset, size } =
                    place.ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
                let mut file = files::open(path)?;
                file.seek(SeekFrom::Start(*offset)).map_err(unreadable)?;
                Ok(Box::new(file.take(*size)))
            }
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        let read = self.open(name)?.read_to_end(&mut bytes);
        read.map_err(|source| {
            let (Self::Folder(path) | Self::Archive { path, .. }) = self;
            FileError::Read {
                path: path.join(name),
                source,
            }
        })?;
        Ok(bytes)
    }
}

/// The schema version alone, so that a manifest of another version is named as such and not by its first strange field.
#[derive(serde::Deserialize)]
struct Version {
    schema_version: u32,
}

fn parse(path: &Path, bytes: &[u8]) -> Result<ModelManifest, ModelError> {
    let json = |source| FileError::Json {
        path: path.to_owned(),
        kind: "model manifest",
        source,
    };
    let Version { schema_version } = serde_json::from_slice(bytes).map_err(json)?;
    if schema_version != SCHEMA_VERSION {
        return Err(ModelError::SchemaVersion {
            path: path.to_owned(),
            found: schema_version,
        });
    }
    let manifest: ModelManifest = serde_json::from_slice(bytes).map_err(json)?;
    match manifest.problem() {
        Some(problem) => Err(ModelError::Inconsistent {
            path: path.to_owned(),
            problem,
        }),
        None => Ok(manifest),
    }
}
