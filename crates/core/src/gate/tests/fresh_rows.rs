//! Evidence that accumulates over sets of fresh rows.

use super::*;
use crate::statistics::PairedRows;

/// The new and the old model on one night's rows: `n_gained` of them, then `n_lost`, then as many that both predict right.
fn night(name: &str, [n_gained, n_lost, n_same]: [u64; 3]) -> (Scorecard, Scorecard, Vec<String>) {
    let n = n_gained + n_lost + n_same;
    let mut ids: Vec<String> = (0..n).map(|row| format!("{name}-{row:04}")).collect();
    ids.sort();
    let rows = RowSet::of_ids(&ids, |_| "a".into()).0;
    let card = |model: &str, missed: std::ops::Range<u64>| {
        let missed: Vec<u32> = missed.map(|row| row as u32).collect();
        Scorecard {
            rows: Some(rows.clone()),
            model_digest: Some(Sha256Digest::of(model.as_bytes())),
            predictions_digest: Some(Sha256Digest::of(format!("{model} {name}").as_bytes())),
            ..evaluated(n as u32, &missed)
        }
    };
    let new = card("new", n_gained..n_gained + n_lost);
    (new, card("old", 0..n_gained), ids)
}

const RULE: &str =
    "metric = 'accuracy'\nmax_drop = 0.02\nconfidence = 0.95\nsequential = 'fresh-rows'";

/// The rule's result on the last of these nights, and the evidence after it.
fn after(
    rule_text: &str,
    nights: &[(Scorecard, Scorecard, Vec<String>)],
) -> (RuleResult, FreshEvidence) {
    let mut found = FreshEvidence::default();
    let mut verdict = None;
    for (new, old, ids) in nights {
        let earlier: Vec<FreshRows> = found.process.into_iter().collect();
        found = FreshEvidence::of(new, old, &earlier, Some(ids));
        let gate = GateConfig {
            rules: vec![rule(rule_text)],
            ..GateConfig::default()
        };
        let baseline = ready(old);
        let case = Case {
            fresh_rows: Some(&found),
            ..case(&gate, Ok(new), &baseline)
        };
        verdict = Some(case.judge());
    }
    (verdict.unwrap().rules.remove(0), found)
}

fn e_values(result: &RuleResult) -> Vec<(f64, f64)> {
    let Some(Computation::EProcess { sets, alpha, .. }) = &result.computation else {
        panic!("{:?}", result.computation);
    };
    assert!((alpha - 0.025).abs() < 1e-12);
    sets.iter()
        .map(|set| (set.ln_e_missed, set.ln_e_holds))
        .collect()
}

fn three() -> [(Scorecard, Scorecard, Vec<String>); 3] {
    [
        night("monday", [1, 9, 90]),
        night("tuesday", [0, 8, 92]),
        night("wednesday", [1, 9, 90]),
    ]
}

/// Independent source: the mean of the 16 wagers, each with the rows of all nights so far, in Python with `math.log1p`.
#[test]
fn three_nights_prove_a_drop_that_no_single_one_does() {
    let nights = three();
    let expected = [
        (0.923_888_427_737_059_1, -0.642_801_608_992_541_5),
        (2.986_932_295_364_112, -0.876_448_270_564_285_3),
        (4.830_570_609_563_831, -1.046_981_721_863_104_6),
    ];
    for (n, outcome) in [
        (1, Outcome::Uncertain),
        (2, Outcome::Uncertain),
        (3, Outcome::Missed),
    ] {
        let (result, _) = after(RULE, &nights[..n]);
        assert_eq!(result.outcome, outcome, "{}", result.reason);
        for (found, expected) in e_values(&result).iter().zip(expected) {
            assert!((found.0 - expected.0).abs() < 1e-9 && (found.1 - expected.1).abs() < 1e-9);
        }
    }
    let (result, _) = after(RULE, &nights);
    assert!(
        result.reason.starts_with(
            "2 gained, 26 lost, of 300 fresh rows in 3 sets: e-value 125.28 for a miss, 0.351 against it, 40 needed at 2.5 %: the miss is proven since set 3"
        ),
        "{}",
        result.reason
    );
    // What is proven stays so, whatever comes later.
    let mut longer = nights.to_vec();
    longer.push(night("thursday", [60, 0, 40]));
    let (result, _) = after(RULE, &longer);
    assert_eq!(result.outcome, Outcome::Missed);
}

