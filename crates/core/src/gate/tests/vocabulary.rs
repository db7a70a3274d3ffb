//! Rules that stand for several keys, count rows, or belong to a group.

use super::*;

fn gated(section: &str, new: &Scorecard, baseline: &Baseline) -> Verdict {
    let gate: GateConfig = toml::from_str(section).unwrap();
    case(&gate, Ok(new), baseline).judge()
}

/// `n` rows of each of `wrong.len()` classes, of which so many are predicted as the next class.
fn by_class(n: u32, wrong: &[u32]) -> Scorecard {
    let names: Vec<String> = (0..wrong.len()).map(|class| format!("c{class}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut labels, mut predicted) = (Vec::new(), Vec::new());
    for (class, &n_wrong) in wrong.iter().enumerate() {
        let other = (class + 1) % wrong.len();
        for row in 0..n {
            labels.push(class as u32);
            predicted.push(if row < n_wrong { other } else { class } as u32);
        }
    }
    classified(&labels, &predicted, &names)
}

fn outcomes(verdict: &Verdict) -> Vec<Outcome> {
    verdict.rules.iter().map(|rule| rule.outcome).collect()
}

#[test]
fn a_wildcard_judges_each_class_that_occurs() {
    let card = by_class(20, &[2, 0, 11]);
    let verdict = alone("metric = 'recall'\nclass = '*'\nmin = 0.5", &card);
    assert_eq!(
        outcomes(&verdict),
        [Outcome::Holds, Outcome::Holds, Outcome::Missed]
    );
    assert_eq!(verdict.rules[2].key(), &MetricKey::of_class("recall", "c2"));
    assert_eq!(verdict.verdict, Decision::Fail);
    // A class of neither labels nor predictions is none of these rows'; one that is only predicted has no recall.
    let unused = classified(&[0, 0], &[0, 1], &["a", "b", "c"]);
    let verdict = alone("metric = 'recall'\nclass = '*'\nmin = 0.5", &unused);
    assert_eq!(outcomes(&verdict), [Outcome::Holds, Outcome::NotJudged]);
    let nothing = alone("metric = 'recal'\nclass = '*'\nmin = 0.5", &card);
    assert_eq!(nothing.verdict, Decision::Inconclusive);
    assert_eq!(
        nothing.rules[0].reason,
        "nothing matches `recal of class *`"
    );
}

#[test]
fn a_class_that_the_baseline_had_and_that_is_gone_is_inconclusive() {
    let (new, old) = (by_class(20, &[1, 1]), by_class(20, &[1, 1, 1]));
    let verdict = against("metric = 'recall'\nclass = '*'\nmin = 0.5", &new, &old);
    assert_eq!(verdict.rules.len(), 3);
    assert_eq!(verdict.rules[2].outcome, Outcome::NotJudged);
    assert_eq!(verdict.verdict, Decision::Inconclusive);
}

/// Independent source: SciPy 1.17 `binomtest(k, 100).proportion_ci(c).high`: of 82 right it is 0.8897 at 95 %, so that alone the miss of
/// `min = 0.9` is proven; at the level of the first of twenty, 1 - 0.05 / 20, it is 0.9179, and of 72 right 0.8431.
#[test]
fn a_miss_among_many_must_be_proven_by_holm() {
    let mut wrong = [0; 20];
    wrong[3] = 18;
    wrong[7] = 28;
    let card = by_class(100, &wrong);
    let rule = "metric = 'recall'\nclass = '*'\nmin = 0.9\nconfidence = 0.95";
    let verdict = alone(rule, &card);
    assert_eq!(verdict.rules[7].outcome, Outcome::Missed);
    assert!(
        verdict.rules[7]
            .reason
            .contains("the miss is proven at 2.5 % over 20 keys by Holm")
    );
    assert_eq!(verdict.rules[3].outcome, Outcome::Uncertain);
    assert!(verdict.rules[3].reason.contains("the miss is not proven"));
    // Of 100 right in 100 no level below a half proves a miss.
    let all_right = verdict.rules[0].holm.as_ref().unwrap();
    assert_eq!(all_right.p_value, Some(0.5));
    assert_eq!(all_right.p_value_bound, Some(PValueBound::AtLeast));
    assert_eq!(verdict.rules[7].holm.as_ref().unwrap().p_value_bound, None);
    // Alone it is.
    let one = alone(
        "metric = 'recall'\nclass = 'c3'\nmin = 0.9\nconfidence = 0.95",
        &card,
    );
    assert_eq!(one.verdict, Decision::Fail);
    let strict = format!("{rule}\nwhen_uncertain = 'fail'");
    assert_eq!(alone(&strict, &card).rules[3].decision, Decision::Fail);
}

#[test]
fn new_errors_are_counted_row_by_row() {
    let old = evaluated(100, &[1, 2, 3]);
    let new = evaluated(100, &[3, 4, 5]);
    let verdict = against("max_new_errors = 1", &new, &old);
    assert_eq!(verdict.verdict, Decision::Fail);
    assert_eq!(
        verdict.rules[0].reason,
        "2 new errors of 97 rows that the baseline predicts right, more than 1"
    );
    assert_eq!(
        against("max_new_errors = 2", &new, &old).verdict,
        Decision::Pass
    );
    assert_eq!(
        against("max_new_errors = 0", &old, &old).verdict,
        Decision::Pass
    );
    let bare = flat(r#"{"accuracy": 0.9}"#);
    assert_eq!(
        against("max_new_errors = 2", &new, &bare).verdict,
        Decision::Inconclusive
    );
    assert_eq!(alone("max_new_errors = 2", &new).verdict, Decision::Warn);
    assert!(
        problem("metric = 'recall'\nclass = 'a'\nmax_new_errors = 1").contains("about all rows")
    );
    assert!(problem("max_new_errors = 1\nconfidence = 0.9").contains("no effect"));
}

#[test]
fn a_metric_that_is_missing_comes_to_what_the_rule_says() {
    let card = flat(r#"{"accuracy": 0.9}"#);
    let judged = |on_missing| {
        let text = format!("metric = 'auc'\nmin = 0.5\non_missing = '{on_missing}'");
        judge(&["metric = 'accuracy'\nmin = 0.5", &text], &card, &none()).verdict
    };
    assert_eq!(judged("inconclusive"), Decision::Inconclusive);
    assert_eq!(judged("warn"), Decision::Warn);
    assert_eq!(judged("fail"), Decision::Fail);
    // What is there and is no number stays inconclusive.
    let mut broken = card;
    broken.measurements[0].value = f64::NAN;
    let text = "metric = 'accuracy'\nmin = 0.5\non_missing = 'warn'";
    assert_eq!(alone(text, &broken).verdict, Decision::Inconclusive);
}

#[test]
fn of_a_group_as_many_rules_must_hold_as_it_says() {
    let card = flat(r#"{"accuracy": 0.9, "f1": 0.7, "loss": 0.4}"#);
    let of = |at_least: u32, third: &str| {
        let section = format!(
            "[[rules]]\nname = 'right'\nmetric = 'accuracy'\nmin = 0.8\n\
             [[rules]]\nname = 'even'\nmetric = 'f1'\nmin = 0.8\n\
             [[rules]]\nname = 'sure'\n{third}\n\
             [[groups]]\nrules = ['right', 'even', 'sure']\nat_least = {at_least}\n"
        );
        gated(&section, &card, &none())
    };
    let held = "metric = 'loss'\nmax = 0.5";
    assert_eq!(of(2, held).verdict, Decision::Pass);
    assert_eq!(of(2, held).rules[1].outcome, Outcome::Missed);
    assert_eq!(of(2, held).rules[1].word(), "missed");
    assert_eq!(
        of(2, held).groups[0].words(),
        "2 of 3 rules hold (right, even, sure), at least 2 must"
    );
    assert!(
        of(2, held)
            .summary
            .contains("1 rule missed in a group that holds."),
        "{}",
        of(2, held).summary
    );
    assert_eq!(of(3, held).verdict, Decision::Fail);
    // One that cannot be judged is not one that holds, nor one that is missed.
    let absent = "metric = 'auc'\nmin = 0.5";
    assert_eq!(of(1, absent).verdict, Decision::Pass);
    assert_eq!(of(2, absent).verdict, Decision::Inconclusive);
    assert_eq!(of(3, absent).verdict, Decision::Fail);
    let skipped = "metric = 'loss'\nmax_drop = 0.1";
    assert_eq!(of(2, skipped).verdict, Decision::Warn);
    assert_eq!(
        of(2, skipped).groups[0].words(),
        "1 of 3 rules hold (right, even, sure), at least 2 must; 1 was skipped and may"
    );
}
