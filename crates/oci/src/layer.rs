//! Layers: files in, a tar blob in a layout's blobs folder out, the same bytes for the same files.
//!
//! Names are sorted, parent folders are entries of their own, owner, mode and time are given, nothing else is
//! recorded. Both digests are taken while the blob is written, so memory stays flat however large a file is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression as GzipLevel, GzBuilder};
use trainyard_core::digest::Sha256Digest;

use crate::digest_copy::{CopyError, copy_digested};
use crate::digest_writer::DigestWriter;
use crate::spec;

/// Fixed, since another level would give other bytes. A server of 10 MB has 4.89 MB at level 1 (in 75 ms), 4.21 MB at level 4 (175 ms) and
/// 4.15 MB at level 6 (440 ms), which [`LayerPlan::build_cached`] spends once; Zstandard is for users who want less.
pub(crate) const GZIP_LEVEL: u32 = 4;
pub(crate) const ZSTD_LEVEL: i32 = 9;

/// Written at a time: fewer calls of the system than by the library's own buffer.
const BUFFER_BYTES: usize = 256 << 10;

/// Each file is filled up to a multiple of it (POSIX, pax, "ustar Interchange Format").
const TAR_BLOCK_BYTES: u64 = 512;

/// The time of every entry, in seconds since 1970: one content is one layer, whichever commit it was made from.
const MODIFIED_S: u64 = 0;

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is: trained weights hardly shrink, and an uncompressed digest is cheap and never changes with a library.
    None,
    /// By gzip, which every runtime reads.
    Gzip,
    /// By Zstandard, which is smaller and quicker; runtimes read it since Docker 23 and containerd 1.5.
    Zstd,
}

/// A file to put into a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFile {
    /// The file on this machine.
    pub source: PathBuf,
    /// Its place in the image, absolute: `/model/model.json`.
    pub target: String,
    /// Whether it may be run.
    pub is_executable: bool,
}

/// What a layer shall hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPlan {
    /// What the image's history says made it.
    pub created_by: String,
    /// The files, in any order.
    pub files: Vec<LayerFile>,
    /// How it is stored.
    pub compression: Compression,
    /// Owner of every entry. Modes let every user read.
    pub user_id: u64,
    /// Owning group of every entry.
    pub group_id: u64,
}

/// A layer that lies in a layout's blobs folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the blob as stored.
    pub digest: Sha256Digest,
    /// Digest of the uncompressed tar archive.
    pub diff_id: Sha256Digest,
    /// Bytes of the blob as stored.
    pub size: u64,
    /// OCI media type.
    pub media_type: String,
    /// What the image's history says made it.
    pub created_by: String,
    /// The blob.
    pub path: PathBuf,
    /// The files in it, by their place in the image. Known of layers that were made here.
    pub files: BTreeMap<String, PackedFile>,
}

/// A file as it was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    /// Digest of the very bytes in the layer.
    pub sha256: Sha256Digest,
    /// Their number.
    pub size_bytes: u64,
}

