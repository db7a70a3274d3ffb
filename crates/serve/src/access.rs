//! What is known of each request from outside: its id, its trace, its answer's status, and the line in the log.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::http::header::{CONTENT_LENGTH, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

use crate::answer::{Reason, echo};
use crate::metrics::ByStatus;
use crate::model::Model;

/// By which a client or a proxy names a request; given back with the answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const MAX_ID_BYTES: usize = 128;

/// Which requests the log has a line of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AccessLog {
    /// None.
    Off,
    /// Those that were refused or failed.
    Errors,
    /// All but health checks and scrapes that went well.
    All,
}

/// All requests together.
#[derive(Debug)]
pub(crate) struct Access {
    logged: AccessLog,
    responses: ByStatus,
    /// Of this process, so that ids of two servers differ.
    prefix: u64,
    n_requests: AtomicU64,
}

/// A request, as it came.
pub(crate) struct Seen {
    started: Instant,
    id: HeaderValue,
    method: Method,
    uri: Uri,
    trace: Option<Trace>,
    client: Option<IpAddr>,
    user_agent: Option<String>,
    n_bytes: Option<u64>,
}

/// The trace that a request belongs to, in hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    id: String,
    parent: String,
}

/// The id of a request, on its way with it.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

/// What an answer was computed from, for the log.
#[derive(Clone)]
pub(crate) struct Computed {
    pub(crate) model: Model,
    pub(crate) n_rows: usize,
}

impl Access {
    pub(crate) fn new(logged: AccessLog) -> Self {
        Self {
            logged,
            responses: ByStatus::default(),
            prefix: RandomState::new().hash_one(std::process::id()),
            n_requests: AtomicU64::new(0),
        }
    }

    /// All answers so far.
    pub(crate) const fn responses(&self) -> &ByStatus {
        &self.responses
    }

    /// A request has come from `client`.
    pub(crate) fn begin(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        client: Option<IpAddr>,
    ) -> Seen {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Seen {
            started: Instant::now(),
            id: request_id(headers).unwrap_or_else(|| self.next_id()),
            method: method.clone(),
            uri: uri.clone(),
            trace: text(&TRACEPARENT).and_then(Trace::parse),
            client,
            user_agent: text(&USER_AGENT).map(echo),
            n_bytes: text(&CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        }
    }

    fn next_id(&self) -> HeaderValue {
        let n = self.n_requests.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}{n:016x}", self.prefix);
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("0"))
    }

    /// It is answered by `response`.
    pub(crate) fn end(&self, seen: Seen, response: &mut Response) {
        let status = response.status();
        self.responses.add(status);
        if self.is_logged(&seen, status) {
            seen.log(response);
        }
        response.headers_mut().insert(REQUEST_ID, seen.id);
    }

    fn is_logged(&self, seen: &Seen, status: StatusCode) -> bool {
        let is_error = status.is_client_error() || status.is_server_error();
        match self.logged {
            AccessLog::Off => false,
            AccessLog::Errors => is_error,
            AccessLog::All => {
                let path = seen.uri.path();
                is_error || !(path == "/metrics" || path.starts_with("/v2/health/"))
            }
        }
    }
}

/// The id that the request came with, if it may be repeated.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let is_valid =
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    is_valid.then(|| id.clone())
}

impl Seen {
    pub(crate) fn id(&self) -> RequestId {
        RequestId(self.id.clone())
    }

    fn log(&self, response: &Response) {
        let took = self.started.elapsed();
        let status = response.status();
        let computed = response.extensions().get::<Computed>();
        let reason = response.extensions().get::<Reason>();
        let (method, path) = (self.method.as_str(), echo(self.uri.path()));
        let mut message = format!("{method} {path}: {} in {}", status.as_u16(), shown(took));
        if let Some(Reason(reason)) = reason {
            message = format!("{message}: {reason}");
        }
        // `event!` wants its level at compile time.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    event.dataset = "trainyard.access",
                    event.duration = took.as_nanos() as u64,
                    http.request.id = self.id.to_str().unwrap_or_default(),
                    http.request.method = method,
                    http.request.body.bytes = self.n_bytes,
                    http.response.status_code = u64::from(status.as_u16()),
                    http.response.body.bytes = response.body().size_hint().exact(),
                    url.path = path,
                    client.ip = self.client.map(|ip| ip.to_string()),
                    user_agent.original = self.user_agent.as_deref(),
                    trace.id = self.trace.as_ref().map(|it| it.id.as_str()),
                    span.id = self.trace.as_ref().map(|it| it.parent.as_str()),
                    error.message = reason.map(|Reason(reason)| reason.as_str()),
                    model = computed.map(|it| it.model.name()),
                    version = computed.map(|it| it.model.version()),
                    rows = computed.map(|it| it.n_rows as u64),
                    "{message}"
                )
            };
        }
        if status.is_server_error() {
            line!(error);
        } else if status.is_client_error() {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

fn shown(took: Duration) -> String {
    format!("{:.2} ms", took.as_secs_f64() * 1e3)
}

impl Trace {
    /// Of a header `traceparent` (W3C Trace Context, section 3.2); `None` where it is not valid.
    fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let [version, id, parent, flags] = [(); 4].map(|()| parts.next());
        let digits = |part: Option<&str>, n: usize| {
            let part = part?;
            let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            (part.len() == n && part.as_bytes().iter().all(is_hex)).then(|| part.to_owned())
        };
        let not_zero = |part: &String| part.bytes().any(|byte| byte != b'0');
        let version = digits(version, 2)?;
        let has_more = parts.next().is_some();
        if version == "ff" || (version == "00" && has_more) {
            return None;
        }
        digits(flags, 2)?;
        Some(Self {
            id: digits(id, 32).filter(not_zero)?,
            parent: digits(parent, 16).filter(not_zero)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the recommendation, and what it calls invalid.
    #[test]
    fn a_trace_is_read_as_the_recommendation_says() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = "00f067aa0ba902b7";
        let trace = Trace::parse(&format!("00-{id}-{parent}-01")).unwrap();
        assert_eq!((trace.id.as_str(), trace.parent.as_str()), (id, parent));
        assert!(Trace::parse(&format!("cc-{id}-{parent}-01-what-comes")).is_some());
        for wrong in [
            format!("00-{id}-{parent}-01-more"),
            format!("ff-{id}-{parent}-01"),
            format!("00-{id}-{parent}"),
            format!("00-{}-{parent}-01", id.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{id}-{parent}-1"),
            String::new(),
        ] {
            assert_eq!(Trace::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_is_taken_over_only_where_it_may_be_repeated() {
        let with = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            request_id(&headers)
        };
        assert_eq!(with(b"a-1").unwrap(), "a-1");
        let long = [b'a'; MAX_ID_BYTES + 1];
        for id in [&b""[..], b"a b", b"\xff", &long] {
            assert_eq!(with(id), None);
        }
        let access = Access::new(AccessLog::Off);
        let (first, second) = (access.next_id(), access.next_id());
        assert!(first != second && first.len() == 32);
    }
}
