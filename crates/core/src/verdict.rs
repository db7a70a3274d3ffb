//! `verdict.json`: what the gate decided about which evaluation, by which rules, and why.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::files::{self, FileError};
use crate::gate::Level;
use crate::metrics::Direction;
use crate::model::FileEntry;
use crate::statistics::Interval;

/// The version of `verdict.json` that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in a verdict folder.
pub const VERDICT_FILE: &str = "verdict.json";

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
    /// Only a warning was missed.
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

/// What the gate decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// The decision: the worst of all rules.
    pub verdict: Decision,
    /// One sentence for people.
    pub summary: String,
    /// The model's name, where known.
    pub model_name: Option<String>,
    /// The model that was judged; absent when only its metrics were at hand.
    pub model_digest: Option<Sha256Digest>,
    /// Digest of the evaluation or metrics file that was judged; absent when it could not be read.
    pub evaluation_digest: Option<Sha256Digest>,
    /// Digest of the rules that judged.
    pub rules_digest: Sha256Digest,
    /// Rows behind the metrics, where known.
    pub n_rows: Option<u64>,
    /// Each bound of each rule.
    pub rules: Vec<RuleResult>,
    /// All headline metrics, with the baseline's beside them.
    pub metrics: Vec<MetricRow>,
    /// What it was compared with.
    pub baseline: Option<BaselineReference>,
    /// What stood in the way of judging, and what should be known beside the rules.
    pub notes: Vec<String>,
    /// Who let a red verdict through, for this commit alone.
    #[serde(rename = "override", default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Override>,
    /// The files beside this one, for people and other tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    pub commit: Option<String>,
}

/// How one bound came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleResult {
    /// Index of the rule in `[[gate.rules]]`, from 0.
    pub rule_idx: usize,
    /// The metric, with its class where one is given.
    pub subject: String,
    /// The bound, in words: `at least 0.98`.
    pub wanted: String,
    /// What was measured.
    pub measured: Option<f64>,
    /// The interval that was judged by, where one was.
    pub interval: Option<Interval>,
    /// How much a miss weighs.
    pub level: Level,
    /// How it came out.
    pub decision: Decision,
    /// Whether the bound was missed or could not be judged, whatever that weighs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_missed: bool,
    /// Why, in one sentence.
    pub reason: String,
}

/// One metric beside the baseline's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricRow {
    /// Name of the metric.
    pub name: String,
    /// This model's value.
    pub value: f64,
    /// Its interval, where known.
    pub interval: Option<Interval>,
    /// Which way is better, where known.
    pub direction: Option<Direction>,
    /// The baseline's value.
    pub baseline: Option<f64>,
    /// Improvement over the baseline in the metric's own direction: positive is better.
    pub improvement: Option<f64>,
}

/// What was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineReference {
    /// Where it came from.
    pub source: String,
    /// Its model, where known.
    pub model_digest: Option<Sha256Digest>,
    /// Whether it was scored on the same rows; absent when that is not known.
    pub has_same_rows: Option<bool>,
    /// The row-by-row comparison of accuracy, where both lists of wrong rows are known.
    pub paired: Option<PairedComparison>,
}

/// Accuracy on the same rows, compared row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairedComparison {
    /// Rows compared.
    pub n_rows: u64,
    /// Rows that only this model predicts right.
    pub n_gained: u64,
    /// Rows that only the baseline predicts right.
    pub n_lost: u64,
    /// `(n_gained - n_lost) / n_rows`.
    pub difference: f64,
    /// Its interval.
    pub interval: Interval,
    /// Two-sided p-value of the exact McNemar test.
    pub p_value: f64,
    /// Half of the interval's width: about the smallest change that these rows can show.
    pub detectable: f64,
}

/// A person's word against the rules', for one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The commit.
    pub commit: String,
    /// Login of the person, who may write to the repository.
    pub by: String,
    /// In the person's words.
    pub reason: String,
    /// The comment that says so.
    pub url: String,
}

/// Why a verdict cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// The file is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Written by another version.
    #[error("`{}` has schema version {found}, but this build reads version {SCHEMA_VERSION}", path.display())]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
}

impl Verdict {
    /// Whether the run may go on: green by the rules, or let through by a person.
    pub const fn is_let_through(&self) -> bool {
        self.verdict.is_green() || self.overridden.is_some()
    }

    /// The summary and all notes, in one line.
    pub fn reasons(&self) -> String {
        let sentences = [&self.summary].into_iter().chain(&self.notes);
        sentences.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Reads the verdict in `folder`.
    pub fn open(folder: &Path) -> Result<Self, VerdictError> {
        let path = folder.join(VERDICT_FILE);
        let verdict: Self = files::read_json(&path, "verdict")?;
        if verdict.schema_version != SCHEMA_VERSION {
            return Err(VerdictError::SchemaVersion {
                path,
                found: verdict.schema_version,
            });
        }
        Ok(verdict)
    }
}
