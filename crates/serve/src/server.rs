//! Routes: paths and bodies in, answers of the protocols out.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::admission::{Admission, Admitted};
use crate::answer::{Json, Refusal, echo};
use crate::body::{self, BodyLimits, Encoding, Received, Sink};
use crate::connections::Connection;
use crate::encoded;
use crate::metrics::InFlight;
use crate::model::Model;
use crate::openapi;
use crate::pool::Pool;
use crate::protocol::{VERSION, open_inference, tensorflow};

/// What bounds the server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of a body, as sent and inflated.
    pub max_body_bytes: usize,
    /// The values of all requests that are served at a time.
    pub max_request_bytes: usize,
    /// How long a request waits for its share of that.
    pub patience: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// From a body's first piece to its last.
    pub body_total: Duration,
}

/// What all requests share.
#[derive(Debug)]
struct Shared {
    model: Model,
    pool: Pool,
    admission: Admission,
    body: BodyLimits,
    /// Once the server is asked to end.
    is_draining: Arc<AtomicBool>,
}

type App = Arc<Shared>;

impl Shared {
    /// Parses the rest of the body and computes: few rows on the thread that has parsed them, more of them in batches.
    async fn compute<S: Sink>(
        &self,
        received: Received<S>,
        parse: impl FnOnce(S) -> Result<Parsed, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let Self { model, pool, .. } = self;
        let here = model.clone();
        let parsed = pool.run(move || -> Result<_, Refusal> {
            let parsed = parse(received.finish()?)?;
            if Model::is_small(parsed.n_rows) {
                let scores = here.score_here(&parsed.values, parsed.n_rows)?;
                return Ok(ControlFlow::Break((parsed.encode)(&scores)?));
            }
            Ok(ControlFlow::Continue(parsed))
        });
        let Parsed {
            values,
            n_rows,
            encode,
        } = match parsed.await?? {
            ControlFlow::Continue(large) => large,
            ControlFlow::Break(answer) => return Ok(answer),
        };
        let scores = model.score(values, n_rows, pool).await?;
        pool.run(move || encode(&scores)).await?
    }
}

/// All routes of a server for `model`. Once `is_draining`, it is not ready, and each answer ends its connection.
pub fn router(
    model: Model,
    limits: Limits,
    is_draining: Arc<AtomicBool>,
) -> std::io::Result<Router> {
    let shared = Arc::new(Shared {
        model,
        pool: Pool::new()?,
        admission: Admission::new(limits.max_request_bytes, limits.patience),
        body: BodyLimits {
            max_bytes: limits.max_body_bytes,
            idle: limits.body_idle,
            total: limits.body_total,
        },
        is_draining,
    });
    let version = "/v2/models/{name}/versions/{version}";
    let label = "/v1/models/{name}/labels/{label}";
    let server = || async { open_inference::server_metadata() };
    Ok(Router::new()
        // KServe's clients ask here whether the server is there.
        .route("/", get(|| async { Json(json!({"status": "alive"})) }))
        .route("/openapi.json", get(describe))
        .route("/metrics", get(metrics))
        .route("/v2", get(server))
        .route("/v2/", get(server))
        .route(
            "/v2/health/live",
            get(|| async { Json(json!({"live": true})) }),
        )
        .route("/v2/health/ready", get(v2_server_ready))
        .route("/v2/models/stats", get(v2_statistics))
        .route("/v2/repository/index", post(v2_index))
        .route("/v2/models/{name}", get(v2_metadata))
        .route("/v2/models/{name}/ready", get(v2_ready))
        .route("/v2/models/{name}/config", get(v2_config))
        .route("/v2/models/{name}/stats", get(v2_model_statistics))
        .route("/v2/models/{name}/infer", post(v2_infer))
        .route(version, get(v2_metadata))
        .route(&format!("{version}/ready"), get(v2_ready))
        .route(&format!("{version}/config"), get(v2_config))
        .route(&format!("{version}/stats"), get(v2_model_statistics))
        .route(&format!("{version}/infer"), post(v2_infer))
        .route("/v1/models", get(v1_list))
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
        .route(label, get(v1_status).post(v1_call))
        .route(&format!("{label}/metadata"), get(v1_metadata))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), ending))
        .with_state(shared))
}

/// The model and, where the path has one, the version or its label.
#[derive(serde::Deserialize)]
struct Named {
    name: String,
    version: Option<String>,
    label: Option<String>,
}

impl Named {
    /// Where the verb stands in a call, as in `NAME:predict`.
    fn last_mut(&mut self) -> &mut String {
        let last = self.version.as_mut().or(self.label.as_mut());
        last.unwrap_or(&mut self.name)
    }