/// Why a layer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file to pack could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file changed while it was packed.
    #[error("`{}` changed while it was packed: it was {expected} bytes long; run again when nothing writes to it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its size before.
        expected: u64,
    },
    /// A place in the image that is none.
    #[error("`{0}` is not an absolute path of a file in an image, such as `/model/model.json`")]
    Target(String),
    /// Two files for one place.
    #[error("two files are to become `{0}`")]
    Duplicate(String),
    /// The blob could not be written.
    #[error("cannot write a layer into `{}`", folder.display())]
    Write {
        /// The blobs folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LayerPlan {
    /// Writes the layer as a blob into the existing folder `blobs`.
    pub fn build(&self, blobs: &Path) -> Result<Layer, LayerError> {
        let error = |source| LayerError::Write {
            folder: blobs.to_owned(),
            source,
        };
        let files = self.sorted_files()?;
        let temporary = tempfile::Builder::new()
            .prefix(".layer-")
            .tempfile_in(blobs)
            .map_err(error)?;
        let mut packed = BTreeMap::new();
        let blob = DigestWriter::new(BufWriter::with_capacity(BUFFER_BYTES, temporary));
        let (blob, diff_id) = match self.compression {
            // One digest for both, which are of the same bytes.
            Compression::None => (self.write_archive(&files, blob, blobs, &mut packed)?, None),
            Compression::Gzip => {
                let archive = DigestWriter::new(gzip_encoder(blob));
                let archive = self.write_archive(&files, archive, blobs, &mut packed)?;
                let (gzip, diff_id, _) = archive.finish();
                (gzip.finish().map_err(error)?, Some(diff_id))
            }
            Compression::Zstd => {
                let zstd = zstd::Encoder::new(blob, ZSTD_LEVEL).map_err(error)?;
                let archive = DigestWriter::new(zstd);
                let archive = self.write_archive(&files, archive, blobs, &mut packed)?;
                let (zstd, diff_id, _) = archive.finish();
                (zstd.finish().map_err(error)?, Some(diff_id))
            }
        };
        let (buffered, digest, size) = blob.finish();
        let temporary = buffered
            .into_inner()
            .map_err(|failed| error(failed.into_error()))?;
        let path = blobs.join(digest.hex());
        crate::digest_writer::persist(temporary, &path).map_err(error)?;
        Ok(Layer {
            diff_id: diff_id.unwrap_or_else(|| digest.clone()),
            digest,
            size,
            media_type: self.compression.media_type().to_owned(),
            created_by: self.created_by.clone(),
            path,
            files: packed,
        })
    }

    /// The files by their path in the archive, which has no leading `/`.
    pub(crate) fn sorted_files(&self) -> Result<BTreeMap<&str, &LayerFile>, LayerError> {
        let mut files = BTreeMap::new();
        for file in &self.files {
            let path = archive_path(&file.target)
                .ok_or_else(|| LayerError::Target(file.target.clone()))?;
            if files.insert(path, file).is_some() {
                return Err(LayerError::Duplicate(file.target.clone()));
            }
        }
        Ok(files)
    }

    pub(crate) fn write_archive<W: Write>(
        &self,
        files: &BTreeMap<&str, &LayerFile>,
        output: W,
        blobs: &Path,
        packed: &mut BTreeMap<String, PackedFile>,
    ) -> Result<W, LayerError> {
        let error = |source| LayerError::Write {
            folder: blobs.to_owned(),
            source,
        };
        let folders: BTreeSet<&str> = files.keys().flat_map(|path| parents(path)).collect();
        let mut archive = tar::Builder::new(output);
        // Folders first: a file's parents then always come before it.
        for folder in folders {
            let mut header = self.header(tar::EntryType::Directory, 0o755, 0);
            archive
                .append_data(&mut header, format!("{folder}/"), io::empty())
                .map_err(error)?;
        }
        for (path, file) in files {
            let file_packed = self.append(&mut archive, path, file, blobs)?;
            packed.insert(file.target.clone(), file_packed);
        }
        archive.into_inner().map_err(error)
    }

    fn append<W: Write>(
        &self,
        archive: &mut tar::Builder<W>,
        path: &str,
        file: &LayerFile,
        blobs: &Path,
    ) -> Result<PackedFile, LayerError> {
        let unreadable = |source| LayerError::Read {
            path: file.source.clone(),
            source,
        };
        let content = File::open(&file.source).map_err(unreadable)?;
        let size = content.metadata().map_err(unreadable)?.len();
        let mode = if file.is_executable { 0o755 } else { 0o644 };
        let mut header = self.header(tar::EntryType::Regular, mode, size);
        let unwritable = |source| LayerError::Write {
            folder: blobs.to_owned(),
            source,
        };
        // The header alone: what follows is copied here, in large pieces.
        archive
            .append_data(&mut header, path, io::empty())
            .map_err(unwritable)?;
        let output = archive.get_mut();
        let sha256 = copy_digested(content, size, output).map_err(|error| match error {
            CopyError::Read(source) => unreadable(source),
            CopyError::Write(source) => unwritable(source),
            CopyError::OtherSize => LayerError::Changed {
                path: file.source.clone(),
                expected: size,
            },
        })?;
        let n_padding = size.next_multiple_of(TAR_BLOCK_BYTES) - size;
        let padding = &[0; TAR_BLOCK_BYTES as usize][..n_padding as usize];
        output.write_all(padding).map_err(unwritable)?;
        Ok(PackedFile {
            sha256,
            size_bytes: size,
        })
    }

    fn header(&self, kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(self.user_id);
        header.set_gid(self.group_id);
        header.set_mtime(MODIFIED_S);
        header.set_size(size);
        header
    }
}

impl Compression {
    /// The OCI media type of a layer stored so.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::None => spec::LAYER_TAR,
            Self::Gzip => spec::LAYER_TAR_GZIP,
            Self::Zstd => spec::LAYER_TAR_ZSTD,
        }
    }
}

/// No name and no time in the header, and "unknown" for the operating system: the same bytes everywhere.
fn gzip_encoder<W: Write>(output: W) -> GzEncoder<W> {
    GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(output, GzipLevel::new(GZIP_LEVEL))
}

/// `/a/b` as `a/b`; `None` where it is relative or has an empty, `.` or `..` part.
fn archive_path(target: &str) -> Option<&str> {
    let path = target.strip_prefix('/')?;
    let is_plain = path
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
    is_plain.then_some(path)
}

