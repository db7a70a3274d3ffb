//! A file that the configuration names, found and measured.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use trainyard_core::config::Source;
use trainyard_core::files;
use trainyard_core::model::FileEntry;

use super::error::{DataError, refuse_lfs_pointer};
use super::folders::Folders;

/// Where the file of `source` lies, and how the digest of the data counts it.
pub(super) fn measure(
    folders: Folders<'_>,
    source: &Source,
) -> Result<(PathBuf, FileEntry), DataError> {
    let path = folders.locate(source);
    let mut head = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(64).read_to_end(&mut head))
        .map_err(DataError::read(&path))?;
    refuse_lfs_pointer(&path, &head)?;
    if head.is_empty() {
        return Err(DataError::malformed(&path, "the file is empty"));
    }
    let (sha256, size_bytes) = files::measure(&path)?;
    if let Some(remote) = source.remote()
        && remote.sha256 != sha256
    {
        let problem = format!(
            "this download of `{}` has the digest {sha256}; remove it, and it is downloaded anew",
            remote.address()
        );
        return Err(DataError::malformed(&path, problem));
    }
    let entry = FileEntry {
        path: source.name().into_owned(),
        sha256,
        size_bytes,
    };
    Ok((path, entry))
}
