//! One download: it goes on where it was cut off, tries again what may pass, and counts only with the right digest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use trainyard_core::config::Remote;
use trainyard_core::digest::Sha256Digest;
use trainyard_runner::ExitCode;

const N_ATTEMPTS: u32 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that is silent for so long is taken for gone.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_DELAY: Duration = Duration::from_mins(1);
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
            Self::Refused { .. } => ExitCode::Service,
            Self::Digest { .. } | Self::Write { .. } => ExitCode::Data,
        }
    }
}

/// A folder of downloads, each called by the hex digits of its digest. Processes may share it.
#[derive(Debug, Clone)]
pub struct Downloads {
    folder: PathBuf,
    first_delay: Duration,
}

/// How an attempt went wrong.
enum Trouble {
    /// Another attempt may do better, after this time if the server named one.
    Passing(String, Option<Duration>),
    Final(FetchError),
}

impl Downloads {
    /// Downloads go to `folder`.
    pub fn to(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            first_delay: Duration::from_millis(500),
        }
    }

    /// Waits this long before the second attempt, and twice as long before each one after it.
    #[must_use]
    pub const fn with_first_delay(mut self, first_delay: Duration) -> Self {
        self.first_delay = first_delay;
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
        let client = Client::builder()
            .user_agent(concat!("trainyard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| refused(in_full(&error)))?;
        let mut delay = self.first_delay;
        for attempt in 1.. {
            let (problem, wait) = match attempt_once(&client, remote, partial).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(problem, wait)) => (problem, wait),
            };
            if attempt == N_ATTEMPTS {
                return Err(refused(format!("{problem} ({N_ATTEMPTS} attempts)")));
            }
            let wait = wait.unwrap_or(delay).min(MAX_DELAY);
            tracing::warn!(
                "`{}`: {problem}; trying again in {:.1} s",
                remote.address(),
                wait.as_secs_f64()
            );
            tokio::time::sleep(wait).await;
            delay *= 2;
        }
        Ok(())
    }
}

async fn attempt_once(client: &Client, remote: &Remote, partial: &Partial) -> Result<(), Trouble> {
    let write = |source| Trouble::Final(partial.error(source));
    let passing = |error: reqwest::Error| Trouble::Passing(in_full(&error.without_url()), None);
    let n_there = partial.len().map_err(write)?;
    let mut request = client.get(&remote.url);
    if n_there > 0 {
        request = request.header(RANGE, format!("bytes={n_there}-"));
    }
    let response = request.send().await.map_err(passing)?;
    let status = response.status();
    let is_continued = status == StatusCode::PARTIAL_CONTENT && starts_at(&response, n_there);
    if !(is_continued || status == StatusCode::OK) {
        if status == StatusCode::PARTIAL_CONTENT || status == StatusCode::RANGE_NOT_SATISFIABLE {
            partial.clear().map_err(write)?;
        }
        return Err(trouble_of(&response, remote));
    }
    if !is_continued {
        partial.clear().map_err(write)?;
    }
    partial
        .append(response, remote.address())
        .await
        .map_err(|error| match error {
            AppendError::Network(error) => passing(error),
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
        return Err(Trouble::Passing(
            "what was there already does not fit the rest".to_owned(),
            None,
        ));
    }
    Err(Trouble::Final(FetchError::Digest {
        address: remote.address().to_owned(),
        expected: remote.sha256.clone(),
        actual,
        size_bytes,
    }))
}

fn starts_at(response: &Response, place: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    range
        .and_then(|range| range.to_str().ok())
        .is_some_and(|range| range.starts_with(&format!("bytes {place}-")))
}

fn trouble_of(response: &Response, remote: &Remote) -> Trouble {
    let status = response.status();
    let problem = format!("the server answers {status}");
    let is_passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::RANGE_NOT_SATISFIABLE
                | StatusCode::PARTIAL_CONTENT
        );
    if is_passing {
        let wait = response.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
        return Trouble::Passing(problem, wait.map(Duration::from_secs));
    }
    Trouble::Final(FetchError::Refused {
        address: remote.address().to_owned(),
        problem,
    })
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

/// The error with what caused it, which reqwest's own words leave out.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
