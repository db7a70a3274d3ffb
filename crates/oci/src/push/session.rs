//! Requests to one repository of a registry, and the login that they need.
//!
//! The registry says by its `WWW-Authenticate` header how to log in (distribution specification, "Token Authentication");
//! a token is kept until it expires or is refused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oci_distribution::token_cache::RegistryToken;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use trainyard_net::Trouble;

use super::answer::{Attempt, RequestError, Server, checked, failed, malformed};
use super::challenge::Challenge;
use crate::credentials::Credentials;

/// How long a token lasts where the server does not say (distribution specification).
const TOKEN_LIFETIME: Duration = Duration::from_mins(1);

/// A token is renewed this long before it ends, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(5);

/// How requests are authorised.
enum Login {
    /// The registry was not asked yet.
    Unknown,
    /// It wants no login, or there is none to give.
    Without,
    /// By this header.
    Header {
        header: HeaderValue,
        /// A token that is refused may be renewed, a password not.
        is_token: bool,
        expires: Option<Instant>,
    },
}

/// A connection to one repository.
pub(super) struct Session {
    client: Client,
    base: Url,
    repository: String,
    credentials: Credentials,
    /// Time that a small request may take.
    timeout: Option<Duration>,
    login: Mutex<Login>,
}

impl Session {
    pub(super) const fn new(
        client: Client,
        base: Url,
        repository: String,
        credentials: Credentials,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            client,
            base,
            repository,
            credentials,
            timeout,
            login: Mutex::new(Login::Unknown),
        }
    }

    /// An address below the repository.
    pub(super) fn url(&self, rest: &str) -> Attempt<Url> {
        join(&self.base, &format!("/v2/{}/{rest}", self.repository))
    }

    /// Where an answer leads on.
    pub(super) fn location(response: &Response) -> Attempt<Url> {
        let text = response.headers().get(LOCATION);
        let text = text.and_then(|text| text.to_str().ok());
        let text = text.ok_or_else(|| malformed(Server::Registry, "no `Location`"))?;
        join(response.url(), text)
    }

    /// A small request, which must succeed within the time-out.
    pub(super) async fn send(
        &self,
        build: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Attempt<Response> {
        let mut request = build(&self.client);
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        checked(Server::Registry, self.execute(request).await?).await
    }

    /// An upload, which may take any time, and must succeed or be redirected. The caller watches its progress.
    pub(super) async fn send_large(&self, request: RequestBuilder) -> Attempt<Response> {
        let response = self.execute(request).await?;
        if response.status().is_redirection() {
            return Ok(response);
        }
        checked(Server::Registry, response).await
    }

    async fn execute(&self, request: RequestBuilder) -> Attempt<Response> {
        let mut request = request.build().map_err(failed)?;
        // An upload's address may be another host's, with a signature of its own: the login is not for it.
        if request.url().origin() == self.base.origin()
            && let Some(header) = self.header()
        {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        self.client.execute(request).await.map_err(failed)
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    fn login(&self) -> MutexGuard<'_, Login> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn header(&self) -> Option<HeaderValue> {
        match &*self.login() {
            Login::Header { header, .. } => Some(header.clone()),
            Login::Unknown | Login::Without => None,
        }
    }

    /// Logs in where the registry wants it and there is no login that holds.
    pub(super) async fn log_in(&self) -> Attempt<()> {
        let holds = match &*self.login() {
            Login::Unknown => false,
            Login::Without => true,
            Login::Header { expires, .. } => expires.is_none_or(|at| Instant::now() < at),
        };
        if holds {
            return Ok(());
        }
        *self.login() = Login::Unknown;
        let url = join(&self.base, "/v2/")?;
        let challenge = match self.send(|client| client.get(url)).await {
            Ok(_) => None,
            Err(Trouble::Permanent(RequestError::Answer { challenge, .. })) => challenge,
            Err(trouble) => return Err(trouble),
        };
        let login = match challenge {
            Some(challenge) => self.answer(&challenge).await?,
            None => Login::Without,
        };
        *self.login() = login;
        Ok(())
    }

    /// Logs in anew as the answer to a request asks for; whether that may help.
    pub(super) async fn renew(&self, error: &RequestError) -> Attempt<bool> {
        let RequestError::Answer {
            server: Server::Registry,
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(challenge),
            ..
        } = error
        else {
            return Ok(false);
        };
        if let Login::Header {
            is_token: false, ..
        } = &*self.login()
        {
            return Ok(false);
        }
        *self.login() = Login::Unknown;
        let login = self.answer(challenge).await?;
        *self.login() = login;
        Ok(self.header().is_some())
    }

    async fn answer(&self, challenge: &Challenge) -> Attempt<Login> {
        match (challenge, &self.credentials) {
            (Challenge::Basic, Credentials::Anonymous) => Ok(Login::Without),
            (Challenge::Basic, Credentials::Basic { .. }) => Ok(Login::Header {
                header: self.basic()?,
                is_token: false,
                expires: None,
            }),
            (Challenge::Bearer { realm, service }, _) => {
                self.token(realm, service.as_deref()).await
            }
        }
    }

    /// The header of a password, as reqwest writes it.
    fn basic(&self) -> Attempt<HeaderValue> {
        let request = self.authenticated(self.client.get(self.base.clone()));
        let request = request.build().map_err(failed)?;
        let header = request.headers().get(AUTHORIZATION).cloned();
        header.ok_or_else(|| malformed(Server::Registry, "a password for none"))
    }

    fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::Anonymous => request,
            Credentials::Basic { username, password } => {
                request.basic_auth(username, Some(password))
            }
        }
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Attempt<Login> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(flatten)]
            token: RegistryToken,
            expires_in: Option<u64>,
        }
        let malformed = |problem: &str| malformed(Server::Token, problem);
        let mut url =
            Url::parse(realm).map_err(|error| malformed(&format!("`realm` ({error})")))?;
        let scope = format!("repository:{}:pull,push", self.repository);
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &scope);
        let mut request = self.authenticated(self.client.get(url));
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        let asked = Instant::now();
        let response = checked(Server::Token, request.send().await.map_err(failed)?).await?;
        let bytes = response.bytes().await.map_err(failed)?;
        // What serde says of an untagged enum is about the code, not the answer.
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| malformed("no JSON object with a `token` or an `access_token`"))?;
        let mut header = HeaderValue::from_str(&answer.token.bearer_token())
            .map_err(|_| malformed("a token that no header can hold"))?;
        header.set_sensitive(true);
        let lifetime = answer
            .expires_in
            .map_or(TOKEN_LIFETIME, Duration::from_secs);
        Ok(Login::Header {
            header,
            is_token: true,
            // A token that lasts less than the margin is used until it is refused.
            expires: lifetime.checked_sub(MARGIN).map(|rest| asked + rest),
        })
    }
}

/// An address that the registry gave, relative to where it gave it.
fn join(base: &Url, rest: &str) -> Attempt<Url> {
    base.join(rest)
        .map_err(|error| malformed(Server::Registry, &format!("an address ({error})")))
}
