//! Tables of cases: rules, candidate and baseline in, verdict out.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::GateConfig;
use crate::digest::Sha256Digest;
use crate::measurement::{Direction, Measurement, MetricKey, Unit};
use crate::metrics::{self, ClassifiedRows, ValuedRows};
use crate::model::Loss;
use crate::row_mask::RowMask;
use crate::row_set::{RowMatch, RowSet};

mod fresh_rows;
mod missing;
mod other_rows;
mod properties;
mod refusals;
mod several_labels;
mod vocabulary;

fn rule(text: &str) -> Rule {
    let rule: Rule = toml::from_str(text).unwrap();
    assert_eq!(rule.problem(), None, "{text}");
    rule
}

fn problem(text: &str) -> String {
    let rule: Rule = toml::from_str(text).unwrap();
    rule.problem()
        .unwrap_or_else(|| panic!("{text} is accepted"))
        .1
}

fn flat(json: &str) -> Scorecard {
    Scorecard::parse(json.as_bytes(), Path::new("metrics.json")).unwrap()
}

/// `n` rows of the class `a`, of which those in `missed` are predicted as `b`.
fn evaluated(n: u32, missed: &[u32]) -> Scorecard {
    let labels = vec![0; n as usize];
    let predicted: Vec<u32> = (0..n).map(|row| u32::from(missed.contains(&row))).collect();
    classified(&labels, &predicted, &["a", "b"])
}

/// With the defaults.
const SCORING: metrics::Scoring = metrics::Scoring::new(Loss::MeanSquaredError, 0.95);

fn classified(labels: &[u32], predicted: &[u32], classes: &[&str]) -> Scorecard {
    let classes: Vec<String> = classes.iter().map(|&class| class.to_owned()).collect();
    let rows = ClassifiedRows {
        labels,
        predicted,
        scores: None,
        classes: &classes,
        weights: None,
        groups: None,
    };
    let measured = metrics::classify(&rows, &SCORING).unwrap();
    let label = |row: usize| classes[labels[row] as usize].as_str().into();
    let missed = measured.misses.iter().map(|&row| row as u64).collect();
    Scorecard {
        rows: Some(RowSet::of_positions(labels.len(), label, BTreeMap::new())),
        missed_rows: RowMask::new(labels.len() as u64, missed),
        confusion: measured.confusion,
        undefined: measured.undefined,
        ..Scorecard::bare(Sha256Digest::of(b"evaluation"), measured.measurements)
    }
}

fn ready(card: &Scorecard) -> Baseline {
    Baseline::Ready {
        source: "base".to_owned(),
        card: Box::new(card.clone()),
        shared: None,
    }
}

fn none() -> Baseline {
    Baseline::NotConfigured("none is configured".to_owned())
}

fn judge(rules: &[&str], candidate: &Scorecard, baseline: &Baseline) -> Verdict {
    let gate = GateConfig {
        rules: rules.iter().map(|text| rule(text)).collect(),
        ..GateConfig::default()
    };
    case(&gate, Ok(candidate), baseline).judge()
}

fn case<'a>(
    gate: &'a GateConfig,
    candidate: Result<&'a Scorecard, &'a CandidateError>,
    baseline: &'a Baseline,
) -> Case<'a> {
    Case {
        rules: RulesInForce {
            gate,
            digest: Sha256Digest::of(b"rules"),
            origin: RulesOrigin::Own,
        },
        candidate,
        baseline,
        trust: Trust::Verified,
        overridden: None,
        model_name: None,
        commit: None,
        trainyard_version: "0.0.0",
        rule_changes: &[],
        must_pass: None,
        looks: Ok(None),
        evaluate: None,
        fresh_rows: None,
        flips: None,
        notes: &[],
    }
}

fn alone(text: &str, card: &Scorecard) -> Verdict {
    judge(&[text], card, &none())
}

fn against(text: &str, new: &Scorecard, old: &Scorecard) -> Verdict {
    judge(&[text], new, &ready(old))
}

