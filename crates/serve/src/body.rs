//! A request's body on its way: pieces from the network in, inflated and parsed on computing threads as they come.
//!
//! No thread waits for the network, and no more than [`PIECES_BYTES`] of the text of one request are held.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::write::{GzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::answer::{Refusal, echo};
use crate::pool::Pool;

/// Held until a computing thread takes them.
pub(crate) const PIECES_BYTES: usize = 256 << 10;

/// Read and thrown away of a body that is refused, so that the client has sent it and hears the answer.
const DRAINED_BYTES: usize = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// What bounds a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// As sent, and inflated.
    pub(crate) max_bytes: usize,
    /// Between two pieces.
    pub(crate) idle: Duration,
    /// From the first to the last.
    pub(crate) total: Duration,
}

/// What takes the bytes of a body.
pub(crate) trait Sink: Send + 'static {
    /// The next bytes.
    fn push(&mut self, piece: &[u8]) -> Result<(), Refusal>;
}

/// How a body is encoded (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Encoding {
    /// By `Content-Encoding`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(name) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Identity);
        };
        let name = String::from_utf8_lossy(name.as_bytes())
            .trim()
            .to_ascii_lowercase();
        Ok(match name.as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "zstd" => Self::Zstd,
            other => {
                let message = format!(
                    "the encoding `{}` is not known here; send gzip, deflate, zstd or none",
                    echo(other)
                );
                return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
            }
        })
    }
}

/// The sink behind its decoder.
enum Decoder<S: Sink> {
    Identity(Bounded<S>),
    Gzip(Box<GzDecoder<Bounded<S>>>),
    Deflate(Box<ZlibDecoder<Bounded<S>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Bounded<S>>>),
}

/// A sink that takes so many bytes.
struct Bounded<S> {
    sink: S,
    n_left: usize,
    max_bytes: usize,
    refusal: Option<Refusal>,
}

impl<S: Sink> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match self.n_left.checked_sub(bytes.len()) {
            Some(n_left) => {
                self.n_left = n_left;
                self.sink.push(bytes)
            }
            None => Err(too_large(self.max_bytes)),
        };
        taken.map(|()| bytes.len()).map_err(|refusal| {
            self.refusal = Some(refusal);
            io::ErrorKind::InvalidData.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Sink> Decoder<S> {
    fn new(encoding: Encoding, sink: S, max_bytes: usize) -> Result<Self, Refusal> {
        let sink = Bounded {
            sink,
            n_left: max_bytes,
            max_bytes,
            refusal: None,
        };
        Ok(match encoding {
            Encoding::Identity => Self::Identity(sink),
            Encoding::Gzip => Self::Gzip(Box::new(GzDecoder::new(sink))),
            Encoding::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(sink))),
            Encoding::Zstd => {
                let decoder = zstd::stream::write::Decoder::new(sink);
                Self::Zstd(Box::new(decoder.map_err(Refusal::internal)?))
            }
        })
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let written = match self {
            Self::Identity(sink) => sink.write_all(piece),
            Self::Gzip(decoder) => decoder.write_all(piece),
            Self::Deflate(decoder) => decoder.write_all(piece),
            Self::Zstd(decoder) => decoder.write_all(piece),
        };
        written.map_err(|error| self.refusal(&error))
    }

    fn refusal(&mut self, error: &io::Error) -> Refusal {
        let sink = match self {
            Self::Identity(sink) => sink,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        };
        let refusal = sink.refusal.take();
        refusal.unwrap_or_else(|| undecodable(error))
    }

    fn finish(mut self) -> Result<S, Refusal> {
        let ended = match &mut self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Zstd(decoder) => decoder.flush(),
        };
        ended.map_err(|error| self.refusal(&error))?;
        let sink = match self {
            Self::Identity(sink) => sink,
            Self::Gzip(decoder) => decoder.finish().map_err(|error| undecodable(&error))?,
            Self::Deflate(decoder) => decoder.finish().map_err(|error| undecodable(&error))?,
            Self::Zstd(decoder) => decoder.into_inner(),
        };
        Ok(sink.sink)
    }
}

fn undecodable(error: &io::Error) -> Refusal {
    Refusal::bad_request(format!(
        "the body is not what its `Content-Encoding` says: {error}"
    ))
}

fn too_large(max_bytes: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "the body is larger than the {} MiB that are taken",
            max_bytes >> 20
        ),
    )
}

/// A body that has been received, the end of which is to be parsed on a computing thread.
pub(crate) struct Received<S: Sink> {
    decoder: Decoder<S>,
    rest: Vec<Bytes>,
}

impl<S: Sink> Received<S> {
    /// Parses the rest.
    pub(crate) fn finish(mut self) -> Result<S, Refusal> {
        self.take_rest()?;
        self.decoder.finish()
    }

    fn take_rest(&mut self) -> Result<(), Refusal> {
        for piece in std::mem::take(&mut self.rest) {
            self.decoder.push(&piece)?;
        }
        Ok(())
    }
}

/// The size that is announced; of one that is too large what to answer.
pub(crate) fn announced(headers: &HeaderMap, max_bytes: usize) -> Result<Option<usize>, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > max_bytes as u64 => Err(too_large(max_bytes)),
        length => Ok(length.map(|length| length as usize)),
    }
}

/// Reads `body` into `sink`.
pub(crate) async fn receive<S: Sink>(
    body: &mut Body,
    encoding: Encoding,
    limits: BodyLimits,
    pool: &Pool,
    sink: S,
) -> Result<Received<S>, Refusal> {
    let deadline = Instant::now() + limits.total;
    let mut received = Received {
        decoder: Decoder::new(encoding, sink, limits.max_bytes)?,
        rest: Vec::new(),
    };
    let (mut n_bytes, mut n_held) = (0, 0);
    loop {
        let until = deadline.min(Instant::now() + limits.idle);
        let frame = tokio::time::timeout_at(until, body.frame());
        let Some(frame) = frame.await.map_err(|_| slow(limits))? else {
            return Ok(received);
        };
        let frame =
            frame.map_err(|error| Refusal::bad_request(format!("the body broke off: {error}")))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        n_bytes += piece.len();
        n_held += piece.len();
        if n_bytes > limits.max_bytes {
            return Err(too_large(limits.max_bytes));
        }
        received.rest.push(piece);
        if n_held >= PIECES_BYTES {
            n_held = 0;
            received = pool
                .run(move || received.take_rest().map(|()| received))
                .await??;
        }
    }
}

fn slow(limits: BodyLimits) -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        format!(
            "the body did not come in time: {} s between two parts of it and {} s for all are waited",
            limits.idle.as_secs(),
            limits.total.as_secs()
        ),
    )
}

/// Throws away what a client still sends, so that it hears why its request is refused: who closes a connection with unread bytes
/// makes the other side forget what it has received.
pub(crate) async fn drain(body: &mut Body, headers: &HeaderMap) {
    // It waits for leave to send.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let read = async {
        let mut n_bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            n_bytes += frame.data_ref().map_or(0, Bytes::len);
            if n_bytes > DRAINED_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}
