//! The API server: requests by path, made again while that may help.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::config::{Config, KubeConfigOptions};
use serde_json::Value;
use trainyard_net::{Jitter, RetryPolicy, Trouble, encode, in_one_line, retry_after};

/// What is behind an error of the client.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The name under which fields of objects are ours.
pub(crate) const FIELD_MANAGER: &str = "trainyard";

/// How a cluster is found.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Context of the kubeconfig; by default the current one.
    pub context: Option<String>,
    /// Namespace; by default that of the context.
    pub namespace: Option<String>,
}

/// A namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    retry: RetryPolicy,
}

/// Why the API server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No kubeconfig, and not in a cluster.
    #[error("no cluster is configured")]
    NotConfigured(#[source] Cause),
    /// Fields belong to others.
    #[error("{object} has fields that others manage: {message}")]
    Conflict {
        /// Kind and name.
        object: String,
        /// The API server's words, which name managers and fields.
        message: String,
    },
    /// It answered that it will not.
    #[error("the cluster refuses to {doing} ({status}): {message}")]
    Refused {
        /// What was asked for.
        doing: String,
        /// HTTP status.
        status: u16,
        /// The API server's words.
        message: String,
    },
    /// It did not answer.
    #[error("the cluster did not answer the request to {doing}")]
    Unreachable {
        /// What was asked for.
        doing: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Pods would be compared with themselves.
    #[error("both selectors choose the same pods")]
    Overlap,
    /// An object that would be replaced or removed belongs to others.
    #[error("{object} is there and was not made by `trainyard-deploy` for this name")]
    Foreign {
        /// Kind and name.
        object: String,
    },
    /// Another deployment took over meanwhile.
    #[error("another deployment took over: {0}")]
    Superseded(String),
    /// It answered something else than an object.
    #[error("the cluster's answer to the request to {doing} cannot be read: {message}")]
    Unreadable {
        /// What was asked for.
        doing: String,
        /// Why.
        message: String,
    },
}

impl ClusterError {
    /// The HTTP status, where there was one.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Conflict { .. } => Some(409),
            _ => None,
        }
    }

    /// Whether the server may be there again later.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => is_transient(*status),
            _ => false,
        }
    }
}

const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// A kind of objects in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `v1`, `apps/v1`.
    pub(crate) api_version: &'static str,
    /// `Deployment`.
    pub(crate) name: &'static str,
    /// `deployments`.
    pub(crate) plural: &'static str,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Apply {
    /// Nothing is stored.
    pub(crate) is_dry_run: bool,
    /// Fields of others become ours.
    pub(crate) is_forced: bool,
}

impl Apply {
    /// For good, over fields of others.
    pub(crate) const FORCED: Self = Self {
        is_dry_run: false,
        is_forced: true,
    };
}

impl Cluster {
    /// Reads the kubeconfig that `KUBECONFIG` names, or the usual one, or the credentials of a pod.
    pub async fn connect(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let not_configured = |error: kube::Error| ClusterError::NotConfigured(error.into());
        let mut config = match &options.context {
            None => Config::infer()
                .await
                .map_err(|error| ClusterError::NotConfigured(error.into()))?,
            Some(context) => {
                let named = KubeConfigOptions {
                    context: Some(context.clone()),
                    ..KubeConfigOptions::default()
                };
                Config::from_kubeconfig(&named)
                    .await
                    .map_err(|error| ClusterError::NotConfigured(error.into()))?
            }
        };
        // Requests are made again here, and a wait is bounded.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = Some(Duration::from_mins(1));
        let namespace = options.namespace.clone();
        Ok(Self {
            namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
            client: Client::try_from(config).map_err(not_configured)?,
            retry: RetryPolicy {
                n_attempts: 8,
                first_delay: Duration::from_millis(250),
                max_delay: Duration::from_secs(10),
                deadline: Duration::from_mins(1),
            },
        })
    }

