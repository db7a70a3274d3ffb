//! An upload: one PUT of known length, which every registry takes.
//!
//! One that breaks off is gone on with where the registry says how far it got (distribution specification, "Resuming an upload").
//! docker-registry does not: it forgets an upload whose request broke off, also one of chunks. What it forgets is sent again in short
//! requests, since what ended the long one, such as a proxy's time limit, would end the next one too. A body that is too large for
//! what lies before the registry is sent in chunks.

use std::io::{self, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE};
use reqwest::{Body, Method, Response, StatusCode, Url};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::Instant;
use trainyard_net::Trouble;

use super::answer::{Attempt, RequestError, Server, malformed};
use super::blob::BlobSource;
use super::session::Session;
use super::watch::watched;
use super::{Progress, Registry};

/// Bytes read from a blob at a time, and so the memory that an upload takes.
const READ_BYTES: usize = 256 << 10;

/// Addresses that an upload may be sent on to.
const MAX_REDIRECTS: usize = 5;

/// The first size of a chunk, and the smallest.
const CHUNK_BYTES: u64 = 16 << 20;
const MIN_CHUNK_BYTES: u64 = 1 << 20;

/// What a short request sends, the most that ghcr.io takes as a chunk.
const SHORT_CHUNK_BYTES: u64 = 4 << 20;

/// The least that the registry takes as a chunk (distribution specification, "Pushing a blob in chunks").
const CHUNK_MIN_LENGTH: &str = "oci-chunk-min-length";

/// An upload that the registry knows.
struct Upload {
    url: Url,
    /// Bytes that the registry has.
    offset: u64,
    min_chunk: u64,
}

/// What is left of an upload that broke off, in this push or an earlier one.
enum Earlier {
    /// None was begun.
    None,
    /// The registry has part of the blob.
    Kept(Upload),
    /// The registry has nothing of it any more.
    Forgotten,
}

impl Registry {
    /// Sends the blob, or what is missing of it.
    pub(super) async fn upload(&self, blob: &BlobSource) -> Attempt<()> {
        let earlier = self.earlier(blob).await?;
        let was_resumed = matches!(earlier, Earlier::Kept(_));
        let done = match earlier {
            Earlier::None => {
                let upload = self.begin(blob).await?;
                self.put_whole(blob, upload, was_resumed).await
            }
            Earlier::Kept(upload) => self.put_whole(blob, upload, was_resumed).await,
            Earlier::Forgotten => self.put_in_short_requests(blob).await,
        };
        match done {
            Ok(()) => {
                self.forget(blob);
                Ok(())
            }
            // The rest may have been taken for another place, and an upload may be forgotten at any time: from the beginning.
            Err(Trouble::Permanent(error))
                if was_resumed
                    && error
                        .status()
                        .is_some_and(|status| status.is_client_error())
                    || error.status() == Some(StatusCode::NOT_FOUND) =>
            {
                self.forget(blob);
                Err(Trouble::transient(error))
            }
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) fn forget(&self, blob: &BlobSource) {
        self.unfinished.forget(&self.repository, &blob.digest);
    }

    fn keep(&self, blob: &BlobSource, url: &Url) {
        self.unfinished
            .keep(&self.repository, &blob.digest, blob.size, url);
    }

    async fn begin(&self, blob: &BlobSource) -> Attempt<Upload> {
        let url = self.session.url("blobs/uploads/")?;
        let begun = self
            .session
            .send(|client| client.post(url).header(CONTENT_LENGTH, 0))
            .await?;
        let url = Session::location(&begun)?;
        self.keep(blob, &url);
        Ok(Upload {
            url,
            offset: 0,
            min_chunk: number(begun.headers(), CHUNK_MIN_LENGTH).unwrap_or(0),
        })
    }

    /// The upload that broke off, if any.
    async fn earlier(&self, blob: &BlobSource) -> Attempt<Earlier> {
        let Some(url) = self.unfinished.find(&self.repository, &blob.digest) else {
            return Ok(Earlier::None);
        };
        let asked = self.session.send(|client| client.get(url.clone())).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(Trouble::Permanent(RequestError::Answer { status, .. }))
                if status != StatusCode::UNAUTHORIZED =>
            {
                self.forget(blob);
                return Ok(Earlier::Forgotten);
            }
            Err(trouble) => return Err(trouble),
        };
        let offset = n_received(answer.headers()).filter(|offset| *offset < blob.size);
        let Some(offset) = offset.filter(|offset| *offset > 1) else {
            self.forget(blob);
            return Ok(Earlier::None);
        };
        let url = Session::location(&answer).unwrap_or(url);
        self.keep(blob, &url);
        Ok(Earlier::Kept(Upload {
            url,
            offset,
            min_chunk: 0,
        }))
    }

