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
use tokio::sync::oneshot;
use trainyard_core::report::Assessment;

use crate::access::{Access, Computed, RequestId};
use crate::admission::{Admission, Admitted};
use crate::answer::{Json, Refusal, echo};
use crate::auth::{self, Keys};
use crate::batch::Waiting;
use crate::body::{self, BodyLimits, Encoding, Received, Sink};
use crate::connections::Connection;
use crate::encoded;
use crate::metrics::{self, InFlight};
use crate::model::Model;
use crate::openapi;
use crate::page;
use crate::pool::{Pool, panicked};
use crate::protocol::{open_inference, tensorflow};
use crate::reload::Served;
use crate::repository::{Missing, Repository};
use crate::sample::{Sample, Sampling};

/// What bounds the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of a body, as sent and inflated.
    pub(crate) max_body_bytes: usize,
    /// The values of all requests that are served at a time.
    pub(crate) max_request_bytes: usize,
    /// How long a request waits for its share of that.
    pub(crate) patience: Duration,
    /// Between two pieces of a body.
    pub(crate) body_idle: Duration,
    /// From a body's first piece to its last.
    pub(crate) body_total: Duration,
}

/// Whom and what the server answers, beside [`Limits`].
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) models: Served,
    pub(crate) keys: Keys,
    /// Whether clients must show a certificate.
    pub(crate) asks_clients: bool,
    pub(crate) access: Access,
    pub(crate) sampling: Sampling,
    /// Of the image's model.
    pub(crate) assessment: Option<Assessment>,
    /// Once the server is asked to end.
    pub(crate) is_draining: Arc<AtomicBool>,
}

/// What all requests share.
#[derive(Debug)]
struct Shared {
    serving: Serving,
    pool: Pool,
    admission: Admission,
    body: BodyLimits,
}

type App = Arc<Shared>;

impl Shared {
    fn repository(&self) -> Arc<Repository> {
        self.serving.models.now()
    }

    fn is_draining(&self) -> bool {
        self.serving.is_draining.load(Ordering::Relaxed)
    }

    /// Parses the rest of the body and computes: few rows together with those of other requests, more of them in batches.
    async fn compute<S: Sink>(
        self: &Arc<Self>,
        request_id: Option<HeaderValue>,
        model: &Model,
        received: Received<S>,
        parse: impl FnOnce(S) -> Result<Parsed, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let pool = &self.pool;
        let (done, outcome) = oneshot::channel();
        let (its_model, its_pool) = (model.clone(), pool.clone());
        let app = Arc::clone(self);
        pool.submit(move || {
            if done.is_closed() {
                return;
            }
            let parsed = received.finish().and_then(parse).map(|parsed| {
                let sampling = &app.serving.sampling;
                let (values, n_rows) = (&parsed.values, parsed.n_rows);
                let sample = sampling.draw(&its_model, request_id.as_ref(), values, n_rows);
                parsed.told(its_model.clone(), sample)
            });
            match parsed {
                Err(refusal) => drop(done.send(Err(refusal))),
                Ok(parsed) if Model::is_small(parsed.n_rows) => {
                    let deliver = |scores: Result<&[f32], Refusal>| {
                        let answer = scores.and_then(parsed.encode);
                        let _ = done.send(answer.map(ControlFlow::Break));
                    };
                    let request = Waiting {
                        values: parsed.values,
                        n_rows: parsed.n_rows,
                        deliver: Box::new(deliver),
                    };
                    its_model.score_small(request, &its_pool);
                }
                Ok(large) => drop(done.send(Ok(ControlFlow::Continue(large)))),
            }
        })?;
        let large = match outcome.await.map_err(panicked)?? {
            ControlFlow::Continue(large) => large,
            ControlFlow::Break(answer) => return Ok(answer),
        };
        let scores = model.score_large(large.values, large.n_rows, pool).await?;
        pool.run(move || (large.encode)(&scores)).await?
    }
}

