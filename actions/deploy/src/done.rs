//! What became of a deployment.

use trainyard_core::deployment::{CanaryStep, DeploymentOutcome};

/// What became of it, with the reason.
pub(crate) struct Done {
    pub(crate) outcome: DeploymentOutcome,
    pub(crate) reason: String,
    pub(crate) steps: Vec<CanaryStep>,
}
