//! The objects of an app, as typed values.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::autoscaling::v1 as autoscaling_v1;
use k8s_openapi::api::autoscaling::v2 as autoscaling_v2;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, LocalObjectReference, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, Service,
    ServicePort, ServiceSpec,
};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::Value;
use trainyard_core::config::DeployConfig;

use crate::cluster::{Cluster, ClusterError, Kind};

pub(crate) const DEPLOYMENT: Kind = Kind {
    api_version: "apps/v1",
    name: "Deployment",
    plural: "deployments",
};
pub(crate) const SERVICE: Kind = Kind {
    api_version: "v1",
    name: "Service",
    plural: "services",
};
pub(crate) const POD: Kind = Kind {
    api_version: "v1",
    name: "Pod",
    plural: "pods",
};
const NETWORK_POLICY: Kind = Kind {
    api_version: "networking.k8s.io/v1",
    name: "NetworkPolicy",
    plural: "networkpolicies",
};
const DISRUPTION_BUDGET: Kind = Kind {
    api_version: "policy/v1",
    name: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
};
pub(crate) const AUTOSCALER_V2: Kind = Kind {
    api_version: "autoscaling/v2",
    name: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
};
pub(crate) const AUTOSCALER_V1: Kind = Kind {
    api_version: "autoscaling/v1",
    ..AUTOSCALER_V2
};

/// Label that tells the canary's pods from the stable ones.
pub(crate) const TRACK: &str = "trainyard.dev/track";

/// Annotation of pods: digest of the model.
pub(crate) const MODEL_DIGEST: &str = "trainyard.dev/model-digest";

/// User of the image, who is not root.
const USER: i64 = 65_532;

/// What is deployed, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Name of the objects.
    pub name: String,
    /// Namespace of the objects.
    pub namespace: String,
    /// The image by digest.
    pub image: String,
    /// Port of the server in the container.
    pub port: u16,
    /// `[deploy]`.
    pub config: DeployConfig,
    /// Annotations of the pods that say what runs: digests of model and verdict, commit.
    pub provenance: BTreeMap<String, String>,
}

/// Which pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// Those that serve.
    Stable,
    /// Those that prove themselves.
    Canary,
}

/// An object that is to be in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub(crate) kind: Kind,
    pub(crate) value: Value,
}

/// Versions of the API that objects may be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// `autoscaling/v2`, else `v1`.
    pub has_autoscaling_v2: bool,
    /// `policy/v1`.
    pub has_policy_v1: bool,
}

/// The image that a Deployment runs.
pub(crate) fn image_of(deployment: &Value) -> Option<&str> {
    deployment
        .pointer("/spec/template/spec/containers/0/image")?
        .as_str()
}

impl Offered {
    /// Of a cluster since 1.25.
    pub const CURRENT: Self = Self {
        has_autoscaling_v2: true,
        has_policy_v1: true,
    };

    /// What this cluster offers.
    pub async fn by(cluster: &Cluster) -> Result<Self, ClusterError> {
        let versions = cluster.versions().await?;
        let has = |wanted: &str| versions.iter().any(|version| version == wanted);
        Ok(Self {
            has_autoscaling_v2: has(AUTOSCALER_V2.api_version),
            has_policy_v1: has(DISRUPTION_BUDGET.api_version),
        })
    }
}

impl Track {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }
}

impl Manifest {
    fn of<T: Serialize>(kind: Kind, object: &T) -> Self {
        Self {
            kind,
            value: serde_json::to_value(object).expect("objects of the API are JSON"),
        }
    }

    /// Kind of the object.
    pub const fn kind(&self) -> &'static str {
        self.kind.name
    }

    /// The object.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        let name = self.value.pointer("/metadata/name");
        name.and_then(Value::as_str)
            .expect("every object of ours has a name")
    }
}

impl App {
    /// Everything but the Deployment: what receives, limits and scales its pods.
    pub fn surroundings(&self, offered: Offered) -> Vec<Manifest> {
        // Where a route splits the traffic, each track has a Service of its own.
        let track = self.route().map(|_| Track::Stable);
        let mut all = vec![self.service(self.name.clone(), track)];
        if self.config.network_policy {
            all.push(self.network_policy());
        }
        if let Some(n) = self.config.min_available {
            all.push(self.disruption_budget(n, offered));
        }
        if self.config.autoscale.is_some() {
            all.push(match offered.has_autoscaling_v2 {
                true => self.autoscaler_v2(),
                false => self.autoscaler_v1(),
            });
        }
        all
    }

    /// Everything, as it is once the image is rolled out, in the order in which it is applied.
    pub fn manifests(&self, offered: Offered) -> Vec<Manifest> {
        let replicas = self
            .config
            .autoscale
            .is_none()
            .then_some(self.config.replicas);
        let mut all = self.surroundings(offered);
        all.insert(0, self.deployment(Track::Stable, replicas));
        all
    }

    /// Name of the Deployment of a track.
    pub fn deployment_name(&self, track: Track) -> String {
        match track {
            Track::Stable => self.name.clone(),
            Track::Canary => format!("{}-canary", self.name),
        }
    }

