//! How a bound came out, and what that comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A judgement, worst last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Not judged, and said so: a comparison without a baseline.
    Skipped,
    /// All bounds hold.
    Pass,
    /// Nothing failed, but something should be looked at.
    Warn,
    /// It could not be judged, which is never green.
    Inconclusive,
    /// A rule was missed.
    Fail,
}

impl Decision {
    /// The word in files and outputs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// Whether a pull request may be merged and an image published on it.
    pub const fn is_green(self) -> bool {
        matches!(self, Self::Pass | Self::Warn)
    }
}

/// How one bound came out, before the level of its rule weighs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The bound holds.
    Holds,
    /// The bound is missed.
    Missed,
    /// The interval reaches to both sides of the bound.
    Uncertain,
    /// It could not be judged.
    NotJudged,
    /// There is no baseline to compare with.
    Skipped,
}

impl Outcome {
    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Missed => "missed",
            Self::Uncertain => "uncertain",
            Self::NotJudged => "not judged",
            Self::Skipped => "skipped",
        }
    }

    /// Whether a bound was compared with a number at all.
    pub const fn is_judged(self) -> bool {
        matches!(self, Self::Holds | Self::Missed | Self::Uncertain)
    }
}
