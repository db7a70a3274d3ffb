//! A badge for a README: the endpoint JSON that shields.io draws.

use serde_json::{Value, json};

use super::{Report, shortened};
use crate::figure::figure;
use crate::gate::Decision;

/// `{"schemaVersion": 1, "label": …, "message": …, "color": …}`: the headline metric, in the colour of the verdict.
///
/// Format: <https://shields.io/badges/endpoint-badge>.
pub(super) fn render(report: &Report<'_>) -> Value {
    let verdict = report.verdict;
    let model = shortened(verdict.model_name.as_deref().unwrap_or("model"));
    let headline = report.headline();
    let measured = headline.and_then(|row| Some((row, row.measured.as_ref()?.value)));
    let label = match measured {
        Some((row, _)) => format!("{model} {}", shortened(&row.key.to_string())),
        None => model,
    };
    let word = report.decision().to_lowercase();
    let message = match measured {
        Some((_, value)) if verdict.verdict == Decision::Pass => figure(value),
        Some((_, value)) => format!("{} ({word})", figure(value)),
        None => word,
    };
    let colour = match verdict.verdict {
        _ if verdict.overridden.is_some() => "orange",
        Decision::Pass => "brightgreen",
        Decision::Warn | Decision::Skipped => "yellow",
        Decision::Inconclusive => "lightgrey",
        Decision::Fail => "red",
    };
    json!({
        "schemaVersion": 1,
        "label": label,
        "message": message,
        "color": colour,
    })
}
