//! One step of a computation that is written out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of a computation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is computed.
    pub what: String,
    /// How, with all numbers.
    pub computation: String,
    /// A line of Python that comes to the same, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

impl Step {
    pub(super) fn new(what: &str, computation: String) -> Self {
        Self {
            what: what.to_owned(),
            computation,
            check: None,
        }
    }

    pub(super) fn checked_by(self, check: Option<String>) -> Self {
        Self { check, ..self }
    }
}
