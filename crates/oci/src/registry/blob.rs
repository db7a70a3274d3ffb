//! Blobs of a repository: asked for, taken from another repository, sent, read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH};
use trainyard_core::digest::Sha256Digest;
use trainyard_net::Trouble;

use super::answer::{Attempt, RequestError, Server, failed, malformed};
use super::session::Session;
use super::{Progress, Registry, RegistryError, unless_missing};
use crate::digest_writer::{DigestWriter, persist};
use crate::layout::LayoutError;
use crate::spec::Descriptor;

/// A blob on this machine.
#[derive(Debug, Clone)]
pub struct BlobSource {
    /// Its bytes.
    pub path: PathBuf,
    /// Their digest.
    pub digest: Sha256Digest,
    /// Their number.
    pub size: u64,
}

impl BlobSource {
    /// The blob behind `descriptor`, which lies at `path`.
    pub fn new(path: PathBuf, descriptor: &Descriptor) -> Self {
        Self {
            path,
            digest: descriptor.digest.clone(),
            size: descriptor.size,
        }
    }
}

impl Registry {
    /// Sends a blob unless it is there or another repository of the registry, one of `mount_from`, has it; whether it was sent.
    ///
    /// `is_surely_missing` sends it without asking, where the registry has been wrong about it.
    pub async fn push_blob(
        &self,
        blob: &BlobSource,
        mount_from: &[String],
        is_surely_missing: bool,
    ) -> Result<bool, RegistryError> {
        let is_whole = fs::metadata(&blob.path).is_ok_and(|metadata| metadata.len() == blob.size);
        if !is_whole {
            let path = blob.path.clone();
            return Err(LayoutError::Blob { path }.into());
        }
        let (digest, size) = (blob.digest.clone(), blob.size);
        let during = format!("uploading {digest}");
        let done = self.request(&during, async || {
            // Asked before each attempt: the registry may have taken a blob whose answer was lost.
            if !is_surely_missing && self.has_blob(&digest).await? {
                return Ok(Progress::Present {
                    digest: digest.clone(),
                    size,
                });
            }
            for from in mount_from {
                if self.mount(&digest, from).await? {
                    return Ok(Progress::Mounted {
                        digest: digest.clone(),
                        size,
                        from: from.clone(),
                    });
                }
            }
            self.upload(blob).await?;
            Ok(Progress::Uploaded {
                digest: digest.clone(),
                size,
            })
        });
        let step = done.await?;
        let is_sent = matches!(step, Progress::Uploaded { .. });
        if !is_sent {
            // An earlier push may have ended between the upload and this.
            self.forget(blob);
        }
        self.report(step);
        Ok(is_sent)
    }

    pub(super) async fn has_blob(&self, digest: &Sha256Digest) -> Attempt<bool> {
        let url = self.session.url(&format!("blobs/{digest}"))?;
        let head = self.session.send(|client| client.head(url)).await;
        Ok(unless_missing(head)?.is_some())
    }

