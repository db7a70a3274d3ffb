//! Where the files of a configuration lie.

use std::path::{Path, PathBuf};

use trainyard_core::config::Source;

/// Where the files of a configuration lie.
#[derive(Debug, Clone, Copy)]
pub struct Folders<'a> {
    /// The folder of the configuration file.
    pub base: &'a Path,
    /// The folder of downloads.
    pub downloads: &'a Path,
}

impl Folders<'_> {
    pub(super) fn locate(&self, source: &Source) -> PathBuf {
        source.locate(self.base, self.downloads)
    }
}
