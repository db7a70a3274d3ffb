//! Archives that have the same bytes wherever they are packed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// 2000-01-01T00:00:00Z, of every entry: a time of the build would differ, and tar warns about 1970.
const MODIFIED_S: u64 = 946_684_800;

/// An entry of the archive.
enum Entry {
    Bytes {
        mode: u32,
        bytes: Vec<u8>,
    },
    /// Another name of a file before it.
    Link {
        to: String,
    },
}

/// The files of an archive, all in one folder.
pub(crate) struct Contents {
    folder: String,
    entries: BTreeMap<String, Entry>,
}

impl Contents {
    /// Nothing yet, in the folder of this name.
    pub(crate) fn new(folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            entries: BTreeMap::new(),
        }
    }

    /// Adds the file at `path`, which can be run.
    pub(crate) fn program(&mut self, name: &str, path: &Path) -> Result<()> {
        self.add(name, 0o755, read(path)?);
        Ok(())
    }

    /// Adds the file at `path`.
    pub(crate) fn file(&mut self, name: &str, path: &Path) -> Result<()> {
        self.add(name, 0o644, read(path)?);
        Ok(())
    }

    /// Adds a file with this text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.add(name, 0o644, text.as_bytes().to_vec());
    }

    /// Adds a second name of the file `to`, which must come before `name` in the order of the alphabet.
    pub(crate) fn link(&mut self, name: &str, to: &str) {
        let to = format!("{}/{to}", self.folder);
        self.entries.insert(name.to_owned(), Entry::Link { to });
    }

    fn add(&mut self, name: &str, mode: u32, bytes: Vec<u8>) {
        let entry = Entry::Bytes { mode, bytes };
        self.entries.insert(name.to_owned(), entry);
    }

    /// The archive, compressed: entries by name, owned by root, with one time. The header of gzip has no name, no time,
    /// and 255 (unknown) for the system.
    pub(crate) fn pack(&self) -> Result<Vec<u8>> {
        let gzip = GzBuilder::new()
            .mtime(0)
            .operating_system(255)
            .write(Vec::new(), Compression::best());
        let mut tar = Builder::new(gzip);
        for (name, entry) in &self.entries {
            let path = format!("{}/{name}", self.folder);
            let mut header = Header::new_ustar();
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(MODIFIED_S);
            let done = match entry {
                Entry::Bytes { mode, bytes } => {
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    tar.append_data(&mut header, &path, bytes.as_slice())
                }
                Entry::Link { to } => {
                    header.set_mode(0o755);
                    header.set_size(0);
                    header.set_entry_type(EntryType::Link);
                    tar.append_link(&mut header, &path, to)
                }
            };
            done.with_context(|| format!("packing `{path}`"))?;
        }
        let gzip = tar.into_inner().context("ending the archive")?;
        gzip.finish().context("ending the archive")
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn neither_order_nor_time_nor_mode_of_the_files_is_in_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "text").unwrap();
        let mut one = Contents::new("trainyard-1.2.3");
        one.program("trainyard-serve", &path).unwrap();
        one.link("trainyard-serve-linux-amd64", "trainyard-serve");
        one.text("LICENSE", "free");
        let one = one.pack().unwrap();

        let file = fs::File::options().write(true).open(&path).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        file.set_modified(long_ago).unwrap();
        let mut other = Contents::new("trainyard-1.2.3");
        other.text("LICENSE", "free");
        other.link("trainyard-serve-linux-amd64", "trainyard-serve");
        other.program("trainyard-serve", &path).unwrap();
        assert_eq!(one, other.pack().unwrap());
    }

    /// Read back by the `tar` of the machine, an independent reader.
    #[test]
    fn tar_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let mut contents = Contents::new("trainyard-1.2.3");
        contents.program("trainyard-serve", &path).unwrap();
        contents.link("trainyard-serve-linux-amd64", "trainyard-serve");
        contents.text("README.md", "# Trainyard\n");
        let archive = folder.path().join("archive.tar.gz");
        fs::write(&archive, contents.pack().unwrap()).unwrap();
        let unpacked = std::process::Command::new("tar")
            .args(["-xzf", "archive.tar.gz", "--strip-components", "1"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            unpacked.status.success() && unpacked.stderr.is_empty(),
            "{unpacked:?}"
        );
        let server = folder.path().join("trainyard-serve-linux-amd64");
        assert_eq!(fs::read_to_string(&server).unwrap(), "#!/bin/sh\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |name: &str| {
                let data = fs::metadata(folder.path().join(name)).unwrap();
                data.permissions().mode() & 0o777
            };
            assert_eq!((mode("trainyard-serve"), mode("README.md")), (0o755, 0o644));
        }
    }
}
