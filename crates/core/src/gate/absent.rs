//! Why there is nothing to judge: a metric that is not there, or too few rows behind it.

use super::rule::Rule;
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
