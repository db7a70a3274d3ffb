//! What must hold whatever the rows are.

use proptest::prelude::*;

use super::*;
use crate::scored_rows::{Labels, ScoredRows};
use crate::table::Table;

use super::several_labels::several;

const CLASSES: [&str; 3] = ["a", "b", "c"];

/// Labels and predictions of three classes.
#[derive(Debug, Clone)]
struct Rows {
    labels: Vec<u32>,
    predicted: Vec<u32>,
}

impl Rows {
    fn card(&self) -> Scorecard {
        classified(&self.labels, &self.predicted, &CLASSES)
    }

    /// The same with the `nth` right row predicted as another class; `None` where no row is right.
    fn with_one_more_wrong(&self, nth: usize, shift: u32) -> Option<Self> {
        let right: Vec<usize> = (0..self.labels.len())
            .filter(|&row| self.labels[row] == self.predicted[row])
            .collect();
        let row = *right.get(nth % right.len().max(1))?;
        let mut other = self.clone();
        other.predicted[row] = (self.labels[row] + shift) % 3;
        Some(other)
    }
}

fn rows() -> impl Strategy<Value = Rows> {
    // Mostly right, so that bounds near 1 are met too.
    let row = (0_u32..3, 0_u32..12)
        .prop_map(|(label, drawn)| (label, if drawn < 3 { drawn } else { label }));
    prop::collection::vec(row, 1..80).prop_map(|rows| {
        let (labels, predicted) = rows.into_iter().unzip();
        Rows { labels, predicted }
    })
}

/// How red a decision is: 2 for both that are.
const fn redness(decision: Decision) -> u8 {
    match decision {
        Decision::Skipped | Decision::Pass => 0,
        Decision::Warn => 1,
        Decision::Inconclusive | Decision::Fail => 2,
    }
}

/// Rules on the good side of metrics of classes.
fn good_side(min: f64) -> Vec<String> {
    let mut rules = Vec::new();
    for level in ["fail", "warn", "info"] {
        for metric in [
            "accuracy",
            "balanced_accuracy",
            "precision_macro",
            "recall_macro",
            "f1_macro",
            "precision_weighted",
            "recall_weighted",
            "f1_weighted",
        ] {
            rules.push(format!(
                "metric = '{metric}'\nmin = {min}\nlevel = '{level}'"
            ));
        }
        for metric in ["precision", "recall", "f1"] {
            for class in ["a", "*"] {
                let rule = format!(
                    "metric = '{metric}'\nclass = '{class}'\nmin = {min}\nlevel = '{level}'"
                );
                // Over all classes a miss must be proven among as many as there are, and a class that is predicted for the
                // first time is one more: it may leave open what was proven or had no value.
                if class != "*" {
                    rules.push(format!("{rule}\nconfidence = 0.9"));
                }
                rules.push(rule);
            }
        }
        rules.push(format!(
            "metric = 'accuracy'\nmin = {min}\nconfidence = 0.9\nlevel = '{level}'"
        ));
    }
    rules
}

/// The worst decision of each rule.
fn decisions(rules: &[String], card: &Scorecard, baseline: &Baseline) -> Vec<u8> {
    let texts: Vec<&str> = rules.iter().map(String::as_str).collect();
    let verdict = judge(&texts, card, baseline);
    let of_rule = |idx: usize| {
        let results = verdict
            .rules
            .iter()
            .filter(move |rule| rule.rule_idx == idx);
        results
            .map(|rule| redness(rule.decision))
            .max()
            .unwrap_or(2)
    };
    (0..rules.len()).map(of_rule).collect()
}

/// Multilabel rows of three classes.
#[derive(Debug, Clone)]
struct SetRows {
    labels: Vec<bool>,
    predicted: Vec<bool>,
}

impl SetRows {
    fn card(&self) -> Scorecard {
        let table = |cells: &[bool]| Labels::Sets(Table::new(cells.to_vec(), 3).unwrap());
        let classes = CLASSES.map(str::to_owned).to_vec();
        several(&ScoredRows::new(
            table(&self.labels),
            table(&self.predicted),
            classes,
        ))
    }

    /// The same with the `nth` right cell predicted wrong; `None` where no cell is right.
    fn with_one_more_wrong(&self, nth: usize) -> Option<Self> {
        let right: Vec<usize> = (0..self.labels.len())
            .filter(|&cell| self.labels[cell] == self.predicted[cell])
            .collect();
        let cell = *right.get(nth % right.len().max(1))?;
        let mut other = self.clone();
        other.predicted[cell] = !other.predicted[cell];
        Some(other)
    }
}

