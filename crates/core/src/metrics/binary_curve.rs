//! ROC and precision-recall curve of flags and scores, with the influence of each row on both areas.
//!
//! As in `curves`, but several cells may be of one row, so that classes of multilabel rows can be taken together.

use super::sampling::Sampling;

/// One flag with its score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) score: f64,
    pub(super) is_positive: bool,
    /// The row that it is of.
    pub(super) row: u32,
}

/// Both areas, and the influence of each row on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BinaryCurve {
    /// Area under the ROC curve: the share of pairs of a positive and a negative that are in order, ties counted half.
    pub(super) area: f64,
    /// Average precision: the precision at each step of recall, weighted by the step.
    pub(super) precision: f64,
    /// `[n_rows]`
    pub(super) of_area: Vec<f64>,
    /// `[n_rows]`
    pub(super) of_precision: Vec<f64>,
}

/// Positives and negatives of one score.
#[derive(Default, Clone, Copy)]
struct Tie {
    positive: f64,
    negative: f64,
}

impl BinaryCurve {
    /// Of `cells` of `n_rows` rows, which count as `sampling` says; `None` unless there are positives and negatives.
    ///
    /// The influence of a positive on the area is its share of the negatives below it less the area, over the positives' share of the
    /// weight; that of a negative accordingly (E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, 1988). On the average precision Σ w
    /// T / (T + F) / P, with T and F the positives and negatives at or above a score, it is the derivative in T, F and P.
    pub(super) fn of(mut cells: Vec<Cell>, sampling: &Sampling<'_>, n_rows: usize) -> Option<Self> {
        let total = sampling.total();
        let weight = |cell: &Cell| sampling.weight(cell.row as usize);
        let mass = |is_it: bool| -> f64 {
            let cells = cells.iter().filter(|cell| cell.is_positive == is_it);
            cells.map(weight).sum()
        };
        let (positives, negatives) = (mass(true), mass(false));
        let has = |is_it: bool| cells.iter().any(|cell| cell.is_positive == is_it);
        if !has(true) || !has(false) {
            return None;
        }
        cells.sort_unstable_by(|left, right| {
            left.score
                .total_cmp(&right.score)
                .then(left.row.cmp(&right.row))
        });
        let mut curve = Self {
            area: 0.0,
            precision: 0.0,
            of_area: vec![0.0; n_rows],
            of_precision: vec![0.0; n_rows],
        };
        let mut below = Tie::default();
        // What the positives so far gain by a further positive above them, and lose by a negative.
        let (mut gained, mut lost) = (0.0, 0.0);
        // -0 and 0 are one score.
        for tie in cells.chunk_by(|left, right| left.score == right.score) {
            let mut here = Tie::default();
            for cell in tie {
                if cell.is_positive {
                    here.positive += weight(cell);
                } else {
                    here.negative += weight(cell);
                }
            }
            let at_or_above = positives - below.positive;
            let wrong = (negatives - below.negative).max(here.negative);
            let mut share = 0.0;
            if here.positive > 0.0 {
                let per_row = (at_or_above.max(here.positive) + wrong).recip();
                share = at_or_above.max(here.positive) * per_row;
                gained += here.positive * wrong * per_row * per_row;
                lost += here.positive * at_or_above.max(here.positive) * per_row * per_row;
            }
            let of_positive = (below.negative + here.negative / 2.0) / negatives;
            let of_negative =
                (positives - below.positive - here.positive / 2.0).max(0.0) / positives;
            curve.area += here.positive / positives * of_positive;
            curve.precision += here.positive / positives * share;
            for cell in tie {
                let (area, precision) = if cell.is_positive {
                    (
                        total / positives * of_positive,
                        total / positives * (share + gained),
                    )
                } else {
                    (total / negatives * of_negative, -total / positives * lost)
                };
                curve.of_area[cell.row as usize] += area;
                curve.of_precision[cell.row as usize] += precision;
            }
            below.positive += here.positive;
            below.negative += here.negative;
        }
        for cell in &cells {
            let mass = if cell.is_positive {
                positives
            } else {
                negatives
            };
            curve.of_area[cell.row as usize] -= total / mass * curve.area;
            if cell.is_positive {
                curve.of_precision[cell.row as usize] -= total / positives * curve.precision;
            }
        }
        Some(curve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(rows: &[(f64, bool, f64)]) -> BinaryCurve {
        let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let sampling = Sampling::new(rows.len(), Some(&weights), None).unwrap();
        let cells = rows.iter().enumerate();
        let cells = cells.map(|(row, &(score, is_positive, _))| Cell {
            score,
            is_positive,
            row: row as u32,
        });
        BinaryCurve::of(cells.collect(), &sampling, rows.len()).unwrap()
    }

    const ROWS: [(f64, bool, f64); 6] = [
        (0.1, false, 1.0),
        (0.4, false, 0.5),
        (0.35, true, 2.0),
        (0.8, true, 1.0),
        (0.4, true, 1.5),
        (0.9, false, 1.0),
    ];

    /// Independent source: scikit-learn's documentation of `roc_auc_score` and `average_precision_score`: 0.75 and 0.8333….
    #[test]
    fn both_areas_are_scikit_learns() {
        let found = curve(&[
            (0.1, false, 1.0),
            (0.4, false, 1.0),
            (0.35, true, 1.0),
            (0.8, true, 1.0),
        ]);
        assert!((found.area - 0.75).abs() < 1e-15);
        assert!((found.precision - 5.0 / 6.0).abs() < 1e-15);
    }

    /// An influence is the derivative of the value as a row gets more weight, and so its weighted sum is 0.
    #[test]
    fn influences_are_derivatives() {
        const STEP: f64 = 1e-6;
        let found = curve(&ROWS);
        let total: f64 = ROWS.iter().map(|row| row.2).sum();
        for row in 0..ROWS.len() {
            let moved = |step: f64| {
                let mut rows = ROWS;
                rows[row].2 += step;
                curve(&rows)
            };
            let (up, down) = (moved(STEP), moved(-STEP));
            let slope = |up: f64, down: f64| (up - down) / (2.0 * STEP) * total;
            let area = slope(up.area, down.area);
            let precision = slope(up.precision, down.precision);
            assert!((area - found.of_area[row]).abs() < 1e-6, "{row}: {area}");
            assert!(
                (precision - found.of_precision[row]).abs() < 1e-6,
                "{row}: {precision}"
            );
        }
        for influences in [&found.of_area, &found.of_precision] {
            let sum: f64 = influences.iter().zip(ROWS).map(|(i, row)| i * row.2).sum();
            assert!(sum.abs() < 1e-12, "{sum}");
        }
    }
}
