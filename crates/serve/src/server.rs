//! Routes: paths and bodies in, answers of the protocols out.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::answer::{Json, Refusal};
use crate::model::Model;
use crate::protocol::{VERSION, open_inference, tensorflow};

/// A body as axum gives it: it may be too large, or have broken off.
type Body = Result<Bytes, BytesRejection>;

/// All routes of a server for `model`, with bodies of at most `max_body_bytes`.
pub fn router(model: Model, max_body_bytes: usize) -> Router {
    let version = "/v2/models/{name}/versions/{version}";
    Router::new()
        .route("/v2", get(|| async { open_inference::server_metadata() }))
        .route("/v2/", get(|| async { open_inference::server_metadata() }))
        .route(
            "/v2/health/live",
            get(|| async { Json(json!({"live": true})) }),
        )
        // Only a loaded model is ever listened for.
        .route(
            "/v2/health/ready",
            get(|| async { Json(json!({"ready": true})) }),
        )
        .route("/v2/models/{name}", get(v2_metadata))
        .route("/v2/models/{name}/ready", get(v2_ready))
        .route("/v2/models/{name}/infer", post(v2_infer))
        .route(version, get(v2_metadata))
        .route(&format!("{version}/ready"), get(v2_ready))
        .route(&format!("{version}/infer"), post(v2_infer))
        .route("/v1/models/{name}", get(v1_status).post(v1_call))
        .route("/v1/models/{name}/metadata", get(v1_metadata))
        .route(
            "/v1/models/{name}/versions/{version}",
            get(v1_status).post(v1_call),
        )
        .route(
            "/v1/models/{name}/versions/{version}/metadata",
            get(v1_metadata),
        )
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .with_state(model)
}

/// The model and, where the path has one, the version.
#[derive(serde::Deserialize)]
struct Named {
    name: String,
    version: Option<String>,
}

impl Named {
    fn check_v2(&self, model: &Model) -> Result<(), Refusal> {
        if self.name != model.name() {
            let message = format!(
                "there is no model `{}` here; there is `{}`",
                self.name,
                model.name()
            );
            return Err(Refusal::not_found(message));
        }
        match self.version.as_deref() {
            None | Some(VERSION) => Ok(()),
            Some(version) => Err(Refusal::not_found(format!(
                "there is no version `{version}` of `{}`; there is `{VERSION}`",
                self.name
            ))),
        }
    }

    /// The answer that TensorFlow Serving's clients know.
    fn check_v1(&self, model: &Model) -> Result<(), Refusal> {
        let request = match self.version.as_deref() {
            None if self.name == model.name() => return Ok(()),
            Some(VERSION) if self.name == model.name() => return Ok(()),
            None => format!("Latest({})", self.name),
            Some(version) => format!("Specific({}, {version})", self.name),
        };
        let message = format!("Servable not found for request: {request}");
        Err(Refusal::not_found(message))
    }
}

fn body(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))
}

async fn v2_metadata(
    State(model): State<Model>,
    Path(named): Path<Named>,
) -> Result<Response, Refusal> {
    named.check_v2(&model)?;
    Ok(open_inference::model_metadata(&model).into_response())
}

async fn v2_ready(
    State(model): State<Model>,
    Path(named): Path<Named>,
) -> Result<Response, Refusal> {
    named.check_v2(&model)?;
    Ok(Json(json!({"name": named.name, "ready": true})).into_response())
}

async fn v2_infer(
    State(model): State<Model>,
    Path(named): Path<Named>,
    bytes: Body,
) -> Result<Response, Refusal> {
    named.check_v2(&model)?;
    Ok(open_inference::infer(&model, &body(bytes)?)
        .await?
        .into_response())
}

async fn v1_status(
    State(model): State<Model>,
    Path(named): Path<Named>,
) -> Result<Response, Refusal> {
    named.check_v1(&model)?;
    Ok(tensorflow::status().into_response())
}

async fn v1_metadata(
    State(model): State<Model>,
    Path(named): Path<Named>,
) -> Result<Response, Refusal> {
    named.check_v1(&model)?;
    Ok(tensorflow::metadata(&model).into_response())
}

/// `NAME:predict`, or `VERSION:predict`.
async fn v1_call(
    State(model): State<Model>,
    Path(mut named): Path<Named>,
    bytes: Body,
) -> Result<Response, Refusal> {
    let last = named.version.as_mut().unwrap_or(&mut named.name);
    let Some((subject, verb)) = last.rsplit_once(':') else {
        let message = "say what to do, as in `/v1/models/NAME:predict`";
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message));
    };
    let (subject, verb) = (subject.to_owned(), verb.to_owned());
    *last = subject;
    named.check_v1(&model)?;
    if !verb.eq_ignore_ascii_case("predict") {
        let message = format!("`{verb}` is not supported; this model answers `predict`");
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, message));
    }
    Ok(tensorflow::predict(&model, &body(bytes)?)
        .await?
        .into_response())
}

async fn not_found(uri: Uri) -> Refusal {
    Refusal::not_found(format!("there is nothing at `{}`", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    let message = format!("`{}` does not take {method}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
