//! Comparisons that would be of different things: other weights, other classes, parts that were not measured on the shared rows.

use super::*;
use crate::metrics::Scoring;

#[test]
fn rows_that_weigh_otherwise_are_not_compared() {
    for setting in ["", "compare_rows = 'common'"] {
        let found = SharedRows {
            has_other_weights: true,
            ..shared(0, 0)
        };
        let verdict = on_shared_rows(setting, Ok(found));
        let rule = &verdict.rules[0];
        assert_eq!(rule.outcome, Outcome::NotJudged);
        assert!(
            rule.reason.contains("score both with the same weights"),
            "{}",
            rule.reason
        );
        assert_eq!(rule.comparison.change, None);
    }
}

/// Recall of another class is another metric.
#[test]
fn figures_that_were_scored_otherwise_are_not_compared() {
    let scored = |positive: &str, metric: &str| {
        let mut card = classified(&[0, 1, 0], &[0, 1, 1], &["ill", "ok"]);
        card.measurements.push(Measurement::bare(
            MetricKey::overall("recall"),
            0.5,
            Some(Unit::Proportion),
            Some(Direction::HigherIsBetter),
        ));
        card.scoring = Some(Scoring {
            positive_class: Some(positive.to_owned()),
            ..super::SCORING
        });
        let rule = format!("metric = '{metric}'\nmax_drop = 0.1");
        (card, rule)
    };
    for (metric, is_judged) in [("recall", false), ("accuracy", true)] {
        let (new, gate) = scored("ok", metric);
        let (old, _) = scored("ill", metric);
        let verdict = judge(&[&gate], &new, &ready(&old));
        let rule = &verdict.rules[0];
        assert_eq!(
            rule.outcome != Outcome::NotJudged,
            is_judged,
            "{}",
            rule.reason
        );
        assert_eq!(
            rule.reason.contains("positive_class"),
            !is_judged,
            "{}",
            rule.reason
        );
    }
}

#[test]
fn a_class_that_may_have_been_renamed_is_named() {
    let with_classes = |classes: &[&str]| {
        let mut card = classified(&[0, 1, 0], &[0, 1, 0], classes);
        card.predictions_digest = Some(Sha256Digest::of(classes[1].as_bytes()));
        card
    };
    let (new, old) = (with_classes(&["a", "dog"]), with_classes(&["a", "puppy"]));
    let gate: GateConfig =
        toml::from_str("compare_rows = 'common'\n[[rules]]\nmetric = 'accuracy'\nmax_drop = 0.01")
            .unwrap();
    let found = SharedRows {
        candidate: Sha256Digest::of(b"dog"),
        baseline: Sha256Digest::of(b"puppy"),
        ..shared(0, 1)
    };
    let baseline = ready(&old).on_shared_rows(&new, Ok(Box::new(found)));
    let verdict = case(&gate, Ok(&new), &baseline).judge();
    let reason = &verdict.rules[0].reason;
    assert!(
        reason.starts_with("1 row of the baseline is gone or relabelled")
            && reason.ends_with("only this model has the class `dog`, only the baseline `puppy`: where a class was renamed, rename it in both"),
        "{reason}"
    );
}

/// A slice has its own figures on the shared rows, or none: never those of all rows of either.
#[test]
fn a_part_that_was_not_measured_on_the_shared_rows_is_not_judged() {
    let key = MetricKey {
        slice: Some("country=DE".to_owned()),
        ..MetricKey::overall("accuracy")
    };
    let of_slice = |value| {
        Measurement::bare(
            key.clone(),
            value,
            Some(Unit::Proportion),
            Some(Direction::HigherIsBetter),
        )
    };
    let judged = |found: SharedRows| {
        let (mut new, mut old) = (
            classified(&[0, 1, 0, 1], &[0, 1, 0, 0], &["a", "b"]),
            classified(&[0, 1, 0], &[0, 1, 0], &["a", "b"]),
        );
        new.measurements.push(of_slice(0.5));
        old.measurements.push(of_slice(0.9));
        new.predictions_digest = Some(found.candidate.clone());
        old.predictions_digest = Some(found.baseline.clone());
        let gate: GateConfig = toml::from_str(
            "compare_rows = 'common'\n[[rules]]\nmetric = 'accuracy'\nslice = 'country=DE'\nmax_drop = 0.01",
        )
        .unwrap();
        let baseline = ready(&old).on_shared_rows(&new, Ok(Box::new(found)));
        case(&gate, Ok(&new), &baseline).judge().rules.remove(0)
    };
    let without = judged(shared(0, 0));
    assert_eq!(without.outcome, Outcome::NotJudged);
    assert!(
        without
            .reason
            .contains("was not measured on the rows that both were scored on"),
        "{}",
        without.reason
    );
    let mut found = shared(0, 0);
    found.of_candidate.measurements.push(of_slice(0.8));
    found.of_baseline.measurements.push(of_slice(0.8));
    assert_eq!(judged(found).outcome, Outcome::Holds);
}
