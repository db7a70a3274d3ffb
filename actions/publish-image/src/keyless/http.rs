//! Requests to the services that keyless signing needs, repeated after a transient failure.
//!
//! Each may arrive twice: an unused certificate or timestamp does no harm, and a log answers a second entry with a conflict.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;
use tokio::runtime::Runtime;
use trainyard_net::{
    ClientOptions, Failure, Jitter, RetryPolicy, Trouble, attempts, is_transient, retry_after,
};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// As much of a refusal is shown, in characters.
const MAX_SHOWN: usize = 300;

/// The client of all services.
pub(crate) struct Http {
    runtime: Runtime,
    client: Client,
    retry: RetryPolicy,
}

/// What a service answered: success, or a conflict, which says where the thing already is.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    /// Of a conflict.
    pub(crate) location: Option<String>,
}

impl Http {
    /// Trusts the certificate authorities in this PEM file too.
    pub(crate) fn new(ca: Option<&Path>) -> anyhow::Result<Self> {
        let client = ClientOptions::default().with_ca(ca).build();
        Ok(Self {
            runtime: crate::runtime::one_thread()?,
            client: client.exit_code(ExitCode::Usage)?,
            retry: RetryPolicy {
                n_attempts: 4,
                deadline: Duration::from_mins(2),
                ..RetryPolicy::default()
            },
        })
    }

    /// Sends JSON and asks for JSON; see [`Http::send`].
    pub(crate) fn post(&self, service: &str, url: &Url, body: &Value) -> anyhow::Result<Answer> {
        const JSON: &str = "application/json";
        let body = body.to_string();
        self.send(service, |client| {
            let request = client.post(url.clone()).body(body.clone());
            request.header(CONTENT_TYPE, JSON).header(ACCEPT, JSON)
        })
    }

    /// Sends what `request` makes. `service` is what errors call the service; no address is in them, whose queries may be secret.
    ///
    /// Ends with [`ExitCode::Service`] where it does not answer, or refuses.
    pub(crate) fn send(
        &self,
        service: &str,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> anyhow::Result<Answer> {
        let sent = self.retry.run(
            Jitter::default(),
            async || send_once(request(&self.client)).await,
            |retrying| {
                let (error, wait) = (retrying.error, retrying.wait.as_secs_f64());
                tracing::warn!("{service}: {error}; trying again in {wait:.1} s");
            },
        );
        let answer = self.runtime.block_on(sent).map_err(|given_up| {
            let error = given_up.error;
            match given_up.is_transient {
                true => anyhow!("{service}: {error} ({})", attempts(given_up.n_attempts)),
                false => anyhow!("{service}: {error}"),
            }
        });
        answer.exit_code(ExitCode::Service)
    }
}

async fn send_once(request: RequestBuilder) -> Result<Answer, Trouble<String>> {
    let failed = |error: reqwest::Error| match Failure::of_request(error) {
        Failure::Permanent(cause) => Trouble::Permanent(cause.to_string()),
        Failure::Transient(text) => Trouble::transient(text),
    };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let wait = retry_after(response.headers(), SystemTime::now());
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let body = response.bytes().await.map_err(failed)?.to_vec();
    if status.is_success() {
        return Ok(Answer {
            body,
            location: None,
        });
    }
    if status == StatusCode::CONFLICT && location.is_some() {
        return Ok(Answer { body, location });
    }
    let said: String = String::from_utf8_lossy(&body)
        .replace(char::is_control, " ")
        .chars()
        .take(MAX_SHOWN)
        .collect();
    let error = format!("it answered {status}: {}", said.trim());
    Err(match is_transient(status) {
        true => Trouble::Transient {
            error,
            retry_after: wait,
        },
        false => Trouble::Permanent(error),
    })
}

/// The address `path` below `base`. Tokens and signatures go there, so it must be HTTPS, or this machine.
///
/// Ends with [`ExitCode::Usage`].
pub(crate) fn address(option: &str, base: &str, path: &str) -> anyhow::Result<Url> {
    let url = Url::parse(&format!("{}{path}", base.trim_end_matches('/')))
        .with_context(|| format!("`{option}` is not a URL: `{base}`"))
        .exit_code(ExitCode::Usage)?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "https" || (url.scheme() == "http" && is_here) {
        return Ok(url);
    }
    Err(anyhow!("`{option}` must be an `https` URL, not `{base}`")).exit_code(ExitCode::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        let of = |base| address("--fulcio-url", base, "/api").map(|url| url.to_string());
        assert_eq!(of("https://a.example/").unwrap(), "https://a.example/api");
        assert_eq!(
            of("http://127.0.0.1:8/x").unwrap(),
            "http://127.0.0.1:8/x/api"
        );
        for refused in [
            "http://a.example",
            "http://127.0.0.1.a.example",
            "ftp://localhost",
            "a",
        ] {
            assert!(of(refused).is_err(), "{refused}");
        }
    }
}
