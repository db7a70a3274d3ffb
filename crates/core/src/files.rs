//! Files that are written whole or not at all, and JSON files whose errors name the file.
//!
//! The one module of this crate that touches the disk.

mod by_line;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Serializer;

use crate::digest::Sha256Digest;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("`{}` is in use by another run: wait for its end, or give each run an output folder of its own (`--out`)", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not JSON of the expected form.
    #[error("`{}` is not a valid {kind}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What was expected, in words.
        kind: &'static str,
        /// Where and why the JSON did not fit.
        source: serde_json::Error,
    },
}

impl FileError {
    /// Whether the file is simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A folder that no other process may lock, until this value is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: fs::File,
}

impl Lock {
    /// Locks `folder`, which is made when it is missing, by the file `.lock` in it.
    pub fn take(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(".lock");
        let error = |source| FileError::Write {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(error)?;
        let file = fs::File::create(&path).map_err(error)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(FileError::Locked {
                path: folder.to_owned(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(error(source)),
        }
    }
}

/// Whether there is a file at `path`.
pub fn is_there(path: &Path) -> bool {
    path.is_file()
}

/// Opens the file to read it in parts.
pub fn open(path: &Path) -> Result<fs::File, FileError> {
    fs::File::open(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Reads the whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Reads the whole file as UTF-8 text.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Reads a JSON file; `kind` is what it should be, for the error message.
pub fn read_json<T: DeserializeOwned>(path: &Path, kind: &'static str) -> Result<T, FileError> {
    parse_json(&read(path)?, path, kind)
}

/// The value in `bytes`, read from the JSON file at `path`, with or without a byte order mark; `kind` is what it should
/// be, for the error message.
pub fn parse_json<T: DeserializeOwned>(
    bytes: &[u8],
    path: &Path,
    kind: &'static str,
) -> Result<T, FileError> {
    serde_json::from_slice(without_byte_order_mark(bytes)).map_err(|source| FileError::Json {
        path: path.to_owned(),
        kind,
        source,
    })
}

/// `bytes` without the byte order mark that some tools put before UTF-8.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// Digest and size in bytes of the file, in constant memory.
pub fn measure(path: &Path) -> Result<(Sha256Digest, u64), FileError> {
    let error = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let digest = Sha256Digest::of_file(path).map_err(error)?;
    Ok((digest, fs::metadata(path).map_err(error)?.len()))
}

/// Writes `bytes` to `path` atomically: a reader sees the old file or the new one, never a part.
///
/// The folder is made when it is missing.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |file| file.write_all(bytes))
}

/// As [`write`], but the disk need not have taken the bytes by the time that it returns: for a file that is named by its digest, of
/// which a loss of power can leave no false content, only none.
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_synced_if(false, path, |file| file.write_all(bytes))
}

/// Writes what `fill` produces to `path` atomically, for content too large to hold in memory.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> Result<(), FileError> {
    write_synced_if(true, path, fill)
}

fn write_synced_if(
    is_synced: bool,
    path: &Path,
    fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> Result<(), FileError> {
    let error = |source| FileError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(error)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(error)?;
    fill(temporary.as_file_mut()).map_err(error)?;
    if is_synced {
        temporary.as_file().sync_data().map_err(error)?;
    }
    set_readable(temporary.as_file()).map_err(error)?;
    temporary
        .persist(path)
        .map_err(|failed| error(failed.error))?;
    Ok(())
}

/// Writes `value` as indented JSON with a final newline, atomically, and returns the digest of the file.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<Sha256Digest, FileError> {
    write_made(path, json_bytes(value))
}

/// Writes `value` as [`json_by_line`] makes it, atomically, and returns the digest of the file.
pub fn write_json_by_line<T: Serialize>(path: &Path, value: &T) -> Result<Sha256Digest, FileError> {
    write_made(path, json_by_line(value))
}

fn write_made(
    path: &Path,
    made: Result<Vec<u8>, serde_json::Error>,
) -> Result<Sha256Digest, FileError> {
    let bytes = made.map_err(|source| FileError::Write {
        path: path.to_owned(),
        source: io::Error::other(source),
    })?;
    write(path, &bytes)?;
    Ok(Sha256Digest::of(&bytes))
}

/// The bytes that [`write_json`] writes for `value`.
pub fn json_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The same with each element of a list on one line, for lists of thousands.
pub fn json_by_line<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, by_line::ByLine::default());
    value.serialize(&mut serializer)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Removes the file when it is there: done before a stage starts, so that a stale result is never taken for a new one.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Write {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Gives the file at `from` the name `to`, in the same folder; `false` where it is not there.
pub fn rename(from: &Path, to: &Path) -> Result<bool, FileError> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FileError::Write {
            path: from.to_owned(),
            source,
        }),
    }
}

/// Temporary files are private to their owner; results are as readable as any other file of the user.
#[cfg(unix)]
fn set_readable(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_readable(_file: &fs::File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn json_errors_name_the_file_and_the_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        write(&path, b"{").unwrap();
        let error = read_json::<u32>(&path, "evaluation").unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("x.json` is not a valid evaluation"),
            "{error}"
        );
        assert!(
            read(&folder.path().join("absent"))
                .unwrap_err()
                .is_not_found()
        );
    }
}
