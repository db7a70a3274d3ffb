//! Requests to Elasticsearch or OpenSearch: index templates first, then documents.

use std::path::Path;
use std::time::{Duration, SystemTime};

use http::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use trainyard_net::{
    ClientError, ClientOptions, Failure, Jitter, RetryPolicy, Retrying, Trouble, is_transient,
    retry_after,
};

use crate::bulk::{self, Entry, Outcome, Refusal};
use crate::document::Kind;
use crate::target::Target;
use crate::templates;

/// Short, since a stage waits: what is not sent is sent by the next one.
const RETRY: RetryPolicy = RetryPolicy {
    n_attempts: 4,
    first_delay: Duration::from_millis(250),
    max_delay: Duration::from_secs(5),
    deadline: Duration::from_secs(15),
};

/// Characters of an answer that is shown.
const MAX_SHOWN: usize = 300;

/// Why the server has not what it should have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No answer.
    #[error(transparent)]
    Failure(Failure),
    /// It refused.
    #[error("the server answered {status}{words}{}", hint(*.status, *.has_credentials))]
    Answer {
        /// The status.
        status: StatusCode,
        /// What it said, after a colon.
        words: String,
        /// Whether we showed who we are.
        has_credentials: bool,
    },
    /// It refused some documents for now, or for a reason of its own.
    #[error("the server did not take {n_documents}: {first}{}", hint_of(first))]
    Documents {
        /// How many, in words.
        n_documents: String,
        /// The first reason.
        first: Refusal,
    },
    /// It is another kind of server.
    #[error(
        "the server's answer is not Elasticsearch's\nhint: check the address; behind a proxy, its path belongs to it"
    )]
    Foreign,
}

impl ServerError {
    /// Whether the same in smaller requests may be taken.
    pub(crate) const fn is_too_large(&self) -> bool {
        matches!(self, Self::Answer { status, .. } if status.as_u16() == StatusCode::PAYLOAD_TOO_LARGE.as_u16())
    }
}

fn hint(status: StatusCode, has_credentials: bool) -> &'static str {
    match (status.as_u16(), has_credentials) {
        (401 | 403, false) => {
            "\nhint: set `TRAINYARD_ELASTICSEARCH_API_KEY`, or `TRAINYARD_ELASTICSEARCH_USERNAME` and `TRAINYARD_ELASTICSEARCH_PASSWORD`"
        }
        (401, true) => "\nhint: the key or password is wrong, or has expired",
        (403, true) => RIGHTS,
        (300..=399, _) => {
            "\nhint: write the address that it leads to: redirections are not followed"
        }
        _ => "",
    }
}

const RIGHTS: &str = "\nhint: the key or user needs the privileges `create_doc` and `auto_configure` on `trainyard-*`";

fn hint_of(refusal: &Refusal) -> &'static str {
    if refusal.is_about_rights() {
        RIGHTS
    } else {
        ""
    }
}

/// A connection to the server.
pub(crate) struct Server<'a> {
    client: Client,
    target: &'a Target,
}

/// What happened to the documents of one request.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) n_created: usize,
    /// There already.
    pub(crate) n_known: usize,
    pub(crate) refused: Vec<(Entry, Refusal)>,
    /// Still to be sent.
    pub(crate) rest: Vec<Entry>,
    /// Why there is a rest.
    pub(crate) trouble: Option<ServerError>,
}

impl<'a> Server<'a> {
    /// A client for `target`; nothing is sent yet.
    pub(crate) fn open(target: &'a Target, ca: Option<&Path>) -> Result<Self, ServerError> {
        let options = ClientOptions {
            connect_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(Duration::from_secs(10)),
            ..ClientOptions::default().with_ca(ca)
        };
        let client = options.build_without_redirects(target.has_tls())?;
        Ok(Self { client, target })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.target.url().clone();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        url.set_path(&format!("{}{path}", url.path()));
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        self.target.authorise(self.client.request(method, url))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ServerError {
        ServerError::Answer {
            status,
            words: words(body),
            has_credentials: self.target.has_credentials(),
        }
    }

    /// Status and body of an answer that is final.
    async fn answer(&self, request: RequestBuilder) -> Result<Answer, Trouble<ServerError>> {
        let failed = |error: reqwest::Error| match Failure::of_request(error) {
            failure @ Failure::Permanent(_) => Trouble::Permanent(ServerError::Failure(failure)),
            failure @ Failure::Transient(_) => Trouble::transient(ServerError::Failure(failure)),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let body = response.bytes().await.map_err(failed)?.to_vec();
        if is_transient(status) {
            return Err(Trouble::Transient {
                error: self.refused(status, &body),
                retry_after,
            });
        }
        Ok(Answer {
            status,
            retry_after,
            body,
        })
    }

    /// Asks for or stores `body` at `path`; it may be done again.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ServerError> {
        let attempt = async || {
            let request = self.request(method.clone(), path);
            let request = match body {
                Some(body) => request
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.to_string()),
                None => request,
            };
            self.answer(request).await
        };
        let ended = RETRY.run(Jitter::default(), attempt, say_waiting).await;
        ended.map_err(|given_up| given_up.error)
    }