/// Independent source: SciPy 1.17, `beta` and `betainc` of the mixture over Beta(1/2, 1/2).
#[test]
fn without_a_tolerance_the_discordant_rows_decide() {
    let text = RULE.replace("0.02", "0.0") + "\nwhen_uncertain = 'warn'";
    let (result, _) = after(&text, &three());
    let expected = [
        (2.940_330_995_646_504_7, -2.658_130_836_732_941_5),
        (7.589_935_120_412_36, -3.287_745_917_050_459),
        (10.979_323_747_222_862, -3.674_725_248_490_883_4),
    ];
    for (found, expected) in e_values(&result).iter().zip(expected) {
        assert!((found.0 - expected.0).abs() < 1e-9 && (found.1 - expected.1).abs() < 1e-9);
    }
    assert!(result.reason.contains("since set 2"), "{}", result.reason);
}

#[test]
fn a_model_that_is_no_worse_is_proven_so() {
    let nights = [
        night("monday", [6, 1, 93]),
        night("tuesday", [5, 0, 95]),
        night("wednesday", [9, 1, 90]),
    ];
    let (result, _) = after(RULE, &nights);
    assert_eq!(result.outcome, Outcome::Holds, "{}", result.reason);
    assert!((e_values(&result)[2].1 - 10.093_440_883_435_283).abs() < 1e-9);
    // A gain is asked for and had.
    let text = RULE.replace("max_drop = 0.02", "min_gain = 0.0");
    let (result, _) = after(&text, &nights);
    assert_eq!(result.outcome, Outcome::Holds, "{}", result.reason);
    assert!((e_values(&result)[2].1 - 7.442_638_273_825_115).abs() < 1e-9);
}

#[test]
fn the_same_night_counts_once_and_rows_that_come_again_are_left_out() {
    let [monday, tuesday, _] = three();
    let (once, _) = after(RULE, std::slice::from_ref(&monday));
    let (twice, evidence) = after(RULE, &[monday.clone(), monday.clone()]);
    assert_eq!(e_values(&twice), e_values(&once));
    assert!(evidence.is_repeated);
    assert!(
        twice.reason.contains("judged before, so they add nothing"),
        "{}",
        twice.reason
    );
    // A set that holds Monday's rows and one more: only that one counts.
    let mut mixed = night("monday", [1, 9, 91]);
    let (result, evidence) = after(RULE, &[monday.clone(), mixed.clone()]);
    let process = evidence.process.unwrap();
    assert_eq!(process.sets[1].n_left_out, 100);
    assert_eq!(
        process.sets[1].rows,
        PairedRows {
            n_gained: 0,
            n_lost: 0,
            n_same: 1
        }
    );
    assert!(
        result
            .reason
            .contains("100 of these were in earlier sets and left out"),
        "{}",
        result.reason
    );
    // Where ids are not at hand, that is said.
    let evidence = FreshEvidence::of(&monday.0, &monday.1, &[], None);
    let earlier: Vec<FreshRows> = evidence.process.into_iter().collect();
    let evidence = FreshEvidence::of(&tuesday.0, &tuesday.1, &earlier, Some(&tuesday.2));
    assert_eq!(evidence.process.unwrap().row_ids, None);
    mixed.2.pop();
    let evidence = FreshEvidence::of(&mixed.0, &mixed.1, &[], Some(&mixed.2));
    assert_eq!(
        evidence.problem.as_deref(),
        Some("there are not as many row ids as rows")
    );
}

#[test]
fn another_model_begins_anew() {
    let [monday, mut tuesday, _] = three();
    tuesday.0.model_digest = Some(Sha256Digest::of(b"newer"));
    let (result, evidence) = after(RULE, &[monday.clone(), tuesday.clone()]);
    assert_eq!(e_values(&result).len(), 1);
    assert!(
        result.reason.ends_with("begun anew: this is another model than in the evidence of 1 set before, which does not count"),
        "{}",
        result.reason
    );
    assert_eq!(evidence.process.unwrap().sets.len(), 1);
    tuesday.0.model_digest = None;
    let (result, evidence) = after(RULE, &[monday, tuesday]);
    assert_eq!(result.outcome, Outcome::NotJudged);
    // The evidence is handed on to the next run.
    assert_eq!(evidence.process.unwrap().sets.len(), 1);
}

