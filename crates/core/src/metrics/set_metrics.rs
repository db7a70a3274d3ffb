//! Metrics of multilabel rows, as the catalog lists them.

use super::metric::{Compute, Metric, Shown};
use super::part::Part;
use super::row_values::OfRows;
use super::rows::Scores;
use super::set_ranking::{average_precision, coverage_error, ranking_loss};
use super::sets::{
    Area, Sets, area_of_class, hamming_loss, macro_area, macro_average, micro, micro_area,
    of_class, samples, subset_accuracy, weighted, weighted_area,
};
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

const PRF: &str = "scikit-learn `precision_recall_fscore_support` on indicator matrices";
const JACCARD: &str = "scikit-learn `jaccard_score` on indicator matrices";
const BY_INFLUENCE: &str = "t by influence";
const OF_ROWS: &str = "skewness-corrected t of the value of each row";
const AS_OF_TWO: &str = "as of one of two classes";

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
        task: PredictionTask::Multilabel,
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

/// One of which less is better.
const fn loss(metric: Metric) -> Metric {
    Metric {
        direction: Direction::LowerIsBetter,
        ..metric
    }
}

/// One of a class, by labels and predictions.
const fn of_label(
    name: &'static str,
    definition: &'static str,
    source: &'static str,
    of_rows: fn(&Sets<'_>, usize) -> OfRows,
) -> Metric {
    metric(
        name,
        &[],
        definition,
        AS_OF_TWO,
        source,
        Compute::OfLabel {
            of_rows: Some(of_rows),
            of_scores: None,
        },
    )
}

/// One of a class, by its scores.
const fn of_score(
    name: &'static str,
    definition: &'static str,
    source: &'static str,
    of_scores: Option<fn(&Sets<'_>, Scores<'_>, usize) -> OfRows>,
) -> Metric {
    metric(
        name,
        &[],
        definition,
        AS_OF_TWO,
        source,
        Compute::OfLabel {
            of_rows: None,
            of_scores,
        },
    )
}

const fn average(
    name: &'static str,
    aliases: &'static [&'static str],
    definition: &'static str,
    source: &'static str,
    of_rows: fn(&Sets<'_>) -> OfRows,
) -> Metric {
    let compute = Compute::Sets(of_rows);
    metric(name, aliases, definition, BY_INFLUENCE, source, compute)
}

/// A mean over rows.
const fn of_samples(metric: Metric) -> Metric {
    detail(Metric {
        interval: OF_ROWS,
        ..metric
    })
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "subset_accuracy",
        &["exact_match", "exact_match_ratio"],
        "Fraction of rows whose whole set of classes is predicted correctly.",
        "Clopper–Pearson; of weighted or grouped rows t by influence",
        "scikit-learn `accuracy_score` on indicator matrices",
        Compute::Sets(|sets| Ok(subset_accuracy(sets))),
    ),
    loss(metric(
        "hamming_loss",
        &[],
        "Mean over the rows of the fraction of classes predicted incorrectly.",
        OF_ROWS,
        "scikit-learn `hamming_loss`",
        Compute::Sets(|sets| Ok(hamming_loss(sets))),
    )),
    average(
        "precision_macro",
        &["macro_precision"],
        "Mean precision over the classes that occur in labels or predictions; 0 for a class that is never predicted.",
        PRF,
        |sets| macro_average(Part::Precision, sets),
    ),
    average(
        "recall_macro",
        &["macro_recall"],
        "Mean recall over the classes that occur in labels or predictions; 0 for a class that no row has.",
        PRF,
        |sets| macro_average(Part::Recall, sets),
    ),
    average(
        "f1_macro",
        &["macro_f1"],
        "Mean F1 over the classes that occur in labels or predictions.",
        PRF,
        |sets| macro_average(Part::F(1.0), sets),
    ),
    average(
        "f1_micro",
        &["micro_f1"],
        "F1 of all classes' counts together.",
        PRF,
        |sets| micro(Part::F(1.0), sets),
    ),
    detail(average(
        "precision_micro",
        &["micro_precision"],
        "Precision of all classes' counts together. Undefined if no class is predicted for any row.",
        PRF,
        |sets| micro(Part::Precision, sets),
    )),
    detail(average(
        "recall_micro",
        &["micro_recall"],
        "Recall of all classes' counts together. Undefined if no row has a class.",
        PRF,
        |sets| micro(Part::Recall, sets),
    )),
    detail(average(
        "precision_weighted",
        &["weighted_precision"],
        "Precision of the classes, weighted by the rows that have them; 0 for a class that is never predicted.",
        PRF,
        |sets| weighted(Part::Precision, sets),
    )),
    detail(average(
        "recall_weighted",
        &["weighted_recall"],
        "Recall of the classes, weighted by the rows that have them, which is `recall_micro`.",
        PRF,
        |sets| weighted(Part::Recall, sets),
    )),
    detail(average(
        "f1_weighted",
        &["weighted_f1"],
        "F1 of the classes, weighted by the rows that have them.",
        PRF,
        |sets| weighted(Part::F(1.0), sets),
    )),
    of_samples(average(
        "precision_samples",
        &[],
        "Mean over the rows of the fraction of a row's predicted classes that it has; 0 for a row for which none is predicted.",
        PRF,
        |sets| Ok(samples(Part::Precision, sets)),
    )),
    of_samples(average(
        "recall_samples",
        &[],
        "Mean over the rows of the fraction of a row's classes that are predicted; 0 for a row that has none.",
        PRF,
        |sets| Ok(samples(Part::Recall, sets)),
    )),
    of_samples(average(
        "f1_samples",
        &[],
        "Mean over the rows of F1 of a row's classes; 0 for a row that has none and for which none is predicted.",
        PRF,
        |sets| Ok(samples(Part::F(1.0), sets)),
    )),
    detail(average(
        "jaccard_macro",
        &["iou_macro", "mean_iou"],
        "Mean Jaccard index over the classes that occur in labels or predictions.",
        JACCARD,
        |sets| macro_average(Part::Jaccard, sets),
    )),
    detail(average(
        "jaccard_micro",
        &["iou_micro"],
        "Jaccard index of all classes' counts together.",
        JACCARD,
        |sets| micro(Part::Jaccard, sets),
    )),
    detail(average(
        "jaccard_weighted",
        &["iou_weighted"],
        "Jaccard index of the classes, weighted by the rows that have them.",
        JACCARD,
        |sets| weighted(Part::Jaccard, sets),
    )),
    of_samples(average(
        "jaccard_samples",
        &["iou_samples"],
        "Mean over the rows of the Jaccard index of a row's classes; 0 for a row that has none and for which none is predicted.",
        JACCARD,
        |sets| Ok(samples(Part::Jaccard, sets)),
    )),
    metric(
        "roc_auc",
        &["auc", "auroc", "roc_auc_score", "roc_auc_macro"],
        "Mean area under the ROC curve over the classes that some rows have and others have not; the report says how many.",
        BY_INFLUENCE,
        "scikit-learn `roc_auc_score` on indicator matrices",
        Compute::ScoredSets(|sets, scores| macro_area(Area::Roc, sets, scores)),
    ),
    detail(metric(
        "roc_auc_micro",
        &[],
        "Area under the ROC curve of all classes' rows and scores together.",
        BY_INFLUENCE,
        "scikit-learn `roc_auc_score` with `average=\"micro\"`",
        Compute::ScoredSets(|sets, scores| micro_area(Area::Roc, sets, scores)),
    )),
    detail(metric(
        "roc_auc_weighted",
        &[],
        "Areas under the ROC curve of the classes, weighted by the rows that have them.",
        BY_INFLUENCE,
        "scikit-learn `roc_auc_score` with `average=\"weighted\"`",
        Compute::ScoredSets(|sets, scores| weighted_area(Area::Roc, sets, scores)),
    )),
    metric(
        "average_precision",
        &[
            "pr_auc",
            "auprc",
            "average_precision_score",
            "average_precision_macro",
            "map",
        ],
        "Mean average precision over the classes that some rows have and others have not. By chance that of a class is the share of its rows.",
        BY_INFLUENCE,
        "scikit-learn `average_precision_score` on indicator matrices",
        Compute::ScoredSets(|sets, scores| macro_area(Area::Precision, sets, scores)),
    ),
    detail(metric(
        "average_precision_micro",
        &[],
        "Average precision of all classes' rows and scores together.",
        BY_INFLUENCE,
        "scikit-learn `average_precision_score` with `average=\"micro\"`",
        Compute::ScoredSets(|sets, scores| micro_area(Area::Precision, sets, scores)),
    )),
    detail(metric(
        "average_precision_weighted",
        &[],
        "Average precision of the classes, weighted by the rows that have them.",
        BY_INFLUENCE,
        "scikit-learn `average_precision_score` with `average=\"weighted\"`",
        Compute::ScoredSets(|sets, scores| weighted_area(Area::Precision, sets, scores)),
    )),
    metric(
        "label_ranking_average_precision",
        &["lrap", "label_ranking_average_precision_score"],
        "Mean over the rows of the mean over a row's classes of the fraction of the classes scored at least as high that it has; 1 for a row that has none or all.",
        OF_ROWS,
        "scikit-learn `label_ranking_average_precision_score`",
        Compute::ScoredSets(|sets, scores| Ok(average_precision(sets, scores))),
    ),
    loss(detail(Metric {
        unit: Unit::None,
        range: (0.0, f64::INFINITY),
        ..metric(
            "coverage_error",
            &[],
            "Mean number of highest-scored classes, ties included, that hold all classes of a row; 0 for a row that has none.",
            OF_ROWS,
            "scikit-learn `coverage_error`",
            Compute::ScoredSets(|sets, scores| Ok(coverage_error(sets, scores))),
        )
    })),
    loss(detail(metric(
        "ranking_loss",
        &["label_ranking_loss"],
        "Mean over the rows of the fraction of pairs of a class that a row has and one that it has not, of which the latter scores at least as high; 0 for a row that has none or all.",
        OF_ROWS,
        "scikit-learn `label_ranking_loss`",
        Compute::ScoredSets(|sets, scores| Ok(ranking_loss(sets, scores))),
    ))),
    of_label(
        "precision",
        "Fraction of the rows for which the class is predicted that have it.",
        PRF,
        |sets, class| of_class(Part::Precision, sets, class),
    ),
    of_label(
        "recall",
        "Fraction of the rows that have the class for which it is predicted.",
        PRF,
        |sets, class| of_class(Part::Recall, sets, class),
    ),
    of_label(
        "f1",
        "Harmonic mean of precision and recall of the class.",
        PRF,
        |sets, class| of_class(Part::F(1.0), sets, class),
    ),
    detail(of_label(
        "f_beta",
        "Weighted harmonic mean of precision and recall of the class, with β = 2.",
        "scikit-learn `fbeta_score`",
        |sets, class| of_class(Part::F(sets.beta), sets, class),
    )),
    detail(of_label(
        "jaccard",
        "Jaccard index of the class: TP / (TP + FP + FN).",
        JACCARD,
        |sets, class| of_class(Part::Jaccard, sets, class),
    )),
    detail(of_label(
        "specificity",
        "Fraction of the rows without the class for which it is not predicted.",
        "scikit-learn `recall_score` with 0 as `pos_label`",
        |sets, class| of_class(Part::Specificity, sets, class),
    )),
    of_score(
        "roc_auc",
        "Area under the ROC curve of the class: the probability that a row that has it scores above one that has it not, ties counted half.",
        "scikit-learn `roc_auc_score`",
        Some(|sets, scores, class| area_of_class(Area::Roc, sets, scores, class)),
    ),
    of_score(
        "average_precision",
        "Precision of the class at each step of recall, weighted by the step.",
        "scikit-learn `average_precision_score`",
        Some(|sets, scores, class| area_of_class(Area::Precision, sets, scores, class)),
    ),
    loss(detail(Metric {
        unit: Unit::None,
        ..of_score(
            "brier_score",
            "Mean squared error of the probability of the class.",
            "scikit-learn `brier_score_loss`",
            None,
        )
    })),
    loss(detail(Metric {
        unit: Unit::Nats,
        range: (0.0, f64::INFINITY),
        ..of_score(
            "log_loss",
            "Mean negative logarithm of the probability of what is so of the class, clipped to the spacing of f64 at 1.",
            "scikit-learn `log_loss`",
            None,
        )
    })),
    loss(detail(Metric {
        interval: "none: no method with known coverage",
        ..of_score(
            "expected_calibration_error",
            "Mean distance between the probability of what is predicted of the class and the share of rows that are right, over 15 bins of equal width, less the bias that chance adds to it.",
            "A. Kumar, P. Liang and T. Ma (2019), \"Verified uncertainty calibration\", for the bias",
            None,
        )
    })),
];
