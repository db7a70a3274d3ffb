//! Requests, and when to make them again.
//!
//! Reading, changing and deleting may be repeated. Creating something is not: the caller must check whether it is
//! there. octocrab's own policy sends a POST again at once, so it is not compiled in.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};
use http_body_util::combinators::BoxBody;
use octocrab::Octocrab;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trainyard_net::{
    Client, ClientOptions, Failure, Jitter, RetryPolicy, Retrying, Trouble, in_one_line,
    is_transient, retry_after,
};

use crate::author::{Author, Viewer};
use crate::error::{GitHubError, Permission, hint};

/// A server that does not answer for so long is taken for gone.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Path of the GraphQL API below its base.
const GRAPHQL_ROUTE: &str = "/graphql";

/// When a request is made again where the caller does not say. GitHub asks for a minute after a secondary rate limit; a
/// report is not worth more than a few.
const RETRY: RetryPolicy = RetryPolicy {
    n_attempts: 5,
    first_delay: Duration::from_secs(1),
    max_delay: Duration::from_mins(1),
    deadline: Duration::from_mins(3),
};

/// How GitHub is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the GraphQL API; by default the one that belongs to the REST API's.
    pub graphql_url: Option<String>,
    /// Proxies, authorities and time-outs.
    pub client: ClientOptions,
    /// When a request is made again.
    pub retry: RetryPolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            graphql_url: None,
            client: ClientOptions {
                connect_timeout: Some(TIMEOUT),
                read_timeout: Some(TIMEOUT),
                ..ClientOptions::default()
            },
            retry: RETRY,
        }
    }
}

/// GitHub's API, as seen from one repository.
#[derive(Debug)]
pub struct GitHub {
    pub(crate) octocrab: Octocrab,
    /// The same, at the address of the GraphQL API.
    graphql: Octocrab,
    access: Access,
    /// `owner/name`.
    repository: String,
    pub(crate) retry: RetryPolicy,
    n_calls: AtomicU64,
    author: OnceLock<Author>,
    /// Set where no answer came, however often it was tried: then nothing else is tried as often.
    is_gone: AtomicBool,
}

/// What every connection has in common.
#[derive(Debug)]
struct Access {
    client: Client,
    token: Token,
}

/// A secret, which no log of a value shows.
struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Access {
    /// A connection to this address, which is shown the token.
    fn at(&self, url: &str) -> Result<Octocrab, String> {
        Octocrab::builder()
            .base_uri(url)
            .map_err(|error| error.to_string())?
            .personal_token(self.token.0.clone())
            .build_with_reqwest(self.client.clone())
            .map_err(|error| in_one_line(&error))
    }
}

/// What octocrab answers.
type Sent = Result<http::Response<BoxBody<Bytes, octocrab::Error>>, octocrab::Error>;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) route: String,
    pub(crate) body: Option<Value>,
    /// In words, for errors: "cannot …".
    pub(crate) doing: &'static str,
    /// What it needs.
    pub(crate) permission: Permission,
}

/// Why an attempt has no answer that counts.
pub(crate) enum Refusal {
    /// No answer. It may have been carried out.
    Silent(String),
    /// The answer that the server has trouble, or half an answer. It may have been carried out.
    Uncertain(String),
    /// GitHub was too busy to carry it out.
    Busy(String),
    /// Said no, or nothing can be asked.
    Final(GitHubError),
}

impl Refusal {
    /// What is said about it once nothing more is tried.
    pub(crate) fn into_error(self, doing: &'static str, n_attempts: u32) -> GitHubError {
        match self {
            Self::Final(error) => error,
            Self::Silent(problem) | Self::Uncertain(problem) | Self::Busy(problem) => {
                GitHubError::Unreachable {
                    doing,
                    problem,
                    n_attempts,
                }
            }
        }
    }
}

