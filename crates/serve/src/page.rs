//! The page at `/`: what is served, how it is doing, and a way to try it. Nothing of it comes from elsewhere.

use axum::http::HeaderMap;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;
use trainyard_core::model::{SummaryScope, Task};
use trainyard_core::report::Assessment;

use crate::answer::Json;
use crate::model::Model;
use crate::repository::Repository;

const PAGE: &str = include_str!("page/page.html");

/// The page's own script and style are in it; it asks this server alone, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`: the page for browsers. KServe's clients ask here whether the server is there.
pub(crate) fn root(headers: &HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let vary: [(HeaderName, &str); 1] = [(VARY, "accept")];
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-cache"),
        ];
        (vary, headers, PAGE).into_response()
    } else {
        (vary, Json(json!({"status": "alive"}))).into_response()
    }
}

/// What the page says of a model.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
    task: Task,
    input: Input<'a>,
    output: &'a str,
    /// What was found of it before it was published, where that is known.
    assessment: Option<&'a Assessment>,
    /// Absent for regression.
    classes: Option<&'a [String]>,
    trainyard_version: &'static str,
}

#[derive(Debug, Serialize)]
struct Input<'a> {
    name: &'a str,
    shape: &'a [usize],
    /// Names of the columns of a table.
    columns: Option<&'a [String]>,
    /// Of each column, channel, or all values in training.
    ranges: Vec<Range>,
    over: Option<SummaryScope>,
}

#[derive(Debug, Serialize)]
struct Range {
    min: f64,
    mean: f64,
    max: f64,
}

/// `GET /models.json`: the models, as the page shows them.
pub(crate) fn models(repository: &Repository, assessment: Option<&Assessment>) -> Response {
    let models = repository.models().map(|model| shown(model, assessment));
    let models: Vec<Shown<'_>> = models.collect();
    ([(CACHE_CONTROL, "no-cache")], Json(models)).into_response()
}

fn shown<'a>(model: &'a Model, assessment: Option<&'a Assessment>) -> Shown<'a> {
    let manifest = model.manifest();
    let summary = manifest.input_summary.as_ref();
    let parts = summary.map_or(&[][..], |it| &it.parts);
    let ranges = parts.iter().map(|part| Range {
        min: part.min,
        mean: part.mean,
        max: part.max,
    });
    Shown {
        name: model.name(),
        version: model.version(),
        digest: model.digest().as_str(),
        task: manifest.task,
        input: Input {
            name: &manifest.input.name,
            shape: &manifest.input.shape,
            columns: manifest.columns.as_deref(),
            ranges: ranges.collect(),
            over: summary.map(|it| it.over),
        },
        output: &manifest.output.name,
        // Another model may have taken the place of the image's.
        assessment: assessment.filter(|it| it.model_digest == *model.digest()),
        classes: manifest.class_names.as_deref(),
        trainyard_version: env!("CARGO_PKG_VERSION"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_get_the_page_and_clients_the_answer() {
        let kind = |accept: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|it| (ACCEPT, HeaderValue::from_static(it))));
            root(&headers).headers()[CONTENT_TYPE].clone()
        };
        assert_eq!(kind(None), "application/json");
        assert_eq!(kind(Some("*/*")), "application/json");
        assert_eq!(
            kind(Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")),
            "text/html; charset=utf-8"
        );
    }

    #[test]
    fn nothing_of_the_page_comes_from_elsewhere() {
        for elsewhere in ["http:", "https:", "//cdn", "@import", "src=\"/"] {
            assert!(!PAGE.contains(elsewhere), "{elsewhere}");
        }
    }
}
