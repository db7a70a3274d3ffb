//! `verdict.json`: what the gate decided about which evaluation, by which rules, and why.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::computation::{Computation, HolmStep};
use super::decision::{Decision, Outcome};
use super::flips::Flips;
use super::looks::Look;
use super::rule::Level;
use crate::digest::Sha256Digest;
use crate::figure::count;
use crate::files::{self, FileError};
use crate::measurement::{Measurement, MetricKey};
use crate::model::FileEntry;
use crate::row_set::RowMatch;
use crate::statistics::Interval;

/// The version of `verdict.json` that this build writes and reads.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// The file's name in a verdict folder.
pub const VERDICT_FILE: &str = "verdict.json";

/// What the gate decided. Made by [`Case::judge`](super::Case::judge) alone; nothing changes it afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// The decision: the worst of all rules.
    pub verdict: Decision,
    /// One or two sentences for people.
    pub summary: String,
    /// The model's name, where known.
    pub model_name: Option<String>,
    /// The model that was judged; absent when only its metrics were at hand.
    pub model_digest: Option<Sha256Digest>,
    /// Digest of the evaluation or metrics file that was judged; absent when it could not be read.
    pub evaluation_digest: Option<Sha256Digest>,
    /// Digest of the rules that judged.
    pub rules_digest: Sha256Digest,
    /// Digest of the test data's files, where known.
    pub data_digest: Option<Sha256Digest>,
    /// Rows behind the metrics, where known.
    pub n_rows: Option<u64>,
    /// Each bound of each rule.
    pub rules: Vec<RuleResult>,
    /// Each group of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupResult>,
    /// Every metric beside the baseline's: those of all rows first, then those of classes, slices and folds.
    pub metrics: Vec<Comparison>,
    /// What it was compared with.
    pub baseline: Option<BaselineReference>,
    /// The rows that one of the two predicts right and the other wrong, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flips: Option<Flips>,
    /// What a change does to the configuration, against that of its base branch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule_changes: Vec<RuleChange>,
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

/// One metric of the candidate beside the baseline's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// What is compared.
    pub key: MetricKey,
    /// The candidate's measurement; absent where it has none.
    pub measured: Option<Measurement>,
    /// The baseline's measurement.
    pub baseline: Option<Measurement>,
    /// The improvement over the baseline in the metric's own direction, positive is better; with its interval where the
    /// two were compared row by row.
    pub change: Option<Measurement>,
}

impl Comparison {
    /// Of what was not measured.
    pub(super) const fn of_nothing(key: MetricKey) -> Self {
        Self {
            key,
            measured: None,
            baseline: None,
            change: None,
        }
    }
}

/// How one bound of one rule came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleResult {
    /// Index of the rule in `[[gate.rules]]`, from 0.
    pub rule_idx: usize,
    /// The bound.
    pub bound: Bound,
    /// The bound, in words: `at least 0.98`.
    pub wanted: String,
    /// What was judged. The interval of `measured`, or that of `change`, is the one that decided where the rule has a
    /// `confidence`.
    pub comparison: Comparison,
    /// The confidence that the rule asks for, two-sided; one end decides, so its nominal error is half of what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// With `[gate] sequential`: the look at the rows, and the level that decided in place of `confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// What the decision was computed from, where the rule has a `confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computation: Option<Computation>,
    /// How Holm's procedure came to it, where the rule has a wildcard and a `confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holm: Option<HolmStep>,
    /// How much a miss weighs.
    pub level: Level,
    /// How the bound came out.
    pub outcome: Outcome,
    /// What that comes to at the rule's level.
    pub decision: Decision,
    /// Why, as a clause.
    pub reason: String,
}

impl RuleResult {
    /// What the rule is about.
    pub const fn key(&self) -> &MetricKey {
        &self.comparison.key
    }

    /// Whether reports say its reason: where it does not simply hold, and where it was proven by more than the figures shown.
    pub(crate) const fn is_explained(&self) -> bool {
        !matches!(self.outcome, Outcome::Holds)
            || matches!(self.computation, Some(Computation::EProcess { .. }))
    }

