//! One repository of a registry: what it has is asked for, blobs, manifests and tags are written and read.
//!
//! Requests are made again where that may help, and log in as the registry asks. The order of a whole push is
//! [`crate::push`]'s.

mod answer;
mod attached;
mod blob;
mod challenge;
mod clients;
mod error;
mod manifest;
mod referrers;
mod session;
mod tag_list;
mod unfinished;
mod upload;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use trainyard_core::digest::Sha256Digest;
use trainyard_net::{ClientOptions, Jitter, RetryPolicy, Retrying, Trouble};

use answer::Attempt;
pub use answer::{RequestError, Server};
pub use attached::{Attached, AttachedFile};
pub use blob::BlobSource;
pub use challenge::Challenge;
use clients::Clients;
pub use error::RegistryError;
pub use manifest::{Fetched, WrittenManifest};
pub use session::Access;
use session::{Address, Session};
use unfinished::Unfinished;

use crate::credentials::Credentials;
use crate::reference::ImageReference;

/// Logins for one request: a registry that refuses each new token knows the user and does not let them in.
const MAX_RENEWALS: u32 = 3;

/// How a registry is reached.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Who asks.
    pub credentials: Credentials,
    /// What for.
    pub access: Access,
    /// Registries, as `host` or `host:port`, that are spoken to without TLS. Those of this machine are where they do not answer TLS.
    pub plain_http: Vec<String>,
    /// Proxies, authorities and time-outs. The read time-out is that of a small request, and of an upload that does not move.
    pub client: ClientOptions,
    /// When a request is made again.
    pub retry: RetryPolicy,
    /// Where the addresses of unfinished uploads are kept, which are secrets of the user, so that a later push goes on with them; they
    /// are not kept where absent.
    pub unfinished: Option<PathBuf>,
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
    /// The registry took the blob from another of its repositories.
    Mounted {
        /// The blob.
        digest: Sha256Digest,
        /// Its size.
        size: u64,
        /// The other repository.
        from: String,
    },
    /// Part of a blob was sent. An upload that is gone on with begins where it broke off.
    Uploading {
        /// The blob.
        digest: Sha256Digest,
        /// Bytes that the registry has or that were sent so far.
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
    /// Something refers to the image now.
    Attached {
        /// What refers to it.
        manifest: Sha256Digest,
        /// The image, or one of an index.
        subject: Sha256Digest,
    },
    /// A tag names the image now.
    Tagged(ImageReference),
    /// A tag names the image already.
    Unchanged(ImageReference),
    /// A tag was left where it is.
    Left {
        /// The tag.
        image: ImageReference,
        /// What it names instead, in words.
        names: String,
    },
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
    /// The registry does not do as the specification asks, which was got round.
    Quirk(String),
}

/// Called with each step.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// A connection to one repository of a registry.
pub struct Registry {
    session: Session,
    username: Option<String>,
    repository: ImageReference,
    /// An upload that does not move for so long is taken for dead.
    silence: Option<Duration>,
    retry: RetryPolicy,
    unfinished: Unfinished,
    /// Whether it was seen that the registry keeps lists of what refers to a manifest.
    keeps_referrers: AtomicBool,
    progress: ProgressFn,
}

impl Registry {
    /// A connection to the repository that `image` names; nothing is sent yet.
    pub fn connect(
        image: &ImageReference,
        options: ConnectOptions,
        progress: ProgressFn,
    ) -> Result<Self, RegistryError> {
        let ConnectOptions {
            credentials,
            access,
            plain_http,
            client,
            retry,
            unfinished,
        } = options;
        let registry = image.registry();
        let silence = client.read_timeout;
        // The client's own read time-out runs while a body is sent, which takes any time.
        let client = ClientOptions {
            read_timeout: None,
            ..client
        };
        let address = address(registry, &plain_http)?;
        let needs_tls = matches!(&address, Address::Known(url) if url.scheme() == "https");
        let clients = Clients::new(client, needs_tls);
        let clients = clients.map_err(|source| RegistryError::Client {
            registry: registry.to_owned(),
            source,
        })?;
        let username = credentials.username().map(str::to_owned);
        Ok(Self {
            session: Session::new(
                clients,
                address,
                image.repository().to_owned(),
                credentials,
                access,
                silence,
            ),
            username,
            repository: image.clone(),
            silence,
            retry,
            unfinished: Unfinished::in_folder(unfinished),
            keeps_referrers: AtomicBool::new(false),
            progress,
        })
    }

