//! What a commit's model was worth, kept in the text of its check run for later comparisons.
//!
//! It stands there as a Markdown link definition that nothing refers to, which renders as nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decision::Decision;
use super::definition::{self, MAX_RECORD_CHARS};
use super::fresh_rows::FreshRows;
use super::looks::Looks;
use super::scorecard::Scorecard;
use super::verdict::{Override, Verdict};
use crate::digest::Sha256Digest;
use crate::measurement::Measurement;
use crate::metrics::Scoring;
use crate::row_mask::RowMask;
use crate::row_set::RowSet;

/// The gate's copy of the record that it compared with, in the folder of the verdict.
pub const BASELINE_FILE: &str = "baseline.json";

/// Version of [`BaselineRecord`]'s layout.
pub(super) const RECORD_VERSION: u32 = 1;

/// Runs that the history keeps.
pub(super) const MAX_HISTORY: usize = 20;

/// Headline metrics that a point of the history keeps.
const MAX_HISTORY_METRICS: usize = 20;

/// Bounds that it keeps.
const MAX_HISTORY_RULES: usize = 20;

const LABEL: &str = "[trainyard-record]: #";

/// What a commit's model was worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineRecord {
    /// Version of this layout.
    pub record_version: u32,
    /// The commit.
    pub commit: String,
    /// The commit that was measured, where this one changed no file of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_commit: Option<String>,
    /// The git tree of the commit, where known: another commit with this tree is the same content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_sha: Option<String>,
    /// What the gate decided about it.
    pub decision: Decision,
    /// Inputs of the run that overrode its configuration: such a run is not a baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overriding_inputs: Vec<String>,
    /// The bounds that were not met, or not judged, as metric and words: `accuracy at least 0.98`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed_rules: Vec<String>,
    /// Who let it through, where the rules did not.
    #[serde(rename = "override", default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Override>,
    /// The model's name, where known.
    pub model_name: Option<String>,
    /// The model, where known.
    pub model_digest: Option<Sha256Digest>,
    /// Digest of the evaluation or metrics file.
    pub evaluation_digest: Sha256Digest,
    /// Digest of the rules that judged it.
    pub rules_digest: Sha256Digest,
    /// Digest of the test data's files, where known.
    pub data_digest: Option<Sha256Digest>,
    /// Which rows were judged, where known.
    pub rows: Option<RowSet>,
    /// How the rows were scored, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scoring: Option<Scoring>,
    /// What was measured: of all rows, and of classes, slices and folds where there is room.
    pub measurements: Vec<Measurement>,
    /// The rows predicted wrong, where known and where there is room.
    pub missed_rows: Option<RowMask>,
    /// Where all predictions are, where they were uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<PredictionsArtifact>,
    /// The models that have been judged on this very row set so far, this one last: see [`Looks`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models_judged: Vec<String>,
    /// How many were judged before these.
    #[serde(default)]
    pub n_models_older: u64,
    /// The evidence of fresh rows, where rules accumulate it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_rows: Option<FreshRows>,
    /// The runs before it and itself, the oldest first.
    pub history: Vec<HistoryPoint>,
}

/// Predictions in an artifact of a workflow run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictionsArtifact {
    /// The workflow run.
    pub run_id: u64,
    /// Name of its artifact.
    pub artifact: String,
    /// Digest of the predictions' file.
    pub sha256: Sha256Digest,
    /// Number of rows.
    pub n_rows: u64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryPoint {
    /// The commit.
    pub commit: String,
    /// Values of the metrics of all rows, by name.
    pub values: BTreeMap<String, f64>,
    /// What the gate decided.
    pub decision: Decision,
    /// What each bound came to, by metric and words: `accuracy at least 0.98`.
    pub rules: BTreeMap<String, Decision>,
}

/// Why a text holds no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The definition is there, but damaged.
    #[error("the record in the check's text is damaged ({0})")]
    Damaged(String),
    /// It is of another version.
    #[error("the record has version {0}, but this build reads version {RECORD_VERSION}")]
    Version(u32),
}