#[test]
fn what_cannot_be_added_is_not_judged() {
    let [monday, tuesday, _] = three();
    let problem =
        |new: &Scorecard, old: &Scorecard| FreshEvidence::of(new, old, &[], None).problem.unwrap();
    assert!(problem(&monday.0, &tuesday.1).contains("was not scored on these rows"));
    assert!(problem(&monday.0, &monday.0).contains("the same model"));
    let nameless = |card: &Scorecard| Scorecard {
        rows: Some(RowSet::of_positions(100, |_| "a".into(), BTreeMap::new())),
        ..card.clone()
    };
    assert!(problem(&nameless(&monday.0), &nameless(&monday.1)).contains("add a `row_id` column"));
    let blind = |card: &Scorecard| Scorecard {
        missed_rows: None,
        ..card.clone()
    };
    assert!(problem(&blind(&monday.0), &monday.1).contains("which rows are wrong"));
    // A run that compares a model with itself hands on what others found.
    let begun = FreshEvidence::of(&monday.0, &monday.1, &[], None)
        .process
        .unwrap();
    let itself = FreshEvidence::of(&tuesday.1, &tuesday.1, std::slice::from_ref(&begun), None);
    assert!(itself.problem.is_some());
    assert_eq!(itself.process, Some(begun));
    // Evidence of other rows is none of these.
    let evidence = FreshEvidence::of(&tuesday.0, &tuesday.1, &[], None);
    let gate = GateConfig {
        rules: vec![rule(RULE)],
        ..GateConfig::default()
    };
    let baseline = ready(&monday.1);
    let verdict = Case {
        fresh_rows: Some(&evidence),
        ..case(&gate, Ok(&monday.0), &baseline)
    }
    .judge();
    assert_eq!(verdict.rules[0].outcome, Outcome::NotJudged);
    let unknown = FreshEvidence::unknown("the request failed");
    let verdict = Case {
        fresh_rows: Some(&unknown),
        ..case(&gate, Ok(&monday.0), &baseline)
    }
    .judge();
    assert_eq!(verdict.verdict, Decision::Inconclusive);
}

#[test]
fn evidence_is_read_back_from_a_text_and_joined_by_its_sets() {
    let [monday, tuesday, wednesday] = three();
    let of = |nights: &[&(Scorecard, Scorecard, Vec<String>)]| {
        let mut found = FreshEvidence::default();
        for (new, old, ids) in nights {
            let earlier: Vec<FreshRows> = found.process.into_iter().collect();
            found = FreshEvidence::of(new, old, &earlier, Some(ids));
        }
        found.process.unwrap()
    };
    let process = of(&[&monday, &tuesday]);
    let text = format!("### Report\n\n{}\n", process.encode().unwrap());
    assert_eq!(FreshRows::decode_all(&text), std::slice::from_ref(&process));
    // Two branches of evidence with Monday in common.
    let other = of(&[&monday, &wednesday]);
    let both = FreshEvidence::of(
        &wednesday.0,
        &wednesday.1,
        &[process, other],
        Some(&wednesday.2),
    );
    assert!(both.is_repeated);
    assert_eq!(both.process.unwrap().sets.len(), 3);
    // More ids than a check has room for stay in the file alone.
    let many = night("many", [0, 0, 3000]);
    let many = of(&[&many]);
    let read = FreshRows::decode_all(&many.encode().unwrap()).remove(0);
    assert!(many.row_ids.is_some() && read.row_ids.is_none());
    assert_eq!(read.sets, many.sets);
}

#[test]
fn a_rule_that_cannot_be_judged_so_says_what_to_write() {
    for (text, expected) in [
        (
            "metric = 'accuracy'\nmin = 0.9\nconfidence = 0.95",
            "ask for `max_drop` or `min_gain`",
        ),
        (
            "metric = 'accuracy'\nmin = 0.9\nmax_drop = 0.1\nconfidence = 0.95",
            "a rule of its own",
        ),
        (
            "metric = 'accuracy'\nmax_drop_pct = 1\nconfidence = 0.95",
            "ask for `max_drop`",
        ),
        (
            "metric = 'accuracy'\nmax_drop = 0.01",
            "add `confidence = 0.95`",
        ),
        (
            "metric = 'loss'\nmax_drop = 0.01\nconfidence = 0.95",
            "`metric = \"accuracy\"`",
        ),
        (
            "metric = 'recall'\nclass = 'a'\nmax_drop = 0.01\nconfidence = 0.95",
            "without `class`",
        ),
        (
            "metric = 'accuracy'\nslice = 'a=b'\nmax_drop = 0.01\nconfidence = 0.95",
            "without `class`",
        ),
    ] {
        let found = problem(&format!("{text}\nsequential = 'fresh-rows'"));
        assert!(found.contains(expected), "{text}: {found}");
    }
}
