//! Why there is nothing to judge: a metric that is not there, or too few rows behind it.

use super::rule::{Rule, slice_parts};
use super::scorecard::Scorecard;
use crate::figure::{count, figure};
use crate::measurement::MetricKey;
use crate::metrics::catalog;

/// Why the card has no measurement with `key`, which `old` may have.
pub(super) fn absent(key: &MetricKey, card: &Scorecard, old: Option<&Scorecard>) -> String {
    /// Names that are given; all stand in the verdict.
    const MAX_NAMES: usize = 3;
    // Names may be of another tool.
    const MAX_CHARS: usize = 80;
    if let Some(reason) = card.why_undefined(key) {
        return format!("`{key}` has no value: {reason}");
    }
    let wanted = key.to_string();
    // What the baseline has is not misspelt.
    if let Some(before) = old.and_then(|old| old.get(key)) {
        return format!(
            "the baseline has `{key}`, {}, and this evaluation no longer has it: {}",
            figure(before.value),
            gone(key, card)
        );
    }
    // A known name is not misspelt; other tools write names of their own.
    let known = catalog::all().find(|metric| metric.name == key.metric);
    let known = known.filter(|_| card.scoring.is_some());
    let is_there = card
        .measurements
        .iter()
        .any(|found| found.key.metric == key.metric);
    if let Some(known) = known
        && !is_there
    {
        return format!(
            "there is no `{wanted}` in this evaluation: it needs {}",
            known.compute.needs()
        );
    }
    if let Some(reason) = no_such_part(key, card) {
        return reason;
    }
    let names = card
        .measurements
        .iter()
        .filter(|found| found.key.class.is_some() == key.class.is_some())
        .filter(|found| found.key.output.is_some() == key.output.is_some())
        .map(|found| found.key.to_string())
        .filter(|name| name.chars().count() <= MAX_CHARS);
    let mut names: Vec<(usize, String)> = names
        .map(|name| (strsim::damerau_levenshtein(&name, &wanted), name))
        .collect();
    // Names at the same distance in the order of the evaluation.
    names.sort_by_key(|(distance, _)| *distance);
    match names.first() {
        Some((distance, nearest)) if *distance <= 3 => {
            format!("there is no metric `{wanted}`; did you mean `{nearest}`?")
        }
        Some(_) => {
            let nearest = names.iter().take(MAX_NAMES);
            let nearest: Vec<String> = nearest.map(|(_, name)| format!("`{name}`")).collect();
            let are = match nearest.len() {
                1 => "name is",
                _ => "names are",
            };
            format!(
                "there is no metric `{wanted}`; the nearest {are} {}; all are in `verdict.json`, under `metrics`",
                nearest.join(", ")
            )
        }
        None => format!("there is no metric `{wanted}`"),
    }
}