/// All routes of a server. Once it is draining, it is not ready, and each answer ends its connection.
pub(crate) fn router(serving: Serving, limits: Limits) -> std::io::Result<Router> {
    let shared = Arc::new(Shared {
        serving,
        pool: Pool::new()?,
        admission: Admission::new(limits.max_request_bytes, limits.patience),
        body: BodyLimits {
            max_bytes: limits.max_body_bytes,
            idle: limits.body_idle,
            total: limits.body_total,
        },
    });
    let version = "/v2/models/{name}/versions/{version}";
    let label = "/v1/models/{name}/labels/{label}";
    let server = || async { open_inference::server_metadata() };
    Ok(Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { page::root(&headers) }),
        )
        .route("/models.json", get(shown_models))
        .route("/openapi.json", get(describe))
        .route("/metrics", get(metrics_page))
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
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), around))
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

    fn find<'a>(&self, repository: &'a Repository) -> Result<&'a Model, Missing> {
        repository.find(&self.name, self.version.as_deref(), self.label.as_deref())
    }

    fn v2(&self, repository: &Repository) -> Result<Model, Refusal> {
        let missing = match self.find(repository) {
            Ok(model) => return Ok(model.clone()),
            Err(missing) => missing,
        };
        let version = self.version.as_deref().unwrap_or_default();
        let message = match missing {
            Missing::Model => format!(
                "there is no model `{}` here; there is {}",
                echo(&self.name),
                listed(repository.names())
            ),
            Missing::Version | Missing::Label => format!(
                "there is no version `{}` of `{}`; there is {}",
                echo(version),
                self.name,
                listed(
                    repository
                        .versions(&self.name)
                        .into_iter()
                        .map(Model::version)
                )
            ),
        };
        Err(Refusal::not_found(message))
    }

    /// The answer that TensorFlow Serving's clients know.
    fn v1(&self, repository: &Repository) -> Result<Model, Refusal> {
        let missing = match self.find(repository) {
            Ok(model) => return Ok(model.clone()),
            Err(missing) => missing,
        };
        let message = match (missing, &self.version, &self.label) {
            (Missing::Label, _, Some(label)) => {
                format!("Unrecognized servable version label: {}", echo(label))
            }
            (_, Some(version), _) => format!(
                "Servable not found for request: Specific({}, {})",
                echo(&self.name),
                echo(version)
            ),
            _ => format!(
                "Servable not found for request: Latest({})",
                echo(&self.name)
            ),
        };
        Err(Refusal::not_found(message))
    }
}

/// "`a`, `b`", of which many are cut.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    echo(&names.join(", "))
}

/// What is done for every request: its key is looked at, its answer logged and counted. While the server ends, each answer is the last of
/// its connection.
async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Serving { keys, access, .. } = &app.serving;
    let asks_clients = app.serving.asks_clients;
    let connection = request.extensions().get::<Arc<Connection>>();
    let client = connection.map(|it| it.client());
    let is_certified = connection.is_some_and(|it| it.is_certified());
    let seen = access.begin(request.method(), request.uri(), request.headers(), client);
    request.extensions_mut().insert(seen.id());
    let path = request.uri().path();
    let allowed = if asks_clients {
        auth::check_certificate(path, is_certified)
    } else {
        Ok(())
    };
    let allowed = allowed.and_then(|()| keys.check(path, request.headers()));
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            // The client sends all of it before it listens.
            let (parts, mut body) = request.into_parts();
            body::drain(&mut body, &parts.headers).await;
            refusal.into_response()
        }
    };
    if app.is_draining() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    access.end(seen, &mut response);
    response
}

async fn v2_server_ready(State(app): State<App>) -> Response {
    // Only loaded models are ever listened for.
    let is_ready = !app.is_draining();
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
    let repository = app.repository();
    let model = named.v2(&repository)?;
    let versions = repository.versions(&named.name);
    Ok(open_inference::model_metadata(&model, &versions))
}

async fn v2_ready(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    named.v2(&app.repository())?;
    Ok(Json(json!({"name": named.name, "ready": true})))
}

async fn v2_config(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    Ok(open_inference::config(&named.v2(&app.repository())?))
}

async fn v2_statistics(State(app): State<App>) -> Json<Value> {
    let repository = app.repository();
    let models: Vec<&Model> = repository.models().collect();
    open_inference::statistics(&models)
}

async fn v2_model_statistics(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    let repository = app.repository();
    let model = named.v2(&repository)?;
    let models = match named.version {
        Some(_) => vec![&model],
        None => repository.versions(&named.name),
    };
    Ok(open_inference::statistics(&models))
}

async fn v2_index(State(app): State<App>) -> Json<Value> {
    open_inference::index(&app.repository())
}

/// For the page at `/`.
async fn shown_models(State(app): State<App>) -> Response {
    page::models(&app.repository(), app.serving.assessment.as_ref())
}

async fn describe(State(app): State<App>) -> Json<Value> {
    openapi::document(&app.repository(), app.body.max_bytes)
}

/// For Prometheus.
async fn metrics_page(State(app): State<App>) -> Response {
    let repository = app.repository();
    let models: Vec<&Model> = repository.models().collect();
    let responses = app.serving.access.responses();
    let state = metrics::page::State {
        is_ready: !app.is_draining(),
        n_waiting: app.admission.n_waiting(),
        responses,
    };
    let page = metrics::page::write(&models, &state);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, kind)], page).into_response()
}