    /// The word for people: that of the decision, unless its level hides how the bound came out.
    pub const fn word(&self) -> &'static str {
        match (self.level, self.outcome) {
            // In a group that holds a missed rule passes, but is not called so.
            (Level::Fail, Outcome::Missed | Outcome::NotJudged)
                if matches!(self.decision, Decision::Pass | Decision::Warn) =>
            {
                self.outcome.word()
            }
            (Level::Fail, Outcome::Holds | Outcome::Missed | Outcome::NotJudged) => {
                self.decision.word()
            }
            (_, Outcome::Holds) => self.decision.word(),
            (_, outcome) => outcome.word(),
        }
    }
}

/// How a group came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupResult {
    /// Its rules, by name.
    pub rules: Vec<String>,
    /// How many of them must hold.
    pub at_least: u32,
    /// How many do.
    pub n_hold: u32,
    /// How many were skipped, since there is no baseline.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_skipped: u32,
    /// What that comes to.
    pub decision: Decision,
}

impl GroupResult {
    /// The group in words: `2 of 3 rules hold (fast, small, sure), at least 2 must`.
    pub fn words(&self) -> String {
        let skipped = match self.n_skipped {
            0 => String::new(),
            1 => "; 1 was skipped and may".to_owned(),
            n => format!("; {n} were skipped and may"),
        };
        format!(
            "{} of {} hold ({}), at least {} must{skipped}",
            self.n_hold,
            count(self.rules.len() as u64, "rule"),
            self.rules.join(", "),
            self.at_least
        )
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What a change of the configuration is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeScope {
    /// What judges: rules, test data, how they are scored.
    Judges,
    /// Rules that judge once the change is merged, since the base branch's judge it.
    LaterJudges,
    /// The model.
    Model,
}

/// One bound or setting that a change adds, removes or moves: metric, bound and value, as `accuracy min 0.9`; or name and
/// value, as `train.epochs = 10`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleChange {
    /// On the base branch; absent where it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// In the change; absent where it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What it is about.
    pub scope: ChangeScope,
}

/// What was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineReference {
    /// Where it came from.
    pub source: String,
    /// Its model, where known.
    pub model_digest: Option<Sha256Digest>,
    /// Whether it was scored on the same rows, and how that is known.
    pub rows: RowMatch,
    /// How many rows changes are computed on, where that is neither all of the one nor of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_rows: Option<SharedRowCounts>,
    /// Whether both come from one and the same predictions.
    pub has_same_predictions: bool,
    /// The paired comparison of accuracy, where the rows that either predicts wrong are known.
    pub paired: Option<PairedComparison>,
}

/// The rows of candidate and baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedRowCounts {
    /// Rows that both were scored on, with the same label.
    pub n_rows: u64,
    /// Rows of the baseline that the candidate was not scored on.
    pub n_gone: u64,
    /// Rows of both whose label is another one now.
    pub n_relabelled: u64,
    /// Rows of the candidate alone.
    pub n_new: u64,
}

/// Accuracy on the same rows, compared row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairedComparison {
    /// Rows compared.
    pub n_rows: u64,
    /// Rows that only the candidate predicts right.
    pub n_gained: u64,
    /// Rows that only the baseline predicts right.
    pub n_lost: u64,
    /// Tango's score interval of `(n_gained - n_lost) / n_rows`.
    pub interval: Interval,
    /// The smallest change that these rows would show four times in five.
    pub smallest_detectable: f64,
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

    /// The bounds that turned it red, as metric and words.
    pub fn missed_rules(&self) -> Vec<String> {
        let red = self
            .rules
            .iter()
            .filter(|rule| matches!(rule.decision, Decision::Fail | Decision::Inconclusive));
        red.map(|rule| format!("{} {}", rule.key(), rule.wanted))
            .collect()
    }

    /// Whether any bound was compared with a number.
    pub fn has_judged(&self) -> bool {
        self.rules.iter().any(|rule| rule.outcome.is_judged())
    }

    /// The summary and all notes, in one line.
    pub fn reasons(&self) -> String {
        let sentences = [&self.summary].into_iter().chain(&self.notes);
        sentences.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// How many rows there are, where changes are of rows that only a part of either side's are.
    pub fn shared_rows(&self) -> Option<SharedRowCounts> {
        self.baseline.as_ref()?.shared_rows
    }

    /// The metrics of all rows.
    pub fn headline(&self) -> impl Iterator<Item = &Comparison> {
        self.metrics.iter().filter(|row| row.key.is_overall())
    }

    /// The same verdict, naming the files written beside it.
    #[must_use]
    pub fn with_files(self, files: Vec<FileEntry>) -> Self {
        Self { files, ..self }
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
