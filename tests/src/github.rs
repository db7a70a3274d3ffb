//! A stateful stand-in for GitHub's REST API, for tests. What it asks and answers is checked by GitHub's own OpenAPI
//! description: Prism stands before it as a proxy.
//!
//! Repositories spring up when they are named, so each test takes a name of its own. `/_control/{owner}/{name}` says
//! what goes wrong there, and shows what was asked.

mod deployments;
mod faults;
mod releases;
mod shapes;
mod state;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

pub use faults::Fault;
use state::{Repositories, Repository};

/// Who writes with a person's token, and who with a workflow's.
const PERSON: &str = "ann";
const BOT: &str = "github-actions[bot]";

type Shared = Arc<Repositories>;
type Parameters = std::collections::BTreeMap<String, String>;

/// The API on `listener`, until the process ends.
pub async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    axum::serve(listener, router()).await
}

fn router() -> Router {
    let state: Shared = Arc::default();
    Router::new()
        .route("/_control/{owner}/{name}", get(history).post(control))
        .route("/repos/{owner}/{name}/{*rest}", axum::routing::any(answer))
        .route("/graphql", post(query))
        .route("/_blob/{owner}/{name}/{id}", get(blob))
        .route(
            "/user",
            get(|| async { json_answer(200, shapes::public_user(PERSON)) }),
        )
        .route("/health", post(|| async { "up" }).get(|| async { "up" }))
        .with_state(state)
}

/// What was asked of a repository, in order, and what is there.
async fn history(
    State(all): State<Shared>,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    all.with(&owner, &name, |repository| {
        json_answer(200, repository.describe())
    })
}

/// Adds faults, comments, commits and the like.
async fn control(
    State(all): State<Shared>,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Ok(instruction) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    all.with(&owner, &name, |repository| {
        match repository.prepare(&instruction) {
            Ok(answer) => json_answer(200, answer),
            Err(problem) => json_answer(400, json!({ "message": problem })),
        }
    })
}

/// Whose token it is: a person's, `ghs_of_<app>` for an App's, else the workflow's.
fn author_of(headers: &HeaderMap) -> String {
    let token = headers.get("authorization");
    let token = token
        .and_then(|token| token.to_str().ok())
        .unwrap_or_default();
    match token.split_once("ghs_of_") {
        Some((_, app)) => format!("{app}[bot]"),
        None if token.contains("ghp_") => PERSON.to_owned(),
        None => BOT.to_owned(),
    }
}

