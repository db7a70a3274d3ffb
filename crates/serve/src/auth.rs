//! Who may ask: anybody, or who knows one of the keys.

use std::path::Path;

use anyhow::{Context as _, bail};
use axum::http::header::{AUTHORIZATION, HeaderValue};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use trainyard_core::digest::Sha256Digest;

use crate::answer::Refusal;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Shorter ones are guessed.
const MIN_KEY_BYTES: usize = 16;

/// What is told to all: those who look after containers have neither key nor certificate.
fn is_open(path: &str) -> bool {
    matches!(path, "/v2/health/live" | "/v2/health/ready")
}

/// Refuses a request for `path` of a client that has shown no certificate.
pub(crate) fn check_certificate(path: &str, is_certified: bool) -> Result<(), Refusal> {
    if is_certified || is_open(path) {
        return Ok(());
    }
    let message =
        "a certificate is needed: connect with one of an authority that this server trusts";
    Err(Refusal::new(StatusCode::FORBIDDEN, message))
}

/// The keys that are accepted; all requests are where there is none.
///
/// Digests are compared, so that the time that a comparison takes tells nothing of a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Vec<Sha256Digest>);

impl Keys {
    /// Those in `file`, one a line. Empty lines and those that begin with `#` do not count.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the keys in `{}`", file.display()))?;
        let mut keys = Vec::new();
        for (idx, line) in text.lines().enumerate() {
            let key = line.trim();
            if key.is_empty() || key.starts_with('#') {
                continue;
            }
            let place = format!("{}:{}", file.display(), idx + 1);
            if key.len() < MIN_KEY_BYTES {
                bail!("{place}: a key has at least {MIN_KEY_BYTES} characters");
            }
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                bail!("{place}: a key is of visible ASCII characters, without blanks");
            }
            keys.push(Sha256Digest::of(key.as_bytes()));
        }
        if keys.is_empty() {
            bail!(
                "there is no key in `{}`; write one a line, or leave out `--api-key-file`",
                file.display()
            );
        }
        Ok(Self(keys))
    }

    /// Refuses a request for `path` without one of the keys, in `Authorization: Bearer KEY` or `X-API-Key: KEY`. Health is told to all.
    pub(crate) fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.0.is_empty() || is_open(path) {
            return Ok(());
        }
        let given = [
            bearer(headers.get(AUTHORIZATION)),
            headers.get(API_KEY).map(HeaderValue::as_bytes),
        ];
        let given = given.into_iter().flatten().map(Sha256Digest::of);
        let mut is_known = false;
        for key in given {
            is_known |= self.0.contains(&key);
        }
        if is_known {
            return Ok(());
        }
        let message = "a key is needed: send `Authorization: Bearer KEY` or `X-API-Key: KEY`";
        Err(Refusal::new(StatusCode::UNAUTHORIZED, message))
    }
}

/// What stands behind `Bearer`, in any case (RFC 9110, section 11.1).
fn bearer(value: Option<&HeaderValue>) -> Option<&[u8]> {
    let (scheme, key) = value?.as_bytes().split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn keys(text: &str) -> anyhow::Result<Keys> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, text).unwrap();
        Keys::read(&file)
    }

    #[test]
    fn one_of_the_keys_opens_all_and_health_needs_none() {
        let keys = keys(&format!(
            "# of the shop\n{KEY}\n\nanother-key-of-the-shop\n"
        ))
        .unwrap();
        let check = |path: &str, headers: &[(HeaderName, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
            keys.check(path, &headers.collect())
                .map_err(|it| it.status())
        };
        let bearer = |key: &str| [(AUTHORIZATION, format!("bearer {key}"))];
        let path = "/v2/models/m/infer";
        for key in [KEY, "another-key-of-the-shop"] {
            let header = bearer(key);
            check(path, &[(AUTHORIZATION, &header[0].1)]).unwrap();
            check(path, &[(API_KEY, key)]).unwrap();
        }
        check("/v2/health/ready", &[]).unwrap();
        let basic = format!("Basic {KEY}");
        for headers in [
            &[][..],
            &[(API_KEY, "0123456789abcde")],
            &[(API_KEY, "")],
            &[(AUTHORIZATION, &basic)],
            &[(AUTHORIZATION, KEY)],
        ] {
            assert_eq!(check(path, headers), Err(StatusCode::UNAUTHORIZED));
        }
        assert_eq!(check("/metrics", &[]), Err(StatusCode::UNAUTHORIZED));
        assert!(Keys::default().check(path, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_file_without_a_usable_key_opens_nothing() {
        for (text, problem) in [
            ("", "there is no key"),
            ("# none\n", "there is no key"),
            ("short\n", ":1: a key has at least 16"),
            (
                "# one\nwith a blank in the middle\n",
                ":2: a key is of visible",
            ),
        ] {
            let error = keys(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
