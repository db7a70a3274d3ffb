//! Multilabel rows: sets of classes in, metrics of whole sets and averages over classes as numbers a row out.
//!
//! A class of 0/0, such as the precision of one that is never predicted, counts as 0 in averages, as in those of one class a row; classes in
//! neither labels nor predictions are left out. A row of 0/0 counts as 0 too, as in scikit-learn: leaving it out would reward predicting
//! nothing.

use std::cell::OnceCell;

use super::binary_curve::{BinaryCurve, Cell};
use super::labelled_class::LabelledClass;
use super::part::Part;
use super::row_values::{OfRows, RowValues};
use super::rows::Scores;
use super::sampling::Sampling;
use crate::table::Table;

const NO_LABELS: &str = "no row has a class";
const NO_PREDICTIONS: &str = "no class is predicted for any row";
const NEITHER: &str = "no row has a class, and none is predicted";
const NO_CURVE: &str = "no class has both rows with it and rows without it";
const NO_CURVE_OF_CLASS: &str = "every row has it, or none";
const ALL_ALIKE: &str = "all classes are there in every row, or none in any";

/// Rows whose classes are there or not, checked; each counts.
#[derive(Debug)]
pub struct Sets<'a> {
    /// `[n_rows, n_classes]`
    pub(super) labels: &'a Table<bool>,
    /// `[n_rows, n_classes]`
    pub(super) predicted: &'a Table<bool>,
    pub(super) sampling: &'a Sampling<'a>,
    /// Weight of recall against precision in F-beta.
    pub(super) beta: f64,
    /// Of the classes' curves, made when a metric of the scores is first asked for.
    averages: OnceCell<Option<Averages>>,
    of_all: OnceCell<Option<BinaryCurve>>,
}

/// Numerator and denominator of a metric of a class, as shares of the weight.
#[derive(Debug, Clone, Copy, Default)]
struct Ratio {
    numerator: f64,
    denominator: f64,
}

impl Ratio {
    /// 0/0 is 0.
    fn value(self) -> f64 {
        if self.denominator > 0.0 {
            self.numerator / self.denominator
        } else {
            0.0
        }
    }
}

impl<'a> Sets<'a> {
    pub(super) const fn new(
        labels: &'a Table<bool>,
        predicted: &'a Table<bool>,
        sampling: &'a Sampling<'a>,
        beta: f64,
    ) -> Self {
        Self {
            labels,
            predicted,
            sampling,
            beta,
            averages: OnceCell::new(),
            of_all: OnceCell::new(),
        }
    }

    fn averages(&self, scores: Scores<'_>) -> Option<&Averages> {
        let averages = self.averages.get_or_init(|| Averages::of(self, scores));
        averages.as_ref()
    }

    /// The curve of the cells of all classes together.
    fn curve_of_all(&self, scores: Scores<'_>) -> Option<&BinaryCurve> {
        let curve = self.of_all.get_or_init(|| {
            let n_classes = self.n_classes();
            let cells = self.labels.cells().iter().enumerate();
            let cells = cells.map(|(idx, &is_positive)| Cell {
                score: scores.at(idx),
                is_positive,
                row: (idx / n_classes) as u32,
            });
            BinaryCurve::of(cells.collect(), self.sampling, self.n_rows())
        });
        curve.as_ref()
    }

    pub(super) fn n_rows(&self) -> usize {
        self.labels.n_rows()
    }

    fn n_classes(&self) -> usize {
        self.labels.n_columns()
    }

    /// How often each class is there and predicted.
    pub(super) fn classes(&self, names: &[String]) -> Vec<LabelledClass> {
        let mut classes: Vec<LabelledClass> = names
            .iter()
            .map(|name| LabelledClass {
                class: name.clone(),
                n_labelled: 0,
                n_predicted: 0,
                n_right: 0,
            })
            .collect();
        for (labels, predicted) in self.labels.rows().zip(self.predicted.rows()) {
            for ((class, &label), &predicted) in classes.iter_mut().zip(labels).zip(predicted) {
                class.n_labelled += u64::from(label);
                class.n_predicted += u64::from(predicted);
                class.n_right += u64::from(label && predicted);
            }
        }
        classes
    }

