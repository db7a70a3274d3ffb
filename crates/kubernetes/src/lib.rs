//! An image in a Kubernetes cluster: typed manifests, what applying them changes, rollouts, canaries, and how an earlier state comes back.
//!
//! In come an [`App`] and a cluster, out come outcomes with reasons. It verifies no evidence and writes no file.

mod canary;
mod chart;
mod cluster;
mod diff;
mod kserve;
mod manifest;
mod metrics_text;
mod observe;
mod owned;
mod parity;
mod pods;
mod release;
mod rollout;
mod route;
mod write;
mod yaml;

pub use canary::{Canary, CanaryOutcome, analyse};
pub use chart::{chart, inference_service, kustomization, plain};
pub use cluster::{Cluster, ClusterError, ClusterOptions};
pub use manifest::{App, Manifest, Offered, Track};
pub use observe::{Arm, Observer};
pub use release::{Plan, Planned, ReleaseOutcome};
pub use write::{WriteError, write_digest};
pub use yaml::{YamlError, documents};