    fn check_v2(&self, model: &Model) -> Result<(), Refusal> {
        if self.name != model.name() {
            let message = format!(
                "there is no model `{}` here; there is `{}`",
                echo(&self.name),
                model.name()
            );
            return Err(Refusal::not_found(message));
        }
        match self.version.as_deref() {
            None | Some(VERSION) => Ok(()),
            Some(version) => Err(Refusal::not_found(format!(
                "there is no version `{}` of `{}`; there is `{VERSION}`",
                echo(version),
                self.name
            ))),
        }
    }

    /// The answer that TensorFlow Serving's clients know.
    fn check_v1(&self, model: &Model) -> Result<(), Refusal> {
        let is_here = self.name == model.name();
        let request = match (self.version.as_deref(), self.label.as_deref()) {
            (None | Some(VERSION), None | Some(tensorflow::LABEL)) if is_here => return Ok(()),
            (None, Some(label)) if is_here => {
                return Err(Refusal::not_found(format!(
                    "Unrecognized servable version label: {}",
                    echo(label)
                )));
            }
            (Some(version), _) => format!("Specific({}, {})", echo(&self.name), echo(version)),
            (None, _) => format!("Latest({})", echo(&self.name)),
        };
        let message = format!("Servable not found for request: {request}");
        Err(Refusal::not_found(message))
    }
}

/// While the server ends, each answer is the last of its connection.
async fn ending(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if app.is_draining.load(Ordering::Relaxed) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

async fn v2_server_ready(State(app): State<App>) -> Response {
    // Only a loaded model is ever listened for.
    let is_ready = !app.is_draining.load(Ordering::Relaxed);
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({"ready": is_ready}))).into_response()
}

async fn v2_metadata(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    named.check_v2(&app.model)?;
    Ok(open_inference::model_metadata(&app.model))
}

async fn v2_ready(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    named.check_v2(&app.model)?;
    Ok(Json(json!({"name": named.name, "ready": true})))
}

async fn v2_config(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    named.check_v2(&app.model)?;
    Ok(open_inference::config(&app.model))
}

async fn v2_statistics(State(app): State<App>) -> Json<Value> {
    open_inference::statistics(&app.model)
}

async fn v2_model_statistics(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    named.check_v2(&app.model)?;
    Ok(open_inference::statistics(&app.model))
}

async fn v2_index(State(app): State<App>) -> Json<Value> {
    open_inference::index(&app.model)
}

async fn describe(State(app): State<App>) -> Json<Value> {
    openapi::document(app.model.manifest(), app.body.max_bytes)
}

/// For Prometheus.
async fn metrics(State(app): State<App>) -> Response {
    let model = &app.model;
    let n_waiting = app.admission.n_waiting();
    let page = (model.metrics()).page(model.manifest(), model.digest(), n_waiting);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, kind)], page).into_response()
}

async fn v1_list(State(app): State<App>) -> Json<Value> {
    tensorflow::list(&app.model)
}

async fn v1_status(
    State(app): State<App>,
    Path(mut named): Path<Named>,
    method: Method,
    uri: Uri,
) -> Result<Json<Value>, Response> {
    if named.last_mut().contains(':') {
        return Err(method_not_allowed(method, uri).await);
    }
    let checked = named.check_v1(&app.model);
    checked.map_err(IntoResponse::into_response)?;
    Ok(tensorflow::status(&app.model))
}

async fn v1_metadata(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    named.check_v1(&app.model)?;
    Ok(tensorflow::metadata(&app.model))
}

async fn v2_infer(State(app): State<App>, Path(named): Path<Named>, request: Request) -> Response {
    let mut call = Call::begin(app, request);
    let outcome = infer(&mut call, &named).await;
    call.end(outcome).await
}

async fn infer(call: &mut Call, named: &Named) -> Result<Response, Refusal> {
    let app = Arc::clone(&call.app);
    named.check_v2(&app.model)?;
    let header_length = open_inference::header_length(&call.headers)?;
    let sink = open_inference::Inference::new(app.model.clone(), header_length);
    let received = call.receive(sink, header_length.is_some()).await?;
    let (model, encoding) = (app.model.clone(), call.accepted());
    app.compute(received, move |inference| {
        let open_inference::Rows {
            values,
            n_rows,
            wanted,
        } = inference.finish()?;
        let encode = move |scores: &[f32]| {
            let encoded = wanted.encode(&model, scores, n_rows)?;
            Ok(encoding.respond(encoded.body, encoded.header_length))
        };
        Ok(Parsed {
            values,
            n_rows,
            encode: Box::new(encode),
        })
    })
    .await
}

/// `NAME:predict`, or `VERSION:predict`, or `LABEL:predict`.
async fn v1_call(
    State(app): State<App>,
    Path(mut named): Path<Named>,
    request: Request,
) -> Response {
    if !named.last_mut().contains(':') {
        let message = "say what to do, as in `/v1/models/NAME:predict`";
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message);
        return ([(ALLOW, "GET,HEAD")], refusal).into_response();
    }
    let mut call = Call::begin(app, request);
    let outcome = predict(&mut call, named).await;
    call.end(outcome).await
}

