//! `[deploy]`: how an image runs in a cluster, and how traffic moves to it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;

/// `[deploy]`: how an image runs in a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeployConfig {
    /// Name of the objects in the cluster; by default the model's name in lower case, with `-` for `_` and `.`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace; by default that of the kubeconfig's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Number of pods. Not applied while a HorizontalPodAutoscaler scales the Deployment.
    pub replicas: u32,
    /// Port of the Service.
    pub service_port: u16,
    /// CPU that a pod asks for, as Kubernetes writes it: `100m`, `2`.
    pub cpu: String,
    /// Most CPU that a pod may use; by default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<String>,
    /// Memory that a pod asks for and may use: `256Mi`.
    pub memory: String,
    /// Options of the server: `["--max-request-mib", "8"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Names of Secrets by which the cluster pulls the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    /// Further labels of all objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Further annotations of the pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whether a NetworkPolicy allows the pods nothing but requests to the server's port.
    pub network_policy: bool,
    /// Pods that must stay available while nodes are drained: adds a PodDisruptionBudget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_available: Option<u32>,
    /// Adds a HorizontalPodAutoscaler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<AutoscaleConfig>,
    /// Seconds that a rollout may take before the earlier one is restored.
    pub timeout_s: u32,
    /// The GitHub environment that deployments are recorded under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Where the environment is found, shown by GitHub: `https://digits.example.org`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
    /// Moves traffic in steps, and on only by proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryConfig>,
}

/// `[deploy.autoscale]`: pods by load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoscaleConfig {
    /// Fewest pods.
    pub min_replicas: u32,
    /// Most pods.
    pub max_replicas: u32,
    /// CPU use that is aimed at, in percent of `cpu`.
    #[serde(default = "default_cpu_percent")]
    pub cpu_pct: u32,
}

const fn default_cpu_percent() -> u32 {
    70
}

/// `[deploy.canary]`: how a new image proves itself beside the stable one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CanaryConfig {
    /// Share of the traffic in percent, step by step.
    pub steps: Vec<f64>,
    /// Requests that the canary and the stable pods must each have answered in a step before anything is concluded from them.
    pub min_requests: u64,
    /// The error rate of the canary may be this much above the stable one: 0.01 for one percentage point.
    pub max_error_increase: f64,
    /// The latency quantile of the canary may be this many percent above the stable one.
    pub max_latency_increase_pct: f64,
    /// Which quantile of the latency is compared.
    pub latency_quantile: f64,
    /// The drift of the canary, which is the largest population stability index of its inputs and predictions against its training, may be this
    /// much above that of the stable pods.
    pub max_drift_increase: f64,
    /// Confidence of the proof: of the error rate over all looks together, and of the latency over all steps together.
    pub confidence: f64,
    /// Whether the canary must first answer the held-out sample as the evaluated model did.
    pub parity: bool,
    /// Seconds between two looks at the metrics.
    pub interval_s: u32,
    /// Seconds after which a canary that is proven neither better nor worse is held.
    pub timeout_s: u32,
    /// Name of the Gateway API's HTTPRoute whose weights split the traffic. By default the number of pods does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_route: Option<String>,
}

impl Default for DeployConfig {
    fn default() -> Self {
        Self {
            name: None,
            namespace: None,
            replicas: 2,
            service_port: 80,
            cpu: "100m".to_owned(),
            cpu_limit: None,
            memory: "256Mi".to_owned(),
            arguments: Vec::new(),
            pull_secrets: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            network_policy: true,
            min_available: None,
            autoscale: None,
            timeout_s: 300,
            environment: None,
            environment_url: None,
            canary: None,
        }
    }
}

impl Default for CanaryConfig {
    fn default() -> Self {
        Self {
            steps: vec![10.0, 50.0],
            min_requests: 1000,
            max_error_increase: 0.01,
            max_latency_increase_pct: 20.0,
            latency_quantile: 0.95,
            max_drift_increase: 0.25,
            confidence: 0.95,
            parity: true,
            interval_s: 10,
            timeout_s: 3600,
            http_route: None,
        }
    }
}

impl DeployConfig {
    /// The name of the objects: as configured, or made of the model's.
    pub fn name_for(&self, model: &str) -> String {
        self.name.clone().unwrap_or_else(|| dns_label(model))
    }

