//! One download: it goes on where it was cut off, tries again what may pass, and counts only with the right digest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use trainyard_core::config::Remote;
use trainyard_core::digest::Sha256Digest;
use trainyard_net::{
    ClientError, ClientOptions, Failure, Jitter, RetryPolicy, Trouble, attempts, is_transient,
    retry_after,
};
use trainyard_runner::ExitCode;

/// A large file takes hours, and what was there before a cut is kept, so the deadline is long.
const RETRY: RetryPolicy = RetryPolicy {
    n_attempts: 5,
    first_delay: Duration::from_millis(500),
    max_delay: Duration::from_mins(1),
    deadline: Duration::from_hours(1),
};
/// How often a long download says how far it is.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Why a file is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server refused, or could not be reached in several attempts.
    #[error("cannot download `{address}`: {problem}")]
    Refused {
        /// The address.
        address: String,
        /// What it said.
        problem: String,
    },
    /// Nothing can be downloaded at all.
    #[error("cannot download `{address}`")]
    Client {
        /// The address.
        address: String,
        /// Why not.
        source: ClientError,
    },
    /// The file at the address is another one than the configuration names.
    #[error(
        "`{address}` ({size_bytes} bytes) has the digest {actual}, but the configuration says {expected}\nhint: if you trust what is there now, write its digest as `sha256`"
    )]
    Digest {
        /// The address.
        address: String,
        /// What the configuration says.
        expected: Sha256Digest,
        /// What was downloaded.
        actual: Sha256Digest,
        /// Size of what was downloaded.
        size_bytes: u64,
    },
    /// The cache cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FetchError {
    /// How a stage that needs the file ends.
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client { .. } => ExitCode::Usage,
            Self::Refused { .. } => ExitCode::Service,
            Self::Digest { .. } | Self::Write { .. } => ExitCode::Data,
        }
    }
}

/// A folder of downloads, each called by the hex digits of its digest. Processes may share it.
#[derive(Debug, Clone)]
pub struct Downloads {
    folder: PathBuf,
    client: ClientOptions,
    retry: RetryPolicy,
}

/// How an attempt went wrong.
enum Problem {
    /// What the server or the network did.
    Server(String),
    Final(FetchError),
}

impl Downloads {
    /// Downloads go to `folder`.
    pub fn to(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            client: ClientOptions::default(),
            retry: RETRY,
        }
    }

    /// Trusts the certificate authorities in this PEM file too.
    #[must_use]
    pub fn with_ca(mut self, ca: Option<&Path>) -> Self {
        self.client = self.client.with_ca(ca);
        self
    }

    /// Waits about this long before the second attempt, and twice as long before each one after it.
    #[must_use]
    pub const fn with_first_delay(mut self, first_delay: Duration) -> Self {
        self.retry.first_delay = first_delay;
        self
    }

    /// Sees to it that the folder holds the file. Blocks; must not be called from asynchronous code.
    pub fn fetch(&self, remote: &Remote) -> Result<PathBuf, FetchError> {
        let path = remote.locate(&self.folder);
        let partial = Partial::open(&path.with_extension("part"))?;
        if is_intact(&path, remote) {
            // Made only to be locked, unless an earlier run left something in it.
            let _ = fs::remove_file(&partial.path);
            return Ok(path);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| partial.error(source))?;
        runtime.block_on(self.complete(remote, &partial))?;
        fs::rename(&partial.path, &path).map_err(|source| partial.error(source))?;
        Ok(path)
    }

    /// Fills `partial` up until it is the file.
    async fn complete(&self, remote: &Remote, partial: &Partial) -> Result<(), FetchError> {
        let refused = |problem: String| FetchError::Refused {
            address: remote.address().to_owned(),
            problem,
        };
        let client = self.client.build();
        let client = client.map_err(|source| FetchError::Client {
            address: remote.address().to_owned(),
            source,
        })?;
        let done = self.retry.run(
            Jitter::default(),
            async || attempt_once(&client, remote, partial).await,
            |retrying| {
                if let Problem::Server(problem) = retrying.error {
                    let (address, wait) = (remote.address(), retrying.wait.as_secs_f64());
                    tracing::warn!("`{address}`: {problem}; trying again in {wait:.1} s");
                }
            },
        );
        done.await.map_err(|given_up| match given_up.error {
            Problem::Final(error) => error,
            Problem::Server(problem) if given_up.is_transient => {
                refused(format!("{problem} ({})", attempts(given_up.n_attempts)))
            }
            Problem::Server(problem) => refused(problem),
        })
    }
}

