//! Rules on single rows: lists that must be right, and rows that are newly wrong.

use std::collections::BTreeMap;

use super::decision::Outcome;
use super::must_pass::MustPass;
use super::pair::{Basis, Pair};
use super::rule::Rule;
use super::scorecard::Scorecard;
use crate::figure::count;

/// Whether each row of the list that `rule` names is right, and why, as a clause. `found` is how the rows of each list came
/// out, by the file as the rule names it.
pub(super) fn judge_listed(
    rule: &Rule,
    found: Option<&BTreeMap<String, Result<MustPass, String>>>,
    card: &Scorecard,
) -> (Outcome, String) {
    let file = rule.must_pass.as_ref();
    let file = file.map_or_else(String::new, |file| file.display().to_string());
    match found.and_then(|found| found.get(&file)) {
        Some(Ok(found)) if card.predictions_digest.as_ref() == Some(&found.predictions) => {
            found.judge()
        }
        Some(Err(reason)) => (Outcome::NotJudged, format!("`{file}`: {reason}")),
        Some(Ok(_)) | None => (
            Outcome::NotJudged,
            format!("`{file}`: the predictions of this model are not at hand"),
        ),
    }
}

/// Whether no more than `most` rows are newly wrong, and how many are.
pub(super) fn judge_new_errors(most: u64, pair: &Pair<'_>) -> (Outcome, String) {
    if let Basis::None(reason) = &pair.basis {
        return (Outcome::NotJudged, reason.clone());
    }
    if let Basis::Unpaired | Basis::Unknown = &pair.basis {
        let reason =
            "new errors are counted row by row, and it is not known which rows both were scored on";
        return (Outcome::NotJudged, reason.to_owned());
    }
    let Some((new, old)) = pair
        .missed_rows()
        .filter(|(new, old)| new.n_rows() == old.n_rows())
    else {
        let reason =
            "it is not known for both which rows are wrong; numbers are neither right nor wrong";
        return (Outcome::NotJudged, reason.to_owned());
    };
    let n_lost = new.n_not_in(old);
    let shown = format!(
        "{} of {} that the baseline predicts right",
        count(n_lost, "new error"),
        count(old.n_rows() - old.n_set(), "row")
    );
    if n_lost <= most {
        (Outcome::Holds, shown)
    } else {
        (Outcome::Missed, format!("{shown}, more than {most}"))
    }
}