impl GitHub {
    /// The API at `api_url` with `token`, for the repository `owner/name`. Must be called within a tokio runtime.
    pub fn connect(
        api_url: &str,
        repository: &str,
        token: &str,
        options: &Options,
    ) -> Result<Self, GitHubError> {
        let setup = |problem: String| GitHubError::Setup {
            api_url: api_url.to_owned(),
            problem,
        };
        let is_name = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if !repository
            .split_once('/')
            .is_some_and(|(owner, name)| is_name(owner) && is_name(name))
        {
            return Err(setup(format!(
                "`{repository}` is not a repository of the form `owner/name`"
            )));
        }
        let client = options.client.build();
        let client = client.map_err(|error| setup(in_one_line(&error)))?;
        let access = Access {
            client,
            token: Token(token.to_owned()),
        };
        // `https://api.github.com/graphql`, and `https://host/api/graphql` beside `https://host/api/v3`.
        let graphql = match &options.graphql_url {
            Some(url) => url.trim_end_matches('/').trim_end_matches(GRAPHQL_ROUTE),
            None => api_url.trim_end_matches('/').trim_end_matches("/v3"),
        };
        Ok(Self {
            octocrab: access.at(api_url).map_err(setup)?,
            graphql: access.at(graphql).map_err(setup)?,
            access,
            repository: repository.to_owned(),
            retry: options.retry,
            n_calls: AtomicU64::new(0),
            author: OnceLock::new(),
            is_gone: AtomicBool::new(false),
        })
    }

    /// A connection to another address that GitHub names, such as that of uploads.
    pub(crate) fn at(&self, url: &str) -> Result<Octocrab, GitHubError> {
        self.access.at(url).map_err(|problem| GitHubError::Setup {
            api_url: url.to_owned(),
            problem,
        })
    }

    /// The account that the token writes as, once an answer named it.
    pub(crate) fn known_author(&self) -> Option<Author> {
        self.author.get().cloned()
    }

    /// Keeps the account that an answer named.
    pub(crate) fn learn_author(&self, viewer: Viewer) -> Author {
        self.author.get_or_init(|| viewer.into()).clone()
    }

    /// The path of something in the repository.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }

    /// How many requests were made so far, repeated ones included.
    pub fn n_calls(&self) -> u64 {
        self.n_calls.load(Ordering::Relaxed)
    }

