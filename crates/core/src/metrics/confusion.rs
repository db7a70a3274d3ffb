//! Metrics of labels against predicted classes: of one class, and averages over classes.

use super::estimate::{Computed, Estimate, mean, proportion, undefined};
use super::metric::{Compute, Metric, Shown};
use super::part::Part;
use super::tally::Tally;
use crate::measurement::{Direction, Evidence, Unit};
use crate::prediction_task::PredictionTask;
use crate::statistics::{Average, Interval, NoInterval, clopper_pearson, f1_interval};

const PRF: &str = "scikit-learn `precision_recall_fscore_support`";
const EXACT: &str = "Clopper–Pearson; of weighted or grouped rows t by influence";
const MOVER: &str = "MOVER (Zou and Donner) over the intervals of the classes; of weighted or grouped rows t by influence";
const SCALED: &str = "Clopper–Pearson of accuracy, scaled to the average's spread; of weighted or grouped rows t by influence";
/// How an interval comes from the influence of each row on the value.
pub(super) const BY_INFLUENCE: &str = "t by influence";

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
        task: PredictionTask::Classification,
        definition,
        interval,
        source,
        range: (0.0, 1.0),
        shown: Shown::Headline,
        compute,
    }
}

/// One that only lists of all metrics show.
const fn detail(metric: Metric) -> Metric {
    Metric {
        shown: Shown::Details,
        ..metric
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
        Compute::Confusion(|tally, level| average(Average::MacroPrecision, tally, level)),
    ),
    metric(
        "recall_macro",
        &["macro_recall"],
        "Mean recall over the classes that occur in labels or predictions; 0 for a class without labelled rows.",
        MOVER,
        PRF,
        Compute::Confusion(|tally, level| average(Average::MacroRecall, tally, level)),
    ),
    metric(
        "f1_macro",
        &["macro_f1"],
        "Mean F1 over the classes that occur in labels or predictions.",
        MOVER,
        PRF,
        Compute::Confusion(|tally, level| average(Average::MacroF1, tally, level)),
    ),
    metric(
        "balanced_accuracy",
        &["balanced_accuracy_score"],
        "Mean recall over the classes that have labelled rows.",
        MOVER,
        "scikit-learn `balanced_accuracy_score`",
        Compute::Confusion(|tally, level| average(Average::BalancedAccuracy, tally, level)),
    ),
    detail(metric(
        "precision_weighted",
        &["weighted_precision"],
        "Precision of the classes, weighted by their labelled rows; 0 for a class that is never predicted.",
        SCALED,
        PRF,
        Compute::Confusion(|tally, level| average(Average::WeightedPrecision, tally, level)),
    )),
    detail(metric(
        "recall_weighted",
        &["weighted_recall"],
        "Recall of the classes, weighted by their labelled rows, which is accuracy.",
        EXACT,
        PRF,
        Compute::Confusion(accuracy),
    )),
    detail(metric(
        "f1_weighted",
        &["weighted_f1"],
        "F1 of the classes, weighted by their labelled rows.",
        SCALED,
        PRF,
        Compute::Confusion(|tally, level| average(Average::WeightedF1, tally, level)),
    )),
    detail(metric(
        "precision_micro",
        &["micro_precision"],
        "Precision of all classes' counts together, which is accuracy.",
        EXACT,
        PRF,
        Compute::Confusion(accuracy),
    )),
    detail(metric(
        "recall_micro",
        &["micro_recall"],
        "Recall of all classes' counts together, which is accuracy.",
        EXACT,
        PRF,
        Compute::Confusion(accuracy),
    )),
    detail(metric(
        "f1_micro",
        &["micro_f1"],
        "F1 of all classes' counts together, which is accuracy.",
        EXACT,
        PRF,
        Compute::Confusion(accuracy),
    )),
    detail(metric(
        "f_beta_macro",
        &["f2_macro"],
        "Mean F-beta over the classes that occur in labels or predictions.",
        BY_INFLUENCE,
        "scikit-learn `fbeta_score`",
        Compute::Confusion(|tally, level| f_beta_average(Averaging::MACRO, tally, level)),
    )),
    detail(metric(
        "f_beta_weighted",
        &["f2_weighted"],
        "F-beta of the classes, weighted by their labelled rows.",
        BY_INFLUENCE,
        "scikit-learn `fbeta_score`",
        Compute::Confusion(|tally, level| f_beta_average(Averaging::WEIGHTED, tally, level)),
    )),
    detail(metric(
        "jaccard_macro",
        &["iou_macro", "mean_iou"],
        "Mean Jaccard index over the classes that occur in labels or predictions.",
        MOVER,
        "scikit-learn `jaccard_score`",
        Compute::Confusion(|tally, level| average(Average::MacroJaccard, tally, level)),
    )),
    detail(metric(
        "jaccard_weighted",
        &["iou_weighted"],
        "Jaccard index of the classes, weighted by their labelled rows.",
        SCALED,
        "scikit-learn `jaccard_score`",
        Compute::Confusion(|tally, level| average(Average::WeightedJaccard, tally, level)),
    )),
    detail(metric(
        "jaccard_micro",
        &["iou_micro"],
        "Jaccard index of all classes' counts together: accuracy / (2 - accuracy).",
        EXACT,
        "scikit-learn `jaccard_score`",
        Compute::Confusion(jaccard_micro),
    )),
    metric(
        "precision",
        &["precision_score", "ppv"],
        "Fraction of the rows predicted as the class that belong to it: TP / (TP + FP).",
        EXACT,
        PRF,
        Compute::PerClass(|tally, class, level| of_class(Part::Precision, tally, class, level)),
    ),
    metric(
        "recall",
        &["recall_score", "sensitivity", "tpr"],
        "Fraction of the class's rows that are predicted as it: TP / (TP + FN).",
        EXACT,
        PRF,
        Compute::PerClass(|tally, class, level| of_class(Part::Recall, tally, class, level)),
    ),
    metric(
        "f1",
        &["f1_score", "f_measure"],
        "Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).",
        "Clopper–Pearson of J = TP / (TP + FP + FN), with F1 = 2J / (1 + J); of weighted or grouped rows t by influence",
        PRF,
        Compute::PerClass(|tally, class, level| of_class(Part::F(1.0), tally, class, level)),
    ),
    detail(metric(
        "f_beta",
        &["f2", "f2_score", "fbeta_score"],
        "Weighted harmonic mean of precision and recall, (1 + β²) TP / ((1 + β²) TP + FP + β² FN), with β = 2.",
        BY_INFLUENCE,
        "scikit-learn `fbeta_score`",
        Compute::PerClass(|tally, class, level| of_class(Part::F(tally.beta), tally, class, level)),
    )),
    detail(metric(
        "jaccard",
        &["iou", "jaccard_score"],
        "Jaccard index: TP / (TP + FP + FN).",
        EXACT,
        "scikit-learn `jaccard_score`",
        Compute::PerClass(|tally, class, level| of_class(Part::Jaccard, tally, class, level)),
    )),
    detail(metric(
        "specificity",
        &["tnr", "selectivity"],
        "Fraction of the other classes' rows that are not predicted as the class: TN / (TN + FP).",
        EXACT,
        "scikit-learn `recall_score` with the other label as `pos_label`",
        Compute::PerClass(|tally, class, level| of_class(Part::Specificity, tally, class, level)),
    )),
];