/// `a`, `a/b` for `a/b/c`.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(idx, _)| &path[..idx])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn plan(folder: &Path, compression: Compression) -> LayerPlan {
        let file = |name: &str, target: &str, is_executable| LayerFile {
            source: folder.join(name),
            target: target.to_owned(),
            is_executable,
        };
        LayerPlan {
            created_by: "test".to_owned(),
            files: vec![
                file("weights", "/model/weights.safetensors", false),
                file("server", "/usr/local/bin/serve", true),
                file("json", "/model/model.json", false),
            ],
            compression,
            user_id: 0,
            group_id: 0,
        }
    }

    fn sources() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("weights"), vec![7; 100_000]).unwrap();
        fs::write(folder.path().join("server"), b"\x7fELF").unwrap();
        fs::write(folder.path().join("json"), b"{}").unwrap();
        folder
    }

    #[test]
    fn entries_are_sorted_normalised_and_have_their_parents() {
        let (sources, blobs) = (sources(), tempfile::tempdir().unwrap());
        let layer = plan(sources.path(), Compression::None)
            .build(blobs.path())
            .unwrap();
        let bytes = fs::read(&layer.path).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                format!(
                    "{:o} {}:{} {} {}",
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                    header.mtime().unwrap(),
                    entry.path().unwrap().display()
                )
            })
            .collect();
        assert_eq!(
            entries,
            [
                "755 0:0 0 model/",
                "755 0:0 0 usr/",
                "755 0:0 0 usr/local/",
                "755 0:0 0 usr/local/bin/",
                "644 0:0 0 model/model.json",
                "644 0:0 0 model/weights.safetensors",
                "755 0:0 0 usr/local/bin/serve",
            ]
        );
        assert_eq!(layer.digest, Sha256Digest::of(&bytes));
        assert_eq!(layer.digest, layer.diff_id);
        assert_eq!(layer.size, bytes.len() as u64);
        let weights = &layer.files["/model/weights.safetensors"];
        let expected = Sha256Digest::of(&vec![7; 100_000]);
        assert_eq!((&weights.sha256, weights.size_bytes), (&expected, 100_000));
    }

    #[test]
    fn order_and_file_times_do_not_change_the_digest() {
        let (first, second) = (sources(), sources());
        let blobs = tempfile::tempdir().unwrap();
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let forward = plan(first.path(), compression);
            let mut backward = plan(second.path(), compression);
            backward.files.reverse();
            let forward = forward.build(blobs.path()).unwrap();
            assert_eq!(forward, backward.build(blobs.path()).unwrap());
        }
        assert_eq!(fs::read_dir(blobs.path()).unwrap().count(), 3);
    }

    #[test]
    fn the_compressed_layer_holds_the_same_archive() {
        let (sources, blobs) = (sources(), tempfile::tempdir().unwrap());
        let build = |compression| plan(sources.path(), compression).build(blobs.path());
        let plain = build(Compression::None).unwrap();
        let gzip = build(Compression::Gzip).unwrap();
        assert_eq!(plain.diff_id, gzip.diff_id);
        let bytes = fs::read(&gzip.path).unwrap();
        // Flags, time, extra flags and operating system of RFC 1952: nothing of this machine.
        assert_eq!(bytes[3..10], [0, 0, 0, 0, 0, 0, 255]);
        let unpacked = flate2::read::GzDecoder::new(bytes.as_slice());
        assert_eq!(Sha256Digest::of_reader(unpacked).unwrap(), plain.digest);
        assert!(gzip.size < plain.size);
        let zstd = build(Compression::Zstd).unwrap();
        assert_eq!(plain.diff_id, zstd.diff_id);
        let unpacked = zstd::Decoder::new(File::open(&zstd.path).unwrap()).unwrap();
        assert_eq!(Sha256Digest::of_reader(unpacked).unwrap(), plain.digest);
    }

    #[test]
    fn bad_targets_and_missing_files_are_named() {
        let (sources, blobs) = (sources(), tempfile::tempdir().unwrap());
        for target in ["model.json", "/", "/a/../b", "/a//b", "/a/"] {
            let mut plan = plan(sources.path(), Compression::None);
            plan.files[0].target = target.to_owned();
            let error = plan.build(blobs.path()).unwrap_err();
            assert!(matches!(error, LayerError::Target(_)), "{target}: {error}");
        }
        let mut twice = plan(sources.path(), Compression::None);
        twice.files[0].target = "/model/model.json".to_owned();
        let error = twice.build(blobs.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "two files are to become `/model/model.json`"
        );
        let mut absent = plan(sources.path(), Compression::None);
        absent.files[0].source = sources.path().join("absent");
        let error = absent.build(blobs.path()).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
        assert_eq!(fs::read_dir(blobs.path()).unwrap().count(), 0, "no litter");
    }
}