    /// Makes the request until it has an answer, as often as is right.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, GitHubError> {
        let answer = self.send_for_value(request).await?;
        serde_json::from_value(answer).map_err(|error| GitHubError::Malformed {
            doing: request.doing,
            problem: error.to_string(),
        })
    }

    /// All that a list holds, page by page, `max_pages` at most; `list` is its path in the repository.
    pub(crate) async fn all_pages<T: DeserializeOwned>(
        &self,
        list: &str,
        max_pages: usize,
        doing: &'static str,
        permission: Permission,
    ) -> Result<Vec<T>, GitHubError> {
        const PER_PAGE: usize = 100;
        let separator = if list.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1..=max_pages {
            let request = Request {
                method: Method::GET,
                route: self.path(&format!("{list}{separator}per_page={PER_PAGE}&page={page}")),
                body: None,
                doing,
                permission,
            };
            let found: Vec<T> = self.send(&request).await?;
            let is_last = found.len() < PER_PAGE;
            all.extend(found);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// The answer to a query of the GraphQL API; `query` reads alone, so it is repeated like other reading.
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: Value,
        doing: &'static str,
        permission: Permission,
    ) -> Result<T, GitHubError> {
        #[derive(Deserialize)]
        struct Answer<T> {
            data: Option<T>,
        }
        let request = Request {
            method: Method::POST,
            route: GRAPHQL_ROUTE.to_owned(),
            body: Some(json!({ "query": query, "variables": variables })),
            doing,
            permission,
        };
        let answer = self.send_over(&self.graphql, &request, true).await?;
        let malformed = |problem: String| GitHubError::Malformed { doing, problem };
        if let Some(message) = answer.pointer("/errors/0/message").and_then(Value::as_str) {
            let status = match answer.pointer("/errors/0/type").and_then(Value::as_str) {
                Some("NOT_FOUND") => 404,
                Some("FORBIDDEN" | "RATE_LIMITED" | "INSUFFICIENT_SCOPES") => 403,
                _ => return Err(malformed(message_of(&answer.to_string()))),
            };
            return Err(GitHubError::Refused {
                doing,
                status,
                hint: hint(status, message, permission, &self.repository),
                message: message.to_owned(),
            });
        }
        let answer: Answer<T> =
            serde_json::from_value(answer).map_err(|error| malformed(error.to_string()))?;
        answer
            .data
            .ok_or_else(|| malformed("there is no `data`".to_owned()))
    }

    /// Owner and name of the repository, as GraphQL wants them.
    pub(crate) fn owner_and_name(&self) -> (&str, &str) {
        self.repository
            .split_once('/')
            .expect("`connect` refuses other names")
    }

    /// The same, for an answer of any form; `null` for none.
    pub(crate) async fn send_for_value(&self, request: &Request) -> Result<Value, GitHubError> {
        let is_repeatable = request.method != Method::POST;
        self.send_over(&self.octocrab, request, is_repeatable).await
    }

    async fn send_over(
        &self,
        octocrab: &Octocrab,
        request: &Request,
        is_repeatable: bool,
    ) -> Result<Value, GitHubError> {
        let send = async |octocrab: &Octocrab| sent(octocrab, request).await;
        self.send_by(octocrab, request, is_repeatable, send).await
    }

    /// The same for a body that is not JSON, which `send` sends.
    pub(crate) async fn send_by(
        &self,
        octocrab: &Octocrab,
        request: &Request,
        is_repeatable: bool,
        send: impl AsyncFn(&Octocrab) -> Sent,
    ) -> Result<Value, GitHubError> {
        let attempt = async || {
            self.attempt(octocrab, request, &send)
                .await
                .map_err(|trouble| match trouble {
                    // It may be there already: the caller must check.
                    Trouble::Transient { error, .. }
                        if !is_repeatable
                            && matches!(error, Refusal::Silent(_) | Refusal::Uncertain(_)) =>
                    {
                        Trouble::Permanent(error)
                    }
                    other => other,
                })
        };
        let on_retry = |retrying: Retrying<'_, Refusal>| {
            if let Refusal::Silent(problem) | Refusal::Uncertain(problem) | Refusal::Busy(problem) =
                retrying.error
            {
                let wait = retrying.wait.as_secs_f64();
                tracing::debug!("{problem}; trying again in {wait:.1} s");
            }
        };
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(GitHubError::Unreachable {
                doing: request.doing,
                problem: "GitHub did not answer before".to_owned(),
                n_attempts: 1,
            });
        }
        let done = self.retry.run(Jitter::default(), attempt, on_retry).await;
        done.map_err(|given_up| {
            // One dead host costs one deadline, not one for each request.
            if is_repeatable && matches!(given_up.error, Refusal::Silent(_)) {
                self.is_gone.store(true, Ordering::Relaxed);
            }
            given_up
                .error
                .into_error(request.doing, given_up.n_attempts)
        })
    }

    async fn attempt(
        &self,
        octocrab: &Octocrab,
        request: &Request,
        send: &impl AsyncFn(&Octocrab) -> Sent,
    ) -> Result<Value, Trouble<Refusal>> {
        let response = self.respond_to(octocrab, request, send).await?;
        let text = octocrab
            .body_to_string(response)
            .await
            .map_err(|error| failed(request, &error, Refusal::Uncertain))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        // An answer that ends in the middle.
        let answer = serde_json::from_str(&text).map_err(|error| {
            let problem = format!("the answer is not JSON ({error})");
            Trouble::transient(Refusal::Uncertain(problem))
        })?;
        match passing_trouble(&answer).filter(|_| request.route == GRAPHQL_ROUTE) {
            Some(problem) => Err(Trouble::transient(Refusal::Uncertain(problem))),
            None => Ok(answer),
        }
    }

    /// One attempt, up to the head of an answer that grants the request.
    pub(crate) async fn respond(
        &self,
        octocrab: &Octocrab,
        request: &Request,
    ) -> Result<http::Response<BoxBody<Bytes, octocrab::Error>>, Trouble<Refusal>> {
        let send = async |octocrab: &Octocrab| sent(octocrab, request).await;
        self.respond_to(octocrab, request, &send).await
    }

    async fn respond_to(
        &self,
        octocrab: &Octocrab,
        request: &Request,
        send: &impl AsyncFn(&Octocrab) -> Sent,
    ) -> Result<http::Response<BoxBody<Bytes, octocrab::Error>>, Trouble<Refusal>> {
        self.n_calls.fetch_add(1, Ordering::Relaxed);
        let sent = send(octocrab).await;
        let response = sent.map_err(|error| failed(request, &error, Refusal::Silent))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return Ok(response);
        }
        let text = octocrab.body_to_string(response).await.unwrap_or_default();
        Err(self.trouble_of(request, status, &headers, &text))
    }

    fn trouble_of(
        &self,
        request: &Request,
        status: StatusCode,
        headers: &HeaderMap,
        text: &str,
    ) -> Trouble<Refusal> {
        let message = message_of(text);
        let problem = format!("GitHub answers {status}: {message}");
        let is_limited = status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::FORBIDDEN
                && (headers.contains_key(RETRY_AFTER)
                    || is_used_up(headers)
                    || message.contains("secondary rate limit")));
        let problem = match wait_of(headers).filter(|_| is_limited) {
            Some(wait) => format!("{problem}; the limit ends in {} s", wait.as_secs()),
            None => problem,
        };
        if is_limited || is_transient(status) {
            return Trouble::Transient {
                error: if is_limited {
                    Refusal::Busy(problem)
                } else {
                    Refusal::Uncertain(problem)
                },
                retry_after: wait_of(headers),
            };
        }
        Trouble::Permanent(Refusal::Final(GitHubError::Refused {
            doing: request.doing,
            status: status.as_u16(),
            hint: hint(
                status.as_u16(),
                &message,
                request.permission,
                &self.repository,
            ),
            message,
        }))
    }
}