async fn v1_list(State(app): State<App>) -> Json<Value> {
    tensorflow::list(&app.repository())
}

async fn v1_status(
    State(app): State<App>,
    Path(mut named): Path<Named>,
    method: Method,
    uri: Uri,
) -> Response {
    if named.last_mut().contains(':') {
        return method_not_allowed(method, uri).await;
    }
    status_of(&app.repository(), &named).into_response()
}

fn status_of(repository: &Repository, named: &Named) -> Result<Json<Value>, Refusal> {
    let model = named.v1(repository)?;
    let models = if named.version.is_some() || named.label.is_some() {
        vec![&model]
    } else {
        repository.versions(&named.name)
    };
    Ok(tensorflow::status(&named.name, &models))
}

async fn v1_metadata(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Json<Value>, Refusal> {
    Ok(tensorflow::metadata(&named.v1(&app.repository())?))
}

async fn v2_infer(State(app): State<App>, Path(named): Path<Named>, request: Request) -> Response {
    let mut call = Call::begin(app, request);
    let outcome = infer(&mut call, &named).await;
    call.end(outcome).await
}

async fn infer(call: &mut Call, named: &Named) -> Result<Response, Refusal> {
    let app = Arc::clone(&call.app);
    let model = call.of(named.v2(&app.repository())?);
    let header_length = open_inference::header_length(&call.headers)?;
    let sink = open_inference::Inference::new(model.clone(), header_length);
    let received = call.receive(sink, header_length.is_some()).await?;
    let (its_model, encoding) = (model.clone(), call.accepted());
    app.compute(call.request_id.take(), &model, received, move |inference| {
        let open_inference::Rows {
            values,
            n_rows,
            wanted,
        } = inference.finish()?;
        let encode = move |scores: &[f32]| {
            let encoded = wanted.encode(&its_model, scores, n_rows)?;
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
    let model = call.of(named.v1(&app.repository())?);
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
    let its_model = model.clone();
    app.compute(
        call.request_id.take(),
        &model,
        received,
        move |prediction| {
            let tensorflow::Rows {
                values,
                n_rows,
                key,
            } = prediction.finish(&its_model)?;
            let encode = move |scores: &[f32]| {
                let predictions = tensorflow::Predictions {
                    key,
                    scores,
                    n_outputs: its_model.n_outputs(),
                };
                let body = serde_json::to_vec(&predictions).map_err(Refusal::internal)?;
                Ok(encoding.respond(body, None))
            };
            Ok(Parsed {
                values,
                n_rows,
                encode: Box::new(encode),
            })
        },
    )
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

impl Parsed {
    /// The same, whose answer says what it was computed from, and whose scores are logged where it is one of the sample.
    fn told(self, model: Model, sample: Option<Sample>) -> Self {
        let Self {
            values,
            n_rows,
            encode,
        } = self;
        let encode = move |scores: &[f32]| {
            if let Some(sample) = sample {
                sample.log(scores);
            }
            let mut response = encode(scores)?;
            response.extensions_mut().insert(Computed { model, n_rows });
            Ok(response)
        };
        Self {
            values,
            n_rows,
            encode: Box::new(encode),
        }
    }
}

/// A request with a body, from its first byte to its answer.
struct Call {
    app: App,
    connection: Option<Arc<Connection>>,
    request_id: Option<HeaderValue>,
    headers: HeaderMap,
    body: Body,
    started: Instant,
    /// The share of the memory, held until the answer is made.
    admitted: Option<Admitted>,
    /// Whom it counts for, once that is known.
    counted: Option<(Model, InFlight)>,
}

impl Call {
    fn begin(app: App, request: Request) -> Self {
        let (mut parts, body) = request.into_parts();
        Self {
            app,
            connection: parts.extensions.remove(),
            request_id: parts.extensions.remove().map(|RequestId(id)| id),
            headers: parts.headers,
            body,
            started: Instant::now(),
            admitted: None,
            counted: None,
        }
    }

    /// It is a request for `model`, which is given back.
    fn of(&mut self, model: Model) -> Model {
        let in_flight = model.metrics().begin();
        self.counted = Some((model.clone(), in_flight));
        model
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
        let n_values_bytes = n_bytes.saturating_mul(if is_binary { 4 } else { 2 });
        let n_bytes = n_values_bytes.saturating_add(n_bytes.min(body::PIECES_BYTES));
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
        if let Some((model, _)) = &self.counted {
            model.metrics().end(response.status(), took);
        }
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