    /// What selects the pods of a track.
    pub fn selector(&self, track: Track) -> String {
        let labels = self.selecting(Some(track));
        let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    }

    fn selecting(&self, track: Option<Track>) -> BTreeMap<String, String> {
        let mut labels: BTreeMap<String, String> = [
            ("app.kubernetes.io/name", "trainyard-serve"),
            ("app.kubernetes.io/instance", &self.name),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        if let Some(track) = track {
            labels.insert(TRACK.to_owned(), track.label().to_owned());
        }
        labels
    }

    fn labels(&self, track: Option<Track>) -> BTreeMap<String, String> {
        let mut labels = self.config.labels.clone();
        labels.extend(
            [
                ("app.kubernetes.io/component", "model-server"),
                ("app.kubernetes.io/managed-by", "trainyard"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        // Last, so that no further label takes a selector's place.
        labels.extend(self.selecting(track));
        labels
    }

    fn metadata(&self, name: String, track: Option<Track>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(track)),
            ..ObjectMeta::default()
        }
    }

    /// The Deployment of a track; without a number of pods where something else scales it.
    pub fn deployment(&self, track: Track, replicas: Option<u32>) -> Manifest {
        let seconds = |seconds: u32| Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        let mut annotations = self.config.annotations.clone();
        annotations.extend(
            [
                ("prometheus.io/scrape", "true".to_owned()),
                ("prometheus.io/port", self.port.to_string()),
                ("prometheus.io/path", "/metrics".to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        annotations.extend(self.provenance.clone());
        let deployment = Deployment {
            metadata: self.metadata(self.deployment_name(track), Some(track)),
            spec: Some(DeploymentSpec {
                replicas: replicas.map(|n| i32::try_from(n).unwrap_or(i32::MAX)),
                progress_deadline_seconds: seconds(self.config.timeout_s),
                revision_history_limit: Some(5),
                selector: LabelSelector {
                    match_labels: Some(self.selecting(Some(track))),
                    ..LabelSelector::default()
                },
                strategy: Some(DeploymentStrategy {
                    type_: Some("RollingUpdate".to_owned()),
                    rolling_update: Some(RollingUpdateDeployment {
                        max_surge: Some(IntOrString::Int(1)),
                        max_unavailable: Some(IntOrString::Int(0)),
                    }),
                }),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta {
                        annotations: Some(annotations),
                        labels: Some(self.labels(Some(track))),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.pod()),
                },
                ..DeploymentSpec::default()
            }),
            status: None,
        };
        Manifest::of(DEPLOYMENT, &deployment)
    }

    fn pod(&self) -> PodSpec {
        let secrets = self.config.pull_secrets.iter();
        let secrets: Vec<_> = secrets
            .map(|name| LocalObjectReference { name: name.clone() })
            .collect();
        PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![self.container()],
            enable_service_links: Some(false),
            image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
            termination_grace_period_seconds: Some(45),
            ..PodSpec::default()
        }
    }

    fn container(&self) -> Container {
        let quantity = |text: &str| Quantity(text.to_owned());
        let memory = ("memory".to_owned(), quantity(&self.config.memory));
        let limit = self.config.cpu_limit.as_deref();
        let limit = limit.map(|limit| ("cpu".to_owned(), quantity(limit)));
        let probe = |path: &str, period_s: i32, n_failures: i32| {
            Some(Probe {
                http_get: Some(HTTPGetAction {
                    path: Some(path.to_owned()),
                    port: IntOrString::String("http".to_owned()),
                    ..HTTPGetAction::default()
                }),
                period_seconds: Some(period_s),
                timeout_seconds: Some(5),
                failure_threshold: Some(n_failures),
                ..Probe::default()
            })
        };
        let arguments = &self.config.arguments;
        Container {
            name: "server".to_owned(),
            image: Some(self.image.clone()),
            // These take the place of the image's own, which name the port.
            args: (!arguments.is_empty()).then(|| {
                let port = ["--port".to_owned(), self.port.to_string()];
                port.into_iter().chain(arguments.iter().cloned()).collect()
            }),
            ports: Some(vec![ContainerPort {
                container_port: self.port.into(),
                name: Some("http".to_owned()),
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]),
            startup_probe: probe("/v2/health/ready", 1, 60),
            readiness_probe: probe("/v2/health/ready", 5, 2),
            liveness_probe: probe("/v2/health/live", 10, 3),
            resources: Some(ResourceRequirements {
                requests: Some(
                    [
                        ("cpu".to_owned(), quantity(&self.config.cpu)),
                        memory.clone(),
                    ]
                    .into(),
                ),
                limits: Some([memory].into_iter().chain(limit).collect()),
                ..ResourceRequirements::default()
            }),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                capabilities: Some(Capabilities {
                    add: None,
                    drop: Some(vec!["ALL".to_owned()]),
                }),
                read_only_root_filesystem: Some(true),
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..SecurityContext::default()
            }),
            ..Container::default()
        }
    }

    /// Name of the HTTPRoute that splits the traffic, where one does.
    pub(crate) fn route(&self) -> Option<&str> {
        self.config.canary.as_ref()?.http_route.as_deref()
    }

    /// The Service of the canary's pods, to which a route sends its share.
    pub(crate) fn canary_service(&self) -> Manifest {
        self.service(self.deployment_name(Track::Canary), Some(Track::Canary))
    }

    /// The Service of all pods, or of a track alone.
    fn service(&self, name: String, track: Option<Track>) -> Manifest {
        let service = Service {
            metadata: self.metadata(name, track),
            spec: Some(ServiceSpec {
                ports: Some(vec![ServicePort {
                    name: Some("http".to_owned()),
                    port: self.config.service_port.into(),
                    protocol: Some("TCP".to_owned()),
                    target_port: Some(IntOrString::String("http".to_owned())),
                    ..ServicePort::default()
                }]),
                selector: Some(self.selecting(track)),
                ..ServiceSpec::default()
            }),
            status: None,
        };
        Manifest::of(SERVICE, &service)
    }

    fn network_policy(&self) -> Manifest {
        let policy = NetworkPolicy {
            metadata: self.metadata(self.name.clone(), None),
            spec: Some(NetworkPolicySpec {
                ingress: Some(vec![NetworkPolicyIngressRule {
                    ports: Some(vec![NetworkPolicyPort {
                        port: Some(IntOrString::Int(self.port.into())),
                        protocol: Some("TCP".to_owned()),
                        ..NetworkPolicyPort::default()
                    }]),
                    ..NetworkPolicyIngressRule::default()
                }]),
                pod_selector: Some(LabelSelector {
                    match_labels: Some(self.selecting(None)),
                    ..LabelSelector::default()
                }),
                // The server asks for nothing: without a rule, nothing goes out.
                policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
                ..NetworkPolicySpec::default()
            }),
        };
        Manifest::of(NETWORK_POLICY, &policy)
    }

    fn disruption_budget(&self, min_available: u32, offered: Offered) -> Manifest {
        let n = min_available;
        let budget = PodDisruptionBudget {
            metadata: self.metadata(self.name.clone(), None),
            spec: Some(PodDisruptionBudgetSpec {
                min_available: Some(IntOrString::Int(i32::try_from(n).unwrap_or(i32::MAX))),
                selector: Some(LabelSelector {
                    match_labels: Some(self.selecting(Some(Track::Stable))),
                    ..LabelSelector::default()
                }),
                ..PodDisruptionBudgetSpec::default()
            }),
            status: None,
        };
        let mut manifest = Manifest::of(DISRUPTION_BUDGET, &budget);
        if !offered.has_policy_v1 {
            // Before 1.21 it had the same fields under another version.
            manifest.kind.api_version = "policy/v1beta1";
            manifest.value["apiVersion"] = manifest.kind.api_version.into();
        }
        manifest
    }

    fn autoscaler_v2(&self) -> Manifest {
        use autoscaling_v2::{
            CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
            MetricSpec, MetricTarget, ResourceMetricSource,
        };
        let (min, max, cpu) = self.scaling();
        let autoscaler = HorizontalPodAutoscaler {
            metadata: self.metadata(self.name.clone(), None),
            spec: Some(HorizontalPodAutoscalerSpec {
                max_replicas: max,
                min_replicas: Some(min),
                metrics: Some(vec![MetricSpec {
                    resource: Some(ResourceMetricSource {
                        name: "cpu".to_owned(),
                        target: MetricTarget {
                            average_utilization: Some(cpu),
                            type_: "Utilization".to_owned(),
                            ..MetricTarget::default()
                        },
                    }),
                    type_: "Resource".to_owned(),
                    ..MetricSpec::default()
                }]),
                scale_target_ref: CrossVersionObjectReference {
                    api_version: Some(DEPLOYMENT.api_version.to_owned()),
                    kind: DEPLOYMENT.name.to_owned(),
                    name: self.name.clone(),
                },
                ..HorizontalPodAutoscalerSpec::default()
            }),
            status: None,
        };
        Manifest::of(AUTOSCALER_V2, &autoscaler)
    }

    fn autoscaler_v1(&self) -> Manifest {
        use autoscaling_v1::{
            CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
        };
        let (min, max, cpu) = self.scaling();
        let autoscaler = HorizontalPodAutoscaler {
            metadata: self.metadata(self.name.clone(), None),
            spec: Some(HorizontalPodAutoscalerSpec {
                max_replicas: max,
                min_replicas: Some(min),
                target_cpu_utilization_percentage: Some(cpu),
                scale_target_ref: CrossVersionObjectReference {
                    api_version: Some(DEPLOYMENT.api_version.to_owned()),
                    kind: DEPLOYMENT.name.to_owned(),
                    name: self.name.clone(),
                },
            }),
            status: None,
        };
        Manifest::of(AUTOSCALER_V1, &autoscaler)
    }

    /// Fewest and most pods, and the CPU use aimed at.
    fn scaling(&self) -> (i32, i32, i32) {
        let scaling = self.config.autoscale.as_ref();
        let scaling = scaling.expect("an autoscaler is written where one is configured");
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        (
            number(scaling.min_replicas),
            number(scaling.max_replicas),
            number(scaling.cpu_pct),
        )
    }
}
