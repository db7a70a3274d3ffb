//! Layers onto the disk, so that what was packed can be started before it is pushed.
//!
//! Only what our own layers hold is taken: folders and regular files below the given folder. Links, devices,
//! absolute paths and `..` are refused, so an archive cannot reach beyond its folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::layout::{Layout, LayoutError};
use crate::spec::{self, Descriptor};

/// Read and written at a time: fewer calls of the system than by the library's own buffers.
const BUFFER_BYTES: usize = 256 << 10;

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The layout is not whole.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The layer is not an archive, or a file could not be written.
    #[error("cannot unpack `{}` into `{}`", blob.display(), into.display())]
    Io {
        /// The layer.
        blob: PathBuf,
        /// The folder.
        into: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The layer is not an archive.
    #[error("cannot read `{}` as a layer", blob.display())]
    Read {
        /// The layer.
        blob: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// An entry that our layers never have.
    #[error("the layer `{}` holds `{entry}`, {problem}", blob.display())]
    Entry {
        /// The layer.
        blob: PathBuf,
        /// The entry's path.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A compression that is not known here.
    #[error("layers of the type `{0}` are not known here")]
    MediaType(String),
}

impl Layout {
    /// Unpacks the layers of an image in order into the folder `into`, checking each digest first.
    ///
    /// `into` should be new: what lies there already is overwritten.
    pub fn unpack(&self, manifest: &Descriptor, into: &Path) -> Result<(), UnpackError> {
        for layer in &self.manifest(manifest)?.layers {
            let blob = self.verify_blob(layer)?;
            unpack(&blob, &layer.media_type, into)?;
        }
        Ok(())
    }
}

/// Unpacks the layer `blob` of type `media_type` into the folder `into`.
pub fn unpack(blob: &Path, media_type: &str, into: &Path) -> Result<(), UnpackError> {
    unpack_those(blob, media_type, into, |_| true)
}

/// Unpacks of a layer the one file that lies at `path` in the image, if it is there.
pub fn unpack_file(
    blob: &Path,
    media_type: &str,
    path: &str,
    into: &Path,
) -> Result<(), UnpackError> {
    unpack_files(blob, media_type, &[path.to_owned()], into)
}

/// Unpacks of a layer those files that lie at one of `paths` in the image.
pub fn unpack_files(
    blob: &Path,
    media_type: &str,
    paths: &[String],
    into: &Path,
) -> Result<(), UnpackError> {
    let is_wanted = |entry: &Path| {
        let mut paths = paths.iter();
        paths.any(|path| entry == Path::new(path.trim_start_matches('/')))
    };
    unpack_those(blob, media_type, into, is_wanted)
}

fn unpack_those(
    blob: &Path,
    media_type: &str,
    into: &Path,
    is_wanted: impl Fn(&Path) -> bool,
) -> Result<(), UnpackError> {
    let error = |source| UnpackError::Io {
        blob: blob.to_owned(),
        into: into.to_owned(),
        source,
    };
    let mut archive = archive(blob, media_type, error)?;
    fs::create_dir_all(into).map_err(error)?;
    for entry in archive.entries().map_err(error)? {
        let mut entry = entry.map_err(error)?;
        let path = entry.path().map_err(error)?.into_owned();
        if !is_wanted(&path) {
            continue;
        }
        let refuse = |problem| UnpackError::Entry {
            blob: blob.to_owned(),
            entry: path.display().to_string(),
            problem,
        };
        let target =
            target(into, &path).ok_or_else(|| refuse("which lies outside of its folder"))?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            fs::create_dir_all(&target).map_err(error)?;
        } else if kind.is_file() {
            let mode = entry.header().mode().map_err(error)?;
            write(&target, mode, &mut entry).map_err(error)?;
        } else {
            return Err(refuse("which is neither a file nor a folder"));
        }
    }
    Ok(())
}

/// Shows `look` each entry of the layer `blob` of type `media_type`.
pub(crate) fn entries(
    blob: &Path,
    media_type: &str,
    mut look: impl FnMut(&mut tar::Entry<'_, Box<dyn Read>>) -> io::Result<()>,
) -> Result<(), UnpackError> {
    let error = |source| UnpackError::Read {
        blob: blob.to_owned(),
        source,
    };
    let mut archive = archive(blob, media_type, error)?;
    for entry in archive.entries().map_err(error)? {
        look(&mut entry.map_err(error)?).map_err(error)?;
    }
    Ok(())
}

fn archive(
    blob: &Path,
    media_type: &str,
    error: impl Fn(io::Error) -> UnpackError,
) -> Result<tar::Archive<Box<dyn Read>>, UnpackError> {
    let file = File::open(blob).map_err(&error)?;
    let reader = decoded(file, media_type).map_err(error)?;
    let reader = reader.ok_or_else(|| UnpackError::MediaType(media_type.to_owned()))?;
    Ok(tar::Archive::new(reader))
}

/// The archive in a layer of the type `media_type`; `None` where that is not known.
pub(crate) fn decoded(file: File, media_type: &str) -> io::Result<Option<Box<dyn Read>>> {
    let file = io::BufReader::with_capacity(BUFFER_BYTES, file);
    Ok(Some(match media_type {
        spec::LAYER_TAR => Box::new(file),
        spec::LAYER_TAR_GZIP => Box::new(MultiGzDecoder::new(file)),
        spec::LAYER_TAR_ZSTD => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => return Ok(None),
    }))
}

/// Where an entry goes; `None` where it would leave `into`.
fn target(into: &Path, entry: &Path) -> Option<PathBuf> {
    let mut target = into.to_owned();
    for component in entry.components() {
        match component {
            Component::Normal(part) => target.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(target)
}

fn write(target: &Path, mode: u32, content: &mut impl Read) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    // A new file, so that nothing is ever written through a link that lay there.
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // No set-user-id bits.
        options.mode(mode & 0o777);
    }
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = io::BufWriter::with_capacity(BUFFER_BYTES, options.open(target)?);
    io::copy(content, &mut file)?;
    // A file that is still open for writing cannot be started.
    file.into_inner()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::small_layout;

    fn archive(entry: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> tempfile::NamedTempFile {
        let mut builder = tar::Builder::new(Vec::new());
        entry(&mut builder);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), builder.into_inner().unwrap()).unwrap();
        file
    }

    /// A header whose name is written unchecked, as an attacker would.
    fn named(name: &str, kind: tar::EntryType) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        header
    }

    #[test]
    fn an_image_is_unpacked_as_it_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, image) = small_layout(folder.path(), b"content");
        let into = tempfile::tempdir().unwrap();
        layout.unpack(&image, into.path()).unwrap();
        for path in ["bin/serve", "model/model.json"] {
            assert_eq!(fs::read(into.path().join(path)).unwrap(), b"content");
        }
        layout.unpack(&image, into.path()).unwrap();
    }

    #[test]
    fn entries_that_leave_the_folder_are_refused() {
        let outer = tempfile::tempdir().unwrap();
        let into = outer.path().join("into");
        for name in ["../evil", "/evil", "a/../../evil"] {
            let blob = archive(|builder| {
                let header = named(name, tar::EntryType::Regular);
                builder.append(&header, io::empty()).unwrap();
            });
            let error = unpack(blob.path(), spec::LAYER_TAR, &into).unwrap_err();
            assert!(error.to_string().contains("outside"), "{name}: {error}");
        }
        assert!(!outer.path().join("evil").exists());
    }

    #[test]
    fn links_and_devices_are_refused() {
        let into = tempfile::tempdir().unwrap();
        for kind in [
            tar::EntryType::Symlink,
            tar::EntryType::Link,
            tar::EntryType::Char,
            tar::EntryType::Fifo,
        ] {
            let blob = archive(|builder| {
                let mut header = named("link", kind);
                header.set_link_name("/etc/passwd").unwrap();
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            });
            let error = unpack(blob.path(), spec::LAYER_TAR, into.path()).unwrap_err();
            assert!(error.to_string().contains("neither a file"), "{error}");
        }
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
    }

    #[test]
    fn rubbish_is_an_error() {
        let blob = tempfile::NamedTempFile::new().unwrap();
        fs::write(blob.path(), [1; 700]).unwrap();
        let into = tempfile::tempdir().unwrap();
        for media_type in [spec::LAYER_TAR, spec::LAYER_TAR_GZIP, "text/plain"] {
            assert!(unpack(blob.path(), media_type, into.path()).is_err());
        }
    }
}