    /// The namespace that objects are in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn path(&self, kind: Kind, name: &str) -> String {
        let root = match kind.api_version.contains('/') {
            true => "/apis",
            false => "/api",
        };
        let name = match name {
            "" => String::new(),
            name => format!("/{}", encode(name)),
        };
        format!(
            "{root}/{}/namespaces/{}/{}{name}",
            kind.api_version,
            encode(&self.namespace),
            kind.plural
        )
    }

    /// The object, if there is one.
    pub(crate) async fn get(&self, kind: Kind, name: &str) -> Result<Option<Value>, ClusterError> {
        let path = self.path(kind, name);
        let doing = format!("read {kind} `{name}`");
        absent(self.json(Method::GET, &path, None, &doing).await)
    }

    /// The objects that a label selector chooses.
    pub(crate) async fn list(
        &self,
        kind: Kind,
        selector: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let path = format!("{}?labelSelector={}", self.path(kind, ""), encode(selector));
        let doing = format!("list {}", kind.plural);
        let mut list = self.json(Method::GET, &path, None, &doing).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(ClusterError::Unreadable {
                doing,
                message: "it is not a list".to_owned(),
            }),
        }
    }

    /// Applies an object, server-side: the fields that it names become ours, others stay. Returns it as it is then.
    pub(crate) async fn apply(
        &self,
        kind: Kind,
        object: &Value,
        how: Apply,
    ) -> Result<Value, ClusterError> {
        self.apply_as(FIELD_MANAGER, kind, object, how).await
    }

    /// The same for another manager of fields.
    pub(crate) async fn apply_as(
        &self,
        manager: &str,
        kind: Kind,
        object: &Value,
        how: Apply,
    ) -> Result<Value, ClusterError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.expect("every object of ours has a name");
        // Servers before 1.25 pass over `fieldValidation`.
        let mut path = format!(
            "{}?fieldManager={manager}&fieldValidation=Strict",
            self.path(kind, name)
        );
        if how.is_dry_run {
            path += "&dryRun=All";
        }
        if how.is_forced {
            path += "&force=true";
        }
        let doing = format!("apply {kind} `{name}`");
        let done = self.json(Method::PATCH, &path, Some(object), &doing).await;
        done.map_err(|error| match error {
            ClusterError::Refused {
                status: 409,
                message,
                ..
            } => ClusterError::Conflict {
                object: format!("{kind} `{name}`"),
                message,
            },
            error => error,
        })
    }

    /// Writes an object back under its `resourceVersion`.
    pub(crate) async fn replace(&self, kind: Kind, object: &Value) -> Result<Value, ClusterError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let path = format!("{}?fieldManager={FIELD_MANAGER}", self.path(kind, name));
        let doing = format!("replace {kind} `{name}`");
        self.json(Method::PUT, &path, Some(object), &doing).await
    }

    /// Removes an object and what belongs to it. `false` where there was none.
    pub(crate) async fn delete(&self, kind: Kind, name: &str) -> Result<bool, ClusterError> {
        let path = format!("{}?propagationPolicy=Background", self.path(kind, name));
        let doing = format!("delete {kind} `{name}`");
        Ok(absent(self.json(Method::DELETE, &path, None, &doing).await)?.is_some())
    }

    /// Groups and versions of the API, such as `policy/v1`.
    pub(crate) async fn versions(&self) -> Result<Vec<String>, ClusterError> {
        let groups = self
            .json(Method::GET, "/apis", None, "list the groups of the API")
            .await?;
        let groups = groups["groups"].as_array().cloned().unwrap_or_default();
        let versions = groups
            .iter()
            .flat_map(|group| group["versions"].as_array().cloned().unwrap_or_default());
        Ok(versions
            .filter_map(|version| Some(version["groupVersion"].as_str()?.to_owned()))
            .collect())
    }

    /// What a pod answers on a path, through the API server.
    pub(crate) async fn ask_pod(
        &self,
        pod: &str,
        port: u16,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, ClusterError> {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}:{port}/proxy{path}",
            encode(&self.namespace),
            encode(pod)
        );
        let doing = format!("ask the pod `{pod}`");
        // Metrics are read again anyway.
        let (method, n_attempts) = match body {
            Some(_) => (Method::POST, self.retry.n_attempts),
            None => (Method::GET, 2),
        };
        let asked = Self {
            retry: RetryPolicy {
                n_attempts,
                ..self.retry
            },
            ..self.clone()
        };
        asked.text(method, &path, body, &doing).await
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Value, ClusterError> {
        let text = self.text(method, path, body, doing).await?;
        serde_json::from_str(&text).map_err(|error| ClusterError::Unreadable {
            doing: doing.to_owned(),
            message: error.to_string(),
        })
    }

    /// Every request may be repeated: applying and deleting twice come to the same.
    async fn text(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<String, ClusterError> {
        let attempt = async || {
            let content_type = match method {
                Method::PATCH => "application/apply-patch+yaml",
                _ => "application/json",
            };
            let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
            let request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header("content-type", content_type)
                .body(bytes)
                .expect("paths of ours are encoded");
            let unreachable = |source: Cause| {
                Trouble::transient(ClusterError::Unreachable {
                    doing: doing.to_owned(),
                    source,
                })
            };
            let answer = self.client.send(request.map(Into::into)).await;
            let answer = answer.map_err(|error| unreachable(error.into()))?;
            let (status, retry_after) = (
                answer.status(),
                retry_after(answer.headers(), SystemTime::now()),
            );
            let body = answer.into_body().collect().await;
            let body = body.map_err(|error| unreachable(error.into()))?.to_bytes();
            let text = String::from_utf8_lossy(&body).into_owned();
            if status.is_success() {
                return Ok(text);
            }
            let refused = ClusterError::Refused {
                doing: doing.to_owned(),
                status: status.as_u16(),
                message: message(&text),
            };
            Err(match is_transient(status.as_u16()) {
                true => Trouble::Transient {
                    error: refused,
                    retry_after,
                },
                false => Trouble::Permanent(refused),
            })
        };
        let done = self.retry.run(Jitter::default(), attempt, |retrying| {
            tracing::warn!(
                "{}; another attempt in {:.1} s",
                in_one_line(retrying.error),
                retrying.wait.as_secs_f64()
            );
        });
        done.await.map_err(|given_up| given_up.error)
    }
}

/// `None` where the object is not there.
fn absent(answer: Result<Value, ClusterError>) -> Result<Option<Value>, ClusterError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What an answer that is an error says: a `Status` of the API server, the `error` of our server, else the text.
fn message(text: &str) -> String {
    let object: Option<Value> = serde_json::from_str(text).ok();
    let said = object.as_ref().and_then(|it| {
        let of_api = (it["kind"] == "Status").then(|| it["message"].as_str());
        of_api.flatten().or_else(|| it["error"].as_str())
    });
    let short: String = said.unwrap_or(text).trim().chars().take(2000).collect();
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_error_are_found() {
        assert_eq!(
            message(r#"{"kind":"Status","message":"no such pod"}"#),
            "no such pod"
        );
        assert_eq!(message(r#"{"error":"wrong shape"}"#), "wrong shape");
        assert_eq!(message("<h1>Bad gateway</h1>\n"), "<h1>Bad gateway</h1>");
    }
}
