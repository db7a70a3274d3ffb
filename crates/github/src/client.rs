//! Requests, and when to make them again.
//!
//! Reading, changing and deleting may be repeated. Making something new is not: whoever asked must look whether it is
//! there. octocrab's own policy sends a POST again at once, so it is not compiled in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};
use octocrab::Octocrab;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{GitHubError, Permission, hint};

/// A server that does not answer for so long is taken for gone.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often, and after which time, a request is made again.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How often at most.
    pub n_attempts: u32,
    /// Time before the second attempt; twice as long before each one after it.
    pub first_delay: Duration,
    /// The longest wait, also where GitHub asks for a longer one.
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            n_attempts: 5,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_mins(1),
        }
    }
}

/// GitHub's API, as seen from one repository.
#[derive(Debug)]
pub struct GitHub {
    octocrab: Octocrab,
    /// `owner/name`.
    repository: String,
    pub(crate) retry: Retry,
    n_calls: AtomicU64,
}

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

/// How one attempt went wrong.
enum Trouble {
    /// Nothing was done; it may be asked again after this time.
    Wait {
        problem: String,
        delay: Option<Duration>,
    },
    /// Nobody knows whether it was done.
    Uncertain(String),
    Final(GitHubError),
}

impl GitHub {
    /// The API at `api_url` with `token`, for the repository `owner/name`. Must be called within a tokio runtime.
    pub fn connect(
        api_url: &str,
        repository: &str,
        token: &str,
        retry: Retry,
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
                "`{repository}` is no repository of the form `owner/name`"
            )));
        }
        let octocrab = Octocrab::builder()
            .base_uri(api_url)
            .map_err(|error| setup(error.to_string()))?
            .set_connect_timeout(Some(TIMEOUT))
            .set_read_timeout(Some(TIMEOUT))
            .set_write_timeout(Some(TIMEOUT))
            .personal_token(token.to_owned())
            .build()
            .map_err(|error| setup(error.to_string()))?;
        Ok(Self {
            octocrab,
            repository: repository.to_owned(),
            retry,
            n_calls: AtomicU64::new(0),
        })
    }

    /// The login that `token` writes as, which is only asked for a person's token: workflows and Apps are bots, and may
    /// not ask.
    pub async fn author_of(&self, token: &str) -> Result<Option<String>, GitHubError> {
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        const OF_PEOPLE: [&str; 4] = ["ghp_", "github_pat_", "gho_", "ghu_"];
        if !OF_PEOPLE.iter().any(|prefix| token.starts_with(prefix)) {
            return Ok(None);
        }
        let request = Request {
            method: Method::GET,
            route: "/user".to_owned(),
            body: None,
            doing: "ask whose token this is",
            permission: Permission::PullRequestsWrite,
        };
        let User { login } = self.send(&request).await?;
        Ok(Some(login))
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
        let mut all = Vec::new();
        for page in 1..=max_pages {
            let request = Request {
                method: Method::GET,
                route: self.path(&format!("{list}?per_page={PER_PAGE}&page={page}")),
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

    /// The same, for an answer of any form; `null` for none.
    pub(crate) async fn send_for_value(&self, request: &Request) -> Result<Value, GitHubError> {
        let is_repeatable = request.method != Method::POST;
        let mut delay = self.retry.first_delay;
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            let unreachable = |problem| GitHubError::Unreachable {
                doing: request.doing,
                problem,
                n_attempts,
            };
            let (problem, wait) = match self.attempt(request).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Uncertain(problem)) if !is_repeatable => {
                    return Err(unreachable(problem));
                }
                Err(Trouble::Uncertain(problem)) => (problem, None),
                Err(Trouble::Wait { problem, delay }) => (problem, delay),
            };
            let is_too_long = wait.is_some_and(|wait| wait > self.retry.max_delay);
            if n_attempts >= self.retry.n_attempts || is_too_long {
                return Err(unreachable(problem));
            }
            let wait = wait.unwrap_or(delay);
            tracing::debug!("{problem}; trying again in {:.1} s", wait.as_secs_f64());
            tokio::time::sleep(wait).await;
            delay = (delay * 2).min(self.retry.max_delay);
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Value, Trouble> {
        self.n_calls.fetch_add(1, Ordering::Relaxed);
        let route = &*request.route;
        let body = request.body.as_ref();
        let sent = match request.method {
            Method::POST => self.octocrab._post(route, body).await,
            Method::PATCH => self.octocrab._patch(route, body).await,
            Method::DELETE => self.octocrab._delete(route, body).await,
            _ => self.octocrab._get(route).await,
        };
        let response = sent.map_err(|error| Trouble::Uncertain(in_full(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = self.octocrab.body_to_string(response).await;
        if status.is_success() {
            let text = text.map_err(|error| Trouble::Uncertain(in_full(&error)))?;
            if text.is_empty() {
                return Ok(Value::Null);
            }
            // An answer that ends in the middle.
            return serde_json::from_str(&text)
                .map_err(|error| Trouble::Uncertain(format!("the answer is no JSON ({error})")));
        }
        let text = text.unwrap_or_default();
        Err(self.trouble_of(request, status, &headers, &text))
    }

    fn trouble_of(
        &self,
        request: &Request,
        status: StatusCode,
        headers: &HeaderMap,
        text: &str,
    ) -> Trouble {
        let message = message_of(text);
        let problem = format!("GitHub answers {status}: {message}");
        let is_limited = status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::FORBIDDEN
                && (headers.contains_key(RETRY_AFTER)
                    || is_used_up(headers)
                    || message.contains("secondary rate limit")));
        if is_limited {
            return Trouble::Wait {
                problem,
                delay: wait_of(headers),
            };
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Trouble::Uncertain(problem);
        }
        Trouble::Final(GitHubError::Refused {
            doing: request.doing,
            status: status.as_u16(),
            hint: hint(
                status.as_u16(),
                &message,
                request.permission,
                &self.repository,
            ),
            message,
        })
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
    if let Some(seconds) = number(headers, RETRY_AFTER) {
        return Some(Duration::from_secs(seconds));
    }
    let reset = number(headers, HeaderName::from_static("x-ratelimit-reset"))
        .filter(|_| is_used_up(headers))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(reset.saturating_sub(now)))
}

/// The error with what caused it, without the backtraces that octocrab prints.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().to_owned();
        if !parts.last().is_some_and(|last| last.ends_with(&first)) {
            parts.push(first);
        }
        next = error.source();
    }
    parts.join(": ")
}
