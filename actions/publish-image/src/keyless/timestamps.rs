//! A timestamp authority (RFC 3161): a signature in, when it was made at the latest out.

use anyhow::anyhow;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use trainyard_attest::{is_granted, timestamp_request};
use trainyard_runner::{ExitCode, WithExitCode as _};

use super::http::{Http, address};

const SERVICE: &str = "the timestamp authority (`--timestamp-url`)";

/// An authority.
pub(crate) struct Timestamps {
    url: Url,
}

impl Timestamps {
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        let url = address("--timestamp-url", url, "")?;
        Ok(Self { url })
    }

    /// The answer, in DER. Ends with [`ExitCode::Service`] where there is no timestamp in it.
    pub(crate) fn stamp(&self, http: &Http, signature: &[u8]) -> anyhow::Result<Vec<u8>> {
        let query = timestamp_request(signature);
        let answer = http.send(SERVICE, |client| {
            let request = client.post(self.url.clone()).body(query.clone());
            request.header(CONTENT_TYPE, "application/timestamp-query")
        })?;
        if is_granted(&answer.body) {
            return Ok(answer.body);
        }
        Err(anyhow!("{SERVICE} granted no timestamp")).exit_code(ExitCode::Service)
    }
}