/// Why a metric that is measured has no value for what `key` is about, as a clause: for a class that is not named, a slice that is not cut
/// or folds that are not there. `None` where a name may be misspelt. Files of other tools have no such parts.
fn no_such_part(key: &MetricKey, card: &Scorecard) -> Option<String> {
    card.scoring.as_ref()?;
    let has = |is_it: &dyn Fn(&MetricKey) -> bool| {
        let mut keys = card.measurements.iter().map(|found| &found.key);
        keys.any(is_it)
    };
    if key.fold.is_some() && !has(&|found| found.fold.is_some()) {
        return Some(format!(
            "there is no `{key}`, since the rows have no folds: add a column `fold` to the predictions, or remove `fold` from the rule"
        ));
    }
    if let Some(slice) = &key.slice {
        let columns_of = |slice: &str| {
            let parts = slice_parts(slice).into_iter();
            let mut columns: Vec<String> = parts.map(|(column, _)| column.to_owned()).collect();
            columns.sort_unstable();
            columns
        };
        let columns = columns_of(slice);
        let is_cut = |found: &MetricKey| {
            let slice = found.slice.as_deref();
            slice.is_some_and(|slice| columns_of(slice) == columns)
        };
        if !has(&is_cut)
            && !card
                .unmeasured_slices
                .iter()
                .any(|(name, _)| columns_of(name) == columns)
        {
            return Some(format!(
                "there is no `{key}`, since no slices are cut by `{}`: add `[[evaluate.slices]]` with `columns = [{}]`, and evaluate again",
                columns.join("`, `"),
                columns
                    .iter()
                    .map(|column| format!("\"{column}\""))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
    }
    let of_class = |found: &MetricKey| {
        let overall = MetricKey {
            class: None,
            ..found.clone()
        };
        found.class.is_some() && overall == *key
    };
    let mut keys = card.measurements.iter().map(|found| &found.key);
    let class = keys.find(|found| of_class(found))?.class.as_ref()?;
    Some(format!(
        "there is no `{key}` of all rows, but one of each class: add `class` to the rule, such as `class = \"{class}\"`"
    ))
}

/// Why what the baseline has is gone, as a clause.
fn gone(key: &MetricKey, card: &Scorecard) -> String {
    let has_class = |class: &String| {
        let confusion = card.confusion.as_ref();
        confusion.is_none_or(|confusion| confusion.classes().contains(class))
    };
    match (&key.class, &key.slice) {
        (Some(class), _) if !has_class(class) => {
            format!(
                "there is no class `{class}` any more; if it was renamed, rename it in the rule"
            )
        }
        (None, Some(slice)) => format!("no row is in the slice `{slice}` any more"),
        _ => {
            let known = catalog::all().find(|metric| metric.name == key.metric);
            let needs = known.map(|known| format!(", which needs {}", known.compute.needs()));
            format!("it was not measured{}", needs.unwrap_or_default())
        }
    }
}

/// Whether fewer rows are behind a value than `rule` asks for, as a clause.
pub(super) fn too_few_rows(rule: &Rule, n_rows: Option<u64>) -> Option<String> {
    let min_rows = rule.min_rows?;
    match n_rows {
        Some(n_rows) if n_rows >= min_rows => None,
        Some(n_rows) => Some(format!(
            "{} behind it, fewer than the {min_rows} that the rule asks for",
            count(n_rows, catalog::counted(&rule.metric))
        )),
        None => Some(format!(
            "the number of {}s behind it is not known, but the rule asks for {min_rows}",
            catalog::counted(&rule.metric)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256Digest;
    use crate::measurement::{Fold, Measurement};
    use crate::metrics::Scoring;
    use crate::model::Loss;

    #[test]
    fn a_part_that_is_not_there_is_said_to_be_missing_and_not_misspelt() {
        let of = |key: MetricKey| Measurement::bare(key, 0.5, None, None);
        let measurements = vec![
            of(MetricKey::overall("accuracy")),
            of(MetricKey::of_class("precision", "cat")),
        ];
        let card = Scorecard {
            scoring: Some(Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95)),
            ..Scorecard::bare(Sha256Digest::of(b"evaluation"), measurements)
        };
        let reason = |key: &MetricKey| absent(key, &card, None);
        let precision = reason(&MetricKey::overall("precision"));
        assert!(precision.contains("`class = \"cat\"`"), "{precision}");
        let accuracy = MetricKey::overall("accuracy");
        let slice = reason(&MetricKey {
            slice: Some("country=DE, age=4".to_owned()),
            ..accuracy.clone()
        });
        assert!(
            slice.contains("`columns = [\"age\", \"country\"]`"),
            "{slice}"
        );
        let fold = reason(&MetricKey {
            fold: Some(Fold::Mean),
            ..accuracy
        });
        assert!(fold.contains("have no folds"), "{fold}");
        let misspelt = reason(&MetricKey::overall("acuracy"));
        assert!(misspelt.contains("did you mean `accuracy`"), "{misspelt}");
    }
}
