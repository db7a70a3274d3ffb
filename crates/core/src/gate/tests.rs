use std::path::Path;

use super::*;
use crate::config::EvaluateConfig;
use crate::digest::Sha256Digest;
use crate::evaluation::{DataReference, Evaluation, ModelReference, row_set_digest};
use crate::metrics;
use crate::model::Task;
use crate::verdict::{Decision, Verdict};

fn chain() -> Chain {
    Chain {
        rules_digest: Sha256Digest::of(b"rules"),
        trainyard_version: "0.0.0".to_owned(),
        commit: None,
    }
}

fn rule(text: &str) -> Rule {
    let rule: Rule = toml::from_str(text).unwrap();
    assert_eq!(rule.problem(), None, "{text}");
    rule
}

fn flat(json: &str) -> Scorecard {
    Scorecard::parse(json.as_bytes(), Path::new("metrics.json")).unwrap()
}

/// An evaluation of `n` rows of one class, of which the rows in `misses` are predicted wrong.
fn evaluated(n: u32, misses: &[u32]) -> Scorecard {
    let labels = vec![0; n as usize];
    let predicted: Vec<u32> = (0..n).map(|row| u32::from(misses.contains(&row))).collect();
    let classes = ["a".to_owned(), "b".to_owned()];
    let config = EvaluateConfig {
        bootstrap_samples: 100,
        ..EvaluateConfig::default()
    };
    let result = metrics::classify(&labels, &predicted, None, &classes, &config).unwrap();
    let row_ids: Vec<i64> = (0..i64::from(n)).collect();
    let evaluation = Evaluation {
        schema_version: 1,
        task: Task::Classification,
        model: ModelReference {
            name: "m".to_owned(),
            digest: None,
            size_bytes: None,
        },
        data: DataReference {
            digest: Sha256Digest::of(b"data"),
            row_set_digest: row_set_digest(&row_ids, labels.iter().map(u32::to_string)),
            n_rows: u64::from(n),
        },
        confidence: 0.95,
        metrics: result.metrics,
        per_class: result.per_class,
        confusion: Some(result.confusion),
        misses: Some(result.misses.iter().map(|&row| row as i64).collect()),
        predictions: None,
        files: Vec::new(),
        history: Vec::new(),
        trainyard_version: "0.0.0".to_owned(),
        commit: None,
    };
    Scorecard::of_evaluation(&evaluation, Sha256Digest::of(b"evaluation"))
}

fn against(rule_text: &str, new: &Scorecard, old: &Scorecard) -> Verdict {
    let baseline = Baseline::Ready {
        source: "base".to_owned(),
        card: Box::new(old.clone()),
    };
    judge(&[rule(rule_text)], Ok(new), &baseline, chain())
}

fn alone(rule_text: &str, card: &Scorecard) -> Verdict {
    judge(
        &[rule(rule_text)],
        Ok(card),
        &Baseline::None("none".to_owned()),
        chain(),
    )
}

