//! What the candidate does not have though the baseline does, and what was measured by other settings than are asked for.

use super::*;
use crate::config::{EvaluateConfig, Threshold};
use crate::measurement::Evidence;
use crate::statistics::Moments;

#[test]
fn what_the_baseline_had_is_said_to_be_gone() {
    let old = classified(&[0, 1, 2], &[0, 1, 2], &["a", "b", "dog"]);
    let new = classified(&[0, 1, 0], &[0, 1, 0], &["a", "b"]);
    let rule = "metric = 'recall'\nclass = 'dog'\nmin = 0.5";
    let verdict = against(rule, &new, &old);
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert_eq!(
        verdict.rules[0].reason,
        "the baseline has `recall of class dog`, 1, and this evaluation no longer has it: there is no class `dog` any more; if it was \
         renamed, rename it in the rule"
    );
    // Without a baseline the name may be wrong.
    assert!(
        alone(rule, &new).rules[0]
            .reason
            .contains("there is no metric `recall of class dog`")
    );
    let key = MetricKey {
        slice: Some("country=DE".to_owned()),
        ..MetricKey::overall("accuracy")
    };
    let mut sliced = old;
    sliced
        .measurements
        .push(Measurement::bare(key, 0.9, Some(Unit::Proportion), None));
    let rule = "metric = 'accuracy'\nslice = 'country=DE'\nmax_drop = 0.1";
    let reason = &against(rule, &new, &sliced).rules[0].reason;
    assert!(
        reason.contains("no row is in the slice `country=DE` any more"),
        "{reason}"
    );
}

#[test]
fn an_evaluation_by_other_settings_is_noted_and_what_depends_on_them_not_judged() {
    let mut card = evaluated(100, &[1]);
    card.settings = Some(EvaluateConfig::default());
    let other = EvaluateConfig {
        positive_class: Some("a".to_owned()),
        threshold: Some(Threshold::Fixed(0.4)),
        top_k: 3,
        ..EvaluateConfig::default()
    };
    let gate = GateConfig {
        rules: vec![
            rule("metric = 'accuracy'\nmin = 0.5\nlevel = 'warn'"),
            rule("metric = 'top_k_accuracy'\nmin = 0.5\non_missing = 'warn'"),
        ],
        ..GateConfig::default()
    };
    let baseline = none();
    let judged = |evaluate: Option<&EvaluateConfig>| {
        Case {
            evaluate,
            ..case(&gate, Ok(&card), &baseline)
        }
        .judge()
    };
    let verdict = judged(Some(&other));
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    for (idx, part) in [
        (
            0,
            "; `threshold` is `0.4` in the configuration and not set in this evaluation",
        ),
        (1, "`top_k` is `3`"),
    ] {
        let rule = &verdict.rules[idx];
        assert_eq!(rule.outcome, Outcome::NotJudged);
        assert!(rule.reason.contains(part), "{}", rule.reason);
        assert!(
            rule.reason.ends_with("run `trainyard-evaluate` again"),
            "{}",
            rule.reason
        );
    }
    assert!(
        verdict.notes[0].starts_with("`[evaluate]` of the configuration is another one than that of this evaluation: `positive_class` is"),
        "{:?}",
        verdict.notes
    );
    let same = judged(card.settings.as_ref());
    assert_eq!(same.rules[0].outcome, Outcome::Holds);
    assert!(same.notes.is_empty(), "{:?}", same.notes);
    assert_eq!(judged(None).notes.len(), 0);
}

/// Metrics of ranked rows are counted over their groups.
#[test]
fn too_few_groups_are_not_called_rows() {
    let mut card = evaluated(100, &[1]);
    let key = MetricKey::overall("ndcg");
    card.measurements.push(Measurement {
        n_rows: Some(7),
        ..Measurement::bare(key, 0.9, Some(Unit::Proportion), None)
    });
    for (metric, reason) in [
        (
            "ndcg",
            "7 groups behind it, fewer than the 300 that the rule asks for",
        ),
        (
            "accuracy",
            "100 rows behind it, fewer than the 300 that the rule asks for",
        ),
    ] {
        let rule = format!("metric = '{metric}'\nmin = 0.5\nmin_rows = 300");
        assert_eq!(alone(&rule, &card).rules[0].reason, reason);
    }
}

/// A hundred rows of ten groups: taken as independent they would seem to prove more than they do.
#[test]
fn a_candidate_without_the_baselines_groups_is_not_paired_row_by_row() {
    let new = evaluated(100, &[1]);
    let mut old = evaluated(100, &[2]);
    let moments = Moments::of((0..10).map(|group| f64::from(group) / 10.0));
    old.measurements[0].evidence = Some(Evidence::Groups(moments));
    assert_eq!(old.measurements[0].key, MetricKey::overall("accuracy"));
    let verdict = against(
        "metric = 'accuracy'\nmax_drop = 0.5\nconfidence = 0.95",
        &new,
        &old,
    );
    assert_eq!(verdict.rules[0].outcome, Outcome::NotJudged);
    assert!(
        verdict.rules[0]
            .reason
            .contains("cannot be compared row by row"),
        "{verdict:?}"
    );
    assert!(
        verdict
            .notes
            .iter()
            .any(|note| note.contains("this evaluation has no column `group`")),
        "{:?}",
        verdict.notes
    );
    // Both without groups are.
    let old = evaluated(100, &[2]);
    let verdict = against(
        "metric = 'accuracy'\nmax_drop = 0.5\nconfidence = 0.95",
        &new,
        &old,
    );
    assert_eq!(verdict.rules[0].outcome, Outcome::Holds);
    // No drop is 0, and its sign is not one of less than nothing.
    let verdict = against(
        "metric = 'accuracy'\nmax_drop = 0\nconfidence = 0.95\nwhen_uncertain = 'warn'",
        &new,
        &old,
    );
    let Some(Computation::Tango { least, .. }) = verdict.rules[0].computation else {
        panic!("{verdict:?}")
    };
    assert_eq!((least, least.is_sign_positive()), (0.0, true));
}