    pub(super) fn validate(&self) -> Result<(), Problem> {
        let at = |key: &str, text: &str| Err(Problem::at(&["deploy", key], text.to_owned()));
        for (key, name) in [("name", &self.name), ("namespace", &self.namespace)] {
            if name.as_ref().is_some_and(|name| !is_dns_label(name)) {
                return at(
                    key,
                    "must be at most 63 lower-case letters, digits and `-`, and begin with a letter",
                );
            }
        }
        // The canary's name has seven characters more.
        if self.name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return at(
                "name",
                "must be at most 56 characters, since `-canary` is added to it",
            );
        }
        for (key, quantity) in [
            ("cpu", Some(&self.cpu)),
            ("memory", Some(&self.memory)),
            ("cpu_limit", self.cpu_limit.as_ref()),
        ] {
            if quantity.is_some_and(|quantity| !is_quantity(quantity)) {
                return at(
                    key,
                    "must be a quantity such as `100m`, `2`, `256Mi` or `1.5Gi`",
                );
            }
        }
        if self.replicas == 0 {
            return at("replicas", "must be at least 1");
        }
        if self.service_port == 0 {
            return at("service_port", "must be at least 1");
        }
        if self.timeout_s == 0 {
            return at("timeout_s", "must be at least 1");
        }
        if let Some(AutoscaleConfig {
            min_replicas,
            max_replicas,
            cpu_pct,
        }) = self.autoscale
        {
            let key = |key: &str, text: &str| {
                Err(Problem::at(&["deploy", "autoscale", key], text.to_owned()))
            };
            if min_replicas == 0 {
                return key("min_replicas", "must be at least 1");
            }
            if max_replicas < min_replicas {
                return key("max_replicas", "must be at least `min_replicas`");
            }
            if cpu_pct == 0 {
                return key("cpu_pct", "must be at least 1");
            }
        }
        let n_least = self
            .autoscale
            .as_ref()
            .map_or(self.replicas, |it| it.min_replicas);
        if self.min_available.is_some_and(|n| n >= n_least) {
            return at(
                "min_available",
                "must be less than the number of pods, or no node can be drained",
            );
        }
        self.canary.as_ref().map_or(Ok(()), CanaryConfig::validate)
    }
}

impl CanaryConfig {
    fn validate(&self) -> Result<(), Problem> {
        let at =
            |key: &str, text: &str| Err(Problem::at(&["deploy", "canary", key], text.to_owned()));
        let is_share = |share: &f64| *share > 0.0 && *share < 100.0;
        if self.steps.is_empty() || !self.steps.iter().all(is_share) {
            return at("steps", "must be percentages above 0 and below 100");
        }
        if !self.steps.is_sorted_by(|one, next| one < next) {
            return at("steps", "must rise from step to step");
        }
        if !(self.max_error_increase > 0.0 && self.max_error_increase < 1.0) {
            return at(
                "max_error_increase",
                "must be above 0 and below 1: no number of requests proves an increase of 0",
            );
        }
        if !(self.max_latency_increase_pct > 0.0 && self.max_latency_increase_pct.is_finite()) {
            return at("max_latency_increase_pct", "must be above 0");
        }
        if !(self.latency_quantile > 0.0 && self.latency_quantile < 1.0) {
            return at("latency_quantile", "must be above 0 and below 1");
        }
        if !(self.confidence >= 0.5 && self.confidence < 1.0) {
            return at("confidence", "must be at least 0.5 and below 1");
        }
        if self.max_drift_increase.is_nan() || self.max_drift_increase <= 0.0 {
            return at("max_drift_increase", "must be above 0");
        }
        if self.min_requests == 0 {
            return at("min_requests", "must be at least 1");
        }
        if self.interval_s == 0 {
            return at("interval_s", "must be at least 1");
        }
        if self.timeout_s < self.interval_s {
            return at("timeout_s", "must be at least `interval_s`");
        }
        Ok(())
    }
}

/// Characters of a name, to which `-canary` is added.
const MAX_NAME: usize = 56;

/// A label of RFC 1035, which names of Services must be.
fn is_dns_label(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A name made of a model's: what a label cannot hold becomes `-`.
fn dns_label(model: &str) -> String {
    let kept: String = model
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let kept = kept.trim_matches('-');
    let named = match kept.starts_with(|first: char| first.is_ascii_lowercase()) {
        true => kept.to_owned(),
        false => format!("model-{kept}"),
    };
    let short: String = named.chars().take(MAX_NAME).collect();
    short.trim_end_matches('-').to_owned()
}

/// A quantity of Kubernetes: a decimal number with a suffix.
fn is_quantity(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &text[digits.len()..];
    let is_number = digits.parse::<f64>().is_ok_and(|number| number > 0.0)
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number && ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"].contains(&suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_becomes_a_name_of_objects() {
        let name = |model: &str| DeployConfig::default().name_for(model);
        assert_eq!(name("mnist"), "mnist");
        assert_eq!(name("Credit_Risk.v2"), "credit-risk-v2");
        assert_eq!(name("2digits"), "model-2digits");
        assert_eq!(name(&"x".repeat(80)).len(), 56);
        assert!(is_dns_label(&name("__")));
    }

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for good in ["100m", "2", "1.5Gi", "256Mi", "500M"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "0", "-1", "256 Mi", "256MB", "1e3", "Mi", "0x10", "inf"] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }
}