#[test]
fn bounds_are_judged_with_their_level() {
    let card = flat(r#"{"accuracy": 0.97, "loss": 0.1, "nested": {"f1": 0.5}}"#);
    let cases = [
        ("metric = 'accuracy'\nmin = 0.97", Decision::Pass),
        ("metric = 'accuracy'\nmin = 0.98", Decision::Fail),
        (
            "metric = 'accuracy'\nmin = 0.98\nlevel = 'warn'",
            Decision::Warn,
        ),
        (
            "metric = 'accuracy'\nmin = 0.98\nlevel = 'info'",
            Decision::Pass,
        ),
        ("metric = 'loss'\nmax = 0.1", Decision::Pass),
        ("metric = 'loss'\nmax = 0.05", Decision::Fail),
        ("metric = 'nested.f1'\nmin = 0.4", Decision::Pass),
        ("metric = 'acuracy'\nmin = 0.4", Decision::Inconclusive),
        (
            "metric = 'acuracy'\nmin = 0.4\nlevel = 'warn'",
            Decision::Warn,
        ),
        (
            "metric = 'accuracy'\nmin = 0.9\nmin_rows = 10",
            Decision::Inconclusive,
        ),
        (
            "metric = 'accuracy'\nmin = 0.9\nconfidence = 0.95",
            Decision::Inconclusive,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(alone(text, &card).verdict, expected, "{text}");
    }
    assert!(
        alone("metric = 'acuracy'\nmin = 0.4", &card).rules[0]
            .reason
            .contains("did you mean `accuracy`?")
    );
}

/// Metrics may be many, and somebody else's: a sentence about them is read by people and has a limit on GitHub.
#[test]
fn a_missing_metric_is_explained_in_one_bearable_sentence() {
    let many: String = (0..500).map(|i| format!("\"metric_{i}\": 1,")).collect();
    let card = flat(&format!("{{{many} \"{}\": 1}}", "x".repeat(1 << 20)));
    let verdict = alone("metric = 'accuracy'\nmin = 0.4", &card);
    let reason = &verdict.rules[0].reason;
    assert!(
        reason.starts_with("there is no metric `accuracy`; there are metric_0, "),
        "{reason}"
    );
    assert!(
        reason.ends_with(" and 481 more") && reason.len() < 400,
        "{reason}"
    );
}

#[test]
fn what_could_not_be_judged_is_never_green() {
    let card = flat(r#"{"accuracy": 1}"#);
    let none = Baseline::None("none".to_owned());
    assert_eq!(
        judge(&[], Ok(&card), &none, chain()).verdict,
        Decision::Inconclusive
    );
    let rules = [rule("metric = 'accuracy'\nmin = 0.5\nlevel = 'info'")];
    assert_eq!(
        judge(&rules, Err("it is gone"), &none, chain()).verdict,
        Decision::Inconclusive
    );
    let compare = rule("metric = 'accuracy'\nmax_drop = 0.1");
    let unreadable = Baseline::Unreadable {
        source: "b".to_owned(),
        reason: "truncated".to_owned(),
    };
    assert_eq!(
        judge(
            std::slice::from_ref(&compare),
            Ok(&card),
            &unreadable,
            chain()
        )
        .verdict,
        Decision::Inconclusive
    );
    // Nothing but a skipped comparison shows nothing; with an absolute bound beside it, that one decides.
    assert_eq!(
        judge(std::slice::from_ref(&compare), Ok(&card), &none, chain()).verdict,
        Decision::Inconclusive
    );
    let both = [compare, rule("metric = 'accuracy'\nmin = 0.5")];
    let verdict = judge(&both, Ok(&card), &none, chain());
    assert_eq!(verdict.verdict, Decision::Pass);
    assert!(
        verdict.notes[0].contains("no baseline"),
        "{:?}",
        verdict.notes
    );
}

#[test]
fn files_without_a_number_to_judge_say_why() {
    let parse = |text: &str| {
        Scorecard::parse(text.as_bytes(), Path::new("m.json"))
            .unwrap_err()
            .to_string()
    };
    assert!(parse(r#"{"accuracy": NaN}"#).contains("NaN or infinity"));
    assert!(parse(r#"{"note": "NaN", "a": }"#).contains("not valid JSON"));
    assert!(parse(r#"{"note": "text", "list": [1]}"#).contains("holds no metric"));
    assert!(parse(r#"{"schema_version": 99, "metrics": []}"#).contains("schema version 99"));
    assert!(
        parse(r#"{"schema_version": 1, "metrics": [{"name": "accuracy"}]}"#)
            .contains("does not fit its schema")
    );
}

#[test]
fn changes_are_measured_in_the_metrics_own_direction() {
    let pairs = [
        ("accuracy", 0.90, 0.92),
        ("loss", 0.12, 0.10),
        ("accuracy", -0.12, -0.10),
        ("loss", 0.0, -0.02),
    ];
    for (metric, worse, better) in pairs {
        let card = |value: f64| flat(&format!("{{\"{metric}\": {value}}}"));
        let (worse, better) = (card(worse), card(better));
        let judged = |bound: &str, new, old| {
            against(&format!("metric = '{metric}'\n{bound}"), new, old).verdict
        };
        assert_eq!(
            judged("max_drop = 0.02", &worse, &better),
            Decision::Pass,
            "{metric}"
        );
        assert_eq!(
            judged("max_drop = 0.01", &worse, &better),
            Decision::Fail,
            "{metric}"
        );
        assert_eq!(
            judged("max_drop_pct = 1", &worse, &better),
            Decision::Fail,
            "{metric}"
        );
        assert_eq!(
            judged("max_drop = 0", &better, &worse),
            Decision::Pass,
            "{metric}"
        );
        assert_eq!(
            judged("min_gain = 0.02", &better, &worse),
            Decision::Pass,
            "{metric}"
        );
        assert_eq!(
            judged("min_gain = 0.01", &worse, &better),
            Decision::Fail,
            "{metric}"
        );
    }
}

#[test]
fn evaluations_of_other_rows_are_never_compared() {
    let verdict = against(
        "metric = 'accuracy'\nmax_drop = 0.5",
        &evaluated(100, &[1]),
        &evaluated(101, &[1]),
    );
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert_eq!(verdict.baseline.unwrap().has_same_rows, Some(false));
}

#[test]
fn a_drop_is_missed_when_proven_and_uncertain_when_it_may_be_chance() {
    let old = evaluated(1000, &[]);
    let judged = |n_misses: u32, extra: &str| {
        let misses: Vec<u32> = (0..n_misses).collect();
        let text = format!("metric = 'accuracy'\nmax_drop = 0\nconfidence = 0.95\n{extra}");
        against(&text, &evaluated(1000, &misses), &old).verdict
    };
    assert_eq!(judged(0, ""), Decision::Pass);
    assert_eq!(judged(2, ""), Decision::Warn);
    assert_eq!(judged(2, "when_uncertain = 'fail'"), Decision::Fail);
    assert_eq!(judged(2, "when_uncertain = 'pass'"), Decision::Pass);
    assert_eq!(judged(50, "when_uncertain = 'pass'"), Decision::Fail);
}

#[test]
fn one_more_wrong_row_never_makes_a_rule_greener() {
    let rules = [
        "metric = 'accuracy'\nmin = 0.9",
        "metric = 'accuracy'\nmin = 0.9\nconfidence = 0.95",
        "metric = 'accuracy'\nmin = 0.9\nconfidence = 0.99",
        "metric = 'accuracy'\nmax_drop = 0.05",
        "metric = 'accuracy'\nmax_drop = 0.05\nconfidence = 0.95",
        "metric = 'accuracy'\nmin_gain = 0.02\nconfidence = 0.9",
        "metric = 'recall'\nclass = 'a'\nmin = 0.8",
    ];
    // The baseline misses a spread of rows, so that each further wrong row is now a loss and now a common miss.
    let old = evaluated(120, &(0..120).step_by(10).collect::<Vec<_>>());
    for text in rules {
        let mut last = Decision::Skipped;
        for n_misses in 0..=120 {
            let misses: Vec<u32> = (0..n_misses).map(|step| step * 7 % 120).collect();
            let decision = against(text, &evaluated(120, &misses), &old).verdict;
            assert!(
                decision >= last,
                "{text}: {n_misses} wrong rows are {decision:?} after {last:?}"
            );
            last = decision;
        }
        assert_eq!(last, Decision::Fail, "{text}");
    }
}

#[test]
fn intervals_are_worked_out_anew_for_another_level() {
    let card = evaluated(100, &[1, 2, 3]);
    let verdict = alone("metric = 'accuracy'\nmin = 0.9\nconfidence = 0.99", &card);
    let interval = verdict.rules[0].interval.unwrap();
    assert_eq!(interval.confidence, 0.99);
    assert_eq!(interval, crate::statistics::wilson(97, 100, 0.99).unwrap());
    let other = alone("metric = 'f1_macro'\nmin = 0.1\nconfidence = 0.99", &card);
    assert!(
        other.rules[0]
            .reason
            .contains("[evaluate] confidence = 0.99"),
        "{}",
        other.rules[0].reason
    );
}
