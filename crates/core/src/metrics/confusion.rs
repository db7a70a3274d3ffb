//! Metrics of labels against predicted classes.

use super::estimate::{Computed, Estimate, proportion};
use super::matrix::Confusion;
use super::metric::{Compute, Metric};
use crate::measurement::{Direction, Evidence, Unit};
use crate::model::Task;
use crate::statistics::{Average, f1_interval};

const PRF: &str = "scikit-learn `precision_recall_fscore_support`";
const EXACT: &str = "Clopper–Pearson";
const MOVER: &str = "MOVER (Zou and Donner) over the intervals of the classes";

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    definition: &'static str,
    interval: &'static str,
    source: &'static str,
    compute: Compute,
) -> Metric {
    Metric {
        name,
        aliases,
        unit: Unit::Proportion,
        direction: Direction::HigherIsBetter,
        task: Task::Classification,
        definition,
        interval,
        source,
        compute,
    }
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "accuracy",
        &[
            "acc",
            "accuracy_score",
            "categorical_accuracy",
            "sparse_categorical_accuracy",
        ],
        "Fraction of rows predicted correctly.",
        EXACT,
        "scikit-learn `accuracy_score`",
        Compute::Confusion(accuracy),
    ),
    metric(
        "precision_macro",
        &["macro_precision"],
        "Mean precision over the classes that occur in labels or predictions; 0 for a class that is never predicted.",
        MOVER,
        PRF,
        Compute::Confusion(|confusion, confidence| {
            average(Average::MacroPrecision, confusion, confidence)
        }),
    ),
    metric(
        "recall_macro",
        &["macro_recall"],
        "Mean recall over the classes that occur in labels or predictions; 0 for a class without labelled rows.",
        MOVER,
        PRF,
        Compute::Confusion(|confusion, confidence| {
            average(Average::MacroRecall, confusion, confidence)
        }),
    ),
    metric(
        "f1_macro",
        &["macro_f1"],
        "Mean F1 over the classes that occur in labels or predictions.",
        MOVER,
        PRF,
        Compute::Confusion(|confusion, confidence| {
            average(Average::MacroF1, confusion, confidence)
        }),
    ),
    metric(
        "balanced_accuracy",
        &["balanced_accuracy_score"],
        "Mean recall over the classes that have labelled rows.",
        MOVER,
        "scikit-learn `balanced_accuracy_score`",
        Compute::Confusion(|confusion, confidence| {
            average(Average::BalancedAccuracy, confusion, confidence)
        }),
    ),
    metric(
        "precision",
        &["precision_score"],
        "Fraction of the rows predicted as the class that belong to it: TP / (TP + FP).",
        EXACT,
        PRF,
        Compute::PerClass(precision),
    ),
    metric(
        "recall",
        &["recall_score", "sensitivity", "tpr"],
        "Fraction of the class's rows that are predicted as it: TP / (TP + FN).",
        EXACT,
        PRF,
        Compute::PerClass(recall),
    ),
    metric(
        "f1",
        &["f1_score", "f_measure"],
        "Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).",
        "Clopper–Pearson of J = TP / (TP + FP + FN), with F1 = 2J / (1 + J)",
        PRF,
        Compute::PerClass(f1),
    ),
];

fn accuracy(confusion: &Confusion, confidence: f64) -> Computed {
    let n_right = (0..confusion.classes().len())
        .map(|class| confusion.n_right(class))
        .sum();
    proportion(n_right, confusion.n_rows(), confidence, "no rows")
}

fn precision(confusion: &Confusion, class: usize, confidence: f64) -> Computed {
    let (n_right, n) = (confusion.n_right(class), confusion.n_predicted(class));
    proportion(n_right, n, confidence, "never predicted")
}

fn recall(confusion: &Confusion, class: usize, confidence: f64) -> Computed {
    let (n_right, n) = (confusion.n_right(class), confusion.support(class));
    proportion(n_right, n, confidence, "no labelled rows")
}

fn f1(confusion: &Confusion, class: usize, confidence: f64) -> Computed {
    let n_right = confusion.n_right(class);
    let n_false_positives = confusion.n_predicted(class) - n_right;
    let n_false_negatives = confusion.support(class) - n_right;
    let n = n_right + n_false_positives + n_false_negatives;
    match f1_interval(n_right, n_false_positives, n_false_negatives, confidence) {
        Some(interval) => Computed::Value(Estimate {
            value: 2.0 * n_right as f64 / (n + n_right) as f64,
            interval: Ok(interval),
            n_rows: n,
            evidence: Some(Evidence::F1 {
                n_true_positives: n_right,
                n,
            }),
        }),
        None => Computed::Undefined("no labelled and no predicted rows"),
    }
}

/// The confusion matrix is all the evidence that an average needs.
fn average(average: Average, confusion: &Confusion, confidence: f64) -> Computed {
    match average.value(confusion.counts()) {
        Some(value) => Computed::Value(Estimate {
            value,
            interval: average.interval(confusion.counts(), confidence),
            n_rows: confusion.n_rows(),
            evidence: None,
        }),
        None => Computed::Undefined("no rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: scikit-learn 1.9, `balanced_accuracy_score([0, 0, 1], [0, 2, 1])` is 0.75: the class that is
    /// only predicted does not count, where `recall_score(average="macro")` counts it as 0.
    #[test]
    fn balanced_accuracy_leaves_out_what_is_only_predicted() {
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let confusion = Confusion::new(classes, [(0, 0, 1), (0, 2, 1), (1, 1, 1)]);
        let found = METRICS
            .iter()
            .find(|metric| metric.name == "balanced_accuracy");
        let Compute::Confusion(compute) = found.expect("it is in the catalog").compute else {
            panic!("it is computed from the confusion matrix")
        };
        let Computed::Value(estimate) = compute(&confusion, 0.95) else {
            panic!("it has a value")
        };
        assert_eq!(estimate.value, 0.75);
    }
}
