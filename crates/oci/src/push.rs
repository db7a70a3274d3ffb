//! Pushing an image of a layout to a registry: what is there already is not sent, what is sent comes from the
//! file as a stream, tags are written last.
//!
//! The order makes a push that breaks off harmless: immutable tags are checked before anything is sent, blobs
//! come before the manifest, version tags before floating ones.

mod error;
mod retry;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use oci_distribution::client::{Client, ClientConfig, ClientProtocol};
use oci_distribution::errors::OciDistributionError;
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Reference, RegistryOperation};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use trainyard_core::digest::Sha256Digest;

pub use error::PushError;
pub use retry::RetryPolicy;

use crate::credentials::Credentials;
use crate::layout::{Layout, LayoutError};
use crate::reference::ImageReference;
use crate::spec::Descriptor;
use crate::tags::TagPlan;

/// Bytes read from a blob at a time, and so the memory that an upload takes.
const READ_BYTES: usize = 256 << 10;

/// Tags asked for at a time; registries may give fewer.
const TAGS_PER_PAGE: usize = 1000;

/// A silent connection is taken for dead after this time.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How a registry is reached.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Who pushes.
    pub credentials: Credentials,
    /// Registries, as `host:port`, that are spoken to without TLS. Those of this machine always are.
    pub plain_http: Vec<String>,
    /// What to do about transient failures.
    pub retry: RetryPolicy,
}

/// What is being done, for showing progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The registry has this blob already.
    Present {
        /// The blob.
        digest: Sha256Digest,
        /// Its size.
        size: u64,
    },
    /// Part of a blob was sent. A retry starts at 0 again.
    Uploading {
        /// The blob.
        digest: Sha256Digest,
        /// Bytes sent so far.
        sent: u64,
        /// All of them.
        size: u64,
    },
    /// The registry has taken the blob.
    Uploaded {
        /// The blob.
        digest: Sha256Digest,
        /// Its size.
        size: u64,
    },
    /// A tag names the image now.
    Tagged(ImageReference),
    /// A request failed and is made again after a wait.
    Retrying {
        /// What was being done.
        during: String,
        /// Attempts made.
        n_attempts: u32,
        /// Time until the next one.
        wait: Duration,
        /// What went wrong.
        reason: String,
    },
}

/// Called with each step of a push.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// The image to push: a layout and which of its manifests.
#[derive(Debug, Clone, Copy)]
pub struct PushSource<'a> {
    /// Where the blobs lie.
    pub layout: &'a Layout,
    /// The image's manifest.
    pub manifest: &'a Descriptor,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The image by digest: what a deployment should name.
    pub image: ImageReference,
    /// The tags that name it now.
    pub tags: Vec<String>,
    /// Blobs that were sent.
    pub n_uploaded: usize,
    /// Blobs that the registry had.
    pub n_present: usize,
    /// Bytes of the blobs that were sent.
    pub uploaded_bytes: u64,
}

/// A connection to one repository of a registry.
pub struct Registry {
    client: Client,
    auth: RegistryAuth,
    credentials: Credentials,
    repository: ImageReference,
    retry: RetryPolicy,
    progress: ProgressFn,
}