impl Part {
    /// Numerator and denominator of `class`, per row of all.
    fn sums(self, tally: &Tally, class: usize) -> (f64, f64) {
        let (labelled, predicted, right) = tally.shares(class);
        let parts = [
            (true, true, right),
            (true, false, labelled - right),
            (false, true, predicted - right),
            (false, false, 1.0 - labelled - predicted + right),
        ];
        parts
            .into_iter()
            .fold((0.0, 0.0), |sums, (is_labelled, is_predicted, share)| {
                let terms = self.terms(is_labelled, is_predicted);
                (sums.0 + share * terms.0, sums.1 + share * terms.1)
            })
    }

    /// Rows that the denominator counts.
    fn n_rows(self, tally: &Tally, class: usize) -> u64 {
        let counts = tally.counts();
        let (labelled, predicted) = (counts.n_labelled(class), counts.n_predicted(class));
        match self {
            Self::Precision => predicted,
            Self::Recall => labelled,
            Self::F(_) | Self::Jaccard => labelled + predicted - counts.n_right(class),
            Self::Specificity => counts.n_rows() - labelled,
        }
    }
}

fn of_class(part: Part, tally: &Tally, class: usize, confidence: f64) -> Computed {
    let n = part.n_rows(tally, class);
    if n == 0 {
        return undefined(part.without_rows());
    }
    if tally.is_plain()
        && let Some(computed) = exact(part, tally, class, n, confidence)
    {
        return computed;
    }
    let (numerator, denominator) = part.sums(tally, class);
    let value = numerator / denominator;
    let influence = |label: usize, predicted: usize| {
        let terms = part.terms(label == class, predicted == class);
        (terms.0 - value * terms.1) / denominator
    };
    let moments = if part == Part::Specificity {
        tally.spread(value, 0..tally.counts().cells().len(), influence)
    } else {
        tally.spread(value, tally.touching(class), influence)
    };
    mean(moments, n, confidence)
}