fn set_rows() -> impl Strategy<Value = SetRows> {
    // Mostly right, and classes of which there may be no row.
    let cell = (any::<bool>(), 0_u32..6).prop_map(|(label, drawn)| (label, label != (drawn == 0)));
    let row = prop::array::uniform3(cell);
    (prop::collection::vec(row, 1..50), any::<[bool; 3]>()).prop_map(|(rows, is_rare)| {
        let cells = rows
            .into_iter()
            .flat_map(|row| row.into_iter().zip(is_rare));
        let cells =
            cells.map(|((label, predicted), is_rare)| (label && !is_rare, predicted && !is_rare));
        let (labels, predicted) = cells.unzip();
        SetRows { labels, predicted }
    })
}

/// Rules on the good side of metrics of multilabel rows.
fn good_side_of_sets(bound: f64) -> Vec<String> {
    let mut rules = vec![
        format!("metric = 'subset_accuracy'\nmin = {bound}"),
        format!("metric = 'subset_accuracy'\nmin = {bound}\nconfidence = 0.9"),
        format!("metric = 'hamming_loss'\nmax = {bound}"),
    ];
    for metric in ["precision", "recall", "f1", "jaccard"] {
        for average in ["macro", "micro", "samples"] {
            rules.push(format!("metric = '{metric}_{average}'\nmin = {bound}"));
        }
        rules.push(format!("metric = '{metric}'\nclass = 'a'\nmin = {bound}"));
        rules.push(format!("metric = '{metric}'\nclass = '*'\nmin = {bound}"));
    }
    for metric in ["precision", "recall", "f1"] {
        rules.push(format!(
            "metric = '{metric}'\nclass = 'a'\nmin = {bound}\nconfidence = 0.9"
        ));
    }
    rules
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_more_wrong_row_never_makes_a_rule_greener(
        rows in rows(), nth in 0_usize..80, shift in 1_u32..3, min in 0.01_f64..1.0,
    ) {
        let Some(worse) = rows.with_one_more_wrong(nth, shift) else { return Ok(()) };
        let rules = good_side(min);
        let before = decisions(&rules, &rows.card(), &none());
        let after = decisions(&rules, &worse.card(), &none());
        for ((rule, before), after) in rules.iter().zip(before).zip(after) {
            prop_assert!(after >= before, "{rule}: {before} became {after}");
        }
    }

    #[test]
    fn one_more_wrong_class_of_a_row_never_makes_a_rule_greener(
        rows in set_rows(), nth in 0_usize..150, bound in 0.01_f64..1.0,
    ) {
        let Some(worse) = rows.with_one_more_wrong(nth) else { return Ok(()) };
        let rules = good_side_of_sets(bound);
        let before = decisions(&rules, &rows.card(), &none());
        let after = decisions(&rules, &worse.card(), &none());
        for ((rule, before), after) in rules.iter().zip(before).zip(after) {
            prop_assert!(after >= before, "{rule}: {before} became {after}");
        }
        // Nor where it is compared with a baseline.
        let baseline = ready(&rows.card());
        let changes = ["subset_accuracy", "f1_micro", "recall_macro"];
        let mut changes: Vec<String> = changes
            .iter()
            .map(|metric| format!("metric = '{metric}'\nmax_drop = {}", bound / 4.0))
            .collect();
        changes.push(format!("metric = 'subset_accuracy'\nmax_drop = {}\nconfidence = 0.9", bound / 4.0));
        changes.push("max_new_errors = 0".to_owned());
        let before = decisions(&changes, &rows.card(), &baseline);
        let after = decisions(&changes, &worse.card(), &baseline);
        for ((rule, before), after) in changes.iter().zip(before).zip(after) {
            prop_assert!(after >= before, "{rule}: {before} became {after}");
        }
    }

    #[test]
    fn one_more_wrong_row_never_makes_a_change_greener(
        rows in rows(), old_shift in 0_usize..80, nth in 0_usize..80, shift in 1_u32..3, bound in 0.0_f64..0.5,
    ) {
        let Some(worse) = rows.with_one_more_wrong(nth, shift) else { return Ok(()) };
        // The baseline predicts the rows as the candidate does some rows further on.
        let n = rows.labels.len();
        let old = Rows {
            labels: rows.labels.clone(),
            predicted: (0..n).map(|row| {
                let from = (row + old_shift) % n;
                if rows.labels[from] == rows.predicted[from] { rows.labels[row] } else { (rows.labels[row] + 1) % 3 }
            }).collect(),
        };
        let baseline = ready(&old.card());
        let mut rules = vec!["max_new_errors = 2".to_owned()];
        for change in ["max_drop", "min_gain", "max_drop_pct", "min_gain_pct"] {
            let size = if change.ends_with("pct") { bound * 100.0 } else { bound };
            for metric in ["accuracy", "f1_macro", "recall_macro"] {
                rules.push(format!("metric = '{metric}'\n{change} = {size}"));
            }
            for uncertain in ["warn", "fail", "pass"] {
                rules.push(format!(
                    "metric = 'accuracy'\n{change} = {size}\nconfidence = 0.9\nwhen_uncertain = '{uncertain}'"
                ));
            }
        }
        let before = decisions(&rules, &rows.card(), &baseline);
        let after = decisions(&rules, &worse.card(), &baseline);
        for ((rule, before), after) in rules.iter().zip(before).zip(after) {
            prop_assert!(after >= before, "{rule}: {before} became {after}");
        }
    }

    #[test]
    fn names_and_order_of_classes_and_classes_of_no_row_change_nothing(
        rows in rows(), min in 0.01_f64..1.0, order in Just([0_u32, 1, 2]).prop_shuffle(),
    ) {
        let mut rules = good_side(min);
        rules.push(format!("metric = 'recall'\nclass = '*'\nmin = {min}\nconfidence = 0.9"));
        rules.push(format!("metric = 'matthews_corrcoef'\nmin = {min}"));
        rules.push(format!("metric = 'f1_macro'\nmin = {min}\nconfidence = 0.9"));
        let before = decisions(&rules, &rows.card(), &none());
        // The class with the index i stands at `order[i]` under another name, and a fourth class has no row.
        let place = |class: &u32| order[*class as usize];
        let mut names = ["", "", "", "never"];
        for (class, name) in ["x", "y", "z"].into_iter().enumerate() {
            names[order[class] as usize] = name;
        }
        let labels: Vec<u32> = rows.labels.iter().map(place).collect();
        let predicted: Vec<u32> = rows.predicted.iter().map(place).collect();
        let moved = classified(&labels, &predicted, &names);
        let renamed: Vec<String> = rules
            .iter()
            .map(|rule| rule.replace("class = 'a'", "class = 'x'"))
            .collect();
        prop_assert_eq!(before, decisions(&renamed, &moved, &none()));
    }

    #[test]
    fn a_larger_error_never_makes_a_bound_on_errors_greener(
        labels in prop::collection::vec(-5.0_f64..5.0, 2..60), errors in prop::collection::vec(-2.0_f64..2.0, 60),
        row in 0_usize..60, more in 0.01_f64..100.0, max in 0.01_f64..4.0,
    ) {
        let card = |errors: &[f64]| {
            let predicted: Vec<f64> = labels.iter().zip(errors).map(|(label, error)| label + error).collect();
            let rows = ValuedRows { labels: &labels, predicted: &predicted, weights: None, groups: None, objective: Loss::MeanSquaredError };
            let measured = metrics::regress(&rows, &SCORING).unwrap();
            Scorecard {
                undefined: measured.undefined,
                ..Scorecard::bare(Sha256Digest::of(b"evaluation"), measured.measurements)
            }
        };
        let mut worse = errors.clone();
        let row = row % labels.len();
        worse[row] += more * if worse[row] < 0.0 { -1.0 } else { 1.0 };
        let metrics = ["mse", "mae", "rmse", "max_error"];
        let rules: Vec<String> = metrics.iter().map(|metric| format!("metric = '{metric}'\nmax = {max}")).collect();
        let (before, after) = (card(&errors), card(&worse));
        for metric in metrics {
            // With `confidence` no method can promise as much, but the value moves the right way.
            let value = |card: &Scorecard| card.get(&MetricKey::overall(metric)).unwrap().value;
            prop_assert!(value(&after) >= value(&before) - 1e-12, "{metric}");
        }
        let (before, after) = (decisions(&rules, &before, &none()), decisions(&rules, &after, &none()));
        for ((rule, before), after) in rules.iter().zip(before).zip(after) {
            prop_assert!(after >= before, "{rule}: {before} became {after}");
        }
    }

    /// Neither as a value, nor as the baseline's, nor where the metric is absent; whatever the rule asks for.
    #[test]
    fn what_is_not_finite_or_absent_never_passes(bound in 0.0_f64..1.0, kind in 0_usize..4, of_baseline in any::<bool>()) {
        let wrong = [Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), None][kind];
        let card = |value: Option<f64>| {
            let key = MetricKey::overall("accuracy");
            let measured = value.map(|value| Measurement::bare(key, value, Some(Unit::Proportion), Some(Direction::HigherIsBetter)));
            Scorecard::bare(Sha256Digest::of(b"evaluation"), measured.into_iter().collect())
        };
        let (new, old) = if of_baseline { (Some(0.9), wrong) } else { (wrong, Some(0.9)) };
        let comparing = ["max_drop", "min_gain", "max_drop_pct", "min_gain_pct"];
        let absolute = ["min", "max"];
        let keys: Vec<&str> = if of_baseline { comparing.to_vec() } else { comparing.into_iter().chain(absolute).collect() };
        for key in keys {
            for more in ["", "confidence = 0.9\nwhen_uncertain = 'pass'"] {
                let rule = vec![format!("metric = 'accuracy'\n{key} = {bound}\n{more}")];
                let found = decisions(&rule, &card(new), &ready(&card(old)));
                prop_assert_eq!(&found, &[2], "{}", rule[0]);
            }
        }
    }
}
