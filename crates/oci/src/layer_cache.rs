//! Compressed layers that are kept between runs: a server is compressed once, and packed with each model.
//!
//! What is kept counts only if it unpacks to the very archive that would be compressed, whatever put it there. Inflating takes a small part
//! of the time that compressing does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use trainyard_core::digest::Sha256Digest;

use crate::digest_writer::{DigestWriter, persist};
use crate::layer::{Compression, GZIP_LEVEL, Layer, LayerError, LayerPlan, ZSTD_LEVEL};
use crate::unpack::decoded;

/// An archive before it is compressed.
struct Archive {
    digest: Sha256Digest,
    n_bytes: u64,
}

impl LayerPlan {
    /// Writes the layer as a blob into the existing folder `blobs`, as [`LayerPlan::build`] does, but for the work of compressing it where
    /// the folder `cache` has it. A cache that cannot be used costs time and nothing else.
    pub fn build_cached(&self, blobs: &Path, cache: &Path) -> Result<Layer, LayerError> {
        if self.compression == Compression::None {
            return self.build(blobs);
        }
        let mut files = BTreeMap::new();
        let archive = DigestWriter::new(io::sink());
        let archive = self.write_archive(&self.sorted_files()?, archive, blobs, &mut files)?;
        let (_, digest, n_bytes) = archive.finish();
        let archive = Archive { digest, n_bytes };
        let kept = cache.join(archive.name(self.compression));
        if let Ok(Some((digest, size, path))) = archive.taken(&kept, self.compression, blobs) {
            return Ok(Layer {
                digest,
                diff_id: archive.digest,
                size,
                media_type: self.compression.media_type().to_owned(),
                created_by: self.created_by.clone(),
                path,
                files,
            });
        }
        let layer = self.build(blobs)?;
        // The next run compresses it again, then.
        let _ = keep(&layer.path, &kept, cache);
        Ok(layer)
    }
}

impl Archive {
    /// The file of the archive in the cache. Another release may compress it to other bytes.
    fn name(&self, compression: Compression) -> String {
        let level = match compression {
            Compression::None => "tar".to_owned(),
            Compression::Gzip => format!("gzip-{GZIP_LEVEL}"),
            Compression::Zstd => format!("zstd-{ZSTD_LEVEL}"),
        };
        let version = env!("CARGO_PKG_VERSION");
        format!("{}.{level}.{version}", self.digest.hex())
    }

    /// What is `kept`, as a blob in `blobs` with digest and size, if it is this archive.
    fn taken(
        &self,
        kept: &Path,
        compression: Compression,
        blobs: &Path,
    ) -> io::Result<Option<(Sha256Digest, u64, PathBuf)>> {
        let mut kept = File::open(kept)?;
        let mut blob = DigestWriter::new(NamedTempFile::new_in(blobs)?);
        io::copy(&mut kept, &mut blob)?;
        let (blob, digest, size) = blob.finish();
        let Some(unpacked) = decoded(blob.reopen()?, compression.media_type())? else {
            return Ok(None);
        };
        // One byte more tells a longer one apart.
        let unpacked = Sha256Digest::of_reader(unpacked.take(self.n_bytes + 1))?;
        if unpacked != self.digest {
            return Ok(None);
        }
        let path = blobs.join(digest.hex());
        persist(blob, &path)?;
        Ok(Some((digest, size, path)))
    }
}

fn keep(layer: &Path, kept: &Path, cache: &Path) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    let mut copy = NamedTempFile::new_in(cache)?;
    io::copy(&mut File::open(layer)?, &mut copy)?;
    persist(copy, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerFile;

    #[test]
    fn a_kept_layer_is_the_built_one_and_another_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(path("server"), &text).unwrap();
        fs::write(path("other"), &text[1..]).unwrap();
        fs::create_dir(path("blobs")).unwrap();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let plan = |name: &str| LayerPlan {
                created_by: "test".to_owned(),
                files: vec![LayerFile {
                    source: path(name),
                    target: "/bin/server".to_owned(),
                    is_executable: true,
                }],
                compression,
                user_id: 0,
                group_id: 0,
            };
            let cached = || plan("server").build_cached(&path("blobs"), &path("cache"));
            let built = plan("server").build(&path("blobs")).unwrap();
            let content = fs::read(&built.path).unwrap();
            fs::remove_file(&built.path).unwrap();
            assert_eq!(cached().unwrap(), built);
            let mut kept = fs::read_dir(path("cache")).unwrap();
            let kept = kept.next().unwrap().unwrap().path();
            assert_eq!(fs::read(&kept).unwrap(), content);
            let modified = || fs::metadata(&kept).unwrap().modified().unwrap();
            let before = modified();
            assert_eq!(cached().unwrap(), built);
            assert_eq!(modified(), before, "it was taken, and not compressed again");

            let other = plan("other").build(&path("blobs")).unwrap();
            let other = fs::read(other.path).unwrap();
            let longer = [&*content, &content].concat();
            for wrong in [&other[..], &longer, &content[..content.len() - 9], b""] {
                fs::write(&kept, wrong).unwrap();
                assert_eq!(cached().unwrap(), built);
                assert_eq!(fs::read(&built.path).unwrap(), content);
                assert_eq!(fs::read(&kept).unwrap(), content, "it is put right");
            }
            fs::remove_dir_all(path("cache")).unwrap();
        }
        // A file in place of the folder.
        fs::write(path("cache"), "").unwrap();
        let plan = LayerPlan {
            created_by: "test".to_owned(),
            files: Vec::new(),
            compression: Compression::Gzip,
            user_id: 0,
            group_id: 0,
        };
        let built = plan.build(&path("blobs")).unwrap();
        assert_eq!(
            plan.build_cached(&path("blobs"), &path("cache")).unwrap(),
            built
        );
    }
}
