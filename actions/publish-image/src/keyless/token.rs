//! The identity token (OpenID Connect) that a certificate is issued for. It is never logged and never written.

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::Deserialize;
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

use super::http::Http;

/// Whom the token is for: Fulcio refuses others.
const AUDIENCE: &str = "sigstore";

/// Where the runner of a job with the permission gives tokens out, and what is shown to it.
const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// A token, of any other provider.
const TOKEN: &str = "SIGSTORE_ID_TOKEN";

/// Where tokens come from.
pub(crate) enum TokenSource {
    /// A job on GitHub Actions.
    GitHub { url: Url, bearer: String },
    /// A variable.
    Given(String),
}

/// A token that was not looked at but for its subject.
pub(crate) struct Token {
    pub(crate) text: String,
    /// What the proof of possession is over: an e-mail address, else the subject.
    pub(crate) subject: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct Given {
    value: String,
}

impl TokenSource {
    /// Ends with [`ExitCode::Usage`] where there is none.
    pub(crate) fn find(environment: &Environment) -> anyhow::Result<Self> {
        if let (Some(url), Some(bearer)) =
            (environment.get(REQUEST_URL), environment.get(REQUEST_TOKEN))
        {
            let mut url = Url::parse(url)
                .with_context(|| format!("`{REQUEST_URL}` is not a URL"))
                .exit_code(ExitCode::Usage)?;
            url.query_pairs_mut().append_pair("audience", AUDIENCE);
            return Ok(Self::GitHub {
                url,
                bearer: bearer.to_owned(),
            });
        }
        if let Some(text) = environment.get(TOKEN) {
            return Ok(Self::Given(text.trim().to_owned()));
        }
        let error = anyhow!("keyless signing needs an identity token, and this run has none");
        Err(error)
            .exit_code(ExitCode::Usage)
            .hint(remedy(environment))
    }

    /// A token. Ends with [`ExitCode::Service`] where it is not given.
    pub(crate) fn fetch(&self, http: &Http) -> anyhow::Result<Token> {
        let text = match self {
            Self::Given(text) => text.clone(),
            Self::GitHub { url, bearer } => {
                let answer = http
                    .send("GitHub's identity token", |client| {
                        client.get(url.clone()).bearer_auth(bearer)
                    })
                    .hint("the job needs `permissions: id-token: write`")?;
                let given: Given = serde_json::from_slice(&answer.body)
                    .map_err(|_| anyhow!("GitHub's answer holds no identity token"))
                    .exit_code(ExitCode::Service)?;
                given.value
            }
        };
        Token::read(text)
    }
}

impl Token {
    fn read(text: String) -> anyhow::Result<Self> {
        let claims = || -> Option<Claims> {
            let payload = text.split('.').nth(1)?;
            let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let subject = claims().and_then(|claims| claims.email.or(claims.sub));
        let subject = subject
            .context("the identity token is not a JSON Web Token with a subject")
            .exit_code(ExitCode::Usage)
            .hint(format!("look at what `{TOKEN}` holds, without printing it"))?;
        Ok(Self { text, subject })
    }
}

/// How a run without a token comes by one.
fn remedy(environment: &Environment) -> &'static str {
    if environment.is_github_actions() {
        "give the job `permissions: id-token: write`; a pull request from a fork never has it"
    } else {
        "put an OpenID Connect token for the audience `sigstore` into `SIGSTORE_ID_TOKEN`, or sign with `--key`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    #[test]
    fn a_job_without_the_permission_is_told_what_to_write() {
        let refused = |variables: &[(&str, &str)]| {
            let environment = environment(variables);
            assert!(TokenSource::find(&environment).is_err());
            remedy(&environment)
        };
        let text = refused(&[("GITHUB_ACTIONS", "true")]);
        assert!(text.contains("permissions: id-token: write"), "{text}");
        let text = refused(&[]);
        assert!(text.contains("SIGSTORE_ID_TOKEN"), "{text}");
    }

    #[test]
    fn githubs_token_is_asked_for_sigstores_audience() {
        let source = TokenSource::find(&environment(&[
            (REQUEST_URL, "https://a.example/token?api-version=2.0"),
            (REQUEST_TOKEN, "bearer"),
            (TOKEN, "another"),
        ]));
        let Ok(TokenSource::GitHub { url, .. }) = source else {
            panic!("GitHub's comes first");
        };
        assert_eq!(url.query(), Some("api-version=2.0&audience=sigstore"));
    }

    #[test]
    fn the_subject_is_the_address_if_there_is_one() {
        let token = |claims: &str| {
            let payload = URL_SAFE_NO_PAD.encode(claims);
            Token::read(format!("e30.{payload}.c2ln")).map(|token| token.subject)
        };
        assert_eq!(token(r#"{"sub":"repo:a/b"}"#).unwrap(), "repo:a/b");
        assert_eq!(token(r#"{"sub":"1","email":"a@b.c"}"#).unwrap(), "a@b.c");
        assert!(token("{}").is_err());
        // What it is stays out of the error.
        let Err(error) = Token::read("secret".to_owned()) else {
            panic!("it has no parts");
        };
        assert!(!format!("{error:?}").contains("secret"));
    }
}