/// What is a proportion of rows, or a function of one.
fn exact(part: Part, tally: &Tally, class: usize, n: u64, confidence: f64) -> Option<Computed> {
    let counts = tally.counts();
    let n_right = counts.n_right(class);
    let n_either = counts.n_labelled(class) + counts.n_predicted(class) - n_right;
    let without_rows = part.without_rows();
    match part {
        Part::Precision | Part::Recall | Part::Jaccard => {
            Some(proportion(n_right, n, confidence, without_rows))
        }
        Part::Specificity => Some(proportion(
            counts.n_rows() - n_either,
            n,
            confidence,
            without_rows,
        )),
        Part::F(1.0) => {
            let interval = f1_interval(n_right, n_either - n_right, 0, confidence)?;
            Some(Computed::Value(Estimate {
                value: 2.0 * n_right as f64 / (n + n_right) as f64,
                interval: Ok(interval),
                n_rows: n,
                evidence: Some(Evidence::F1 {
                    n_true_positives: n_right,
                    n,
                }),
            }))
        }
        Part::F(_) => None,
    }
}

fn accuracy(tally: &Tally, confidence: f64) -> Computed {
    let counts = tally.counts();
    let n = counts.n_rows();
    if tally.is_plain() {
        let n_right = (0..tally.n_classes())
            .map(|class| counts.n_right(class))
            .sum();
        return proportion(n_right, n, confidence, "no rows");
    }
    let value = tally.cells().map(if_right).sum();
    let moments = tally.spread(value, 0..counts.cells().len(), |label, predicted| {
        f64::from(u8::from(label == predicted)) - value
    });
    mean(moments, n, confidence)
}

fn if_right((label, predicted, share): (usize, usize, f64)) -> f64 {
    if label == predicted { share } else { 0.0 }
}

fn jaccard_micro(tally: &Tally, confidence: f64) -> Computed {
    let counts = tally.counts();
    let n = counts.n_rows();
    let accuracy: f64 = tally.cells().map(if_right).sum();
    let value = accuracy / (2.0 - accuracy);
    if tally.is_plain() {
        let n_right = (0..tally.n_classes())
            .map(|class| counts.n_right(class))
            .sum();
        let jaccard = |accuracy: f64| accuracy / (2.0 - accuracy);
        let interval = clopper_pearson(n_right, n, confidence).ok_or(NoInterval::NoRows);
        return Computed::Value(Estimate {
            value,
            interval: interval.map(|interval| Interval {
                lower: jaccard(interval.lower),
                upper: jaccard(interval.upper),
                ..interval
            }),
            n_rows: n,
            evidence: None,
        });
    }
    let slope = 2.0 / (2.0 - accuracy).powi(2);
    let moments = tally.spread(value, 0..counts.cells().len(), |label, predicted| {
        slope * (f64::from(u8::from(label == predicted)) - accuracy)
    });
    mean(moments, n, confidence)
}

/// Which classes an average is over, and how much each counts.
#[derive(Debug, Clone, Copy)]
struct Averaging {
    is_weighted: bool,
    /// Only those with labelled rows, not those that are only predicted.
    only_labelled: bool,
}

impl Averaging {
    const MACRO: Self = Self {
        is_weighted: false,
        only_labelled: false,
    };
    const LABELLED: Self = Self {
        is_weighted: false,
        only_labelled: true,
    };
    const WEIGHTED: Self = Self {
        is_weighted: true,
        only_labelled: false,
    };
}