async fn attempt_once(
    client: &Client,
    remote: &Remote,
    partial: &Partial,
) -> Result<(), Trouble<Problem>> {
    let write = |source| Trouble::Permanent(Problem::Final(partial.error(source)));
    let failed = |error: reqwest::Error| match Failure::of_request(error) {
        Failure::Permanent(cause) => Trouble::Permanent(Problem::Server(cause.to_string())),
        Failure::Transient(text) => Trouble::transient(Problem::Server(text)),
    };
    let n_there = partial.len().map_err(write)?;
    let mut request = client.get(&remote.url);
    if n_there > 0 {
        request = request.header(RANGE, format!("bytes={n_there}-"));
    }
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let is_continued = status == StatusCode::PARTIAL_CONTENT && starts_at(&response, n_there);
    if !(is_continued || status == StatusCode::OK) {
        if status == StatusCode::PARTIAL_CONTENT || status == StatusCode::RANGE_NOT_SATISFIABLE {
            partial.clear().map_err(write)?;
        }
        return Err(trouble_of(&response));
    }
    if !is_continued {
        partial.clear().map_err(write)?;
    }
    partial
        .append(response, remote.address())
        .await
        .map_err(|error| match error {
            AppendError::Network(error) => failed(error),
            AppendError::Disk(error) => write(error),
        })?;
    let actual = Sha256Digest::of_file(&partial.path).map_err(write)?;
    if actual == remote.sha256 {
        return Ok(());
    }
    let size_bytes = partial.len().map_err(write)?;
    partial.clear().map_err(write)?;
    if is_continued {
        // The file changed between two attempts, or the cache was damaged.
        let problem = "what was there already does not fit the rest".to_owned();
        return Err(Trouble::transient(Problem::Server(problem)));
    }
    Err(Trouble::Permanent(Problem::Final(FetchError::Digest {
        address: remote.address().to_owned(),
        expected: remote.sha256.clone(),
        actual,
        size_bytes,
    })))
}

fn starts_at(response: &Response, place: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    range
        .and_then(|range| range.to_str().ok())
        .is_some_and(|range| range.starts_with(&format!("bytes {place}-")))
}

fn trouble_of(response: &Response) -> Trouble<Problem> {
    let status = response.status();
    let error = Problem::Server(format!("the server answers {status}"));
    // A part that does not fit what is there is asked for anew.
    let is_other_part = matches!(
        status,
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT
    );
    if is_other_part || is_transient(status) {
        return Trouble::Transient {
            error,
            retry_after: retry_after(response.headers(), SystemTime::now()),
        };
    }
    Trouble::Permanent(error)
}

/// The part of a file that is there, locked against other processes.
struct Partial {
    path: PathBuf,
    file: File,
}

enum AppendError {
    Network(reqwest::Error),
    Disk(io::Error),
}

impl Partial {
    fn open(path: &Path) -> Result<Self, FetchError> {
        let open = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            file.lock()?;
            Ok(file)
        };
        let file = open().map_err(|source| FetchError::Write {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    async fn append(&self, mut response: Response, address: &str) -> Result<(), AppendError> {
        let mut file = &self.file;
        let mut n_bytes = file.seek(SeekFrom::End(0)).map_err(AppendError::Disk)?;
        let total = response.content_length().map(|rest| n_bytes + rest);
        let size = total.map_or_else(String::new, |total| format!(", {}", megabytes(total)));
        tracing::info!("downloading `{address}`{size}");
        let mut reported = Instant::now();
        while let Some(bytes) = response.chunk().await.map_err(AppendError::Network)? {
            file.write_all(&bytes).map_err(AppendError::Disk)?;
            n_bytes += bytes.len() as u64;
            if reported.elapsed() > REPORT_INTERVAL {
                reported = Instant::now();
                let of_total =
                    total.map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
                tracing::info!("{}{of_total}", megabytes(n_bytes));
            }
        }
        file.sync_data().map_err(AppendError::Disk)
    }

    fn error(&self, source: io::Error) -> FetchError {
        FetchError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether the file is there and has its digest. A damaged one is removed.
fn is_intact(path: &Path, remote: &Remote) -> bool {
    match Sha256Digest::of_file(path) {
        Ok(digest) if digest == remote.sha256 => true,
        Ok(_) => {
            tracing::warn!("`{}` is damaged and is downloaded again", path.display());
            let _ = fs::remove_file(path);
            false
        }
        Err(_) => false,
    }
}

fn megabytes(n_bytes: u64) -> String {
    format!("{:.1} MB", n_bytes as f64 / 1e6)
}
