//! Points of a class's ROC and precision-recall curve: few enough for a file and a chart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most points of a curve.
pub(super) const MAX_POINTS: usize = 200;

/// Classes up to which each has its curves drawn; of more, a chart cannot be read.
pub(super) const MAX_CLASSES: usize = 10;

/// The curves of one class against the others, each of at most 200 points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassCurves {
    /// The class whose score is compared with a threshold.
    pub class: String,
    /// The ROC curve, from the highest threshold, above all scores, to the lowest.
    pub roc: Vec<RocPoint>,
    /// The precision-recall curve, from the highest threshold to the lowest. It is a step function: each precision holds
    /// from the recall of the point before.
    pub precision_recall: Vec<PrecisionRecallPoint>,
}

/// The rates at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RocPoint {
    /// Share of the other classes' rows with a score at or above the threshold.
    pub false_positive_rate: f64,
    /// Share of the class's rows with a score at or above the threshold.
    pub true_positive_rate: f64,
}

/// Recall and precision at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrecisionRecallPoint {
    /// Share of the class's rows with a score at or above the threshold.
    pub recall: f64,
    /// Share of the rows with such a score that are of the class.
    pub precision: f64,
}

/// Collects points from the lowest threshold to the highest, and keeps those that lie apart.
///
/// Both rates together move by 2 along the whole curve, so points at least 2/(n - 2) apart, with both ends, are at most n. The kept
/// points are points of the curve, and no point left out is farther than that from a kept one.
#[derive(Debug, Clone)]
pub(super) struct Points {
    roc: Vec<RocPoint>,
    precision_recall: Vec<PrecisionRecallPoint>,
    /// The last point of the precision-recall curve that was left out.
    last: Option<PrecisionRecallPoint>,
}

impl Points {
    pub(super) fn new() -> Self {
        Self {
            roc: vec![RocPoint {
                false_positive_rate: 1.0,
                true_positive_rate: 1.0,
            }],
            precision_recall: Vec::new(),
            last: None,
        }
    }

    /// The rates where the threshold is the score of the next rows; `precision` where some of them are of the class.
    pub(super) fn add(&mut self, false_positive: f64, true_positive: f64, precision: Option<f64>) {
        const APART: f64 = 2.0 / (MAX_POINTS - 2) as f64;
        let kept = self.roc[self.roc.len() - 1];
        let moved =
            kept.false_positive_rate - false_positive + kept.true_positive_rate - true_positive;
        if moved >= APART {
            self.roc.push(RocPoint {
                false_positive_rate: false_positive,
                true_positive_rate: true_positive,
            });
        }
        let Some(precision) = precision else { return };
        let point = PrecisionRecallPoint {
            recall: true_positive,
            precision,
        };
        let kept = self.precision_recall.last();
        if kept.is_none_or(|kept| kept.recall - point.recall >= APART / 2.0) {
            self.precision_recall.push(point);
            self.last = None;
        } else {
            self.last = Some(point);
        }
    }

    /// The curves, the highest threshold first.
    pub(super) fn finish(mut self, class: &str) -> ClassCurves {
        self.roc.push(RocPoint {
            false_positive_rate: 0.0,
            true_positive_rate: 0.0,
        });
        self.precision_recall.extend(self.last);
        self.roc.reverse();
        self.precision_recall.reverse();
        ClassCurves {
            class: class.to_owned(),
            roc: self.roc,
            precision_recall: self.precision_recall,
        }
    }
}
