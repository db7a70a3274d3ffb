//! What the gate looks at: metrics by name, whoever measured them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::record::BaselineRecord;
use crate::digest::Sha256Digest;
use crate::evaluation::{self, Evaluation};
use crate::metrics::{Direction, Metric};
use crate::statistics::Interval;

/// Metrics of one model on one set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorecard {
    /// The model's name, where known.
    pub model_name: Option<String>,
    /// The model's digest, where known.
    pub model_digest: Option<Sha256Digest>,
    /// Digest of the file that this was read from.
    pub source_digest: Sha256Digest,
    /// Which rows were judged, where known.
    pub row_set_digest: Option<Sha256Digest>,
    /// Digest of the data's files, where known.
    pub data_digest: Option<Sha256Digest>,
    /// How many rows, where known.
    pub n_rows: Option<u64>,
    /// Identifiers of the rows predicted wrong, where known.
    pub misses: Option<BTreeSet<i64>>,
    /// Headline metrics, in the order of the file.
    pub metrics: Vec<(String, Measured)>,
    /// Metrics of single classes, by class and name.
    pub per_class: BTreeMap<(String, String), Measured>,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Finite when it came from an evaluation; checked when judged.
    pub value: f64,
    /// Its interval, where known.
    pub interval: Option<Interval>,
    /// Which way is better, where known.
    pub direction: Option<Direction>,
    /// Rows behind it, where known.
    pub n_rows: Option<u64>,
}

/// Why a file holds no metrics.
#[derive(Debug, thiserror::Error)]
pub enum ScorecardError {
    /// NaN or infinity, which JSON has no word for.
    #[error(
        "`{path}` holds NaN or infinity, which no rule can judge: find out why the metric is not a number"
    )]
    NotFinite {
        /// The file.
        path: String,
    },
    /// No JSON.
    #[error("`{path}` is not valid JSON")]
    Json {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// An evaluation of another version, or one that does not fit the schema.
    #[error("`{path}` looks like an evaluation, but does not fit its schema")]
    Evaluation {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A baseline's record that does not fit its schema.
    #[error("`{path}` looks like a baseline's record, but does not fit its schema")]
    Record {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// An evaluation of another version.
    #[error(
        "`{path}` has schema version {found}, but this build reads version {}",
        evaluation::SCHEMA_VERSION
    )]
    SchemaVersion {
        /// The file.
        path: String,
        /// The version it states.
        found: u32,
    },
    /// JSON without a single number in it.
    #[error("`{path}` holds no metric: write an object such as {{\"accuracy\": 0.98}}")]
    Empty {
        /// The file.
        path: String,
    },
}

impl Scorecard {
    /// The view of `evaluation`, read from a file with the digest `source_digest`.
    pub fn of_evaluation(evaluation: &Evaluation, source_digest: Sha256Digest) -> Self {
        let n_rows = Some(evaluation.data.n_rows);
        let metrics = evaluation
            .metrics
            .iter()
            .map(
                |Metric {
                     name,
                     value,
                     direction,
                     interval,
                     ..
                 }| {
                    let measured = Measured {
                        value: *value,
                        interval: *interval,
                        direction: Some(*direction),
                        n_rows,
                    };
                    (name.clone(), measured)
                },
            )
            .collect();
        let mut per_class = BTreeMap::new();
        for class in &evaluation.per_class {
            for (name, estimate) in [
                ("precision", class.precision),
                ("recall", class.recall),
                ("f1", class.f1),
            ] {
                if let Some(estimate) = estimate {
                    let measured = Measured {
                        value: estimate.value,
                        interval: estimate.interval,
                        direction: Some(Direction::HigherIsBetter),
                        n_rows: Some(class.support),
                    };
                    per_class.insert((class.class.clone(), name.to_owned()), measured);
                }
            }
        }
        Self {
            model_name: Some(evaluation.model.name.clone()),
            model_digest: evaluation.model.digest.clone(),
            source_digest,
            row_set_digest: Some(evaluation.data.row_set_digest.clone()),
            data_digest: Some(evaluation.data.digest.clone()),
            n_rows,
            misses: evaluation
                .misses
                .as_ref()
                .map(|rows| rows.iter().copied().collect()),
            metrics,
            per_class,
        }
    }

    /// Reads an `evaluation.json`, or a flat (or nested) JSON of metrics from any tool, as DVC's.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ScorecardError> {
        let path = path.display().to_string();
        let source_digest = Sha256Digest::of(bytes);
        let value: serde_json::Value = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(_) if has_bare_non_finite(bytes) => return Err(ScorecardError::NotFinite { path }),
            Err(source) => return Err(ScorecardError::Json { path, source }),
        };
        if let Some(version) = value.get("schema_version").filter(|_| {
            value
                .get("metrics")
                .is_some_and(serde_json::Value::is_array)
        }) {
            if version.as_u64() != Some(u64::from(evaluation::SCHEMA_VERSION)) {
                let found = version.as_u64().unwrap_or_default() as u32;
                return Err(ScorecardError::SchemaVersion { path, found });
            }
            return match serde_json::from_value::<Evaluation>(value) {
                Ok(evaluation) => Ok(Self::of_evaluation(&evaluation, source_digest)),
                Err(source) => Err(ScorecardError::Evaluation { path, source }),
            };
        }
        if value.get("record_version").is_some() {
            return match serde_json::from_value::<BaselineRecord>(value) {
                Ok(record) => Ok(record.scorecard()),
                Err(source) => Err(ScorecardError::Record { path, source }),
            };
        }
        let metrics: Vec<(String, Measured)> = evaluation::flatten_metrics(&value)
            .into_iter()
            .map(|(name, value)| {
                let direction = Direction::of(&name);
                (
                    name,
                    Measured {
                        value,
                        interval: None,
                        direction,
                        n_rows: None,
                    },
                )
            })
            .collect();
        if metrics.is_empty() {
            return Err(ScorecardError::Empty { path });
        }
        Ok(Self {
            model_name: None,
            model_digest: None,
            source_digest,
            row_set_digest: None,
            data_digest: None,
            n_rows: None,
            misses: None,
            metrics,
            per_class: BTreeMap::new(),
        })
    }

    /// The metric called `name`, of `class` where one is given.
    pub fn get(&self, name: &str, class: Option<&str>) -> Option<&Measured> {
        match class {
            Some(class) => self.per_class.get(&(class.to_owned(), name.to_owned())),
            None => self
                .metrics
                .iter()
                .find(|(metric, _)| metric == name)
                .map(|(_, measured)| measured),
        }
    }
}

/// Whether a text that is no JSON holds the words that Python writes for numbers that JSON cannot hold.
fn has_bare_non_finite(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    // Outside of strings: every second piece between quotes.
    text.split('"')
        .step_by(2)
        .any(|piece| piece.contains("NaN") || piece.contains("Infinity"))
}