impl Registry {
    /// A connection to the repository that `image` names; nothing is sent yet.
    pub fn connect(
        image: &ImageReference,
        options: ConnectOptions,
        progress: ProgressFn,
    ) -> Result<Self, PushError> {
        let ConnectOptions {
            credentials,
            plain_http,
            retry,
        } = options;
        let registry = image.registry();
        let is_plain = is_this_machine(registry) || plain_http.iter().any(|host| host == registry);
        let config = ClientConfig {
            protocol: if is_plain {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            // One PUT of known length: registries differ in how they take chunks, but all take this.
            use_monolithic_push: true,
            read_timeout: Some(READ_TIMEOUT),
            connect_timeout: Some(CONNECT_TIMEOUT),
            user_agent: concat!("trainyard/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        // `Client::new` would fall back to a default configuration in silence.
        let client = Client::try_from(config).map_err(|source| PushError::Client {
            registry: registry.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self {
            client,
            auth: credentials.to_auth(),
            credentials,
            repository: image.clone(),
            retry,
            progress,
        })
    }

    /// All tags of the repository, sorted; none where it does not exist yet.
    pub async fn list_tags(&self) -> Result<Vec<String>, PushError> {
        let reference = client_reference(&self.repository)?;
        let mut tags = BTreeSet::new();
        loop {
            let last = tags.last().cloned();
            let page = self
                .request("listing the tags", async || {
                    let page = self
                        .client
                        .list_tags(&reference, &self.auth, Some(TAGS_PER_PAGE), last.as_deref())
                        .await;
                    match page {
                        Ok(page) => Ok(page.tags),
                        Err(error) if error::status(&error) == Some(404) => Ok(Vec::new()),
                        Err(error) => Err(error),
                    }
                })
                .await?;
            // A registry may cap the page, or give everything and ignore `last`: only a page without news is the end.
            let n_before = tags.len();
            tags.extend(page);
            if tags.len() == n_before {
                return Ok(tags.into_iter().collect());
            }
        }
    }

    /// The digest that `tag` names, if it exists.
    pub async fn digest_of(&self, tag: &str) -> Result<Option<String>, PushError> {
        let image = self.repository.with_tag(tag)?;
        let reference = client_reference(&image)?;
        self.request("reading a tag", async || {
            let digest = self
                .client
                .fetch_manifest_digest(&reference, &self.auth)
                .await;
            match digest {
                Ok(digest) => Ok(Some(digest)),
                Err(error) if error::status(&error) == Some(404) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Pushes `source` and gives it the `tags`, in their order.
    pub async fn push(
        &self,
        source: PushSource<'_>,
        tags: &[TagPlan],
    ) -> Result<Pushed, PushError> {
        let PushSource { layout, manifest } = source;
        if tags.is_empty() {
            return Err(PushError::NoTag(self.repository.name()));
        }
        self.log_in().await?;
        for tag in tags.iter().filter(|tag| tag.is_immutable) {
            self.refuse_other_digest(&tag.name, manifest).await?;
        }
        let mut pushed = Pushed {
            image: self.repository.with_digest(&manifest.digest),
            tags: Vec::new(),
            n_uploaded: 0,
            n_present: 0,
            uploaded_bytes: 0,
        };
        let document = layout.manifest(manifest)?;
        // The model may lie in two layers of the same content.
        let mut seen = BTreeSet::new();
        for blob in document.layers.iter().chain([&document.config]) {
            if !seen.insert(&blob.digest) {
                continue;
            }
            if self.push_blob(layout, blob).await? {
                pushed.n_uploaded += 1;
                pushed.uploaded_bytes += blob.size;
            } else {
                pushed.n_present += 1;
            }
        }
        let bytes = Bytes::from(layout.read_blob(manifest)?);
        for tag in tags {
            self.push_tag(&tag.name, manifest, &bytes).await?;
            pushed.tags.push(tag.name.clone());
        }
        Ok(pushed)
    }

    /// Fetches a token where the registry wants one. A wrong password of basic authentication only shows later.
    async fn log_in(&self) -> Result<(), PushError> {
        let reference = client_reference(&self.repository)?;
        self.request("logging in", async || {
            self.client
                .auth(&reference, &self.auth, RegistryOperation::Push)
                .await
                .map(|_| ())
        })
        .await
    }

    async fn refuse_other_digest(&self, tag: &str, ours: &Descriptor) -> Result<(), PushError> {
        let Some(existing) = self.digest_of(tag).await? else {
            return Ok(());
        };
        if existing == ours.digest.as_str() {
            return Ok(());
        }
        let image = Box::new(self.repository.with_tag(tag)?);
        match existing.parse() {
            Ok(existing) => Err(PushError::VersionTaken {
                image,
                existing,
                ours: ours.digest.clone(),
            }),
            Err(_) => Err(PushError::DigestMismatch {
                image,
                found: existing,
                ours: ours.digest.clone(),
            }),
        }
    }

    /// Sends a blob unless it is there; whether it was sent.
    async fn push_blob(&self, layout: &Layout, blob: &Descriptor) -> Result<bool, PushError> {
        let path = layout.blob_path(&blob.digest);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() == blob.size => {}
            _ => return Err(LayoutError::Blob { path }.into()),
        }
        let reference = client_reference(&self.repository)?;
        let is_sent = self
            .request(&format!("uploading {}", blob.digest), async || {
                // Asked before each attempt: the registry may have taken a blob whose answer was lost.
                let digest = blob.digest.as_str();
                if self.client.blob_exists(&reference, digest).await? {
                    return Ok(false);
                }
                let stream = self.blob_stream(&path, blob).await?;
                self.client
                    .push_blob_stream(&reference, stream, digest, Some(blob.size))
                    .await?;
                Ok(true)
            })
            .await?;
        let (digest, size) = (blob.digest.clone(), blob.size);
        (self.progress)(if is_sent {
            Progress::Uploaded { digest, size }
        } else {
            Progress::Present { digest, size }
        });
        Ok(is_sent)
    }

    /// The blob's bytes, a few at a time, reporting how far it got.
    async fn blob_stream(
        &self,
        path: &Path,
        blob: &Descriptor,
    ) -> io::Result<impl Stream<Item = Result<Bytes, OciDistributionError>> + Send + 'static> {
        let file = File::open(path).await?;
        let (progress, digest, size) = (self.progress.clone(), blob.digest.clone(), blob.size);
        Ok(stream::try_unfold((file, 0), move |(mut file, sent)| {
            let (progress, digest) = (progress.clone(), digest.clone());
            async move {
                let mut buffer = BytesMut::with_capacity(READ_BYTES);
                let n_read = file.read_buf(&mut buffer).await?;
                if n_read == 0 {
                    return Ok(None);
                }
                let sent = sent + n_read as u64;
                progress(Progress::Uploading { digest, sent, size });
                Ok(Some((buffer.freeze(), (file, sent))))
            }
        }))
    }

    async fn push_tag(
        &self,
        tag: &str,
        manifest: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), PushError> {
        let image = self.repository.with_tag(tag)?;
        let reference = client_reference(&image)?;
        let content_type = &manifest.media_type;
        self.request(&format!("writing the tag `{tag}`"), async || {
            let content_type = content_type.parse().map_err(|_| {
                OciDistributionError::UnsupportedMediaTypeError(content_type.clone())
            })?;
            self.client
                .push_manifest_raw(&reference, bytes.clone(), content_type)
                .await
        })
        .await?;
        let found = self.digest_of(tag).await?;
        if found.as_deref() != Some(manifest.digest.as_str()) {
            return Err(PushError::DigestMismatch {
                image: Box::new(image),
                found: found.unwrap_or_else(|| "missing".to_owned()),
                ours: manifest.digest.clone(),
            });
        }
        (self.progress)(Progress::Tagged(image));
        Ok(())
    }

    /// Makes a request with retries, and tells its failure apart by what the user can do about it.
    async fn request<T>(
        &self,
        during: &str,
        request: impl AsyncFnMut() -> Result<T, OciDistributionError>,
    ) -> Result<T, PushError> {
        let on_retry = |n_attempts, wait, error: &OciDistributionError| {
            tracing::debug!(%error, during, n_attempts, "transient failure");
            (self.progress)(Progress::Retrying {
                during: during.to_owned(),
                n_attempts,
                wait,
                reason: error.to_string(),
            });
        };
        let failed = match self.retry.run(request, on_retry).await {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        };
        let (source, n_attempts) = failed;
        let is_transient = error::is_transient(&source);
        let status = error::status(&source);
        let source = Box::new(source);
        let registry = self.repository.registry().to_owned();
        let username = self.credentials.username().map(str::to_owned);
        let during = during.to_owned();
        Err(match status {
            Some(401) => PushError::Unauthorized {
                registry,
                username,
                source,
            },
            Some(403) => PushError::Forbidden {
                image: Box::new(self.repository.clone()),
                username,
                source,
            },
            _ if is_transient => PushError::Unreachable {
                registry,
                during,
                n_attempts,
                source,
            },
            _ => PushError::Refused {
                registry,
                during,
                source,
            },
        })
    }
}

/// A reference as the client wants it.
fn client_reference(image: &ImageReference) -> Result<Reference, PushError> {
    image
        .to_string()
        .parse()
        .map_err(|source| PushError::ClientReference {
            image: Box::new(image.clone()),
            source,
        })
}

/// Whether a registry is on this machine, where TLS is neither usual nor needed.
fn is_this_machine(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => registry,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:5000",
        ] {
            assert!(is_this_machine(registry), "{registry}");
        }
        for registry in [
            "ghcr.io",
            "localhost.example.org",
            "127.0.0.1.example.org:80",
        ] {
            assert!(!is_this_machine(registry), "{registry}");
        }
    }
}
