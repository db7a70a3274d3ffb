//! Requests to one repository of a registry, and the login that they need.
//!
//! The registry says by the `WWW-Authenticate` header of a refusal how to log in (distribution specification, "Token
//! Authentication"); a token is kept until it expires or is refused. No request is spent on asking first.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use oci_distribution::token_cache::RegistryToken;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::answer::{Attempt, RequestError, Server, checked, failed, malformed};
use super::challenge::Challenge;
use super::clients::Clients;
use crate::credentials::Credentials;

/// How long a token lasts where the server does not say (distribution specification).
const TOKEN_LIFETIME: Duration = Duration::from_mins(1);

/// A token is renewed this long before it ends, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(5);

/// Time that a registry of this machine has to say whether it wants TLS.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Pull,
    /// To read and write.
    Push,
}

/// Where a registry is.
#[derive(Debug)]
pub(super) enum Address {
    Known(Url),
    /// By TLS unless it answers without.
    TlsOrPlain {
        tls: Url,
        plain: Url,
    },
}

/// How requests are authorised.
enum Login {
    /// No request was refused yet.
    Unknown,
    /// There is none to give.
    Without,
    /// By this header.
    Header {
        header: HeaderValue,
        /// How a token is renewed; a password that is refused is not.
        token: Option<Challenge>,
        expires: Option<Instant>,
    },
}

/// A connection to one repository.
pub(super) struct Session {
    clients: Clients,
    address: Address,
    base: OnceLock<Url>,
    repository: String,
    credentials: Credentials,
    access: Access,
    /// Time that a small request may take.
    timeout: Option<Duration>,
    login: Mutex<Login>,
}