    /// A number of each row.
    fn of_rows(&self, of_row: impl Fn(&[bool], &[bool]) -> f64) -> RowValues {
        let rows = self.labels.rows().zip(self.predicted.rows());
        let numbers = rows.map(|(labels, predicted)| of_row(labels, predicted));
        RowValues::Numbers(numbers.collect())
    }

    /// What the cells of a row add to a metric's numerators and denominators, class by class.
    fn terms(&self, part: Part, row: usize) -> impl Iterator<Item = (f64, f64)> {
        let cells = self.labels.row(row).iter().zip(self.predicted.row(row));
        cells.map(move |(&label, &predicted)| part.terms(label, predicted))
    }

    fn ratios(&self, part: Part) -> Vec<Ratio> {
        let mut ratios = vec![Ratio::default(); self.n_classes()];
        let total = self.sampling.total();
        for row in 0..self.n_rows() {
            let share = self.sampling.weight(row) / total;
            for (ratio, terms) in ratios.iter_mut().zip(self.terms(part, row)) {
                ratio.numerator += share * terms.0;
                ratio.denominator += share * terms.1;
            }
        }
        ratios
    }

    /// The share of the weight of the rows that have each class.
    fn labelled(&self) -> Vec<f64> {
        let labelled = self.ratios(Part::Recall).into_iter();
        labelled.map(|ratio| ratio.denominator).collect()
    }
}

pub(super) fn subset_accuracy(sets: &Sets<'_>) -> RowValues {
    let rows = sets.labels.rows().zip(sets.predicted.rows());
    RowValues::Right(
        rows.map(|(labels, predicted)| labels == predicted)
            .collect(),
    )
}

pub(super) fn hamming_loss(sets: &Sets<'_>) -> RowValues {
    sets.of_rows(|labels, predicted| {
        let cells = labels.iter().zip(predicted);
        let n_wrong = cells
            .filter(|(label, predicted)| label != predicted)
            .count();
        n_wrong as f64 / labels.len() as f64
    })
}

/// The mean over the rows of the metric of each row's own set.
pub(super) fn samples(part: Part, sets: &Sets<'_>) -> RowValues {
    sets.of_rows(|labels, predicted| {
        let cells = labels.iter().zip(predicted);
        let sums = cells.fold((0.0, 0.0), |sums, (&label, &predicted)| {
            let terms = part.terms(label, predicted);
            (sums.0 + terms.0, sums.1 + terms.1)
        });
        let (numerator, denominator) = sums;
        Ratio {
            numerator,
            denominator,
        }
        .value()
    })
}

/// The metric of the cells of all classes together.
pub(super) fn micro(part: Part, sets: &Sets<'_>) -> OfRows {
    let of_classes = sets.ratios(part);
    let all = Ratio {
        numerator: of_classes.iter().map(|ratio| ratio.numerator).sum(),
        denominator: of_classes.iter().map(|ratio| ratio.denominator).sum(),
    };
    if all.denominator <= 0.0 {
        return Err(match part {
            Part::Precision => NO_PREDICTIONS,
            Part::Recall => NO_LABELS,
            _ => NEITHER,
        }
        .into());
    }
    let value = all.value();
    let influence = |row: usize| -> f64 {
        let terms = sets.terms(part, row);
        terms
            .map(|terms| (terms.0 - value * terms.1) / all.denominator)
            .sum()
    };
    Ok(RowValues::Influences {
        value,
        influences: (0..sets.n_rows()).map(influence).collect(),
    })
}

/// The metric of one class.
pub(super) fn of_class(part: Part, sets: &Sets<'_>, class: usize) -> OfRows {
    let mut weights = vec![0.0; sets.n_classes()];
    weights[class] = 1.0;
    if sets.ratios(part)[class].denominator <= 0.0 {
        return Err(part.without_rows().into());
    }
    Ok(average(part, sets, &weights, None))
}