    /// The repository.
    pub const fn repository(&self) -> &ImageReference {
        &self.repository
    }

    pub(crate) fn report(&self, step: Progress) {
        (self.progress)(step);
    }

    /// Makes a request with retries and the login that it needs, and tells its failure apart by what the user can do about
    /// it.
    async fn request<T>(
        &self,
        during: &str,
        mut request: impl AsyncFnMut() -> Attempt<T>,
    ) -> Result<T, RegistryError> {
        let mut n_renewed = 0;
        let attempt = async || {
            self.session.ready().await?;
            loop {
                let done = request().await;
                let Err(Trouble::Permanent(error)) = done else {
                    return done;
                };
                // The first request tells how to log in, and a token may end before its time.
                if n_renewed == MAX_RENEWALS || !self.session.renew(&error).await? {
                    return Err(Trouble::Permanent(error));
                }
                n_renewed += 1;
            }
        };
        let on_retry = |retrying: Retrying<'_, RequestError>| {
            let Retrying {
                n_attempts,
                wait,
                error,
            } = retrying;
            tracing::debug!(%error, during, n_attempts, "transient failure");
            self.report(Progress::Retrying {
                during: during.to_owned(),
                n_attempts,
                wait,
                reason: error.to_string(),
            });
        };
        let done = self.retry.run(Jitter::default(), attempt, on_retry).await;
        done.map_err(|given_up| {
            let (image, username) = (&self.repository, self.username.clone());
            RegistryError::of_request(given_up, during, image, username, self.session.access())
        })
    }
}

/// Where a registry is reached.
fn address(registry: &str, plain_http: &[String]) -> Result<Address, RegistryError> {
    // Docker Hub's name for people is not that of its API.
    let host = if registry == "docker.io" {
        "registry-1.docker.io"
    } else {
        registry
    };
    let url = |scheme: &str| {
        Url::parse(&format!("{scheme}://{host}/")).map_err(|source| RegistryError::Address {
            registry: registry.to_owned(),
            problem: source.to_string(),
        })
    };
    let is_named = |named: &String| *named == registry || *named == host_of(registry);
    if plain_http.iter().any(is_named) {
        return Ok(Address::Known(url("http")?));
    }
    let tls = url("https")?;
    Ok(if is_this_machine(registry) {
        Address::TlsOrPlain {
            tls,
            plain: url("http")?,
        }
    } else {
        Address::Known(tls)
    })
}

/// `None` where the registry does not have it.
fn unless_missing(response: Attempt<Response>) -> Attempt<Option<Response>> {
    match response {
        Ok(response) => Ok(Some(response)),
        Err(Trouble::Permanent(error)) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// A registry without its port.
fn host_of(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => registry,
    }
}

/// Whether a registry is on this machine, where TLS is neither usual nor needed.
fn is_this_machine(registry: &str) -> bool {
    matches!(host_of(registry), "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// publishing.md rows 5 and 6.
    #[test]
    fn tls_is_spoken_but_where_a_registry_is_named_as_plain_or_lies_on_this_machine() {
        let plain = ["office:5000".to_owned(), "kind.example.org".to_owned()];
        let of = |registry: &str| match address(registry, &plain).unwrap() {
            Address::Known(url) => url.to_string(),
            Address::TlsOrPlain { tls, plain } => format!("{tls} or {plain}"),
        };
        for (registry, expected) in [
            ("ghcr.io", "https://ghcr.io/"),
            ("docker.io", "https://registry-1.docker.io/"),
            ("office:5000", "http://office:5000/"),
            ("office:5001", "https://office:5001/"),
            ("kind.example.org:5000", "http://kind.example.org:5000/"),
            (
                "localhost:5000",
                "https://localhost:5000/ or http://localhost:5000/",
            ),
            ("[::1]:80", "https://[::1]:80/ or http://[::1]/"),
            ("localhost.example.org", "https://localhost.example.org/"),
        ] {
            assert_eq!(of(registry), expected, "{registry}");
        }
    }
}
