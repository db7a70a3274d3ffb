//! Rules that could never be judged, refused where they are written.

use super::*;
use crate::config::JudgingConfig;

fn refusal(text: &str) -> String {
    let error = JudgingConfig::parse(text, Path::new("trainyard.toml")).unwrap_err();
    error.to_string()
}

#[test]
fn a_metric_of_a_class_within_a_slice_is_refused_with_what_to_write() {
    let of = |metric: &str| {
        refusal(&format!(
            "[[gate.rules]]\nmetric = '{metric}'\nclass = 'cat'\nslice = 'country=DE'\nmin = 0.5"
        ))
    };
    let recall = of("recall");
    assert!(recall.contains("trainyard.toml:3:"), "{recall}");
    assert!(
        recall.contains("`metric = \"accuracy\"` with `slice = \"country=DE, label=cat\"`"),
        "{recall}"
    );
    let f1 = of("f1");
    assert!(f1.contains("remove `class` or `slice`"), "{f1}");
}

#[test]
fn a_change_without_any_interval_is_refused_where_confidence_is_asked_for() {
    let rule = |metric: &str, more: &str| {
        format!("[[gate.rules]]\nmetric = '{metric}'\nmax_drop_pct = 5\nconfidence = 0.95\n{more}")
    };
    let found = refusal(&rule("median_absolute_error", ""));
    assert!(found.contains("trainyard.toml:4:"), "{found}");
    assert!(
        found.contains(
            "remove `confidence`; where the predictions have a column `fold`, add `fold = \"mean\"`"
        ),
        "{found}"
    );
    // Another tool's metric has no folds of ours either.
    let found = refusal(&rule("tokens", "direction = 'lower_is_better'"));
    assert!(found.contains("remove `confidence`\n"), "{found}");
    let accepted = |text: &str| {
        let parsed = JudgingConfig::parse(text, Path::new("trainyard.toml"));
        assert!(parsed.is_ok(), "{text}: {parsed:?}");
    };
    accepted(&rule("mse", ""));
    accepted(&rule("f1_macro", ""));
    accepted(&rule("median_absolute_error", "fold = 'mean'"));
    accepted(&format!(
        "[gate]\ncompare_rows = 'unpaired'\n{}",
        rule("median_absolute_error", "")
    ));
    // The value itself may have an interval.
    accepted("[[gate.rules]]\nmetric = 'median_absolute_error'\nmax = 5\nconfidence = 0.95");
}

#[test]
fn fresh_rows_that_no_rule_can_use_are_refused_on_their_line() {
    let found = refusal(
        "[[gate.rules]]\nmetric = 'loss'\nmax_drop = 0.1\nconfidence = 0.95\nsequential = 'fresh-rows'",
    );
    assert!(found.contains("trainyard.toml:5:"), "{found}");
}