impl BaselineRecord {
    /// The record of `card`, judged by `verdict`, of `commit`; `before` is the record that it was compared with, if any.
    pub fn of(card: &Scorecard, verdict: &Verdict, commit: &str, before: Option<&Self>) -> Self {
        let point = HistoryPoint {
            commit: commit.to_owned(),
            values: verdict
                .headline()
                .filter_map(|row| Some((row.key.metric.clone(), row.measured.as_ref()?.value)))
                .take(MAX_HISTORY_METRICS)
                .collect(),
            decision: verdict.verdict,
            rules: verdict
                .rules
                .iter()
                .take(MAX_HISTORY_RULES)
                .map(|rule| (format!("{} {}", rule.key(), rule.wanted), rule.decision))
                .collect(),
        };
        let mut history = before.map_or_else(Vec::new, |before| before.history.clone());
        history.push(point);
        history.drain(..history.len().saturating_sub(MAX_HISTORY));
        let looks = Looks::of(card).map(|looks| match before.and_then(Self::looks) {
            Some(before) => looks.after(&before),
            None => looks,
        });
        let n_models_older = looks.as_ref().map_or(0, |looks| looks.n_older);
        Self {
            record_version: RECORD_VERSION,
            commit: commit.to_owned(),
            measured_commit: None,
            tree_sha: None,
            decision: verdict.verdict,
            overriding_inputs: card.overriding_inputs.clone(),
            missed_rules: verdict.missed_rules(),
            overridden: verdict.overridden.clone(),
            model_name: card.model_name.clone(),
            model_digest: card.model_digest.clone(),
            evaluation_digest: card.source_digest.clone(),
            rules_digest: verdict.rules_digest.clone(),
            data_digest: card.data_digest.clone(),
            rows: card.rows.clone(),
            scoring: card.scoring.clone(),
            measurements: card.measurements.clone(),
            missed_rows: card.missed_rows.clone(),
            predictions: None,
            models_judged: looks.map_or_else(Vec::new, |looks| looks.models),
            n_models_older,
            fresh_rows: before.and_then(|before| before.fresh_rows.clone()),
            history,
        }
    }

    /// Why later commits are not compared with this one, if they are not: nothing passed here, or something else than the
    /// configuration was measured.
    pub fn why_unusable(&self) -> Option<String> {
        if !self.overriding_inputs.is_empty() {
            let inputs = self.overriding_inputs.join("`, `");
            return Some(format!("inputs overrode its configuration: `{inputs}`"));
        }
        let is_let_through = self.decision.is_green() || self.overridden.is_some();
        (!is_let_through).then(|| format!("its verdict is {}", self.decision.word()))
    }

    /// The models judged on its rows so far, where they are known.
    pub fn looks(&self) -> Option<Looks> {
        let rows = self.rows.as_ref()?;
        (!self.models_judged.is_empty()).then(|| Looks {
            rows_digest: rows.digest.clone(),
            models: self.models_judged.clone(),
            n_older: self.n_models_older,
        })
    }

    /// The measurements and rows, as the gate compares them.
    pub fn scorecard(&self) -> Scorecard {
        Scorecard {
            model_name: self.model_name.clone(),
            model_digest: self.model_digest.clone(),
            rows: self.rows.clone(),
            data_digest: self.data_digest.clone(),
            predictions_digest: self.predictions.as_ref().map(|found| found.sha256.clone()),
            missed_rows: self.missed_rows.clone(),
            scoring: self.scoring.clone(),
            overriding_inputs: self.overriding_inputs.clone(),
            ..Scorecard::bare(self.evaluation_digest.clone(), self.measurements.clone())
        }
    }

