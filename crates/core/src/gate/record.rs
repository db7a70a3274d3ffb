//! What a commit's model was worth, kept in the text of its check run for later comparisons.
//!
//! It stands there as a Markdown link definition that nothing refers to, which renders as nothing.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RulesFrom;
use super::scorecard::{Measured, Scorecard};
use crate::digest::Sha256Digest;
use crate::metrics::Direction;
use crate::statistics::Interval;

/// The gate's copy of the record that it compared with, in the folder of the verdict.
pub const BASELINE_FILE: &str = "baseline.json";

/// Version of [`BaselineRecord`]'s layout.
pub(super) const RECORD_VERSION: u32 = 1;

/// Characters that a record takes at most; a check's text has room for 65,535.
pub const MAX_RECORD_CHARS: usize = 60_000;

/// Values of the headline metric that are kept.
pub(super) const MAX_HISTORY: usize = 20;

const LABEL: &str = "[trainyard-record]: #";

/// What a commit's model was worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineRecord {
    /// Version of this layout.
    pub record_version: u32,
    /// The commit.
    pub commit: String,
    /// The model's name, where known.
    pub model_name: Option<String>,
    /// The model, where known.
    pub model_digest: Option<Sha256Digest>,
    /// Digest of the evaluation or metrics file.
    pub evaluation_digest: Sha256Digest,
    /// Digest of the rules that judged it.
    pub rules_digest: Sha256Digest,
    /// Whether pull requests are judged by these rules, whatever they say themselves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rules_from: RulesFrom,
    /// Digest of the test data's files, where known.
    pub data_digest: Option<Sha256Digest>,
    /// Which rows were judged, where known.
    pub row_set_digest: Option<Sha256Digest>,
    /// How many rows, where known.
    pub n_rows: Option<u64>,
    /// Headline metrics, and those of single classes where there is room.
    pub metrics: Vec<RecordedMetric>,
    /// Identifiers of the rows predicted wrong, where known and where there is room.
    pub misses: Option<Vec<i64>>,
    /// Headline values of the commits before it and of itself, the oldest first.
    pub history: Vec<HistoryPoint>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedMetric {
    /// Its name.
    pub name: String,
    /// The class that it is of, where it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its value.
    pub value: f64,
    /// Its interval, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Which way is better, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Rows behind it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_rows: Option<u64>,
}

