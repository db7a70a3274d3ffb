//! Points of a class's ROC and precision-recall curve: few enough for a file and a chart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most points of a curve: of the one that is drawn of two classes, and of each of more, so that the file stays small.
const MAX_POINTS: usize = 200;
const MAX_POINTS_OF_MANY: usize = 50;

/// Classes up to which each has its curves drawn; of more, a chart cannot be read.
const MAX_CLASSES: usize = 10;

/// The curves of one class against the others, each of at most 200 points, with more than two classes 50.
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
    /// How far kept points lie apart.
    apart: f64,
}

impl Points {
    /// Of one of `n_classes`; `None` where there are too many to be drawn.
    pub(super) fn of(n_classes: usize) -> Option<Self> {
        let n_points = match n_classes {
            0..=2 => MAX_POINTS,
            3..=MAX_CLASSES => MAX_POINTS_OF_MANY,
            _ => return None,
        };
        Some(Self {
            roc: vec![RocPoint {
                false_positive_rate: 1.0,
                true_positive_rate: 1.0,
            }],
            precision_recall: Vec::new(),
            last: None,
            apart: 2.0 / (n_points - 2) as f64,
        })
    }

    /// The rates where the threshold is the score of the next rows; `precision` where some of them are of the class.
    pub(super) fn add(&mut self, false_positive: f64, true_positive: f64, precision: Option<f64>) {
        let kept = self.roc[self.roc.len() - 1];
        let moved =
            kept.false_positive_rate - false_positive + kept.true_positive_rate - true_positive;
        if moved >= self.apart {
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
        if kept.is_none_or(|kept| kept.recall - point.recall >= self.apart / 2.0) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand rows of each kind, the scores of which alternate: every curve is the diagonal, in 2,000 steps.
    #[test]
    fn a_curve_of_many_steps_keeps_few_points_and_both_ends() {
        for (n_classes, most) in [(2, 200), (10, 50)] {
            let mut points = Points::of(n_classes).unwrap();
            for step in 0..1000 {
                let left = f64::from(1000 - step) / 1000.0;
                points.add(left, left, Some(0.5));
                points.add(left - 0.001, left, None);
            }
            let curves = points.finish("a");
            let n = (curves.roc.len(), curves.precision_recall.len());
            assert!(n.0 <= most && n.0 > most / 2, "{n:?}");
            assert!(n.1 <= most && n.1 > most / 2, "{n:?}");
            let ends = [curves.roc[0], curves.roc[n.0 - 1]];
            assert_eq!(ends.map(|end| end.true_positive_rate), [0.0, 1.0]);
            let recalls = curves.precision_recall.iter().map(|point| point.recall);
            let recalls: Vec<f64> = recalls.collect();
            assert!(recalls.is_sorted(), "{recalls:?}");
            assert_eq!((recalls[0], recalls[n.1 - 1]), (0.001, 1.0));
        }
        assert!(Points::of(11).is_none());
    }
}