async fn predict(call: &mut Call, mut named: Named) -> Result<Response, Refusal> {
    let app = Arc::clone(&call.app);
    let last = named.last_mut();
    let (subject, verb) = last.rsplit_once(':').unwrap_or((&**last, ""));
    let (subject, verb) = (subject.to_owned(), verb.to_owned());
    *last = subject;
    named.check_v1(&app.model)?;
    if !verb.eq_ignore_ascii_case("predict") {
        let message = format!(
            "`{}` is not supported; this model answers `predict`",
            echo(&verb)
        );
        return Err(Refusal::bad_request(message));
    }
    let received = call
        .receive(tensorflow::Prediction::default(), false)
        .await?;
    let encoding = call.accepted();
    let (model, n_outputs) = (app.model.clone(), app.model.manifest().output.n_elements());
    app.compute(received, move |prediction| {
        let tensorflow::Rows {
            values,
            n_rows,
            key,
        } = prediction.finish(&model)?;
        let encode = move |scores: &[f32]| {
            let predictions = tensorflow::Predictions {
                key,
                scores,
                n_outputs,
            };
            let body = serde_json::to_vec(&predictions).map_err(Refusal::internal)?;
            Ok(encoding.respond(body, None))
        };
        Ok(Parsed {
            values,
            n_rows,
            encode: Box::new(encode),
        })
    })
    .await
}

/// Makes the answer from the scores `[n_rows, n_outputs]`.
type Encode = Box<dyn FnOnce(&[f32]) -> Result<Response, Refusal> + Send>;

/// A request after its text has been read.
struct Parsed {
    values: Vec<f32>,
    n_rows: usize,
    encode: Encode,
}

/// A request with a body, from its first byte to its answer.
struct Call {
    app: App,
    connection: Option<Arc<Connection>>,
    headers: HeaderMap,
    body: Body,
    started: Instant,
    /// The share of the memory, held until the answer is made.
    admitted: Option<Admitted>,
    _in_flight: InFlight,
}

impl Call {
    fn begin(app: App, request: Request) -> Self {
        let (mut parts, body) = request.into_parts();
        Self {
            _in_flight: app.model.metrics().begin(),
            app,
            connection: parts.extensions.remove(),
            headers: parts.headers,
            body,
            started: Instant::now(),
            admitted: None,
        }
    }

    /// Waits for room and reads the body.
    async fn receive<S: Sink>(&mut self, sink: S, is_binary: bool) -> Result<Received<S>, Refusal> {
        let limits = self.app.body;
        let encoding = Encoding::of(&self.headers)?;
        let announced = body::announced(&self.headers, limits.max_bytes)?;
        let n_bytes = match (encoding, announced) {
            (Encoding::Identity, Some(n_bytes)) => n_bytes,
            // What it comes to is not known.
            _ => limits.max_bytes,
        };
        // A value takes four bytes, whatever it came as: in binary data one of UINT8, in a text at least a digit and a comma.
        let n_bytes = n_bytes.saturating_mul(if is_binary { 4 } else { 2 });
        self.admitted = Some(self.app.admission.admit(n_bytes).await?);
        let pool = &self.app.pool;
        let received = body::receive(&mut self.body, encoding, limits, pool, sink).await?;
        if let Some(connection) = &self.connection {
            connection.begin();
        }
        Ok(received)
    }

    fn accepted(&self) -> encoded::Accepted {
        encoded::Accepted::of(self.headers.get(ACCEPT_ENCODING))
    }

    /// The answer, or what it is refused by. A body that was not read to its end is then thrown away.
    async fn end(mut self, outcome: Result<Response, Refusal>) -> Response {
        self.admitted = None;
        let took = self.started.elapsed();
        let response = match outcome {
            Ok(response) => response,
            Err(refusal) => {
                if !self.body.is_end_stream() {
                    body::drain(&mut self.body, &self.headers).await;
                }
                refusal.into_response()
            }
        };
        let metrics = self.app.model.metrics();
        metrics.end(response.status(), took);
        if let Some(connection) = &self.connection {
            connection.end();
        }
        response
    }
}

impl encoded::Accepted {
    /// An answer with this body, of which `header_length` bytes are JSON where binary data follows.
    fn respond(self, body: Vec<u8>, header_length: Option<usize>) -> Response {
        let (body, encoding) = self.encode(body);
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        let content_type = match header_length {
            None => "application/json",
            Some(_) => "application/octet-stream",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(length) = header_length {
            headers.insert(open_inference::HEADER_LENGTH, HeaderValue::from(length));
        }
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

async fn not_found(uri: Uri) -> Refusal {
    Refusal::not_found(format!("there is nothing at `{}`", echo(uri.path())))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("`{}` does not take {method}", echo(uri.path()));
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message);
    // A call shares its route with what is asked by GET.
    if uri.path().contains(':') {
        return ([(ALLOW, "POST")], refusal).into_response();
    }
    refusal.into_response()
}
