//! Requests, and when to make them again.
//!
//! Reading, changing and deleting may be repeated. Creating something is not: the caller must check whether it is
//! there. octocrab's own policy sends a POST again at once, so it is not compiled in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};
use octocrab::Octocrab;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use trainyard_net::{
    ClientOptions, Failure, Jitter, RetryPolicy, Retrying, Trouble, in_one_line, is_transient,
    retry_after,
};

use crate::error::{GitHubError, Permission, hint};

/// A server that does not answer for so long is taken for gone.
const TIMEOUT: Duration = Duration::from_secs(30);

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
    /// Proxies, authorities and time-outs.
    pub client: ClientOptions,
    /// When a request is made again.
    pub retry: RetryPolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
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
    octocrab: Octocrab,
    /// `owner/name`.
    repository: String,
    pub(crate) retry: RetryPolicy,
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

/// Why an attempt has no answer that counts.
enum Refusal {
    /// No answer, or the answer that the server has trouble. It may have been carried out.
    Uncertain(String),
    /// GitHub was too busy to carry it out.
    Busy(String),
    /// Said no, or nothing can be asked.
    Final(GitHubError),
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
        let octocrab = Octocrab::builder()
            .base_uri(api_url)
            .map_err(|error| setup(error.to_string()))?
            .personal_token(token.to_owned())
            .build_with_reqwest(client)
            .map_err(|error| setup(in_one_line(&error)))?;
        Ok(Self {
            octocrab,
            repository: repository.to_owned(),
            retry: options.retry,
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
        let attempt = async || {
            self.attempt(request)
                .await
                .map_err(|trouble| match trouble {
                    // It may be there already: the caller must check.
                    Trouble::Transient { error, .. }
                        if !is_repeatable && matches!(error, Refusal::Uncertain(_)) =>
                    {
                        Trouble::Permanent(error)
                    }
                    other => other,
                })
        };
        let on_retry = |retrying: Retrying<'_, Refusal>| {
            if let Refusal::Uncertain(problem) | Refusal::Busy(problem) = retrying.error {
                let wait = retrying.wait.as_secs_f64();
                tracing::debug!("{problem}; trying again in {wait:.1} s");
            }
        };
        let done = self.retry.run(Jitter::default(), attempt, on_retry).await;
        done.map_err(|given_up| match given_up.error {
            Refusal::Final(error) => error,
            Refusal::Uncertain(problem) | Refusal::Busy(problem) => GitHubError::Unreachable {
                doing: request.doing,
                problem,
                n_attempts: given_up.n_attempts,
            },
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Value, Trouble<Refusal>> {
        self.n_calls.fetch_add(1, Ordering::Relaxed);
        let route = &*request.route;
        let body = request.body.as_ref();
        let uncertain = |error: octocrab::Error| match Failure::of(&error) {
            Failure::Permanent(cause) => {
                Trouble::Permanent(Refusal::Final(GitHubError::Permanent {
                    doing: request.doing,
                    cause,
                }))
            }
            Failure::Transient(problem) => Trouble::transient(Refusal::Uncertain(problem)),
        };
        let sent = match request.method {
            Method::POST => self.octocrab._post(route, body).await,
            Method::PATCH => self.octocrab._patch(route, body).await,
            Method::DELETE => self.octocrab._delete(route, body).await,
            _ => self.octocrab._get(route).await,
        };
        let response = sent.map_err(uncertain)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = self.octocrab.body_to_string(response).await;
        if status.is_success() {
            let text = text.map_err(uncertain)?;
            if text.is_empty() {
                return Ok(Value::Null);
            }
            // An answer that ends in the middle.
            return serde_json::from_str(&text).map_err(|error| {
                let problem = format!("the answer is not JSON ({error})");
                Trouble::transient(Refusal::Uncertain(problem))
            });
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
    ) -> Trouble<Refusal> {
        let message = message_of(text);
        let problem = format!("GitHub answers {status}: {message}");
        let is_limited = status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::FORBIDDEN
                && (headers.contains_key(RETRY_AFTER)
                    || is_used_up(headers)
                    || message.contains("secondary rate limit")));
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