#[test]
fn bounds_are_judged_with_their_level() {
    use Decision::{Fail, Inconclusive, Pass, Warn};
    let card = flat(r#"{"accuracy": 0.97, "loss": 0.1, "nested": {"f1": 0.5}}"#);
    for (text, expected) in [
        ("metric = 'accuracy'\nmin = 0.97", Pass),
        ("metric = 'accuracy'\nmin = 0.98", Fail),
        ("metric = 'accuracy'\nmin = 0.98\nlevel = 'warn'", Warn),
        // Nothing that counts was judged.
        ("metric = 'accuracy'\nmin = 0.98\nlevel = 'info'", Warn),
        ("metric = 'accuracy'\nmin = 0.97\nlevel = 'info'", Pass),
        ("metric = 'loss'\nmax = 0.1", Pass),
        ("metric = 'loss'\nmax = 0.05", Fail),
        ("metric = 'nested.f1'\nmin = 0.4", Pass),
        ("metric = 'acuracy'\nmin = 0.4", Inconclusive),
        ("metric = 'acuracy'\nmin = 0.4\nlevel = 'warn'", Warn),
        (
            "metric = 'accuracy'\nmin = 0.9\nmin_rows = 10",
            Inconclusive,
        ),
        (
            "metric = 'accuracy'\nmin = 0.9\nconfidence = 0.95",
            Inconclusive,
        ),
    ] {
        assert_eq!(alone(text, &card).verdict, expected, "{text}");
    }
    let reason = &alone("metric = 'acuracy'\nmin = 0.4", &card).rules[0].reason;
    assert!(reason.contains("did you mean `accuracy`?"), "{reason}");
}

/// Metrics may be many, and of another tool: a sentence about them is read by people and has a limit on GitHub.
#[test]
fn a_missing_metric_is_explained_in_one_bearable_sentence() {
    let many: String = (0..500).map(|i| format!("\"metric_{i}\": 1,")).collect();
    let card = flat(&format!("{{{many} \"{}\": 1}}", "x".repeat(1 << 20)));
    let verdict = alone("metric = 'accuracy'\nmin = 0.4", &card);
    let reason = &verdict.rules[0].reason;
    assert!(
        reason.starts_with("there is no metric `accuracy`; the nearest names are `metric_0`, "),
        "{reason}"
    );
    assert!(
        reason.ends_with("; all are in `verdict.json`, under `metrics`") && reason.len() < 200,
        "{reason}"
    );
}

#[test]
fn what_could_not_be_judged_is_never_green() {
    let card = flat(r#"{"accuracy": 1}"#);
    assert_eq!(judge(&[], &card, &none()).verdict, Decision::Inconclusive);
    let info = GateConfig {
        rules: vec![rule("metric = 'accuracy'\nmin = 0.5\nlevel = 'info'")],
        ..GateConfig::default()
    };
    let gone = CandidateError::Refused("it is gone".to_owned());
    let absent = none();
    let verdict = case(&info, Err(&gone), &absent).judge();
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert!(
        verdict.notes[0].contains("it is gone"),
        "{:?}",
        verdict.notes
    );
    // The base branch's rules are to judge, and are not known.
    let verdict = Case {
        rules: RulesInForce {
            gate: &info,
            digest: Sha256Digest::of(b"rules"),
            origin: RulesOrigin::Unread("403".to_owned()),
        },
        ..case(&info, Ok(&card), &absent)
    }
    .judge();
    assert_eq!(verdict.verdict, Decision::Inconclusive);
}

/// The three ways in which there can be no baseline, each with a comparing rule alone and beside an absolute one.
#[test]
fn without_a_baseline_no_verdict_is_better_than_a_warning() {
    let card = flat(r#"{"accuracy": 1}"#);
    let reason = || "first run".to_owned();
    let compare = "metric = 'accuracy'\nmax_drop = 0.1";
    let absolute = "metric = 'accuracy'\nmin = 0.5";
    for baseline in [
        Baseline::NeverRecorded(reason()),
        Baseline::NotConfigured(reason()),
        Baseline::Unavailable(reason()).under(MissingBaseline::AbsoluteOnly),
    ] {
        for (rules, has_judged) in [(&[compare][..], false), (&[compare, absolute], true)] {
            let verdict = judge(rules, &card, &baseline);
            assert_eq!(verdict.verdict, Decision::Warn, "{baseline:?}");
            assert_eq!(verdict.has_judged(), has_judged);
            assert_eq!(verdict.rules[0].outcome, Outcome::Skipped);
            assert!(
                verdict.summary.contains("No change was judged")
                    && verdict.summary.contains("first run"),
                "{}",
                verdict.summary
            );
        }
        // Where no rule compares, nothing of this applies.
        assert_eq!(judge(&[absolute], &card, &baseline).verdict, Decision::Pass);
    }
    let unavailable = Baseline::Unavailable(reason()).under(MissingBaseline::Inconclusive);
    assert_eq!(
        judge(&[compare, absolute], &card, &unavailable).verdict,
        Decision::Inconclusive
    );
    assert_eq!(
        judge(&[absolute], &card, &unavailable).verdict,
        Decision::Pass
    );
}

#[test]
fn changes_are_measured_in_the_metrics_own_direction() {
    use Decision::{Fail, Pass};
    for (metric, worse, better) in [
        ("accuracy", 0.90, 0.92),
        ("loss", 0.12, 0.10),
        ("r2", -0.12, -0.10),
        ("loss", 0.0, -0.02),
    ] {
        let card = |value: f64| flat(&format!("{{\"{metric}\": {value}}}"));
        let (worse, better) = (card(worse), card(better));
        let judged = |bound: &str, new, old| {
            against(&format!("metric = '{metric}'\n{bound}"), new, old).verdict
        };
        for (bound, new, old, expected) in [
            ("max_drop = 0.02", &worse, &better, Pass),
            ("max_drop = 0.01", &worse, &better, Fail),
            ("max_drop_pct = 1", &worse, &better, Fail),
            ("max_drop = 0", &better, &worse, Pass),
            ("min_gain = 0.02", &better, &worse, Pass),
            ("min_gain = 0.021", &better, &worse, Fail),
            ("min_gain = 0.01", &worse, &better, Fail),
        ] {
            assert_eq!(judged(bound, new, old), expected, "{metric}: {bound}");
        }
    }
}

/// Slack is relative to the operands, with no absolute floor.
#[test]
fn tiny_and_huge_numbers_are_compared_as_such() {
    use Decision::{Fail, Pass};
    for (rule, new, old, expected) in [
        ("metric = 'mse'\nmax = 1e-14", 9e-13, None, Fail),
        (
            "metric = 'mse'\nmax_drop_pct = 10",
            2e-10,
            Some(1e-10),
            Fail,
        ),
        (
            "metric = 'mse'\nmax_drop = 0.1",
            1_000_000.3,
            Some(1_000_000.2),
            Pass,
        ),
        (
            "metric = 'mse'\nmax_drop = 0.1",
            1_000_000.300_1,
            Some(1_000_000.2),
            Fail,
        ),
        ("metric = 'mse'\nmax_drop = 1e-12", 3e-12, Some(1e-12), Fail),
        // 0.98 - 0.97 exceeds 0.01 by rounding alone.
        (
            "metric = 'accuracy'\nmax_drop = 0.01",
            0.97,
            Some(0.98),
            Pass,
        ),
        // Of a baseline of 0, any worsening is missed and nothing is a gain in per cent.
        ("metric = 'mse'\nmax_drop_pct = 50", 1e-300, Some(0.0), Fail),
        ("metric = 'mse'\nmax_drop_pct = 50", 0.0, Some(0.0), Pass),
        ("metric = 'r2'\nmin_gain_pct = 1", 0.5, Some(0.0), Fail),
        ("metric = 'r2'\nmin_gain_pct = 10", 0.55, Some(0.5), Pass),
    ] {
        let card = |value: f64| {
            flat(&format!(
                "{{\"mse\": {value:e}, \"accuracy\": 0.5, \"r2\": {value:e}}}"
            ))
        };
        let card = |value: f64| {
            if rule.contains("accuracy") {
                flat(&format!("{{\"accuracy\": {value}}}"))
            } else {
                card(value)
            }
        };
        let baseline = old.map_or_else(none, |old| ready(&card(old)));
        let verdict = judge(&[rule], &card(new), &baseline);
        assert_eq!(
            verdict.verdict, expected,
            "{rule}: {new} against {old:?}: {}",
            verdict.rules[0].reason
        );
    }
}

/// What is printed is true: two numbers that differ are not printed alike.
#[test]
fn reasons_are_true_as_printed() {
    let reason = |rule: &str, new: &str, old: Option<&str>| {
        let baseline = old.map_or_else(none, |old| ready(&flat(old)));
        judge(&[rule], &flat(new), &baseline).rules[0]
            .reason
            .clone()
    };
    assert_eq!(
        reason(
            "metric = 'accuracy'\nmin = 0.9",
            r#"{"accuracy": 0.8999999761581421}"#,
            None
        ),
        "0.89999998 is not at least 0.9"
    );
    assert_eq!(
        reason(
            "metric = 'accuracy'\nmax_drop = 0.01",
            r#"{"accuracy": 0.9699999999}"#,
            Some(r#"{"accuracy": 0.98}"#)
        ),
        "0.97 against 0.98: worse by 0.0100000001, more than 0.01"
    );
    assert_eq!(
        reason(
            "metric = 'mse'\nmax_drop = 0.05",
            r#"{"mse": 1000000.3}"#,
            Some(r#"{"mse": 1000000.2}"#)
        ),
        "1000000.3 against 1000000.2: worse by 0.1, more than 0.05"
    );
}

#[test]
fn evaluations_of_other_rows_are_never_compared() {
    let verdict = against(
        "metric = 'accuracy'\nmax_drop = 0.5",
        &evaluated(100, &[1]),
        &evaluated(101, &[1]),
    );
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert!(matches!(
        verdict.baseline.unwrap().rows,
        RowMatch::Different { .. }
    ));
}

#[test]
fn one_file_of_predictions_compared_with_itself_is_said_to_be_one() {
    let card = Scorecard {
        predictions_digest: Some(Sha256Digest::of(b"predictions")),
        ..evaluated(100, &[1])
    };
    let verdict = against("metric = 'accuracy'\nmax_drop = 0.5", &card, &card);
    assert!(verdict.baseline.unwrap().has_same_predictions);
    assert!(
        verdict.notes[0].contains("the same predictions"),
        "{:?}",
        verdict.notes
    );
}

/// `predictions.npz` holds indices, so that swapping the names of the classes leaves its digest as it is.
#[test]
fn predictions_with_other_names_are_not_the_same() {
    let named = |names: [&str; 2]| Scorecard {
        predictions_digest: Some(Sha256Digest::of(b"predictions")),
        column_names: Some(names.map(str::to_owned).to_vec()),
        // Eight of the first class, of which three are missed, and eight of the second, all right.
        ..classified(
            &[[0; 8], [1; 8]].concat(),
            &[[0, 0, 0, 0, 0, 1, 1, 1], [1; 8]].concat(),
            &names,
        )
    };
    let (old, new) = (named(["b", "a"]), named(["a", "b"]));
    let text = "metric = 'recall'\nclass = 'a'\nmax_drop = 0.01";
    let gate = GateConfig {
        rules: vec![rule(text)],
        compare_rows: CompareRows::Unpaired,
        ..GateConfig::default()
    };
    let verdict = case(&gate, Ok(&new), &ready(&old)).judge();
    assert_eq!(verdict.verdict, Decision::Fail, "{:?}", verdict.rules);
    assert!(!verdict.baseline.unwrap().has_same_predictions);
    let verdict = against(text, &new, &old);
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert!(
        !verdict.notes[0].contains("same predictions"),
        "{:?}",
        verdict.notes
    );
    // A record does not keep the names: the labels tell that they are others.
    let record = Scorecard {
        column_names: None,
        ..old
    };
    let verdict = case(&gate, Ok(&new), &ready(&record)).judge();
    assert_eq!(verdict.verdict, Decision::Fail);
    // A class that no row has is in no label.
    let renamed = Scorecard {
        column_names: Some(["a", "b", "c"].map(str::to_owned).to_vec()),
        ..named(["a", "b"])
    };
    let verdict = against(text, &renamed, &new);
    assert!(!verdict.baseline.unwrap().has_same_predictions);
}

/// One model by another threshold comes to other figures.
#[test]
fn the_same_model_with_other_figures_is_judged_by_them() {
    let of_model = |card: Scorecard| Scorecard {
        model_digest: Some(Sha256Digest::of(b"model")),
        ..card
    };
    let old = of_model(evaluated(100, &[1]));
    let new = of_model(evaluated(100, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
    let verdict = against("metric = 'accuracy'\nmax_drop = 0.05", &new, &old);
    assert_eq!(verdict.verdict, Decision::Fail, "{:?}", verdict.rules);
    let verdict = against("metric = 'accuracy'\nmax_drop = 0.05", &old, &old);
    assert!(verdict.rules[0].reason.contains("both are the same model"));
}

#[test]
fn a_baseline_of_another_model_says_nothing_about_this_one() {
    let called = |name: &str| Scorecard {
        model_name: Some(name.to_owned()),
        ..evaluated(100, &[1])
    };
    let text = "metric = 'accuracy'\nmax_drop = 0.5";
    let verdict = against(text, &called("dogs"), &called("cats"));
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert!(
        verdict.rules[0].reason.contains("of the model `cats`")
            && verdict.notes[0].contains("of the model `cats`"),
        "{:?}",
        verdict.notes
    );
    let absolute = "metric = 'accuracy'\nmin = 0.5";
    assert_eq!(
        against(absolute, &called("dogs"), &called("cats")).verdict,
        Decision::Pass
    );
    // What was not given a name may be any model.
    assert_eq!(
        against(text, &called("dogs"), &called("model")).verdict,
        Decision::Pass
    );
    assert_eq!(
        against(text, &called("dogs"), &called("dogs")).verdict,
        Decision::Pass
    );
}

/// Independent source of the interval: Tango's, 50 lost of 1,000 and none gained lies wholly below a drop of 0.02; 10 lost
/// of 1,000 (0.0180 to 0.0055) lies on both sides of 0.01.
#[test]
fn a_drop_is_allowed_missed_or_uncertain_by_its_interval_alone() {
    let old = evaluated(1000, &[]);
    let judged = |n_missed: u32, drop: &str, extra: &str| {
        let missed: Vec<u32> = (0..n_missed).collect();
        let text = format!("metric = 'accuracy'\nmax_drop = {drop}\nconfidence = 0.95\n{extra}");
        against(&text, &evaluated(1000, &missed), &old).verdict
    };
    assert_eq!(judged(0, "0.005", ""), Decision::Pass);
    assert_eq!(judged(10, "0.02", ""), Decision::Pass);
    assert_eq!(judged(10, "0.01", ""), Decision::Warn);
    // Below the tolerance by the point estimate, which decides nothing.
    assert_eq!(judged(8, "0.01", ""), Decision::Warn);
    assert_eq!(
        judged(10, "0.01", "when_uncertain = 'fail'"),
        Decision::Fail
    );
    assert_eq!(
        judged(10, "0.01", "when_uncertain = 'pass'"),
        Decision::Pass
    );
    assert_eq!(
        judged(50, "0.02", "when_uncertain = 'pass'"),
        Decision::Fail
    );
    // Equality cannot be proven, so what doubt comes to must be said.
    assert_eq!(judged(0, "0", "when_uncertain = 'warn'"), Decision::Warn);
    assert!(
        problem("metric = 'accuracy'\nmax_drop = 0\nconfidence = 0.95").contains("when_uncertain")
    );
    // A gain must be proven as well, and may be uncertain.
    let worse = evaluated(1000, &(0..50).collect::<Vec<_>>());
    let gain = |least: &str| {
        let text = format!("metric = 'accuracy'\nmin_gain = {least}\nconfidence = 0.95");
        against(&text, &old, &worse).verdict
    };
    assert_eq!(gain("0.01"), Decision::Pass);
    assert_eq!(gain("0.05"), Decision::Warn);
    assert_eq!(gain("0.2"), Decision::Fail);
    let text = "metric = 'accuracy'\nmax_drop_pct = 1\nconfidence = 0.95";
    let verdict = against(text, &evaluated(1000, &[1]), &old);
    assert!(
        verdict.rules[0]
            .reason
            .contains("taking the baseline's value as exact")
    );
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
        "metric = 'recall'\nclass = 'a'\nmax_drop = 0.1",
    ];
    // The baseline misses a spread of rows, so that each further wrong row is now a loss and now a common miss.
    let old = evaluated(120, &(0..120).step_by(10).collect::<Vec<_>>());
    for text in rules {
        let mut last = Decision::Skipped;
        for n_missed in 0..=120 {
            let missed: Vec<u32> = (0..n_missed).map(|step| step * 7 % 120).collect();
            let decision = against(text, &evaluated(120, &missed), &old).verdict;
            assert!(
                decision >= last,
                "{text}: {n_missed} wrong rows are {decision:?} after {last:?}"
            );
            last = decision;
        }
        assert_eq!(last, Decision::Fail, "{text}");
    }
}

/// Independent source: SciPy 1.17 `binomtest(97, 100).proportion_ci(0.99, method="exact")`.
#[test]
fn intervals_are_computed_for_the_level_that_a_rule_asks_for() {
    let card = evaluated(100, &[1, 2, 3]);
    let verdict = alone("metric = 'accuracy'\nmin = 0.9\nconfidence = 0.99", &card);
    let interval = verdict.rules[0]
        .comparison
        .measured
        .as_ref()
        .unwrap()
        .interval
        .unwrap();
    assert_eq!(interval.confidence, 0.99);
    assert!((interval.lower - 0.894_4).abs() < 1e-3, "{interval:?}");
    assert_eq!(verdict.verdict, Decision::Fail);
    // The table shows the evaluation's own level.
    let shown = verdict.metrics[0]
        .measured
        .as_ref()
        .unwrap()
        .interval
        .unwrap();
    assert_eq!(shown.confidence, 0.95);
}

/// A single row proves nothing, however right it is.
#[test]
fn confidence_never_passes_on_rows_that_prove_nothing() {
    let one = evaluated(1, &[]);
    for text in [
        "metric = 'accuracy'\nmin = 0.5\nconfidence = 0.95",
        "metric = 'recall'\nclass = 'a'\nmin = 0.5\nconfidence = 0.95",
        "metric = 'f1_macro'\nmin = 0.5\nconfidence = 0.95",
    ] {
        assert!(!alone(text, &one).verdict.is_green(), "{text}");
    }
    let equal = |n| {
        let rows = ValuedRows {
            labels: &vec![1.0; n],
            predicted: &vec![1.5; n],
            objective: Loss::MeanSquaredError,
            weights: None,
            groups: None,
        };
        Scorecard::bare(
            Sha256Digest::of(b"numbers"),
            metrics::regress(&rows, &SCORING).unwrap().measurements,
        )
    };
    for n in [1, 50] {
        let verdict = alone("metric = 'mse'\nmax = 10\nconfidence = 0.95", &equal(n));
        assert_eq!(
            verdict.verdict,
            Decision::Inconclusive,
            "{}",
            verdict.rules[0].reason
        );
    }
}

#[test]
fn a_rule_on_a_class_that_has_no_value_says_why() {
    let card = classified(&[0, 0, 1], &[0, 0, 0], &["a", "b", "c"]);
    let verdict = |class: &str, metric: &str| {
        alone(
            &format!("metric = '{metric}'\nclass = '{class}'\nmin = 0.1"),
            &card,
        )
    };
    let reason = |class: &str, metric: &str| verdict(class, metric).rules[0].reason.clone();
    assert_eq!(verdict("b", "precision").verdict, Decision::Inconclusive);
    assert_eq!(
        reason("b", "precision"),
        "`precision of class b` has no value: never predicted"
    );
    assert_eq!(verdict("b", "recall").verdict, Decision::Fail);
    assert_eq!(
        reason("c", "recall"),
        "`recall of class c` has no value: no labelled and no predicted rows"
    );
    assert!(reason("d", "recall").contains("there is no metric `recall of class d`"));
}

#[test]
fn a_rule_on_a_class_has_its_baseline_and_change() {
    let old = classified(&[0, 0, 1, 1], &[0, 0, 1, 1], &["a", "b"]);
    let new = classified(&[0, 0, 1, 1], &[0, 1, 1, 1], &["a", "b"]);
    let verdict = against("metric = 'recall'\nclass = 'a'\nmax_drop = 0.1", &new, &old);
    let comparison = &verdict.rules[0].comparison;
    assert_eq!(comparison.baseline.as_ref().unwrap().value, 1.0);
    assert_eq!(comparison.change.as_ref().unwrap().value, -0.5);
    assert!(comparison.measured.as_ref().unwrap().interval.is_some());
    assert_eq!(verdict.verdict, Decision::Fail);
}

#[test]
fn a_rule_for_information_that_was_not_judged_never_reads_as_if_it_held() {
    let card = flat(r#"{"accuracy": 0.9}"#);
    for (text, decision, summary) in [
        // Nothing was judged, so nothing is green without a warning.
        (
            "metric = 'f1'\nmin = 0.5\nlevel = 'info'",
            Decision::Warn,
            "1 rule of level `info` not judged.",
        ),
        (
            "metric = 'accuracy'\nmin = 0.95\nlevel = 'info'",
            Decision::Warn,
            "1 rule of level `info` missed.",
        ),
    ] {
        let verdict = alone(text, &card);
        assert_eq!(verdict.verdict, decision);
        assert_eq!(verdict.summary, summary);
        assert_ne!(verdict.rules[0].outcome, Outcome::Holds);
        assert_ne!(verdict.rules[0].word(), "pass");
    }
}

/// What is never negative cannot lose more than all of it; what may grow without end can.
#[test]
fn a_drop_in_per_cent_that_nothing_can_have_is_refused() {
    for metric in ["accuracy", "ndcg", "f1_macro"] {
        let problem = problem(&format!("metric = '{metric}'\nmax_drop_pct = 100"));
        assert!(problem.contains("more than 100 %"), "{problem}");
        rule(&format!("metric = '{metric}'\nmax_drop_pct = 99"));
    }
    for metric in ["rmse", "r2", "mcc", "error_rate"] {
        rule(&format!("metric = '{metric}'\nmax_drop_pct = 150"));
    }
}

/// A drop of a proportion by 1 is the whole of it: such a rule can never be missed.
#[test]
fn a_change_that_no_proportion_can_have_is_refused() {
    for key in ["max_drop", "min_gain"] {
        for bound in ["1", "5"] {
            let problem = problem(&format!("metric = 'accuracy'\n{key} = {bound}"));
            assert!(problem.contains(&format!("use `{key}_pct`")), "{problem}");
        }
        rule(&format!("metric = 'accuracy'\n{key} = 0.99"));
        rule(&format!("metric = 'mse'\n{key} = 5"));
    }
}

#[test]
fn what_a_file_of_metrics_holds_without_a_value_is_named() {
    let card = flat(r#"{"accuracy": 95, "loss": 0.1, "note": "x"}"#);
    let verdict = alone("metric = 'loss'\nmax = 0.5", &card);
    assert_eq!(verdict.verdict, Decision::Pass);
    let note = &verdict.notes[0];
    assert!(
        note.starts_with("Without a value: `accuracy` (it is 95"),
        "{note}"
    );
    assert!(note.contains("`note` (it is the text"), "{note}");
}

/// JSON has no word for infinity, so such an evaluation could not be read back.
#[test]
fn sums_beyond_floating_point_have_no_value() {
    let rows = ValuedRows {
        labels: &[1e200, -1e200, 3.0],
        predicted: &[-1e200, 1e200, 3.0],
        objective: Loss::MeanSquaredError,
        weights: None,
        groups: None,
    };
    let measured = metrics::regress(&rows, &SCORING).unwrap();
    assert!(measured.measurements.iter().all(|found| {
        let ends = found
            .interval
            .map_or([0.0; 2], |found| [found.lower, found.upper]);
        found.value.is_finite() && ends.iter().all(|end| end.is_finite())
    }));
    let mse = measured
        .undefined
        .iter()
        .find(|found| found.key.metric == "mse");
    assert!(mse.unwrap().reason.contains("too large"));
}

#[test]
fn what_a_rule_does_not_name_does_not_matter_and_what_it_names_does() {
    let card = flat(r#"{"accuracy": 0.9, "other": NaN, "f1": "0.9", "precision": 98.5}"#);
    assert_eq!(
        alone("metric = 'accuracy'\nmin = 0.5", &card).verdict,
        Decision::Pass
    );
    for (metric, part) in [
        ("other", "NaN, which is not a finite number"),
        ("f1", "the text \"0.9\""),
        ("precision", "98.5"),
    ] {
        let verdict = alone(&format!("metric = '{metric}'\nmin = 0.5"), &card);
        assert_eq!(verdict.verdict, Decision::Inconclusive);
        assert!(
            verdict.rules[0].reason.contains(part),
            "{}",
            verdict.rules[0].reason
        );
    }
    let old = flat(r#"{"accuracy": NaN, "x": 1}"#);
    let verdict = against("metric = 'accuracy'\nmax_drop = 0.1", &card, &old);
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert!(
        verdict.rules[0]
            .reason
            .contains("the baseline has no value of `accuracy`")
    );
}

#[test]
fn rules_that_contradict_the_catalog_or_themselves_are_refused() {
    for (text, part) in [
        (
            "metric = 'accuracy'\nmax_drop = 0.1\ndirection = 'lower_is_better'",
            "contradicts",
        ),
        ("metric = 'accuracy'\nmin = 98", "write 98 % as 0.98"),
        (
            "metric = 'latency'\nmax_drop = 1",
            "which way `latency` is better",
        ),
        ("metric = 'accuracy'", "asks for nothing"),
        (
            "metric = 'accuracy'\nmin = 0.5\nwhen_uncertain = 'fail'",
            "without `confidence`",
        ),
        ("metric = 'accuracy'\nmin = 0.9\nmax = 0.8", "above `max`"),
        (
            "metric = 'accuracy'\nmin = 0.5\nconfidence = 95",
            "between 0.5 and 1",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(part), "{text}: {problem}");
    }
    rule("metric = 'latency'\nmax_drop = 1\ndirection = 'lower_is_better'");
}

#[test]
fn an_override_counts_for_a_red_verdict_on_what_could_be_read() {
    let person = Override {
        commit: "abc".to_owned(),
        by: "maria".to_owned(),
        reason: "known".to_owned(),
        url: "https://github.com".to_owned(),
    };
    let gate = |min: &str| GateConfig {
        rules: vec![rule(&format!("metric = 'accuracy'\nmin = {min}"))],
        ..GateConfig::default()
    };
    let (red, green) = (gate("0.9"), gate("0.1"));
    let card = flat(r#"{"accuracy": 0.5}"#);
    let gone = CandidateError::Refused("gone".to_owned());
    let absent = none();
    for (gate, candidate, counts, is_green) in [
        (&red, Ok(&card), true, false),
        (&green, Ok(&card), false, true),
        (&red, Err(&gone), false, false),
    ] {
        let verdict = Case {
            overridden: Some(&person),
            ..case(gate, candidate, &absent)
        }
        .judge();
        assert_eq!(verdict.overridden.is_some(), counts);
        // The decision stays what the rules gave.
        assert_eq!(verdict.verdict.is_green(), is_green);
    }
}

#[test]
fn a_forks_numbers_head_the_report_as_unverified_and_choose_no_name() {
    let card = Scorecard {
        model_name: Some("@everyone".to_owned()),
        ..flat(r#"{"accuracy": 0.5}"#)
    };
    let gate = GateConfig::default();
    let absent = none();
    let verdict = Case {
        trust: Trust::Unverified,
        model_name: Some("digits"),
        ..case(&gate, Ok(&card), &absent)
    }
    .judge();
    assert_eq!(verdict.model_name.as_deref(), Some("digits"));
    assert!(
        verdict.notes[0].contains("A fork's run"),
        "{:?}",
        verdict.notes
    );
}

#[test]
fn min_rows_asks_for_the_rows_behind_the_figure() {
    // Ten rows of class `a`, two predicted as it.
    let labels = [vec![0; 10], vec![1; 10]].concat();
    let predicted = [vec![0; 2], vec![1; 18]].concat();
    let card = classified(&labels, &predicted, &["a", "b"]);
    let judged = |min_rows| {
        let text = format!("metric = 'precision'\nclass = 'a'\nmin = 0.5\nmin_rows = {min_rows}");
        alone(&text, &card).verdict
    };
    assert_eq!(judged(2), Decision::Pass);
    assert_eq!(judged(3), Decision::Inconclusive);
}

#[test]
fn a_measurement_is_found_by_its_key_alone() {
    let key = MetricKey::of_class("recall", "of class b");
    let card = Scorecard::bare(
        Sha256Digest::of(b""),
        vec![
            Measurement::bare(key.clone(), 0.1, None, None),
            Measurement::bare(MetricKey::overall("recall of class b"), 0.9, None, None),
        ],
    );
    assert_eq!(card.get(&key).unwrap().value, 0.1);
    assert_eq!(card.get(&MetricKey::of_class("recall", "b")), None);
}

/// 8 rows of the baseline and 9 of the candidate, of which they share 6: see the test below.
fn shared(n_gone: u64, n_relabelled: u64) -> SharedRows {
    let side = |missed: Vec<u64>, accuracy: f64| PartialScores {
        measurements: vec![Measurement::bare(
            MetricKey::overall("accuracy"),
            accuracy,
            Some(Unit::Proportion),
            Some(Direction::HigherIsBetter),
        )],
        undefined: Vec::new(),
        missed_rows: RowMask::new(600, missed),
    };
    SharedRows {
        candidate: Sha256Digest::of(b"new predictions"),
        baseline: Sha256Digest::of(b"old predictions"),
        n_rows: 600,
        n_gone,
        n_relabelled,
        n_new: 20,
        of_candidate: side((0..6).collect(), 0.99),
        of_baseline: side((0..60).collect(), 0.9),
        has_other_weights: false,
        has_baselines_groups: false,
        changes: Vec::new(),
        no_changes: Vec::new(),
    }
}

fn on_shared_rows(setting: &str, found: Result<SharedRows, String>) -> Verdict {
    let (mut new, mut old) = (
        classified(&[0, 1, 0, 1], &[0, 1, 0, 0], &["a", "b"]),
        classified(&[0, 1, 0], &[0, 1, 0], &["a", "b"]),
    );
    new.predictions_digest = Some(Sha256Digest::of(b"new predictions"));
    old.predictions_digest = Some(Sha256Digest::of(b"old predictions"));
    let gate: GateConfig = toml::from_str(&format!(
        "{setting}\n[[rules]]\nmetric = 'accuracy'\nmax_drop = 0.01\nconfidence = 0.95"
    ))
    .unwrap();
    let baseline = ready(&old).on_shared_rows(&new, found.map(Box::new));
    case(&gate, Ok(&new), &baseline).judge()
}

/// Today's test data have 20 rows more: what both were scored on decides, whatever the figures of all rows are.
#[test]
fn other_rows_are_compared_on_those_that_both_have() {
    let verdict = on_shared_rows("compare_rows = 'common'", Ok(shared(0, 0)));
    assert_eq!(verdict.verdict, Decision::Pass, "{verdict:?}");
    let rule = &verdict.rules[0];
    assert!(
        rule.reason
            .starts_with("0.99 against 0.9 on the 600 rows of both"),
        "{}",
        rule.reason
    );
    let change = rule.comparison.change.as_ref().unwrap();
    assert!((change.value - 0.09).abs() < 1e-12);
    // 54 rows gained, none lost of 600.
    let expected = crate::statistics::tango(54, 0, 600, 0.95).unwrap();
    assert_eq!(change.interval, Some(expected));
    assert!(
        verdict.notes.iter().any(|note| note
            == "Changes are those on the 600 rows that both were scored on; 20 are new."),
        "{:?}",
        verdict.notes
    );
}

/// Dropping the hard rows would look like progress.
#[test]
fn rows_that_the_baseline_lost_are_counted_and_bounded() {
    for (setting, n_gone, n_relabelled, expected) in [
        ("compare_rows = 'common'", 1, 0, Decision::Inconclusive),
        ("compare_rows = 'common'", 0, 1, Decision::Inconclusive),
        (
            "compare_rows = 'common'\nmax_rows_lost = 1",
            1,
            1,
            Decision::Inconclusive,
        ),
        (
            "compare_rows = 'common'\nmax_rows_lost = 2",
            1,
            1,
            Decision::Pass,
        ),
        ("compare_rows = 'same'", 0, 0, Decision::Inconclusive),
    ] {
        let verdict = on_shared_rows(setting, Ok(shared(n_gone, n_relabelled)));
        assert_eq!(verdict.verdict, expected, "{setting}: {verdict:?}");
    }
    let verdict = on_shared_rows(
        "compare_rows = 'common'\nmax_rows_lost = 2",
        Ok(shared(1, 1)),
    );
    assert!(
        verdict.notes[0].ends_with("20 are new, 2 of the baseline are gone or relabelled."),
        "{:?}",
        verdict.notes
    );
    let verdict = on_shared_rows("compare_rows = 'common'", Err("they are gone".to_owned()));
    assert_eq!(verdict.verdict, Decision::Inconclusive);
    assert!(verdict.rules[0].reason.contains("they are gone"));
    // Those of other predictions say nothing about these.
    let other = SharedRows {
        baseline: Sha256Digest::of(b"others"),
        ..shared(0, 0)
    };
    let verdict = on_shared_rows("compare_rows = 'common'", Ok(other));
    assert_eq!(verdict.verdict, Decision::Inconclusive);
}

/// Independent source: Clopper-Pearson's intervals by SciPy 1.17 `binomtest(k, n).proportion_ci(0.95)`, combined by hand.
#[test]
fn two_samples_are_compared_by_the_interval_of_their_difference() {
    let of = |n_right: usize, n: usize| {
        let labels = vec![0_u32; n];
        let predicted: Vec<u32> = (0..n).map(|row| u32::from(row >= n_right)).collect();
        classified(&labels, &predicted, &["a", "b"])
    };
    let gate = |text: &str| -> GateConfig {
        toml::from_str(&format!(
            "compare_rows = 'unpaired'\n[[rules]]\nmetric = 'accuracy'\n{text}"
        ))
        .unwrap()
    };
    let (new, old) = (of(190, 200), of(85, 100));
    let baseline = ready(&old);
    let judged = |text: &str| case(&gate(text), Ok(&new), &baseline).judge();
    let verdict = judged("max_drop = 0.01\nconfidence = 0.95");
    let interval = verdict.rules[0]
        .comparison
        .change
        .as_ref()
        .unwrap()
        .interval
        .unwrap();
    assert!((interval.lower - 0.024_898_41).abs() < 1e-7, "{interval:?}");
    assert!((interval.upper - 0.189_113_68).abs() < 1e-7, "{interval:?}");
    assert_eq!(verdict.verdict, Decision::Pass);
    assert_eq!(
        judged("min_gain = 0.1\nconfidence = 0.95").verdict,
        Decision::Warn
    );
    assert_eq!(judged("min_gain = 0.05").verdict, Decision::Pass);
    assert!(
        verdict.notes[0].contains("two samples"),
        "{:?}",
        verdict.notes
    );
}

/// A record has no room for every row: the predictions of both tell which were gained and lost.
#[test]
fn the_same_rows_are_paired_by_their_predictions_where_the_record_has_no_room() {
    let labels = vec![0_u32; 600];
    let predicted =
        |n_wrong: usize| -> Vec<u32> { (0..600).map(|row| u32::from(row < n_wrong)).collect() };
    let (mut new, mut old) = (
        classified(&labels, &predicted(6), &["a", "b"]),
        classified(&labels, &predicted(60), &["a", "b"]),
    );
    old.missed_rows = None;
    new.predictions_digest = Some(Sha256Digest::of(b"new predictions"));
    old.predictions_digest = Some(Sha256Digest::of(b"old predictions"));
    let gate: GateConfig =
        toml::from_str("[[rules]]\nmetric = 'accuracy'\nmax_drop = 0.01\nconfidence = 0.95")
            .unwrap();
    let without = ready(&old);
    assert_eq!(
        case(&gate, Ok(&new), &without).judge().verdict,
        Decision::Inconclusive
    );
    let with = without.on_shared_rows(&new, Ok(Box::new(shared(0, 0))));
    let verdict = case(&gate, Ok(&new), &with).judge();
    assert_eq!(verdict.verdict, Decision::Pass, "{verdict:?}");
}
