//! `--check`: whether the models that would be served answer.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use crate::model::Model;

/// Asks `router` for a prediction of each of its models, as a client would, and says on standard output what came.
pub(crate) async fn answers(router: Router, models: Vec<Model>) -> anyhow::Result<()> {
    let service = TowerToHyperService::new(router);
    for model in models {
        let started = Instant::now();
        let what = format!("`{}` version {}", model.name(), model.version());
        let response = service.call(zeros(&model)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let n_scores =
            n_scores(status, &body).with_context(|| format!("{what} does not answer"))?;
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        let digest = model.digest().short();
        let mut stdout = std::io::stdout().lock();
        // Who closed standard output does not want to know.
        let _ = writeln!(
            stdout,
            "{what} ({digest}): {n_scores} scores in {took_ms:.2} ms"
        );
    }
    Ok(())
}

/// A request of one row of zeros.
fn zeros(model: &Model) -> anyhow::Result<Request<Body>> {
    let input = &model.manifest().input;
    let shape: Vec<usize> = [1].into_iter().chain(input.shape.iter().copied()).collect();
    let request = json!({"inputs": [{
        "name": input.name,
        "shape": shape,
        "datatype": "FP32",
        "data": vec![0.0; input.n_elements()],
    }]});
    let (name, version) = (in_path(model.name()), model.version());
    Ok(Request::builder()
        .method(Method::POST)
        .uri(format!("/v2/models/{name}/versions/{version}/infer"))
        .body(Body::from(request.to_string()))?)
}

/// A name as a segment of a path (RFC 3986, section 2.3).
fn in_path(name: &str) -> String {
    name.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to memory does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

/// How many scores the answer has, all of them numbers.
fn n_scores(status: StatusCode, body: &[u8]) -> anyhow::Result<usize> {
    let answer: Value = serde_json::from_slice(body).context("its answer is not JSON")?;
    if status != StatusCode::OK {
        bail!("{status}: {}", answer["error"]);
    }
    let scores = answer["outputs"][0]["data"].as_array();
    let scores = scores.context("its answer has no scores")?;
    ensure!(
        !scores.is_empty() && scores.iter().all(Value::is_number),
        "its scores of a row of zeros are {scores:?}"
    );
    Ok(scores.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_paths() {
        assert_eq!(in_path("a-1._~"), "a-1._~");
        assert_eq!(in_path("ä b/c"), "%C3%A4%20b%2Fc");
    }

    #[test]
    fn only_numbers_are_an_answer() {
        let answer = |status, body: &Value| n_scores(status, body.to_string().as_bytes());
        let with = |data: Value| json!({"outputs": [{"data": data}]});
        assert_eq!(
            answer(StatusCode::OK, &with(json!([0.5, 1e-3]))).unwrap(),
            2
        );
        for (status, body) in [
            (StatusCode::OK, with(json!([0.5, null]))),
            (StatusCode::OK, with(json!([]))),
            (StatusCode::OK, json!({})),
            (StatusCode::BAD_REQUEST, json!({"error": "no"})),
        ] {
            answer(status, &body).unwrap_err();
        }
    }
}
