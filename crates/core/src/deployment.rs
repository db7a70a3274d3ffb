//! `deployment.json`: which image was brought where, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canary::{CanaryDecision, CanaryFinding, Requests};

/// The version of `deployment.json` that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in a deployment folder.
pub const DEPLOYMENT_FILE: &str = "deployment.json";

/// A deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// The image by digest.
    pub image: String,
    /// The image that ran before; absent where there was none.
    pub previous_image: Option<String>,
    /// Name of the model, where it is known.
    pub model_name: Option<String>,
    /// Digest of the model, where it is known.
    pub model_digest: Option<String>,
    /// Namespace of the objects.
    pub namespace: String,
    /// Name of the objects.
    pub name: String,
    /// What became of it.
    pub outcome: DeploymentOutcome,
    /// Why, in words.
    pub reason: String,
    /// What was done to each object.
    pub objects: Vec<DeployedObject>,
    /// The canary's steps; empty without a canary.
    pub canary: Vec<CanaryStep>,
    /// Signed evidence that was checked, in words; `None` where the image was deployed unsigned.
    pub evidence: Option<String>,
    /// Version of Trainyard.
    pub trainyard_version: String,
}

/// What became of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentOutcome {
    /// The cluster was as it should be: nothing was applied.
    Unchanged,
    /// The image runs.
    RolledOut,
    /// It did not get ready or was proven worse; the earlier state is back.
    RolledBack,
    /// It did not get ready or was proven worse, and neither could the earlier state be restored.
    RollbackFailed,
    /// Nothing was to be applied, and what runs is not ready.
    NotReady,
    /// Another deployment took over while this one waited.
    Superseded,
    /// The canary stays beside the stable pods: proven neither better nor worse.
    Held,
    /// Nothing was to be applied: `--diff` or `--dry-run`.
    Planned,
}

impl DeploymentOutcome {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::RolledOut => "rolled-out",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::NotReady => "not-ready",
            Self::Superseded => "superseded",
            Self::Held => "held",
            Self::Planned => "planned",
        }
    }
}

/// An object in the cluster and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployedObject {
    /// Such as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What applying it does.
    pub change: ObjectChange,
}

/// What applying an object does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectChange {
    /// It is not there yet.
    Create,
    /// It is there with other contents.
    Update,
    /// It is as it should be.
    None,
}

/// A step of a canary, as far as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryStep {
    /// Share of the traffic that was asked for, in percent.
    pub share_pct: f64,
    /// Pods of the canary.
    pub n_canary_pods: u32,
    /// Pods of the stable image.
    pub n_stable_pods: u32,
    /// Requests to the canary since the canary began.
    pub canary: Requests,
    /// Requests to the stable pods since the canary began.
    pub stable: Requests,
    /// What they prove.
    pub findings: Vec<CanaryFinding>,
    /// What followed.
    pub decision: CanaryDecision,
}
