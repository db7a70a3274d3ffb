//! How good a published model was found, in the few figures that its server shows beside it.

use serde::{Deserialize, Serialize};

use super::Report;
use crate::digest::Sha256Digest;
use crate::evaluation::Evaluation;
use crate::figure::{self, figure};
use crate::gate::{Comparison, Verdict};

/// The variable of an image's environment that holds an [`Assessment`] as JSON. A layer would be another blob of each image; in the
/// model's own layer, one model would not be one layer any more.
pub const ASSESSMENT_VARIABLE: &str = "TRAINYARD_ASSESSMENT";

/// Metrics that are shown; a page has no room for more.
const MAX_METRICS: usize = 12;

/// What was found of a model before it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Which model it is about.
    pub model_digest: Sha256Digest,
    /// What the gate decided: `pass`, `warn`, `fail` or `inconclusive`.
    pub verdict: String,
    /// Why it is served where it had failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
    /// The commit that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Rows that it was tested on.
    pub n_rows: u64,
    /// Those that every report shows or that a rule names.
    pub metrics: Vec<AssessedMetric>,
}

/// One metric, as it is written everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessedMetric {
    /// Its name in the catalog.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}

impl Assessment {
    /// Of the model with this digest, which `evaluation` scored and `verdict` judged.
    pub fn of(model_digest: &Sha256Digest, verdict: &Verdict, evaluation: &Evaluation) -> Self {
        let report = Report {
            verdict,
            evaluation: Some(evaluation),
            run_url: None,
            artifact: None,
            tested_commit: None,
            history: &[],
        };
        let rows = report.rows().into_iter();
        let measured = rows.filter_map(|(row, _): (&Comparison, _)| row.measured.as_ref());
        let overall = measured.filter(|it| it.key.is_overall() && it.value.is_finite());
        let metrics = overall.take(MAX_METRICS).map(|it| AssessedMetric {
            name: it.key.metric.clone(),
            value: figure(it.value),
            interval: it.interval.as_ref().map(figure::interval),
        });
        let overridden = verdict.overridden.as_ref();
        Self {
            model_digest: model_digest.clone(),
            verdict: verdict.verdict.word().to_owned(),
            overridden: overridden.map(|found| format!("{}: {}", found.by, found.reason)),
            commit: verdict.commit.clone(),
            n_rows: evaluation.data.rows.n_rows,
            metrics: metrics.collect(),
        }
    }
}