/// The storage that archives of artifacts lie in: another host, which never sees the token.
async fn blob(
    State(all): State<Shared>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Response {
    if headers.contains_key("authorization") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    all.with(&owner, &name, |repository| match repository.archive(id) {
        Some(archive) => archive.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// Where the archive of an artifact lies.
fn archive_location(headers: &HeaderMap, owner: &str, name: &str, id: &str) -> Response {
    // Another name of this machine than the API's, as GitHub's storage has another host.
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit(':').next())
        .unwrap_or_default();
    let location = format!("http://localhost:{port}/_blob/{owner}/{name}/{id}");
    (StatusCode::FOUND, [("location", location)]).into_response()
}

async fn answer(
    State(all): State<Shared>,
    Path((owner, name, rest)): Path<(String, String, String)>,
    Query(parameters): Query<Parameters>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = all.with(&owner, &name, |repository| {
        repository.note(&method, &uri);
        repository.next_fault(&method, &rest)
    });
    let carry_out = || {
        all.with(&owner, &name, |repository| {
            if !headers.contains_key("authorization") {
                return json_answer(401, json!({ "message": "Requires authentication", "documentation_url": "https://docs.github.com/rest" }));
            }
            if let Some(id) = rest
                .strip_prefix("actions/artifacts/")
                .and_then(|rest| rest.strip_suffix("/zip"))
            {
                return archive_location(&headers, &owner, &name, id);
            }
            if let Some(rest) = rest.strip_prefix("releases") {
                let host = headers.get("host").and_then(|host| host.to_str().ok());
                let host = format!("http://{}", host.unwrap_or_default());
                let rest: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
                let found =
                    repository.of_releases(&host, method.as_str(), &rest, &parameters, &body);
                return given(found);
            }
            let body = serde_json::from_slice(&body).unwrap_or_default();
            route(repository, &method, &rest, &parameters, &body, &author_of(&headers))
        })
    };
    match fault {
        None => carry_out(),
        Some(fault) => {
            if let Some(delay_ms) = fault.delay_ms {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            let done = (fault.status.is_none() || fault.is_carried_out).then(carry_out);
            match (fault.status, done) {
                (None, Some(done)) if fault.is_cut_off => cut_off(done).await,
                (None, Some(done)) => done,
                (Some(status), _) => fault.answer(status),
                (None, None) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    }
}

/// The one query that is asked of GitHub's GraphQL API, by its variables. That it fits GitHub's schema is tested elsewhere.
async fn query(State(all): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| {
        body["variables"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    if !headers.contains_key("authorization") {
        return json_answer(401, json!({ "message": "Requires authentication" }));
    }
    let viewer = json!({ "login": author_of(&headers) });
    if body["query"]
        .as_str()
        .is_some_and(|query| query.starts_with("query Viewer"))
    {
        return json_answer(200, json!({ "data": { "viewer": viewer } }));
    }
    all.with(&text("owner"), &text("name"), |repository| {
        repository.note(&Method::POST, &Uri::from_static("/graphql"));
        if let Some(fault) = repository.next_fault(&Method::POST, "graphql") {
            return match fault.status {
                Some(status) => fault.answer(status),
                None => json_answer(
                    200,
                    json!({ "errors": [{ "type": "FORBIDDEN", "message": fault.message }] }),
                ),
            };
        }
        let mut found = repository.checked_history(&body["variables"]);
        found["data"]["viewer"] = viewer;
        json_answer(200, found)
    })
}

/// Half of the answer, in a body that says it is whole.
async fn cut_off(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let mut half = Response::new(Body::from(bytes.slice(..bytes.len() / 2)));
    *half.status_mut() = parts.status;
    half.headers_mut().insert(
        "content-type",
        axum::http::HeaderValue::from_static("application/json; charset=utf-8"),
    );
    half
}

fn route(
    repository: &mut Repository,
    method: &Method,
    rest: &str,
    parameters: &Parameters,
    body: &Value,
    author: &str,
) -> Response {
    let parts: Vec<&str> = rest.split('/').collect();
    let found = match (method.as_str(), parts.as_slice()) {
        ("GET", ["issues", number, "comments"]) => {
            Ok((200, repository.comments(number, parameters)))
        }
        ("POST", ["issues", number, "comments"]) => repository.create_comment(number, body, author),
        ("GET", ["issues", "comments", id]) => repository.comment(id),
        ("PATCH", ["issues", "comments", id]) => repository.update_comment(id, body),
        ("DELETE", ["issues", "comments", id]) => repository.delete_comment(id),
        ("GET", ["issues"]) => Ok((200, repository.issues(parameters))),
        ("POST", ["issues"]) => repository.create_issue(body, author),
        ("PATCH", ["issues", number]) => repository.update_issue(number, body),
        ("GET", ["deployments"]) => Ok((200, repository.deployments().list(parameters))),
        ("POST", ["deployments"]) => repository.create_deployment(body, author),
        ("POST", ["deployments", id, "statuses"]) => {
            repository.add_deployment_status(id, body, author)
        }
        ("GET", ["commits"]) => repository.history(parameters),
        ("GET", ["compare", range]) => repository.compare(range),
        ("GET", ["check-runs", id]) => repository.check(id),
        ("GET", ["actions", "workflows", _, "runs"]) => {
            Ok((200, repository.workflow_runs(parameters)))
        }
        ("GET", ["actions", "runs", id, "artifacts"]) => {
            Ok((200, repository.artifacts(id, parameters)))
        }
        ("GET", ["tags"]) => Ok((200, repository.tags(parameters))),
        ("GET", ["pulls"]) => Ok((200, repository.pulls(parameters))),
        ("GET", ["pulls", number]) => repository.pull(number),
        ("GET", ["collaborators", login, "permission"]) => Ok((200, repository.permission(login))),
        ("GET", ["contents", path @ ..]) => repository.file(&path.join("/"), parameters),
        ("GET", ["commits", sha, "comments"]) => {
            Ok((200, repository.commit_comments(sha, parameters)))
        }
        ("POST", ["issues", "comments", id, "reactions"] | ["comments", id, "reactions"]) => {
            Ok((201, repository.react(id, body, author)))
        }
        ("POST", ["actions", "runs", id, "rerun-failed-jobs"]) => Ok((201, repository.rerun(id))),
        ("GET", ["commits", sha, "pulls"]) => Ok((200, repository.pulls_of(sha))),
        ("POST", ["attestations"]) => repository.attest(body),
        ("POST", ["check-runs"]) => repository.create_check(body, author),
        ("PATCH", ["check-runs", id]) => repository.update_check(id, body),
        ("GET", ["commits", sha, "check-runs"]) => Ok((200, repository.checks_of(sha, parameters))),
        _ => Err((404, "Not Found".to_owned())),
    };
    given(found)
}

/// What was found, or why nothing was, as GitHub answers it.
fn given(found: state::Answer) -> Response {
    match found {
        Ok((204, _)) => StatusCode::NO_CONTENT.into_response(),
        Ok((status, value)) => json_answer(status, value),
        Err((status, message)) => json_answer(
            status,
            json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() }),
        ),
    }
}

fn json_answer(status: u16, value: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [("content-type", "application/json; charset=utf-8")],
        value.to_string(),
    )
        .into_response()
}
