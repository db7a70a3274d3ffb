//! Addresses of uploads that broke off, so that the next attempt, or a later push, goes on with them.
//!
//! The address of an upload is signed: who has it may write. So each is a file that only the user can read, in a folder of the user
//! and never in one that is kept as an artifact. A folder that cannot be used costs time alone, so its faults are not errors.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use reqwest::Url;
use trainyard_core::digest::Sha256Digest;

use crate::reference::ImageReference;

/// A smaller blob is sent again as quickly as its upload is asked for.
const MIN_BYTES: u64 = 1 << 20;

/// The addresses: those of this push, and of earlier ones in a file each.
pub(super) struct Unfinished {
    folder: Option<PathBuf>,
    of_this_push: Mutex<BTreeMap<Sha256Digest, Url>>,
}

impl Unfinished {
    pub(super) const fn in_folder(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            of_this_push: Mutex::new(BTreeMap::new()),
        }
    }

    fn path(&self, repository: &ImageReference, digest: &Sha256Digest) -> Option<PathBuf> {
        let name = Sha256Digest::of(format!("{}@{digest}", repository.name()).as_bytes());
        Some(self.folder.as_ref()?.join(name.hex()))
    }

    fn known<T>(&self, access: impl FnOnce(&mut BTreeMap<Sha256Digest, Url>) -> T) -> T {
        let mut known = self
            .of_this_push
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        access(&mut known)
    }

    /// The upload of this blob that broke off, if any.
    pub(super) fn find(&self, repository: &ImageReference, digest: &Sha256Digest) -> Option<Url> {
        let known = self.known(|known| known.get(digest).cloned());
        known.or_else(|| {
            let text = fs::read_to_string(self.path(repository, digest)?).ok()?;
            Url::parse(text.trim()).ok()
        })
    }

    /// Keeps the address of an upload that begins.
    pub(super) fn keep(
        &self,
        repository: &ImageReference,
        digest: &Sha256Digest,
        size: u64,
        url: &Url,
    ) {
        if size < MIN_BYTES {
            return;
        }
        self.known(|known| known.insert(digest.clone(), url.clone()));
        let Some(path) = self.path(repository, digest) else {
            return;
        };
        let kept = path.parent().map_or(Ok(()), |folder| {
            fs::create_dir_all(folder)?;
            // A temporary file is the user's alone, and so becomes the address.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(url.as_str().as_bytes())?;
            file.persist(&path)?;
            Ok::<(), std::io::Error>(())
        });
        if let Err(error) = kept {
            tracing::debug!(%error, "the address of an upload is not kept");
        }
    }

    /// Forgets an upload that ended or cannot be gone on with.
    pub(super) fn forget(&self, repository: &ImageReference, digest: &Sha256Digest) {
        self.known(|known| known.remove(digest));
        if let Some(path) = self.path(repository, digest) {
            // That there is none is what is wanted.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_for_the_user_alone_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("trainyard/uploads");
        let unfinished = Unfinished::in_folder(Some(state.clone()));
        let repository: ImageReference = "ghcr.io/acme/m:1".parse().unwrap();
        let digest = Sha256Digest::of(b"blob");
        let url = Url::parse("https://ghcr.io/v2/u/1?_state=s3cret").unwrap();
        unfinished.keep(&repository, &digest, MIN_BYTES - 1, &url);
        assert_eq!(unfinished.find(&repository, &digest), None);
        unfinished.keep(&repository, &digest, MIN_BYTES, &url);
        // Another process, another tag of the repository: the same upload. Another repository: not.
        let unfinished = Unfinished::in_folder(Some(state.clone()));
        let other = "ghcr.io/acme/m:2".parse().unwrap();
        assert_eq!(unfinished.find(&other, &digest), Some(url));
        let other = "ghcr.io/acme/n".parse().unwrap();
        assert_eq!(unfinished.find(&other, &digest), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = fs::read_dir(&state).unwrap().next().unwrap().unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        unfinished.forget(&repository, &digest);
        assert_eq!(unfinished.find(&repository, &digest), None);
    }
}