    /// Asks the registry to take a blob from another of its repositories; whether it did. What goes wrong costs an upload, no more.
    async fn mount(&self, digest: &Sha256Digest, from: &str) -> Attempt<bool> {
        let mut url = self.session.url("blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", digest.as_str())
            .append_pair("from", from);
        let header = self.session.header_for_mount(from).await;
        let answer = self
            .session
            .send(|client| {
                let request = client.post(url).header(CONTENT_LENGTH, 0);
                match header {
                    Some(header) => request.header(AUTHORIZATION, header),
                    None => request,
                }
            })
            .await;
        match answer {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(true),
            Ok(response) => {
                // An upload was begun instead, which will never be ended.
                if let Ok(url) = Session::location(&response) {
                    let _ = self.session.send(|client| client.delete(url)).await;
                }
                Ok(false)
            }
            Err(Trouble::Permanent(RequestError::Answer { status, .. }))
                if status != StatusCode::UNAUTHORIZED =>
            {
                Ok(false)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether this user may write to the repository: an upload is begun and given up.
    pub async fn check_write(&self) -> Result<(), RegistryError> {
        self.request("asking for the permission to write", async || {
            let url = self.session.url("blobs/uploads/")?;
            let begun = self
                .session
                .send(|client| client.post(url).header(CONTENT_LENGTH, 0))
                .await?;
            let url = Session::location(&begun)?;
            // A registry that cannot give up an upload forgets it by itself.
            let _ = self.session.send(|client| client.delete(url)).await;
            Ok(())
        })
        .await
    }

    /// Reads a small blob, of at most `descriptor.size` bytes, and checks it.
    pub async fn read_blob(&self, descriptor: &Descriptor) -> Result<Bytes, RegistryError> {
        let digest = &descriptor.digest;
        self.request(&format!("reading {digest}"), async || {
            let url = self.session.url(&format!("blobs/{digest}"))?;
            let response = self.session.send(|client| client.get(url)).await?;
            let bytes = self.bounded(response, descriptor.size).await?;
            is_the_blob(descriptor, &Sha256Digest::of(&bytes), bytes.len() as u64)?;
            Ok(bytes)
        })
        .await
    }

    /// The body of an answer, where it is not longer than `limit`.
    pub(super) async fn bounded(
        &self,
        mut response: reqwest::Response,
        limit: u64,
    ) -> Attempt<Bytes> {
        let mut bytes = bytes::BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                let problem = format!("more than {limit} bytes");
                return Err(malformed(Server::Registry, &problem));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Writes a blob of any size to `path`, in constant memory, and checks it. What lies at `path` stays until the new one is whole.
    pub async fn download_blob(
        &self,
        descriptor: &Descriptor,
        path: &Path,
    ) -> Result<(), RegistryError> {
        let digest = &descriptor.digest;
        let broken = |source: io::Error| Trouble::Permanent(RequestError::Write(source));
        self.request(&format!("downloading {digest}"), async || {
            let folder = path.parent().unwrap_or_else(|| Path::new("."));
            let file = tempfile::NamedTempFile::new_in(folder).map_err(broken)?;
            let mut file = DigestWriter::new(file);
            let url = self.session.url(&format!("blobs/{digest}"))?;
            let request = self.session.builder().get(url);
            let mut response = self.session.send_large(request).await?;
            let mut n_left = descriptor.size;
            while let Some(chunk) = self.next_chunk(&mut response).await? {
                // Before it is written: a registry may send without end.
                n_left = n_left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                    let problem = format!("more than the {} bytes of {digest}", descriptor.size);
                    malformed(Server::Registry, &problem)
                })?;
                io::Write::write_all(&mut file, &chunk).map_err(broken)?;
            }
            let (file, found, n_bytes) = file.finish();
            is_the_blob(descriptor, &found, n_bytes)?;
            persist(file, path).map_err(broken)
        })
        .await
    }

    /// The next bytes of an answer, within the time that silence is borne.
    async fn next_chunk(&self, response: &mut reqwest::Response) -> Attempt<Option<Bytes>> {
        let next = response.chunk();
        let next = match self.silence {
            Some(limit) => tokio::time::timeout(limit, next).await.map_err(|_| {
                let text = format!("nothing has come for {} s", limit.as_secs());
                Trouble::transient(trainyard_net::Failure::Transient(text).into())
            })?,
            None => next.await,
        };
        next.map_err(failed)
    }
}

fn is_the_blob(descriptor: &Descriptor, found: &Sha256Digest, n_bytes: u64) -> Attempt<()> {
    if *found == descriptor.digest && n_bytes == descriptor.size {
        return Ok(());
    }
    // A download that was cut short looks like this too.
    Err(Trouble::transient(RequestError::Malformed {
        server: Server::Registry,
        problem: format!("{n_bytes} bytes {found} for {}", descriptor.digest),
    }))
}