/// The mean over the classes that occur.
pub(super) fn macro_average(part: Part, sets: &Sets<'_>) -> OfRows {
    // F1 has a denominator where a class is labelled or predicted.
    let occurs: Vec<bool> = sets
        .ratios(Part::F(1.0))
        .iter()
        .map(|ratio| ratio.denominator > 0.0)
        .collect();
    let n = occurs.iter().filter(|occurs| **occurs).count();
    if n == 0 {
        return Err(NEITHER.into());
    }
    let weights: Vec<f64> = occurs
        .iter()
        .map(|&occurs| if occurs { (n as f64).recip() } else { 0.0 })
        .collect();
    Ok(average(part, sets, &weights, None))
}

/// The mean over the classes, weighted by the rows that have them.
pub(super) fn weighted(part: Part, sets: &Sets<'_>) -> OfRows {
    let labelled = sets.labelled();
    let total: f64 = labelled.iter().sum();
    if total <= 0.0 {
        return Err(NO_LABELS.into());
    }
    let weights: Vec<f64> = labelled.iter().map(|share| share / total).collect();
    Ok(average(part, sets, &weights, Some(total)))
}

/// The mean of the classes by `weights`; with `labelled`, the sum of the shares of rows that have each class, those shares are the weights,
/// and a row that has a class adds to its weight.
fn average(part: Part, sets: &Sets<'_>, weights: &[f64], labelled: Option<f64>) -> RowValues {
    let ratios = sets.ratios(part);
    let value: f64 = ratios
        .iter()
        .zip(weights)
        .map(|(ratio, weight)| weight * ratio.value())
        .sum();
    let influence = |row: usize| -> f64 {
        let classes = ratios.iter().zip(weights).zip(sets.terms(part, row));
        let of_classes = classes.map(|((ratio, weight), terms)| {
            if ratio.denominator > 0.0 {
                weight * (terms.0 - ratio.value() * terms.1) / ratio.denominator
            } else {
                0.0
            }
        });
        let of_weights = match labelled {
            None => 0.0,
            Some(labelled) => {
                let own = ratios.iter().zip(sets.labels.row(row));
                let own = own.filter(|(_, is_there)| **is_there);
                own.map(|(ratio, _)| (ratio.value() - value) / labelled)
                    .sum()
            }
        };
        of_classes.sum::<f64>() + of_weights
    };
    RowValues::Influences {
        value,
        influences: (0..sets.n_rows()).map(influence).collect(),
    }
}

/// Which of both areas.
#[derive(Debug, Clone, Copy)]
pub(super) enum Area {
    Roc,
    Precision,
}

impl Area {
    fn of(self, curve: &BinaryCurve) -> (f64, &[f64]) {
        match self {
            Self::Roc => (curve.area, &curve.of_area),
            Self::Precision => (curve.precision, &curve.of_precision),
        }
    }

    fn of_averages(self, averages: &Averages) -> &Average {
        match self {
            Self::Roc => &averages.roc,
            Self::Precision => &averages.precision,
        }
    }
}

/// The curve of one class, where some rows have it and some have it not.
fn curve_of_class(sets: &Sets<'_>, scores: Scores<'_>, class: usize) -> Option<BinaryCurve> {
    let n_classes = sets.n_classes();
    let cells = sets.labels.column(class).enumerate();
    let cells = cells.map(|(row, is_positive)| Cell {
        score: scores.at(row * n_classes + class),
        is_positive,
        row: row as u32,
    });
    BinaryCurve::of(cells.collect(), sets.sampling, sets.n_rows())
}

/// The area of one class.
pub(super) fn area_of_class(
    area: Area,
    sets: &Sets<'_>,
    scores: Scores<'_>,
    class: usize,
) -> OfRows {
    let curve = curve_of_class(sets, scores, class).ok_or(NO_CURVE_OF_CLASS)?;
    let (value, influences) = area.of(&curve);
    Ok(RowValues::Influences {
        value,
        influences: influences.to_vec(),
    })
}

