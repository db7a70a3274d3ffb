//! Averages over classes from a confusion matrix, and their intervals.
//!
//! A macro average weighs a class of three rows like one of three thousand, so its interval must be built from the intervals of the
//! classes; a bootstrap over rows would find no variation in a class that happens to be all right.

mod class;
mod mover;
mod weighted;

use self::class::{Class, Part};
use self::mover::mover;
use self::weighted::weighted;
use super::{Counts, Interval, NoInterval};

/// An average of a metric over classes.
///
/// Macro and weighted averages are over the classes that occur in labels or predictions, where 0/0 counts 0: scikit-learn's with
/// `labels=None` and `zero_division=0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// Mean precision of the classes.
    MacroPrecision,
    /// Mean recall of the classes.
    MacroRecall,
    /// Mean F1 of the classes.
    MacroF1,
    /// Mean of the classes' Jaccard indices.
    MacroJaccard,
    /// Mean recall of the classes with labelled rows.
    BalancedAccuracy,
    /// Precision weighted by the labelled rows of each class.
    WeightedPrecision,
    /// Recall weighted by the labelled rows of each class, which is accuracy.
    WeightedRecall,
    /// F1 weighted by the labelled rows of each class.
    WeightedF1,
    /// Jaccard's index weighted by the labelled rows of each class.
    WeightedJaccard,
}

impl Average {
    /// The average; `None` when no row was judged.
    pub fn value(self, counts: &Counts) -> Option<f64> {
        let classes = self.classes(counts);
        if classes.is_empty() {
            return None;
        }
        let part = self.part();
        let value = |class: &Class| part.share(class).map_or(0.0, |share| part.of_share(share));
        Some(if self.is_weighted() {
            let n: f64 = classes.iter().map(|class| class.n_labelled).sum();
            classes
                .iter()
                .map(|class| class.n_labelled / n * value(class))
                .sum()
        } else {
            classes.iter().map(value).sum::<f64>() / classes.len() as f64
        })
    }

    /// The interval of the average.
    pub fn interval(self, counts: &Counts, confidence: f64) -> Result<Interval, NoInterval> {
        let classes = self.classes(counts);
        let value = self.value(counts).ok_or(NoInterval::NoRows)?;
        if self.is_weighted() {
            Ok(weighted(self.part(), &classes, counts, value, confidence))
        } else {
            Ok(mover(self.part(), &classes, counts, value, confidence))
        }
    }

    const fn part(self) -> Part {
        match self {
            Self::MacroPrecision | Self::WeightedPrecision => Part::Precision,
            Self::MacroRecall | Self::BalancedAccuracy | Self::WeightedRecall => Part::Recall,
            Self::MacroF1 | Self::WeightedF1 => Part::F1,
            Self::MacroJaccard | Self::WeightedJaccard => Part::Jaccard,
        }
    }

    const fn is_weighted(self) -> bool {
        matches!(
            self,
            Self::WeightedPrecision
                | Self::WeightedRecall
                | Self::WeightedF1
                | Self::WeightedJaccard
        )
    }

