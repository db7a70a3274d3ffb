//! Pushing an image of a layout to a registry: what is there already is not sent, what is sent comes from the
//! file as a stream, tags are written last.
//!
//! The order makes a push that breaks off harmless: immutable tags are checked before anything is sent, blobs
//! come before the manifest, version tags before floating ones.

mod answer;
mod challenge;
mod error;
mod session;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Body, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use trainyard_core::digest::Sha256Digest;
use trainyard_net::{ClientOptions, Jitter, RetryPolicy, Retrying, Trouble};

use answer::{Attempt, failed, malformed};
pub use answer::{RequestError, Server};
pub use challenge::Challenge;
pub use error::PushError;
use session::Session;
use watch::watched;

use crate::credentials::Credentials;
use crate::layout::{Layout, LayoutError};
use crate::reference::ImageReference;
use crate::spec::Descriptor;
use crate::tags::TagPlan;

/// Bytes read from a blob at a time, and so the memory that an upload takes.
const READ_BYTES: usize = 256 << 10;

/// Tags asked for at a time; registries may give fewer.
const TAGS_PER_PAGE: usize = 1000;

/// Addresses that an upload may be sent on to.
const MAX_REDIRECTS: usize = 5;

/// The manifests that are asked for. Without `Accept` some registries convert them to an old form of another digest.
const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// How a registry is reached.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Who pushes.
    pub credentials: Credentials,
    /// Registries, as `host:port`, that are spoken to without TLS. Those of this machine always are.
    pub plain_http: Vec<String>,
    /// Proxies, authorities and time-outs. The read time-out is that of a small request, and of an upload that does not move.
    pub client: ClientOptions,
    /// When a request is made again.
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
    session: Session,
    username: Option<String>,
    repository: ImageReference,
    /// An upload that does not move for so long is taken for dead.
    silence: Option<Duration>,
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
            client,
            retry,
        } = options;
        let registry = image.registry();
        let is_plain = is_this_machine(registry) || plain_http.iter().any(|host| host == registry);
        let scheme = if is_plain { "http" } else { "https" };
        // Docker Hub's name for people is not that of its API.
        let host = if registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let base =
            Url::parse(&format!("{scheme}://{host}/")).map_err(|source| PushError::Address {
                registry: registry.to_owned(),
                problem: source.to_string(),
            })?;
        let silence = client.read_timeout;
        // The client's own read time-out runs while a body is sent, which takes any time.
        let client = ClientOptions {
            read_timeout: None,
            ..client
        };
        let client = client.build().map_err(|source| PushError::Client {
            registry: registry.to_owned(),
            source,
        })?;
        let username = credentials.username().map(str::to_owned);
        Ok(Self {
            session: Session::new(
                client,
                base,
                image.repository().to_owned(),
                credentials,
                silence,
            ),
            username,
            repository: image.clone(),
            silence,
            retry,
            progress,
        })
    }

    /// All tags of the repository, sorted; none where it does not exist yet.
    pub async fn list_tags(&self) -> Result<Vec<String>, PushError> {
        #[derive(Deserialize)]
        struct Page {
            /// `null` where there are none.
            tags: Option<Vec<String>>,
        }
        let mut tags = BTreeSet::new();
        loop {
            let last = tags.last().cloned();
            let page = self
                .request("listing the tags", async || {
                    let mut url = self.session.url("tags/list")?;
                    url.query_pairs_mut()
                        .append_pair("n", &TAGS_PER_PAGE.to_string())
                        .extend_pairs(last.iter().map(|last| ("last", last)));
                    let response = self.session.send(|client| client.get(url)).await;
                    let Some(response) = unless_missing(response)? else {
                        return Ok(Vec::new());
                    };
                    let bytes = response.bytes().await.map_err(failed)?;
                    let page: Page = serde_json::from_slice(&bytes)
                        .map_err(|error| malformed(Server::Registry, &format!("tags ({error})")))?;
                    Ok(page.tags.unwrap_or_default())
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
        // What is not a tag could be another path.
        self.repository.with_tag(tag)?;
        let accept = MANIFESTS.join(", ");
        self.request("reading a tag", async || {
            let url = self.session.url(&format!("manifests/{tag}"))?;
            let head = self
                .session
                .send(|client| client.head(url.clone()).header(ACCEPT, &accept))
                .await;
            let Some(head) = unless_missing(head)? else {
                return Ok(None);
            };
            if let Some(digest) = digest_in(head.headers()) {
                return Ok(Some(digest));
            }
            // A registry need not say the digest.
            let manifest = self
                .session
                .send(|client| client.get(url).header(ACCEPT, &accept))
                .await;
            let Some(manifest) = unless_missing(manifest)? else {
                return Ok(None);
            };
            let bytes = manifest.bytes().await.map_err(failed)?;
            Ok(Some(Sha256Digest::of(&bytes).to_string()))
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

    /// Gets a token where the registry wants one. A wrong password of basic authentication only shows later.
    async fn log_in(&self) -> Result<(), PushError> {
        self.request("logging in", async || Ok(())).await
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
        let is_sent = self
            .request(&format!("uploading {}", blob.digest), async || {
                // Asked before each attempt: the registry may have taken a blob whose answer was lost.
                let url = self.session.url(&format!("blobs/{}", blob.digest))?;
                let head = self.session.send(|client| client.head(url)).await;
                if unless_missing(head)?.is_some() {
                    return Ok(false);
                }
                self.upload(&path, blob).await?;
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

    /// One PUT of known length: registries differ in how they take chunks, but all take this.
    async fn upload(&self, path: &Path, blob: &Descriptor) -> Attempt<()> {
        let url = self.session.url("blobs/uploads/")?;
        let begun = self
            .session
            .send(|client| client.post(url).header(CONTENT_LENGTH, 0))
            .await?;
        let mut url = Session::location(&begun)?;
        url.query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        for _ in 0..=MAX_REDIRECTS {
            let moved = Arc::new(Mutex::new(Instant::now()));
            let stream = self.blob_stream(path, blob, moved.clone()).await;
            let stream = stream.map_err(|error| Trouble::Permanent(error.into()))?;
            let request = self
                .session
                .client()
                .put(url)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, blob.size)
                .body(Body::wrap_stream(stream));
            let response = watched(self.session.send_large(request), moved, self.silence).await?;
            if !response.status().is_redirection() {
                return Ok(());
            }
            // A body that is streamed cannot be sent again by the client.
            url = Session::location(&response)?;
        }
        Err(malformed(Server::Registry, "a circle of redirections"))
    }

    /// The blob's bytes, a few at a time, reporting how far it got.
    async fn blob_stream(
        &self,
        path: &Path,
        blob: &Descriptor,
        moved: Arc<Mutex<Instant>>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
        let file = File::open(path).await?;
        let (progress, digest, size) = (self.progress.clone(), blob.digest.clone(), blob.size);
        Ok(stream::try_unfold((file, 0), move |(mut file, sent)| {
            let (progress, digest, moved) = (progress.clone(), digest.clone(), moved.clone());
            async move {
                let mut buffer = BytesMut::with_capacity(READ_BYTES);
                let n_read = file.read_buf(&mut buffer).await?;
                *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
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
        self.request(&format!("writing the tag `{tag}`"), async || {
            let url = self.session.url(&format!("manifests/{tag}"))?;
            self.session
                .send(|client| {
                    client
                        .put(url)
                        .header(CONTENT_TYPE, &manifest.media_type)
                        .body(bytes.clone())
                })
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

    /// Makes a request with retries and the login that it needs, and tells its failure apart by what the user can do about
    /// it.
    async fn request<T>(
        &self,
        during: &str,
        mut request: impl AsyncFnMut() -> Attempt<T>,
    ) -> Result<T, PushError> {
        let mut was_renewed = false;
        let attempt = async || {
            self.session.log_in().await?;
            let done = request().await;
            let Err(Trouble::Permanent(error)) = done else {
                return done;
            };
            // A token may have ended before its time.
            if !was_renewed && self.session.renew(&error).await? {
                was_renewed = true;
                return request().await;
            }
            Err(Trouble::Permanent(error))
        };
        let on_retry = |retrying: Retrying<'_, RequestError>| {
            let Retrying {
                n_attempts,
                wait,
                error,
            } = retrying;
            tracing::debug!(%error, during, n_attempts, "transient failure");
            (self.progress)(Progress::Retrying {
                during: during.to_owned(),
                n_attempts,
                wait,
                reason: error.to_string(),
            });
        };
        let done = self.retry.run(Jitter::default(), attempt, on_retry).await;
        done.map_err(|given_up| {
            PushError::of_request(given_up, during, &self.repository, self.username.clone())
        })
    }
}

/// `None` where the registry does not have it.
fn unless_missing(response: Attempt<Response>) -> Attempt<Option<Response>> {
    match response {
        Ok(response) => Ok(Some(response)),
        Err(Trouble::Permanent(error)) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn digest_in(headers: &HeaderMap) -> Option<String> {
    let digest = headers.get("docker-content-digest")?.to_str().ok()?;
    Some(digest.to_owned())
}

/// Whether a registry is on this machine, where TLS is neither usual nor needed.
fn is_this_machine(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => registry,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