    /// One request, or chunks where that is too large a body. `is_resumed`: whether the upload goes on, so that the registry has part of
    /// the blob.
    async fn put_whole(&self, blob: &BlobSource, upload: Upload, is_resumed: bool) -> Attempt<()> {
        match self.put(blob, &upload).await {
            Err(Trouble::Permanent(error))
                if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) =>
            {
                self.report(Progress::Quirk(
                    "the registry refuses so large a body (413), so the blob is sent in chunks"
                        .to_owned(),
                ));
                let upload = if is_resumed {
                    upload
                } else {
                    self.begin(blob).await?
                };
                self.put_in_chunks(blob, upload, CHUNK_BYTES).await
            }
            done => done,
        }
    }

    /// The blob from its beginning in short requests, or whole where the registry does not take chunks as the specification has them.
    async fn put_in_short_requests(&self, blob: &BlobSource) -> Attempt<()> {
        let upload = self.begin(blob).await?;
        match self.put_in_chunks(blob, upload, SHORT_CHUNK_BYTES).await {
            Err(Trouble::Permanent(error)) => {
                tracing::debug!(%error, "the registry takes no chunks, so the blob is sent whole");
                let upload = self.begin(blob).await?;
                self.put_whole(blob, upload, false).await
            }
            done => done,
        }
    }

    /// One PUT of all that is missing.
    async fn put(&self, blob: &BlobSource, upload: &Upload) -> Attempt<()> {
        let mut url = with_digest(&upload.url, blob);
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .send_part(Method::PUT, url, blob, upload.offset, blob.size)
                .await?;
            if !response.status().is_redirection() {
                return self.accepted(blob, response.status()).await;
            }
            // A body that is streamed cannot be sent again by the client.
            url = Session::location(&response)?;
        }
        Err(malformed(Server::Registry, "a circle of redirections"))
    }

    /// Anything but "created" is believed only if the blob is there.
    async fn accepted(&self, blob: &BlobSource, status: StatusCode) -> Attempt<()> {
        if status == StatusCode::CREATED || self.has_blob(&blob.digest).await? {
            return Ok(());
        }
        let problem = format!("{status} for an upload, and does not have the blob");
        Err(malformed(Server::Registry, &problem))
    }

    /// Chunks of `chunk` bytes at first, fewer where that is too large a body.
    async fn put_in_chunks(&self, blob: &BlobSource, upload: Upload, chunk: u64) -> Attempt<()> {
        let Upload {
            mut url,
            mut offset,
            min_chunk,
        } = upload;
        let mut chunk = chunk.max(min_chunk);
        while offset < blob.size {
            let end = blob.size.min(offset + chunk);
            let sent = self.send_part(Method::PATCH, url.clone(), blob, offset, end);
            let answer = match sent.await {
                Err(Trouble::Permanent(error))
                    if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE)
                        && chunk / 2 >= MIN_CHUNK_BYTES.max(min_chunk) =>
                {
                    chunk /= 2;
                    continue;
                }
                sent => sent?,
            };
            if answer.status() != StatusCode::ACCEPTED {
                // Elastic Container Registry answers so and drops every chunk after the first.
                let problem = format!(
                    "{} for a chunk, where only 202 says that it goes on",
                    answer.status()
                );
                return Err(malformed(Server::Registry, &problem));
            }
            offset = match n_received(answer.headers()) {
                Some(received) if received > offset && received <= end => received,
                Some(received) => {
                    let problem =
                        format!("that it has {received} bytes after those up to {end} were sent");
                    return Err(malformed(Server::Registry, &problem));
                }
                None => end,
            };
            url = Session::location(&answer)?;
            self.keep(blob, &url);
        }
        let url = with_digest(&url, blob);
        let ended = self
            .session
            .send(|client| client.put(url).header(CONTENT_LENGTH, 0))
            .await?;
        self.accepted(blob, ended.status()).await
    }

    /// Sends the bytes of the blob from `offset` to before `end`.
    async fn send_part(
        &self,
        method: Method,
        url: Url,
        blob: &BlobSource,
        offset: u64,
        end: u64,
    ) -> Attempt<Response> {
        let moved = Arc::new(Mutex::new(Instant::now()));
        let stream = self.part(blob, offset, end, moved.clone()).await;
        let stream = stream.map_err(|error| Trouble::Permanent(error.into()))?;
        let is_whole = offset == 0 && end == blob.size;
        let mut request = self
            .session
            .builder()
            .request(method, url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, end - offset);
        if !is_whole {
            request = request.header(CONTENT_RANGE, format!("{offset}-{}", end - 1));
        }
        let request = request.body(Body::wrap_stream(stream));
        watched(self.session.send_large(request), moved, self.silence).await
    }

    /// Those bytes, a few at a time, reporting how far it got.
    async fn part(
        &self,
        blob: &BlobSource,
        offset: u64,
        end: u64,
        moved: Arc<Mutex<Instant>>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
        let mut file = File::open(&blob.path).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        let (progress, digest, size) = (self.progress.clone(), blob.digest.clone(), blob.size);
        let file = file.take(end - offset);
        Ok(stream::try_unfold(
            (file, offset),
            move |(mut file, sent)| {
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
            },
        ))
    }
}

fn with_digest(url: &Url, blob: &BlobSource) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut()
        .append_pair("digest", blob.digest.as_str());
    url
}

/// Bytes that the registry says it has: `Range: 0-499` are 500. "0-0" is also said of none.
fn n_received(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (first, last) = range.split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (first.trim() == "0").then(|| last + 1)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_says_how_far_it_got() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            n_received(&headers)
        };
        assert_eq!(of("0-499"), Some(500));
        assert_eq!(of("bytes=0-499"), Some(500));
        assert_eq!(of("0-0"), Some(1));
        for text in ["", "5-9", "0-", "-", "0-x"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(n_received(&HeaderMap::new()), None);
    }
}