impl Session {
    pub(super) const fn new(
        clients: Clients,
        address: Address,
        repository: String,
        credentials: Credentials,
        access: Access,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            clients,
            address,
            base: OnceLock::new(),
            repository,
            credentials,
            access,
            timeout,
            login: Mutex::new(Login::Unknown),
        }
    }

    /// What is asked for.
    pub(super) const fn access(&self) -> Access {
        self.access
    }

    /// An address below the repository.
    pub(super) fn url(&self, rest: &str) -> Attempt<Url> {
        join(self.base()?, &format!("/v2/{}/{rest}", self.repository))
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
        let request = self.timed(build(self.builder()));
        checked(Server::Registry, self.execute(request).await?).await
    }

    /// An upload or a download, which may take any time, and must succeed or be redirected. The caller watches its progress.
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
        if request.url().origin() == self.base()?.origin()
            && !request.headers().contains_key(AUTHORIZATION)
            && let Some(header) = self.header()
        {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        self.clients.execute(request).await
    }

    /// For building a request that is sent by [`Self::send_large`].
    pub(super) const fn builder(&self) -> &Client {
        self.clients.builder()
    }

    fn timed(&self, request: RequestBuilder) -> RequestBuilder {
        match self.timeout {
            Some(timeout) => request.timeout(timeout),
            None => request,
        }
    }

    fn base(&self) -> Attempt<&Url> {
        let known = self.base.get().or(match &self.address {
            Address::Known(url) => Some(url),
            Address::TlsOrPlain { .. } => None,
        });
        known.ok_or_else(|| malformed(Server::Registry, "nothing yet"))
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

    /// Finds out whether the registry speaks TLS where that is not known, and renews a token that is about to end.
    pub(super) async fn ready(&self) -> Attempt<()> {
        if let Address::TlsOrPlain { tls, plain } = &self.address
            && self.base.get().is_none()
        {
            let base = if self.wants_tls(plain).await {
                tls
            } else {
                plain
            };
            // Another upload may have found it out at the same time.
            let _ = self.base.set(base.clone());
        }
        let ended = match &*self.login() {
            Login::Header {
                token: Some(challenge),
                expires: Some(at),
                ..
            } if Instant::now() >= *at => Some(challenge.clone()),
            _ => None,
        };
        if let Some(challenge) = ended {
            let login = self.answer(&challenge).await?;
            *self.login() = login;
        }
        Ok(())
    }

    /// Whether a registry of this machine wants TLS. It is asked without, and without a login: a TLS handshake costs more than the
    /// question, and servers answer it with a 400, with bytes that are not HTTP, or by hanging up.
    async fn wants_tls(&self, plain: &Url) -> bool {
        let Ok(url) = plain.join("/v2/") else {
            return true;
        };
        match self.builder().get(url).timeout(PROBE_TIMEOUT).send().await {
            Ok(answer) => {
                let status = answer.status();
                status == StatusCode::BAD_REQUEST || status.is_redirection()
            }
            // Without a listener the request that follows says so; and a server of TLS never waits at what is not TLS.
            Err(error) => !(error.is_connect() || error.is_timeout()),
        }
    }

    /// Logs in as the refusal of a request asks for; whether that may help.
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
        if matches!(
            &*self.login(),
            Login::Without | Login::Header { token: None, .. }
        ) {
            return Ok(false);
        }
        let login = self.answer(challenge).await?;
        *self.login() = login;
        Ok(self.header().is_some())
    }

    async fn answer(&self, challenge: &Challenge) -> Attempt<Login> {
        match (challenge, &self.credentials) {
            (Challenge::Basic, Credentials::Basic { .. }) => Ok(Login::Header {
                header: self.basic()?,
                token: None,
                expires: None,
            }),
            (Challenge::Basic, _) => Ok(Login::Without),
            (Challenge::Bearer { .. }, _) => self.token(challenge, None).await,
        }
    }

    /// The header for a request that also reads from another repository of the registry; `None` where there is no login, or none
    /// for both.
    pub(super) async fn header_for_mount(&self, from: &str) -> Option<HeaderValue> {
        let challenge = match &*self.login() {
            Login::Header { header, token, .. } => match token {
                Some(challenge) => challenge.clone(),
                None => return Some(header.clone()),
            },
            Login::Unknown | Login::Without => return None,
        };
        match self.token(&challenge, Some(from)).await {
            Ok(Login::Header { header, .. }) => Some(header),
            _ => None,
        }
    }

    /// The header of a password, as reqwest writes it.
    fn basic(&self) -> Attempt<HeaderValue> {
        let request = self.authenticated(self.builder().get(self.base()?.clone()));
        let request = request.build().map_err(failed)?;
        let header = request.headers().get(AUTHORIZATION).cloned();
        header.ok_or_else(|| malformed(Server::Registry, "a password for none"))
    }

    fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::Basic { username, password } => {
                request.basic_auth(username, Some(password))
            }
            Credentials::Anonymous | Credentials::IdentityToken(_) => request,
        }
    }

    /// A token for this repository, and to read from another one.
    async fn token(&self, challenge: &Challenge, from: Option<&str>) -> Attempt<Login> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(flatten)]
            token: RegistryToken,
            expires_in: Option<u64>,
        }
        let malformed = |problem: &str| malformed(Server::Token, problem);
        let Challenge::Bearer { realm, service } = challenge else {
            return Ok(Login::Without);
        };
        let url = Url::parse(realm).map_err(|error| malformed(&format!("`realm` ({error})")))?;
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let mut scopes = vec![format!("repository:{}:{actions}", self.repository)];
        scopes.extend(from.map(|from| format!("repository:{from}:pull")));
        let request = if let Credentials::IdentityToken(token) = &self.credentials {
            // Exchanged by OAuth 2 (distribution specification, "Token OAuth2 Specification").
            let scope = scopes.join(" ");
            // A query is encoded as a form is.
            let mut form = url.clone();
            form.query_pairs_mut()
                .clear()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "trainyard")
                .extend_pairs(service.iter().map(|service| ("service", service)))
                .append_pair("scope", &scope)
                .append_pair("refresh_token", token);
            self.builder()
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned())
        } else {
            let mut url = url;
            url.query_pairs_mut()
                .extend_pairs(service.iter().map(|service| ("service", service)))
                .extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
            self.authenticated(self.builder().get(url))
        };
        let asked = Instant::now();
        let request = self.timed(request).build().map_err(failed)?;
        let response = self.clients.execute(request).await?;
        let response = checked(Server::Token, response).await?;
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
            token: Some(challenge.clone()),
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use trainyard_net::ClientOptions;

    use super::*;

    /// A port that gives each connection this answer to its first bytes; without one it stays silent.
    fn answers(answer: Option<&'static [u8]>) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                match answer {
                    Some(answer) => drop(stream.write_all(answer)),
                    None => silent.push(stream),
                }
            }
        });
        format!("http://{address}/").parse().unwrap()
    }

    #[tokio::test]
    async fn a_registry_of_this_machine_is_plain_unless_it_answers_as_tls_does() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}/", listener.local_addr().unwrap())
        };
        for (plain, expected) in [
            (answers(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")), false),
            (answers(Some(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")), false),
            // As Go's and nginx's servers answer.
            (answers(Some(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")), true),
            // An alert of TLS.
            (answers(Some(&[0x15, 3, 1, 0, 2, 2, 70])), true),
            (answers(Some(b"")), true),
            // Busy.
            (answers(None), false),
            (closed.parse().unwrap(), false),
        ] {
            let tls = plain.as_str().replace("http:", "https:").parse().unwrap();
            let address = Address::TlsOrPlain {
                tls,
                plain: plain.clone(),
            };
            let session = Session::new(
                Clients::new(ClientOptions::default(), false).unwrap(),
                address,
                "m".to_owned(),
                Credentials::Anonymous,
                Access::Pull,
                None,
            );
            assert_eq!(session.wants_tls(&plain).await, expected, "{plain}");
        }
    }
}
