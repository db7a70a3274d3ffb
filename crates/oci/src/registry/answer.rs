//! What a registry answered, or that it did not: told apart by whether the same request may succeed later, and with what
//! the server asked to wait. Addresses are never part of a message: those of uploads are signed.

use std::fmt;
use std::time::SystemTime;

use oci_distribution::errors::{OciEnvelope, OciError, OciErrorCode};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use trainyard_net::{ClientError, Failure, Trouble, is_transient, retry_after};

use super::challenge::Challenge;

/// Of an answer that explains a refusal.
const MAX_WORDS: usize = 300;

pub(super) type Attempt<T> = Result<T, Trouble<RequestError>>;

/// Why a request to a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// An answer that is a refusal.
    #[error("{server} answers {status}{}", explained(words))]
    Answer {
        /// Who answers: the registry, or its token server.
        server: Server,
        /// The HTTP status.
        status: StatusCode,
        /// The server's words, maybe none.
        words: String,
        /// How to log in, where it wants that.
        challenge: Option<Challenge>,
    },
    /// No answer.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// An answer that the distribution specification does not allow.
    #[error("{server} answers what the specification does not allow: {problem}")]
    Malformed {
        /// Who answers.
        server: Server,
        /// Where it differs.
        problem: String,
    },
    /// There is no client for the address.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A blob on disk cannot be read.
    #[error("cannot read the blob")]
    Read(#[from] std::io::Error),
    /// What is downloaded cannot be written.
    #[error("cannot write the blob")]
    Write(#[source] std::io::Error),
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The registry.
    Registry,
    /// The server that gives out its tokens.
    Token,
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Registry => "the registry",
            Self::Token => "the registry's token server",
        })
    }
}

fn explained(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

impl RequestError {
    /// Whether a manifest was refused for a blob that is missing (distribution specification, "Error Codes").
    pub(crate) fn is_of_missing_blob(&self) -> bool {
        match self {
            Self::Answer { words, .. } => words.contains("BLOB_UNKNOWN"),
            _ => false,
        }
    }

    /// The HTTP status, where there is an answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A request that got no answer.
pub(super) fn failed(error: reqwest::Error) -> Trouble<RequestError> {
    match Failure::of_request(error) {
        failure @ Failure::Permanent(_) => Trouble::Permanent(failure.into()),
        failure @ Failure::Transient(_) => Trouble::transient(failure.into()),
    }
}

pub(super) fn malformed(server: Server, problem: &str) -> Trouble<RequestError> {
    Trouble::Permanent(RequestError::Malformed {
        server,
        problem: problem.to_owned(),
    })
}

/// The answer where it is a success.
pub(super) async fn checked(server: Server, response: Response) -> Attempt<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let words = words(&response.bytes().await.unwrap_or_default());
    let error = RequestError::Answer {
        server,
        status,
        words,
        challenge: challenge_of(&headers),
    };
    Err(if is_transient(status) {
        Trouble::Transient {
            error,
            retry_after: retry_after(&headers, SystemTime::now()),
        }
    } else {
        Trouble::Permanent(error)
    })
}

fn challenge_of(headers: &HeaderMap) -> Option<Challenge> {
    let all = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut found: Vec<Challenge> = all
        .filter_map(|text| Challenge::parse(text.to_str().ok()?))
        .collect();
    // A token first: it can be limited to this repository.
    found.sort_by_key(|challenge| matches!(challenge, Challenge::Basic));
    found.into_iter().next()
}

/// A code as the registry wrote it, which is what its documentation explains.
fn written(code: &OciErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(Value::String(code)) => code,
        _ => String::new(),
    }
}

/// The server's own words, in one line and of bounded length.
fn words(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<OciEnvelope>(body) {
        Ok(envelope) => envelope
            .errors
            .iter()
            .map(|OciError { code, message, .. }| match message.as_str() {
                "" => written(code),
                message => format!("{} {message}", written(code)),
            })
            .collect::<Vec<_>>()
            .join("; "),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_WORDS)
        .collect();
    // A page for browsers explains nothing.
    if text.starts_with('<') {
        String::new()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_one_short_line() {
        let envelope =
            br#"{"errors":[{"code":"DENIED","message":"no\n  write"},{"code":"X","detail":{}},{"code":"TOOMANYREQUESTS"}]}"#;
        assert_eq!(words(envelope), "DENIED no write; X; TOOMANYREQUESTS");
        assert_eq!(words(b"<html>busy</html>"), "");
        assert_eq!(words(b"too\x1b many\r\nrequests"), "too many requests");
        assert_eq!(words(&[b'x'; 9_999]).len(), MAX_WORDS);
        assert_eq!(words(b""), "");
    }
}
