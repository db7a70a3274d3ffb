//! The rules that judge, and whose they are: those of the commit, or the base branch's.

use serde::{Deserialize, Serialize};

use crate::config::GateConfig;
use crate::digest::Sha256Digest;

/// The rules that judge, and whose they are.
#[derive(Debug, Clone)]
pub struct RulesInForce<'a> {
    /// Rules, and what a missing baseline comes to.
    pub gate: &'a GateConfig,
    /// Digest of the rules.
    pub digest: Sha256Digest,
    /// Whose they are.
    pub origin: RulesOrigin,
}

/// Whose rules judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesOrigin {
    /// Those of the commit that is judged.
    Own,
    /// Those of this base branch or commit.
    Base(String),
    /// Those of the commit that is judged, since the base branch could not be asked, for this reason: the case cannot be
    /// judged.
    Unread(String),
    /// There are none, since the configuration cannot be read, for this reason.
    Broken(String),
}

/// The gate's copy of the base branch's rules, in the folder of the verdict, where those judged.
pub const RULES_FILE: &str = "rules.json";

/// The base branch's rules, as the gate read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRules {
    /// The branch or commit.
    pub reference: String,
    /// Its `[gate]`.
    pub gate: GateConfig,
}
