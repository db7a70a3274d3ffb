//! What can go wrong between us and GitHub.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What happens to one request that fits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Only requests of this method; any where there is none.
    pub method: Option<String>,
    /// Only requests whose path behind the repository begins with this.
    pub path: String,
    /// How many requests it happens to.
    pub times: u32,
    /// Waits so long first.
    pub delay_ms: Option<u64>,
    /// Answers with this status.
    pub status: Option<u16>,
    /// The answer's words.
    pub message: String,
    /// Headers of the answer.
    pub headers: Vec<(String, String)>,
    /// With a status: the request is carried out all the same.
    pub is_carried_out: bool,
    /// The answer ends in the middle.
    pub is_cut_off: bool,
}

impl Fault {
    pub(super) fn fits(&self, method: &str, path: &str) -> bool {
        self.times > 0
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.starts_with(&self.path)
    }

    pub(super) fn answer(&self, status: u16) -> Response {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body =
            json!({ "message": self.message, "documentation_url": "https://docs.github.com/rest" });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            "content-type",
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                headers.insert(name, value);
            }
        }
        response
    }
}