/// The confusion matrix is all the evidence that an average of a plain sample needs.
fn average(average: Average, tally: &Tally, confidence: f64) -> Computed {
    if !tally.is_plain() {
        let (part, averaging) = match average {
            Average::MacroPrecision => (Part::Precision, Averaging::MACRO),
            Average::MacroRecall => (Part::Recall, Averaging::MACRO),
            Average::MacroF1 => (Part::F(1.0), Averaging::MACRO),
            Average::MacroJaccard => (Part::Jaccard, Averaging::MACRO),
            Average::BalancedAccuracy => (Part::Recall, Averaging::LABELLED),
            Average::WeightedPrecision => (Part::Precision, Averaging::WEIGHTED),
            Average::WeightedRecall => (Part::Recall, Averaging::WEIGHTED),
            Average::WeightedF1 => (Part::F(1.0), Averaging::WEIGHTED),
            Average::WeightedJaccard => (Part::Jaccard, Averaging::WEIGHTED),
        };
        return averaged(part, averaging, tally, confidence);
    }
    match average.value(tally.counts()) {
        Some(value) => Computed::Value(Estimate {
            value,
            interval: average.interval(tally.counts(), confidence),
            n_rows: tally.counts().n_rows(),
            evidence: None,
        }),
        None => undefined("no rows"),
    }
}

fn f_beta_average(averaging: Averaging, tally: &Tally, confidence: f64) -> Computed {
    averaged(Part::F(tally.beta), averaging, tally, confidence)
}

/// The value of one class in an average, and what the influence of a row on it is made of.
#[derive(Clone, Copy, Default)]
struct InAverage {
    value: f64,
    /// How much it counts in the average, over the denominator: 0 for a class of 0/0 or one that is left out.
    coefficient: f64,
}

fn averaged(part: Part, averaging: Averaging, tally: &Tally, confidence: f64) -> Computed {
    let counts = tally.counts();
    let takes_part = |class: &usize| {
        let n_predicted = counts.n_predicted(*class);
        counts.n_labelled(*class) > 0 || (!averaging.only_labelled && n_predicted > 0)
    };
    let n_classes = (0..tally.n_classes()).filter(takes_part).count();
    let mut classes = vec![InAverage::default(); tally.n_classes()];
    let mut value = 0.0;
    for class in (0..tally.n_classes()).filter(takes_part) {
        let weight = if averaging.is_weighted {
            tally.shares(class).0
        } else {
            (n_classes as f64).recip()
        };
        if part.n_rows(tally, class) > 0 {
            let (numerator, denominator) = part.sums(tally, class);
            classes[class] = InAverage {
                value: numerator / denominator,
                coefficient: weight / denominator,
            };
            value += weight * classes[class].value;
        }
    }
    let all = 0..counts.cells().len();
    let moments = tally.spread(value, all, |label, predicted| {
        let of = |class: usize| {
            let InAverage { value, coefficient } = classes[class];
            let terms = part.terms(label == class, predicted == class);
            coefficient * (terms.0 - value * terms.1)
        };
        let of_both = of(label)
            + if predicted == label {
                0.0
            } else {
                of(predicted)
            };
        // A row of a class adds to its weight, too.
        let of_weight = if averaging.is_weighted {
            classes[label].value - value
        } else {
            0.0
        };
        of_both + of_weight
    });
    mean(moments, counts.n_rows(), confidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Confusion;

    /// Independent source: scikit-learn 1.9, `balanced_accuracy_score([0, 0, 1], [0, 2, 1])` is 0.75: the class that is
    /// only predicted does not count, where `recall_score(average="macro")` counts it as 0.
    #[test]
    fn balanced_accuracy_leaves_out_what_is_only_predicted() {
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let confusion = Confusion::new(classes, [(0, 0, 1), (0, 2, 1), (1, 1, 1)]);
        let tally = Tally::plain(confusion, 2.0);
        let Computed::Value(estimate) = average(Average::BalancedAccuracy, &tally, 0.95) else {
            panic!("it has a value")
        };
        assert_eq!(estimate.value, 0.75);
    }
}