    /// The classes that the average is over.
    fn classes(self, counts: &Counts) -> Vec<Class> {
        let mut classes: Vec<Class> = (0..counts.n_classes())
            .map(|index| Class::of(counts, index))
            .collect();
        classes.retain(|class| match self {
            Self::BalancedAccuracy => class.n_labelled > 0.0,
            _ => class.n_labelled + class.n_predicted > 0.0,
        });
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::mover::f1_shortfall;
    use super::weighted::{spread_ratio, weighted_bias};
    use super::*;
    use crate::statistics::{clopper_pearson, close, f1_interval};

    const ALL: [Average; 9] = [
        Average::MacroPrecision,
        Average::MacroRecall,
        Average::MacroF1,
        Average::MacroJaccard,
        Average::BalancedAccuracy,
        Average::WeightedPrecision,
        Average::WeightedRecall,
        Average::WeightedF1,
        Average::WeightedJaccard,
    ];

    /// The third class is only predicted, the fourth never; a fifth occurs in neither.
    fn matrix() -> Counts {
        Counts::of_matrix(&[
            vec![50, 3, 1, 0, 0],
            vec![4, 20, 0, 0, 0],
            vec![0, 0, 0, 0, 0],
            vec![2, 1, 0, 0, 0],
            vec![0, 0, 0, 0, 0],
        ])
    }

    /// Independent source: scikit-learn 1.9 `precision_score` and so on with `average="macro"` or `"weighted"` and `zero_division=0`,
    /// and `balanced_accuracy_score`.
    #[test]
    fn values_match_scikit_learn() {
        let expected = [
            0.431_547_619_047_619_07,
            0.439_814_814_814_814_8,
            0.435_606_060_606_060_6,
            0.386_904_761_904_761_9,
            0.586_419_753_086_419_8,
            0.842_151_675_485_008_9,
            0.864_197_530_864_197_5,
            0.852_974_186_307_519_6,
            0.767_195_767_195_767_1,
        ];
        for (average, expected) in ALL.into_iter().zip(expected) {
            let value = average.value(&matrix()).unwrap();
            assert!((value - expected).abs() < 1e-14, "{average:?}: {value}");
        }
        assert!(Average::MacroF1.value(&Counts::new(2, [])).is_none());
        assert_eq!(
            Average::MacroF1
                .interval(&Counts::new(0, []), 0.95)
                .unwrap_err(),
            NoInterval::NoRows
        );
    }

    #[test]
    fn intervals_hold_their_value_and_grow_with_confidence() {
        for average in ALL {
            let value = average.value(&matrix()).unwrap();
            let mut inner = (value, value);
            for confidence in [0.5, 0.9, 0.95, 0.999] {
                let Interval { lower, upper, .. } =
                    average.interval(&matrix(), confidence).unwrap();
                assert!(0.0 <= lower && lower < inner.0, "{average:?}: {lower}");
                assert!(inner.1 < upper && upper <= 1.0, "{average:?}: {upper}");
                inner = (lower, upper);
            }
        }
    }

    #[test]
    fn a_matrix_without_errors_is_not_certain() {
        let perfect = Counts::new(3, [(0, 0, 18), (1, 1, 180), (2, 2, 2)]);
        for average in ALL {
            let interval = average.interval(&perfect, 0.95).unwrap();
            assert_eq!(interval.upper, 1.0, "{average:?}");
            assert!(interval.lower < 0.99, "{average:?}: {}", interval.lower);
        }
        let one_row = Counts::new(2, [(1, 1, 1)]);
        let interval = Average::MacroRecall.interval(&one_row, 0.95).unwrap();
        close(interval.lower, 0.025);
    }

    /// With two classes each confusion lowers both F1s, so they are as good as one figure.
    #[test]
    fn two_classes_share_their_errors() {
        let balanced = Counts::of_matrix(&[vec![90, 10], vec![10, 90]]);
        let interval = Average::MacroF1.interval(&balanced, 0.95).unwrap();
        let one_class = f1_interval(90, 10, 10, 0.95).unwrap();
        let independent = (one_class.upper - one_class.lower) / 2.0_f64.sqrt();
        assert!(interval.upper - interval.lower > 1.2 * independent);
        assert!(interval.upper - interval.lower < 1.1 * (one_class.upper - one_class.lower));
    }

    /// The class that is never predicted has a precision of 0 and may have any.
    #[test]
    fn a_class_never_predicted_widens_precision_upwards_only() {
        let counts = Counts::of_matrix(&[vec![900, 0, 0], vec![0, 900, 0], vec![50, 50, 0]]);
        let interval = Average::MacroPrecision.interval(&counts, 0.95).unwrap();
        let value = Average::MacroPrecision.value(&counts).unwrap();
        assert!(interval.upper > value + 1.0 / 3.0);
        assert!(interval.lower > value - 0.02);
    }

    #[test]
    fn weighted_recall_is_accuracy() {
        let interval = Average::WeightedRecall.interval(&matrix(), 0.95).unwrap();
        assert_eq!(interval, clopper_pearson(70, 81, 0.95).unwrap());
    }

    /// The second-order bias is half the sum of second differences, each weighted by its cell.
    #[test]
    fn biases_follow_from_second_differences() {
        let counts = [
            vec![500_000, 30_000, 10_000],
            vec![90_000, 200_000, 5_000],
            vec![7_000, 2_000, 6_000],
        ];
        let step = 1000;
        let second_differences = |average: Average| {
            let base = average.value(&Counts::of_matrix(&counts)).unwrap();
            let mut sum = 0.0;
            for i in 0..3 {
                for j in 0..3 {
                    let mut changed = counts.to_vec();
                    changed[i][j] += step;
                    let more = average.value(&Counts::of_matrix(&changed)).unwrap();
                    changed[i][j] -= 2 * step;
                    let less = average.value(&Counts::of_matrix(&changed)).unwrap();
                    sum += counts[i][j] as f64 * (more - 2.0 * base + less);
                }
            }
            sum / (step * step) as f64 / 2.0
        };
        for average in [
            Average::WeightedPrecision,
            Average::WeightedF1,
            Average::WeightedJaccard,
        ] {
            let bias = weighted_bias(
                average.part(),
                &average.classes(&Counts::of_matrix(&counts)),
            );
            let expected = second_differences(average);
            assert!(
                (bias / expected - 1.0).abs() < 0.02,
                "{average:?}: {bias:e}, {expected:e}"
            );
        }
        let classes = Average::MacroF1.classes(&Counts::of_matrix(&counts));
        let shortfall = classes.iter().map(f1_shortfall).sum::<f64>() / 3.0;
        let expected = -second_differences(Average::MacroF1);
        assert!(
            (shortfall / expected - 1.0).abs() < 0.02,
            "{shortfall:e}, {expected:e}"
        );
    }

    /// The delta method by finite differences: one more row of each kind, against the influence used.
    #[test]
    fn the_spread_ratio_follows_from_finite_differences() {
        let counts = [
            vec![5_000_000, 300_000, 100_000],
            vec![400_000, 2_000_000, 50_000],
            vec![70_000, 20_000, 60_000],
        ];
        let n: u64 = counts.iter().flatten().sum();
        for average in [
            Average::WeightedPrecision,
            Average::WeightedF1,
            Average::WeightedJaccard,
        ] {
            let base = average.value(&Counts::of_matrix(&counts)).unwrap();
            let (mut sum, mut squares) = (0.0, 0.0);
            for i in 0..3 {
                for j in 0..3 {
                    let mut more = counts.to_vec();
                    more[i][j] += 100;
                    let influence = (average.value(&Counts::of_matrix(&more)).unwrap() - base)
                        * n as f64
                        / 100.0;
                    sum += counts[i][j] as f64 * influence;
                    squares += counts[i][j] as f64 * influence * influence;
                }
            }
            let variance = squares / n as f64 - (sum / n as f64).powi(2);
            let accuracy = 7_060_000.0 / n as f64;
            let expected = (variance / (accuracy * (1.0 - accuracy))).sqrt();
            let counts = Counts::of_matrix(&counts);
            let found = spread_ratio(average.part(), &average.classes(&counts), &counts);
            assert!(
                (found / expected - 1.0).abs() < 1e-3,
                "{average:?}: {found}, {expected}"
            );
        }
    }
}