    /// Sees to it that the server knows the fields' types before it gets the first document, as far as we may. Returns what a person
    /// has to do.
    pub(crate) async fn prepare(&self) -> Result<Option<String>, ServerError> {
        let place = "_index_template/trainyard-*?filter_path=index_templates.name,index_templates.index_template.version";
        let found = self.ask(Method::GET, place, None).await?;
        let known = match found.status {
            status if status.is_success() => found.json().ok_or(ServerError::Foreign)?,
            StatusCode::NOT_FOUND => Value::Null,
            StatusCode::FORBIDDEN => {
                tracing::debug!("the index templates may not be looked at: taken to be there");
                return Ok(None);
            }
            status => return Err(self.refused(status, &found.body)),
        };
        let is_current = |kind: &Kind| {
            let templates = known["index_templates"].as_array().into_iter().flatten();
            let mut of_kind = templates.filter(|template| template["name"] == kind.alias());
            of_kind.any(|template| {
                let version = template["index_template"]["version"].as_u64();
                version.is_some_and(|version| version >= templates::VERSION)
            })
        };
        let missing: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| !is_current(kind))
            .collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let has_lifecycle = self.has_lifecycle().await?;
        let mut problem = None;
        for kind in missing {
            let place = format!("_index_template/{}", kind.alias());
            let template = templates::template(kind, has_lifecycle);
            let stored = self.ask(Method::PUT, &place, Some(&template)).await?;
            if stored.status.is_success() {
                tracing::info!("stored the index template `{}`", kind.alias());
            } else {
                let error = format!("{}{}", stored.status, words(&stored.body));
                problem.get_or_insert(error);
            }
        }
        Ok(problem.map(|problem| {
            format!(
                "the index templates are not there and could not be stored ({problem}), so the server guesses the fields' types\n\
                 hint: let an administrator store those in `examples/monitoring/elasticsearch`, as the guide to Elasticsearch says"
            )
        }))
    }

    /// Whether the server has our lifecycle policy, which is stored where it is not there. OpenSearch and osmem have no such policies.
    async fn has_lifecycle(&self) -> Result<bool, ServerError> {
        let place = format!("_ilm/policy/{}", templates::POLICY);
        let found = self.ask(Method::GET, &place, None).await?;
        if found.status != StatusCode::NOT_FOUND {
            return Ok(found.status.is_success());
        }
        let policy = templates::policy();
        let stored = self.ask(Method::PUT, &place, Some(&policy)).await?;
        if !stored.status.is_success() {
            tracing::debug!(
                "no lifecycle policy: {}{}",
                stored.status,
                words(&stored.body)
            );
        }
        Ok(stored.status.is_success())
    }

    /// Sends documents in one request, and those that the server is too busy for again.
    pub(crate) async fn send(&self, entries: Vec<Entry>) -> Sent {
        let mut sent = Sent {
            rest: entries,
            ..Sent::default()
        };
        let attempt = async || self.attempt(&mut sent).await;
        let ended = RETRY.run(Jitter::default(), attempt, say_waiting).await;
        sent.trouble = ended.err().map(|given_up| given_up.error);
        sent
    }

    /// Sends what is left, and leaves what is not taken.
    async fn attempt(&self, sent: &mut Sent) -> Result<(), Trouble<ServerError>> {
        let place = format!("_bulk?filter_path={}", bulk::FILTER);
        let request = self
            .request(Method::POST, &place)
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(bulk::body(&sent.rest));
        let answer = self.answer(request).await?;
        if !answer.status.is_success() {
            return Err(Trouble::Permanent(
                self.refused(answer.status, &answer.body),
            ));
        }
        let outcomes = bulk::outcomes(&answer.body, sent.rest.len());
        let outcomes = outcomes.ok_or(Trouble::Permanent(ServerError::Foreign))?;
        let (mut busy, mut held) = (Vec::new(), Vec::new());
        for (entry, outcome) in std::mem::take(&mut sent.rest).into_iter().zip(outcomes) {
            match outcome {
                Outcome::Created => sent.n_created += 1,
                Outcome::Known => sent.n_known += 1,
                Outcome::Refused(refusal) => sent.refused.push((entry, refusal)),
                Outcome::Busy(refusal) => {
                    sent.rest.push(entry);
                    busy.push(refusal);
                }
                Outcome::Held(refusal) => {
                    sent.rest.push(entry);
                    held.push(refusal);
                }
            }
        }
        let n_left = sent.rest.len() as u64;
        let error = |first: Refusal| ServerError::Documents {
            n_documents: trainyard_core::figure::count(n_left, "document"),
            first,
        };
        match (busy.into_iter().next(), held.into_iter().next()) {
            (None, None) => Ok(()),
            // Another request would end as this one.
            (_, Some(first)) => Err(Trouble::Permanent(error(first))),
            (Some(first), None) => Err(Trouble::Transient {
                error: error(first),
                retry_after: answer.retry_after,
            }),
        }
    }
}

/// An answer that is final.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

fn say_waiting(retrying: Retrying<'_, ServerError>) {
    let Retrying {
        n_attempts,
        wait,
        error,
    } = retrying;
    tracing::debug!("attempt {n_attempts} failed, the next one is in {wait:?}: {error}");
}

/// What an answer says, after a colon; nothing where it says nothing.
fn words(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &json["error"];
    let said = match (
        error["type"].as_str(),
        error["reason"].as_str(),
        error.as_str(),
    ) {
        (Some(kind), Some(reason), _) => format!("{kind}: {reason}"),
        (_, _, Some(text)) => text.to_owned(),
        _ => {
            let text = String::from_utf8_lossy(body);
            text.lines().next().unwrap_or_default().trim().to_owned()
        }
    };
    if said.is_empty() {
        return said;
    }
    let shown: String = said.chars().take(MAX_SHOWN).collect();
    format!(": {shown}")
}
