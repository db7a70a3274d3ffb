//! A file, named by the digest of its bytes.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::files::{self, FileError};

/// A file named by digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path relative to the folder of the file that names it.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Its size.
    pub size_bytes: u64,
}

impl FileEntry {
    /// The entry of a file `path` with these bytes.
    pub fn of_bytes(path: &str, bytes: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            sha256: Sha256Digest::of(bytes),
            size_bytes: bytes.len() as u64,
        }
    }

    /// Measures the file `path` inside `folder`.
    pub fn measure(folder: &Path, path: &str) -> Result<Self, FileError> {
        let (sha256, size_bytes) = files::measure(&folder.join(path))?;
        Ok(Self {
            path: path.to_owned(),
            sha256,
            size_bytes,
        })
    }
}