    /// The record as a line of Markdown that renders as nothing. What makes it too long is left out: first what
    /// intervals are computed from, then most of the history, then the rows predicted wrong, then the measurements of classes, slices and folds.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        const SHORT_HISTORY: usize = 3;
        let mut record = self.clone();
        let smaller: [fn(&mut Self); 5] = [
            |record| {
                for found in &mut record.measurements {
                    found.evidence = None;
                }
            },
            |record| {
                let n_old = record.history.len().saturating_sub(SHORT_HISTORY);
                record.history.drain(..n_old);
            },
            |record| record.missed_rows = None,
            |record| record.measurements.retain(|found| found.key.is_overall()),
            |record| record.history.clear(),
        ];
        let mut smaller = smaller.iter();
        loop {
            let text = definition::encode(LABEL, &record)?;
            match smaller.next() {
                Some(shrink) if text.len() > MAX_RECORD_CHARS => shrink(&mut record),
                _ => return Ok(text),
            }
        }
    }

    /// The record in a check's text; `None` where there is none.
    pub fn decode(text: &str) -> Option<Result<Self, RecordError>> {
        let value = match definition::decode(LABEL, text)? {
            Ok(value) => value,
            Err(damage) => return Some(Err(RecordError::Damaged(damage))),
        };
        Some(match value["record_version"].as_u64() {
            Some(version) if version == u64::from(RECORD_VERSION) => serde_json::from_value(value)
                .map_err(|error| RecordError::Damaged(error.to_string())),
            version => Err(RecordError::Version(version.unwrap_or_default() as u32)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GateConfig;
    use crate::gate::{Baseline, Case, RulesInForce, RulesOrigin, Trust};
    use crate::measurement::{Direction, MetricKey, Unit};

    fn card(missed: Vec<u64>) -> Scorecard {
        let measured = |key| Measurement {
            n_rows: Some(1_000_000),
            ..Measurement::bare(
                key,
                0.97,
                Some(Unit::Proportion),
                Some(Direction::HigherIsBetter),
            )
        };
        Scorecard {
            model_name: Some("digits".to_owned()),
            model_digest: Some(Sha256Digest::of(b"model")),
            rows: Some(RowSet::of_positions(3, |_| "a".into(), BTreeMap::new())),
            data_digest: Some(Sha256Digest::of(b"data")),
            missed_rows: RowMask::new(1_000_000, missed),
            ..Scorecard::bare(
                Sha256Digest::of(b"evaluation"),
                vec![
                    measured(MetricKey::overall("accuracy")),
                    measured(MetricKey::of_class("f1", "]: #\n<b>")),
                ],
            )
        }
    }

    fn record(card: &Scorecard, before: Option<&BaselineRecord>) -> BaselineRecord {
        let gate = GateConfig::default();
        let verdict = Case {
            rules: RulesInForce {
                gate: &gate,
                digest: Sha256Digest::of(b"rules"),
                origin: RulesOrigin::Own,
            },
            candidate: Ok(card),
            baseline: &Baseline::NotConfigured("none".to_owned()),
            trust: Trust::Verified,
            overridden: None,
            model_name: None,
            commit: None,
            trainyard_version: "0.0.0",
            rule_changes: &[],
            must_pass: None,
            looks: Ok(None),
            evaluate: None,
            fresh_rows: None,
            flips: None,
            notes: &[],
        }
        .judge();
        BaselineRecord::of(card, &verdict, "abc", before)
    }

    #[test]
    fn a_record_is_read_back_from_a_text_and_judged_like_the_evaluation() {
        let card = card((0..30).map(|row| row * 1_003).collect());
        let record = record(&card, None);
        let line = record.encode().unwrap();
        let text = format!("### Report\n\nwords\n\n{line}\n");
        assert_eq!(BaselineRecord::decode(&text).unwrap().unwrap(), record);
        assert_eq!(record.scorecard(), card);
        // One line of harmless characters, whatever names it holds.
        assert!(!line.contains('\n') && !line.contains('<'));
        assert!(BaselineRecord::decode("words").is_none());
    }

    #[test]
    fn what_is_damaged_or_of_another_version_is_an_error() {
        let line = record(&card(vec![1, 2]), None).encode().unwrap();
        let cut = BaselineRecord::decode(&line[..line.len() - 9]).unwrap();
        assert!(matches!(cut, Err(RecordError::Damaged(_))), "{cut:?}");
        let later = definition::encode(LABEL, &serde_json::json!({ "record_version": 2 })).unwrap();
        let later = BaselineRecord::decode(&later).unwrap();
        assert!(matches!(later, Err(RecordError::Version(2))), "{later:?}");
    }

    #[test]
    fn a_record_keeps_within_its_limit_and_its_history_short() {
        // No pattern that could be compressed: as many bits as rows.
        let noise = |n_rows: u64| -> Vec<u64> {
            let mut state = 1_u64;
            (0..n_rows)
                .filter(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    state >> 63 == 1
                })
                .collect()
        };
        let mut last = record(&card(noise(1_000_000)), None);
        for _ in 0..30 {
            last = record(&card(noise(1_000_000)), Some(&last));
        }
        assert_eq!(last.history.len(), MAX_HISTORY);
        // It was one model all the time.
        assert_eq!(last.models_judged.len(), 1);
        let line = last.encode().unwrap();
        assert!(line.len() <= MAX_RECORD_CHARS, "{}", line.len());
        let read = BaselineRecord::decode(&line).unwrap().unwrap();
        assert_eq!(read.missed_rows, None);
        assert_eq!(read.measurements, last.measurements);
        // Half of 360,000 rows, and forty thousand of a million.
        let half = BaselineRecord {
            missed_rows: RowMask::new(360_000, noise(360_000)),
            ..last
        };
        let sparse = record(&card((0..40_000).map(|row| row * 23).collect()), None);
        for record in [half, sparse] {
            let line = record.encode().unwrap();
            assert!(line.len() <= MAX_RECORD_CHARS, "{}", line.len());
            let read = BaselineRecord::decode(&line).unwrap().unwrap();
            assert_eq!(read.missed_rows, record.missed_rows);
        }
    }

    #[test]
    fn looks_at_other_rows_are_not_counted_together() {
        let first = record(&card(vec![1]), None);
        let other = Scorecard {
            rows: Some(RowSet::of_positions(2, |_| "a".into(), BTreeMap::new())),
            ..card(vec![1])
        };
        assert_eq!(record(&other, Some(&first)).models_judged.len(), 1);
        let next = Scorecard {
            model_digest: Some(Sha256Digest::of(b"next")),
            ..card(vec![1])
        };
        assert_eq!(record(&next, Some(&first)).models_judged.len(), 2);
    }
}