/// Sends the request with its body as JSON.
async fn sent(octocrab: &Octocrab, request: &Request) -> Sent {
    let route = &*request.route;
    let body = request.body.as_ref();
    match request.method {
        Method::POST => octocrab._post(route, body).await,
        Method::PATCH => octocrab._patch(route, body).await,
        Method::DELETE => octocrab._delete(route, body).await,
        _ => octocrab._get(route).await,
    }
}

/// What a GraphQL answer says of trouble in GitHub itself, such as a query that ran out of time: an error without a type,
/// with status 200.
fn passing_trouble(answer: &Value) -> Option<String> {
    let error = answer.pointer("/errors/0")?;
    let words = error["message"].as_str()?;
    let is_passing = error["type"].is_null()
        && ["Something went wrong", "respond to your request in time"]
            .iter()
            .any(|said| words.contains(said));
    is_passing.then(|| format!("GitHub answers: {}", message_of(&answer.to_string())))
}

/// Why there is no answer, or no whole one.
fn failed(
    request: &Request,
    error: &octocrab::Error,
    transient: fn(String) -> Refusal,
) -> Trouble<Refusal> {
    match Failure::of(error) {
        Failure::Permanent(cause) => Trouble::Permanent(Refusal::Final(GitHubError::Permanent {
            doing: request.doing,
            cause,
        })),
        Failure::Transient(problem) => Trouble::transient(transient(problem)),
    }
}

/// GitHub's own words about an error, in one line and of bounded length.
fn message_of(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let mut message = answer["message"]
        .as_str()
        .unwrap_or("(no explanation)")
        .to_owned();
    for error in answer["errors"].as_array().into_iter().flatten() {
        message.push_str("; ");
        match error.as_str().or(error["message"].as_str()) {
            Some(words) => message.push_str(words),
            None => message.push_str(&error.to_string()),
        }
    }
    message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_CHARS)
        .collect()
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn is_used_up(headers: &HeaderMap) -> bool {
    number(headers, HeaderName::from_static("x-ratelimit-remaining")) == Some(0)
}

/// How long GitHub asks to wait.
fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let now = SystemTime::now();
    if let Some(wait) = retry_after(headers, now) {
        return Some(wait);
    }
    let reset = number(headers, HeaderName::from_static("x-ratelimit-reset"))
        .filter(|_| is_used_up(headers))?;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(reset.saturating_sub(now)))
}

#[cfg(test)]
mod tests;