/// Number of classes that have a curve.
pub(super) fn n_with_curve(classes: &[LabelledClass], n_rows: usize) -> usize {
    let has_both =
        |class: &&LabelledClass| class.n_labelled > 0 && class.n_labelled < n_rows as u64;
    classes.iter().filter(has_both).count()
}

/// One of both areas, averaged over the classes that have both kinds of rows.
#[derive(Debug)]
struct Average {
    /// The plain mean and the influence of each row on it.
    plain: (f64, Vec<f64>),
    /// The same weighted by the rows that have each class.
    weighted: (f64, Vec<f64>),
}

/// Both areas, from one walk over each class.
#[derive(Debug)]
pub(super) struct Averages {
    roc: Average,
    precision: Average,
}

impl Averages {
    /// `None` where no class has both kinds of rows.
    pub(super) fn of(sets: &Sets<'_>, scores: Scores<'_>) -> Option<Self> {
        let labelled = sets.labelled();
        let n_rows = sets.n_rows();
        let none = || (0.0, vec![0.0; n_rows]);
        let mut sums = [Area::Roc, Area::Precision].map(|area| (area, none(), none(), Vec::new()));
        let mut found: Vec<usize> = Vec::new();
        for (class, &share) in labelled.iter().enumerate() {
            let Some(curve) = curve_of_class(sets, scores, class) else {
                continue;
            };
            found.push(class);
            for (area, plain, weighted, values) in &mut sums {
                let (value, influences) = area.of(&curve);
                values.push(value);
                for ((sum, of_rows), weight) in [(plain, 1.0), (weighted, share)] {
                    *sum += weight * value;
                    let parts = of_rows.iter_mut().zip(influences);
                    parts.for_each(|(sum, influence)| *sum += weight * influence);
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        let n = found.len() as f64;
        let total: f64 = found.iter().map(|&class| labelled[class]).sum();
        let [roc, precision] = sums.map(|(_, plain, weighted, values)| {
            let scaled = |(sum, of_rows): (f64, Vec<f64>), by: f64| {
                let of_rows = of_rows.into_iter().map(|part| part / by);
                (sum / by, of_rows.collect::<Vec<f64>>())
            };
            let plain = scaled(plain, n);
            let mut weighted = scaled(weighted, total);
            // A row that has a class adds to its weight.
            for (row, influence) in weighted.1.iter_mut().enumerate() {
                let labels = sets.labels.row(row);
                let own = found
                    .iter()
                    .zip(&values)
                    .filter(|(class, _)| labels[**class]);
                let own: f64 = own.map(|(_, value)| value - weighted.0).sum();
                *influence += own / total;
            }
            Average { plain, weighted }
        });
        Some(Self { roc, precision })
    }
}

/// The mean area over the classes that have both kinds of rows.
pub(super) fn macro_area(area: Area, sets: &Sets<'_>, scores: Scores<'_>) -> OfRows {
    let averages = sets.averages(scores).ok_or(NO_CURVE)?;
    let (value, influences) = area.of_averages(averages).plain.clone();
    Ok(RowValues::Influences { value, influences })
}

/// The same, weighted by the rows that have each class.
pub(super) fn weighted_area(area: Area, sets: &Sets<'_>, scores: Scores<'_>) -> OfRows {
    let averages = sets.averages(scores).ok_or(NO_CURVE)?;
    let (value, influences) = area.of_averages(averages).weighted.clone();
    Ok(RowValues::Influences { value, influences })
}

/// The area of the cells of all classes together.
pub(super) fn micro_area(area: Area, sets: &Sets<'_>, scores: Scores<'_>) -> OfRows {
    let curve = sets.curve_of_all(scores).ok_or(ALL_ALIKE)?;
    let (value, influences) = area.of(curve);
    Ok(RowValues::Influences {
        value,
        influences: influences.to_vec(),
    })
}
