//! What should be known about the rows of candidate and baseline, in sentences.

use super::pair::{Basis, Pair, other_model};
use super::rule::{CompareRows, Rule};
use crate::config::GateConfig;
use crate::figure::count;
use crate::row_set::RowMatch;

/// Where the baseline's rows come in groups and the candidate's do not.
pub(super) fn note_on_groups(pair: &Pair<'_>) -> Option<String> {
    if !pair.old.is_grouped() || pair.new.is_grouped() {
        return None;
    }
    let changes = match pair.found {
        Some(Ok(shared)) if shared.has_baselines_groups => {
            "; intervals of changes use the baseline's groups"
        }
        _ => "",
    };
    Some(format!(
        "The baseline's rows come in groups, and this evaluation has no column `group`, so its own intervals take rows as independent{changes}."
    ))
}

/// What should be known about the rows of the two.
pub(super) fn note_on_rows(pair: &Pair<'_>, gate: &GateConfig) -> Option<String> {
    if let Some(reason) = other_model([pair.new, pair.old]) {
        return Some(format!("No change is judged: {reason}."));
    }
    if pair.has_same_predictions() {
        return Some("The baseline has the same predictions, so nothing has changed.".to_owned());
    }
    match &pair.rows {
        RowMatch::Different { reason } => Some(match &pair.basis {
            Basis::Shared(shared) => {
                let parts = [
                    (shared.n_new, "", "new"),
                    (shared.n_lost(), " of the baseline", "gone or relabelled"),
                ];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter(|(n_rows, ..)| *n_rows > 0)
                    .map(|(n_rows, whose, what)| {
                        let verb = if n_rows == 1 { "is" } else { "are" };
                        format!("{n_rows}{whose} {verb} {what}")
                    })
                    .collect();
                let beside = match parts.as_slice() {
                    [] => String::new(),
                    parts => format!("; {}", parts.join(", ")),
                };
                format!(
                    "Changes are those on the {} that both were scored on{beside}.",
                    count(shared.n_rows, "row")
                )
            }
            Basis::Unpaired => format!(
                "The baseline was scored on other rows ({reason}), so changes are those of two samples: whether the rows got harder or the model got worse cannot be told apart."
            ),
            // Where no rule compares, the gate did not look for the rows.
            Basis::None(_) if !gate.rules.iter().any(Rule::compares) => {
                format!("The baseline was scored on other rows ({reason}), so no change is shown.")
            }
            Basis::None(reason) if gate.compare_rows != CompareRows::Same => {
                format!("No change can be judged: {reason}.")
            }
            Basis::None(_) | Basis::Same | Basis::Unknown => format!(
                "The baseline was scored on other rows ({reason}), so no change can be judged: set `compare_rows = \"common\"` under `[gate]` for rows with a `row_id`, or score the baseline's model on today's rows."
            ),
        }),
        RowMatch::Unknown => Some(
            "It is not known whether the baseline was scored on the same rows: the files do not say."
                .to_owned(),
        ),
        RowMatch::Same { added, removed, .. } => {
            let changed = [(added, "added"), (removed, "removed")];
            let parts: Vec<String> = changed
                .into_iter()
                .filter(|(columns, _)| !columns.is_empty())
                .map(|(columns, what)| {
                    format!("Columns {what} since the baseline: {}.", columns.join(", "))
                })
                .collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        }
    }
}
