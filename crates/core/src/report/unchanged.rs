//! What is said where an earlier verdict still holds.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::text::escape;
use super::{capitalised, shortened};
use crate::figure::{self, figure};
use crate::gate::{BaselineRecord, Decision};

/// The file beside where a verdict would lie, where an earlier one still holds.
pub const UNCHANGED_FILE: &str = "unchanged.json";

/// A commit for which an earlier verdict still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnchangedSince {
    /// The model's name.
    pub model_name: String,
    /// The commit.
    pub commit: String,
    /// The commit that was measured.
    pub measured: String,
    /// What was decided about that one.
    pub decision: Decision,
}

/// Title and Markdown for a commit that changes no file of the model whose `record`, measured at the commit `measured`, is
/// copied on.
pub fn unchanged_report(record: &BaselineRecord, measured: &str) -> (String, String) {
    let short = measured.get(..7).unwrap_or(measured);
    let model = shortened(record.model_name.as_deref().unwrap_or("model"));
    let title = format!(
        "{} · {model}: unchanged since {short}",
        capitalised(record.decision)
    );
    let mut text = format!(
        "No file of the model has changed since `{}`, whose verdict is **{}**, so nothing was trained and nothing judged anew.\n\n| Metric | Value | Interval |\n| :-- | --: | :-: |\n",
        escape(short),
        record.decision.word()
    );
    let overall = record
        .measurements
        .iter()
        .filter(|found| found.key.is_overall());
    for found in overall {
        let interval = found.interval.as_ref().map(figure::interval);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            escape(&found.key.metric),
            figure(found.value),
            interval.unwrap_or_default()
        );
    }
    (title, text)
}