/// The headline metric of one commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryPoint {
    /// The commit.
    pub commit: String,
    /// The metric.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_default(rules_from: &RulesFrom) -> bool {
    *rules_from == RulesFrom::default()
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
    /// The record of `card`, judged by the rules with `rules_digest`, after the commits of `history`.
    pub fn of(
        card: &Scorecard,
        commit: &str,
        rules_digest: Sha256Digest,
        history: &[HistoryPoint],
    ) -> Self {
        let recorded = |name: &str, class: Option<&str>, measured: &Measured| RecordedMetric {
            name: name.to_owned(),
            class: class.map(str::to_owned),
            value: measured.value,
            interval: measured.interval,
            direction: measured.direction,
            n_rows: measured.n_rows,
        };
        let headline = card
            .metrics
            .iter()
            .map(|(name, measured)| recorded(name, None, measured));
        let per_class = card
            .per_class
            .iter()
            .map(|((class, name), measured)| recorded(name, Some(class), measured));
        let skipped = (history.len() + 1).saturating_sub(MAX_HISTORY);
        Self {
            record_version: RECORD_VERSION,
            commit: commit.to_owned(),
            model_name: card.model_name.clone(),
            model_digest: card.model_digest.clone(),
            evaluation_digest: card.source_digest.clone(),
            rules_digest,
            rules_from: RulesFrom::Head,
            data_digest: card.data_digest.clone(),
            row_set_digest: card.row_set_digest.clone(),
            n_rows: card.n_rows,
            metrics: headline.chain(per_class).collect(),
            misses: card
                .misses
                .as_ref()
                .map(|rows| rows.iter().copied().collect()),
            history: history[skipped.min(history.len())..].to_vec(),
        }
    }

    /// The same with the value of `metric` as the newest point of the history, where the record has it.
    #[must_use]
    pub fn with_headline(mut self, metric: &str) -> Self {
        let found = self
            .metrics
            .iter()
            .find(|found| found.name == metric && found.class.is_none());
        if let Some(found) = found {
            self.history.push(HistoryPoint {
                commit: self.commit.clone(),
                metric: metric.to_owned(),
                value: found.value,
            });
        }
        self
    }

    /// The metrics and rows, as the gate compares them.
    pub fn scorecard(&self) -> Scorecard {
        let measured = |metric: &RecordedMetric| Measured {
            value: metric.value,
            interval: metric.interval,
            direction: metric.direction,
            n_rows: metric.n_rows,
        };
        let (mut metrics, mut per_class) = (Vec::new(), BTreeMap::new());
        for metric in &self.metrics {
            match &metric.class {
                None => metrics.push((metric.name.clone(), measured(metric))),
                Some(class) => {
                    per_class.insert((class.clone(), metric.name.clone()), measured(metric));
                }
            }
        }
        Scorecard {
            model_name: self.model_name.clone(),
            model_digest: self.model_digest.clone(),
            source_digest: self.evaluation_digest.clone(),
            row_set_digest: self.row_set_digest.clone(),
            data_digest: self.data_digest.clone(),
            n_rows: self.n_rows,
            misses: self
                .misses
                .as_ref()
                .map(|rows| rows.iter().copied().collect::<BTreeSet<i64>>()),
            metrics,
            per_class,
        }
    }

    /// The record as a line of Markdown that renders as nothing. What makes it too long is left out: first the rows
    /// predicted wrong, then the metrics of single classes, then the history.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        let mut record = self.clone();
        let smaller: [fn(&mut Self); 3] = [
            |record| record.misses = None,
            |record| record.metrics.retain(|metric| metric.class.is_none()),
            |record| record.history.clear(),
        ];
        let mut smaller = smaller.iter();
        loop {
            let text = format!(
                "{LABEL}{}",
                URL_SAFE_NO_PAD.encode(serde_json::to_vec(&record)?)
            );
            match smaller.next() {
                Some(shrink) if text.len() > MAX_RECORD_CHARS => shrink(&mut record),
                _ => return Ok(text),
            }
        }
    }

    /// The record in a check's text; `None` where there is none.
    pub fn decode(text: &str) -> Option<Result<Self, RecordError>> {
        let line = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(LABEL))?;
        Some(Self::from_base64(line.trim()))
    }

    fn from_base64(text: &str) -> Result<Self, RecordError> {
        let damaged = |error: &dyn std::fmt::Display| RecordError::Damaged(error.to_string());
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| damaged(&error))?;
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        match value["record_version"].as_u64() {
            Some(version) if version == u64::from(RECORD_VERSION) => {
                serde_json::from_value(value).map_err(|error| damaged(&error))
            }
            version => Err(RecordError::Version(version.unwrap_or_default() as u32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(n_misses: i64) -> Scorecard {
        let measured = Measured {
            value: 0.97,
            interval: None,
            direction: Some(Direction::HigherIsBetter),
            n_rows: Some(1000),
        };
        Scorecard {
            model_name: Some("digits".to_owned()),
            model_digest: Some(Sha256Digest::of(b"model")),
            source_digest: Sha256Digest::of(b"evaluation"),
            row_set_digest: Some(Sha256Digest::of(b"rows")),
            data_digest: Some(Sha256Digest::of(b"data")),
            n_rows: Some(1000),
            misses: Some((0..n_misses).map(|row| row * 1_000_003).collect()),
            metrics: vec![("accuracy".to_owned(), measured)],
            per_class: [(("]: #\n<b>".to_owned(), "f1".to_owned()), measured)].into(),
        }
    }

    fn record(n_misses: i64, n_before: usize) -> BaselineRecord {
        let before: Vec<HistoryPoint> = (0..n_before)
            .map(|idx| HistoryPoint {
                commit: idx.to_string(),
                metric: "accuracy".to_owned(),
                value: idx as f64,
            })
            .collect();
        BaselineRecord::of(&card(n_misses), "abc", Sha256Digest::of(b"rules"), &before)
            .with_headline("accuracy")
    }

    #[test]
    fn a_record_is_read_back_from_a_text_and_judged_like_the_evaluation() {
        let record = record(30, 3);
        let line = record.encode().unwrap();
        let text = format!("### Report\n\nwords\n\n{line}\n");
        assert_eq!(BaselineRecord::decode(&text).unwrap().unwrap(), record);
        assert_eq!(record.scorecard(), card(30));
        // One line of harmless characters, whatever names it holds.
        assert!(!line.contains('\n') && !line.contains('<'));
        assert!(BaselineRecord::decode("words").is_none());
    }

    #[test]
    fn what_is_damaged_or_of_another_version_is_an_error() {
        let line = record(3, 0).encode().unwrap();
        let cut = BaselineRecord::decode(&line[..line.len() - 9]).unwrap();
        assert!(matches!(cut, Err(RecordError::Damaged(_))), "{cut:?}");
        let later = format!(
            "{LABEL}{}",
            URL_SAFE_NO_PAD.encode(r#"{"record_version":2}"#)
        );
        let later = BaselineRecord::decode(&later).unwrap();
        assert!(matches!(later, Err(RecordError::Version(2))), "{later:?}");
    }

    #[test]
    fn a_record_keeps_within_its_limit_and_its_history_short() {
        let large = record(20_000, 50);
        assert_eq!(large.history.len(), MAX_HISTORY);
        assert_eq!(large.history.last().unwrap().commit, "abc");
        let line = large.encode().unwrap();
        assert!(line.len() <= MAX_RECORD_CHARS, "{}", line.len());
        let read = BaselineRecord::decode(&line).unwrap().unwrap();
        assert_eq!(read.misses, None);
        assert_eq!(read.metrics, large.metrics);
    }
}
