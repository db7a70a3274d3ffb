//! Blobs on their way to the disk: hashed as they flow by, so that nothing is read twice, and named once they are whole.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use trainyard_core::digest::Sha256Digest;

/// Passes bytes on and keeps their SHA-256 and number.
pub(crate) struct DigestWriter<W> {
    inner: W,
    hasher: Sha256,
    n_bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            n_bytes: 0,
        }
    }

    /// The writer below, with digest and number of the bytes that went through.
    pub(crate) fn finish(self) -> (W, Sha256Digest, u64) {
        let digest = Sha256Digest::of_hash(&self.hasher.finalize().into());
        (self.inner, digest, self.n_bytes)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n_written]);
        self.n_bytes += n_written as u64;
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Gives a finished temporary file its name, readable like any other file of the user.
pub(crate) fn persist(mut temporary: NamedTempFile, path: &Path) -> io::Result<()> {
    temporary.flush()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        temporary
            .as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    temporary.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_whole() {
        let mut writer = DigestWriter::new(Vec::new());
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        let (inner, digest, n_bytes) = writer.finish();
        assert_eq!((inner.as_slice(), n_bytes), (&b"abc"[..], 3));
        assert_eq!(digest, Sha256Digest::of(b"abc"));
    }
}
