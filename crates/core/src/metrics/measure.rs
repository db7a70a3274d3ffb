//! Rows in, every metric of the catalog that they allow out.

use super::calibration::Reliability;
use super::catalog;
use super::curve_points::ClassCurves;
use super::curves::Curves;
use super::estimate::{Computed, Estimate, undefined};
use super::labelled_class::LabelledClass;
use super::matrix::Confusion;
use super::metric::{Compute, Metric, Shown};
use super::probability::Probabilities;
use super::quantile_metrics::{COVERAGE, PINBALL, Quantiles, WIDTH};
use super::ranking::{RankedItems, Ranking};
use super::regression::Values;
use super::rows::{ClassifiedRows, MetricError, Scores, ValuedRows, that_count};
use super::sampling::Sampling;
use super::scoring::Scoring;
use super::tally::Tally;
use crate::figure::count;
use crate::measurement::{Evidence, Measurement, MetricKey, Undefined};

/// Why a number is not one.
const TOO_LARGE: &str = "the numbers are too large or too small: a sum or a quotient of them is beyond 64-bit floating point";

/// Classes up to which each has the metrics of [`Shown::Details`]: those of thousands of classes would be most of the file.
pub(super) const MAX_DETAILED_CLASSES: usize = 200;

/// What a set of rows came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Every metric that has a value: the headline ones first, in the order of the catalog, those of single classes last.
    pub measurements: Vec<Measurement>,
    /// Every metric that has none, with the reason.
    pub undefined: Vec<Undefined>,
    /// Labels against predictions, in rows, where each row has one class.
    pub confusion: Option<Confusion>,
    /// Of multilabel rows each class; else empty.
    pub classes: Vec<LabelledClass>,
    /// How confident the predictions are, and how often right; absent without scores.
    pub reliability: Option<Reliability>,
    /// Points of ROC and precision-recall curves; empty without scores.
    pub curves: Vec<ClassCurves>,
    /// Indices of the rows predicted wrong; empty for regression.
    pub misses: Vec<usize>,
    /// What a reader should know beside the numbers, in sentences.
    pub notes: Vec<String>,
}

/// Scores a classifier.
///
/// Every metric of the catalog that these rows allow: those of probabilities only where there are scores. The
/// definitions are the catalog's; intervals hold at the `scoring`'s confidence, two-sided.
pub fn classify(rows: &ClassifiedRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    rows.check()?;
    let positive = positive_class(rows.classes, scoring)?;
    let Some(kept) = that_count(rows.weights) else {
        return classify_weighed(rows, scoring, positive);
    };
    let n_classes = rows.classes.len();
    let scores = rows.scores.map(|scores| match scores {
        Scores::F32(scores) => (gather_rows(scores, &kept, n_classes), Vec::new()),
        Scores::F64(scores) => (Vec::new(), gather_rows(scores, &kept, n_classes)),
    });
    let scores = scores.as_ref().map(|(single, double)| match rows.scores {
        Some(Scores::F32(_)) => Scores::F32(single),
        _ => Scores::F64(double),
    });
    let (labels, predicted) = (gather(rows.labels, &kept), gather(rows.predicted, &kept));
    let weights = rows.weights.map(|weights| gather(weights, &kept));
    let groups = rows.groups.map(|groups| gather(groups, &kept));
    let weighed = ClassifiedRows {
        labels: &labels,
        predicted: &predicted,
        scores,
        classes: rows.classes,
        weights: weights.as_deref(),
        groups: groups.as_deref(),
    };
    let measured = classify_weighed(&weighed, scoring, positive)?;
    Ok(Measured {
        misses: measured.misses.iter().map(|&row| kept[row]).collect(),
        ..measured
    })
}

/// Where each row counts.
fn classify_weighed(
    rows: &ClassifiedRows<'_>,
    scoring: &Scoring,
    positive: Option<usize>,
) -> Result<Measured, MetricError> {
    let confidence = scoring.confidence;
    let sampling = Sampling::new(rows.labels.len(), rows.weights, rows.groups)?;
    let n_classes = rows.classes.len();
    // Which of two classes the metrics of scores are of, where none is named: scikit-learn's choice.
    let of_scores = positive.or_else(|| (n_classes == 2).then_some(1));
    let scored = match rows.scores {
        Some(scores) => Some((
            Probabilities::of(rows, scores, &sampling, scoring, of_scores)?,
            Curves::of(rows.labels, scores, n_classes, &sampling, of_scores),
        )),
        None => None,
    };
    let tally = Tally::of_rows(
        rows.labels,
        rows.predicted,
        rows.classes,
        &sampling,
        scoring.beta,
    );
    let mut measured = Measured {
        misses: rows.misses(),
        reliability: scored.as_ref().map(|(scores, _)| scores.reliability()),
        curves: match &scored {
            Some((_, curves)) => curves.points(rows.classes),
            None => Vec::new(),
        },
        ..Measured::default()
    };
    for metric in catalog::by_importance() {
        let computed = match (&metric.compute, &scored, positive) {
            (Compute::Confusion(compute), ..) => compute(&tally, confidence),
            (Compute::PerClass(compute), _, Some(positive)) => {
                compute(&tally, positive, confidence)
            }
            (Compute::Probabilities(compute), Some((scores, _)), _) => compute(scores, confidence),
            (Compute::Curves { overall, .. }, Some((_, curves)), _) => overall(curves, confidence),
            _ => continue,
        };
        measured.add(metric, MetricKey::overall(metric.name), computed);
    }
    let is_detailed = n_classes <= MAX_DETAILED_CLASSES;
    let of_class: Vec<&Metric> = catalog::all()
        .filter(|metric| metric.is_of_class() && (is_detailed || metric.shown == Shown::Headline))
        .collect();
    for (idx, class) in rows.classes.iter().enumerate() {
        for metric in &of_class {
            let computed = match (&metric.compute, &scored) {
                // A class that occurs nowhere is not a class of these rows: it is named, not measured.
                _ if !tally.confusion().occurs(idx) => {
                    undefined("no labelled and no predicted rows")
                }
                (Compute::PerClass(compute), _) => compute(&tally, idx, confidence),
                (
                    Compute::Curves {
                        of_class: Some(compute),
                        ..
                    },
                    Some((_, curves)),
                ) => compute(curves, idx, confidence),
                _ => continue,
            };
            measured.add(metric, MetricKey::of_class(metric.name, class), computed);
        }
    }
    if let Some((scores, curves)) = &scored {
        measured.notes.extend(notes(scores, curves));
    }
    measured.confusion = Some(tally.into_confusion());
    Ok(measured)
}

/// What a reader should know about the metrics of scores.
fn notes(scores: &Probabilities, curves: &Curves) -> Vec<String> {
    let mut notes = Vec::new();
    match scores.n_clipped() {
        0 => {}
        n => notes.push(format!(
            "`log_loss` counts {} with a probability of the labelled class near 0 as having {:.1e}.",
            count(n, "row"),
            f64::EPSILON
        )),
    }
    let (n_usable, n_classes) = curves.n_usable();
    if n_usable < n_classes && n_usable > 0 && n_classes > 2 {
        notes.push(format!(
            "`roc_auc` and `average_precision` are averages over {n_usable} of {n_classes} classes: the others have no \
             labelled rows."
        ));
    }
    notes
}

fn positive_class(classes: &[String], scoring: &Scoring) -> Result<Option<usize>, MetricError> {
    let Some(positive) = &scoring.positive_class else {
        return Ok(None);
    };
    match scoring.positive_idx(classes) {
        Some(idx) if classes.len() == 2 => Ok(Some(idx)),
        _ => Err(MetricError::PositiveClass {
            class: positive.clone(),
            classes: classes.join(", "),
        }),
    }
}

/// Scores a regression model: every metric of the catalog of numbers against predicted numbers.
pub fn regress(rows: &ValuedRows<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    rows.check()?;
    let kept = that_count(rows.weights);
    let kept = kept.as_deref();
    let labels = kept.map(|kept| gather(rows.labels, kept));
    let predicted = kept.map(|kept| gather(rows.predicted, kept));
    let weights = kept.and_then(|kept| Some(gather(rows.weights?, kept)));
    let groups = kept.and_then(|kept| Some(gather(rows.groups?, kept)));
    let labels = labels.as_deref().unwrap_or(rows.labels);
    let sampling = Sampling::new(
        labels.len(),
        weights.as_deref().or(rows.weights),
        groups.as_deref().or(rows.groups),
    )?;
    let values = Values {
        labels,
        predicted: predicted.as_deref().unwrap_or(rows.predicted),
        sampling: &sampling,
        objective: rows.objective,
        quantile: scoring.quantile,
    };
    let mut measured = Measured::default();
    for metric in catalog::by_importance() {
        if let Compute::Values { compute, .. } = metric.compute {
            measured.add(
                metric,
                MetricKey::overall(metric.name),
                compute(&values, scoring.confidence),
            );
        }
    }
    Ok(measured)
}

/// Adds to a regression's metrics those of its predicted quantiles, `[q, n_rows]` numbers, the lowest quantile first.
pub fn add_quantiles(
    measured: &mut Measured,
    rows: &ValuedRows<'_>,
    columns: &[(f64, &[f64])],
    scoring: &Scoring,
) -> Result<(), MetricError> {
    let kept = that_count(rows.weights);
    let of_kept = |column: &[f64]| match &kept {
        Some(kept) => gather(column, kept),
        None => column.to_vec(),
    };
    let labels = of_kept(rows.labels);
    let columns: Vec<(f64, Vec<f64>)> = columns
        .iter()
        .map(|(q, column)| (*q, of_kept(column)))
        .collect();
    let weights = rows.weights.map(of_kept);
    let groups = match (&kept, rows.groups) {
        (Some(kept), Some(groups)) => Some(gather(groups, kept)),
        _ => None,
    };
    let groups = groups.as_deref().or(rows.groups);
    let sampling = Sampling::new(labels.len(), weights.as_deref(), groups)?;
    let quantiles = Quantiles {
        labels: &labels,
        columns: &columns,
        sampling: &sampling,
    };
    let pinball = catalog::find(PINBALL).expect("the catalog has the pinball loss");
    for (q, computed) in quantiles.losses(scoring.confidence) {
        let key = MetricKey::overall(format!("{PINBALL}@{q}"));
        measured.add(pinball, key, computed);
    }
    if let Some([coverage, width]) = quantiles.interval(scoring.confidence) {
        for (metric, computed) in [(&COVERAGE, coverage), (&WIDTH, width)] {
            measured.add(metric, MetricKey::overall(metric.name), computed);
        }
    }
    let n_crossing = quantiles.n_crossing();
    if n_crossing > 0 {
        measured.notes.push(format!(
            "In {} a higher predicted quantile lies below a lower one.",
            count(n_crossing, "row")
        ));
    }
    Ok(())
}

/// Scores a ranking: every metric of the catalog of rows ranked within their groups.
pub fn rank(items: &RankedItems<'_>, scoring: &Scoring) -> Result<Measured, MetricError> {
    let n_rows = items.relevance.len();
    if n_rows == 0 {
        return Err(MetricError::NoRows);
    }
    for column in [items.relevance, items.scores] {
        if let Some(row) = column.iter().position(|value| !value.is_finite()) {
            return Err(MetricError::NotFinite {
                row,
                column: 0,
                value: column[row],
            });
        }
    }
    let n_places = scoring.n_places().ok_or(MetricError::NotRanked)?;
    let ranking = Ranking::of(items, n_places);
    let mut measured = Measured::default();
    let n_left_out = ranking.n_without_relevant;
    if n_left_out > 0 {
        measured.notes.push(format!(
            "{} without a relevant row, of {n_groups}, {} left out of `ndcg`, `mrr` and `hit_rate`: no order of them is better than another.",
            count(n_left_out, "group"),
            if n_left_out == 1 { "is" } else { "are" },
            n_groups = n_left_out + ranking.ndcg.len() as u64,
        ));
    }
    for metric in catalog::by_importance() {
        if let Compute::Ranking(compute) = metric.compute {
            let key = MetricKey::overall(metric.name);
            measured.add(metric, key, compute(&ranking, scoring.confidence));
        }
    }
    Ok(measured)
}

fn gather<T: Clone>(column: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|&row| column[row].clone()).collect()
}

fn gather_rows<T: Copy>(table: &[T], rows: &[usize], n_columns: usize) -> Vec<T> {
    let of_row = |&row: &usize| &table[row * n_columns..(row + 1) * n_columns];
    rows.iter().flat_map(of_row).copied().collect()
}

impl Measured {
    pub(super) fn add(&mut self, metric: &Metric, key: MetricKey, computed: Computed) {
        match computed {
            // JSON has no word for it, and no rule could judge it.
            Computed::Value(estimate) if !estimate.value.is_finite() => {
                self.undefined.push(Undefined {
                    key,
                    reason: TOO_LARGE.to_owned(),
                });
            }
            Computed::Value(estimate) => self.measurements.push(measurement(metric, key, estimate)),
            Computed::Undefined(reason) => self.undefined.push(Undefined {
                key,
                reason: reason.into_owned(),
            }),
        }
    }
}

fn measurement(metric: &Metric, key: MetricKey, estimate: Estimate) -> Measurement {
    let Estimate {
        value,
        interval,
        n_rows,
        evidence,
    } = estimate;
    let interval = match interval {
        Ok(interval) if !(interval.lower.is_finite() && interval.upper.is_finite()) => {
            Err(TOO_LARGE.to_owned())
        }
        interval => interval
            .map(|interval| metric.within_range(interval))
            .map_err(|error| error.over(catalog::counted(metric.name))),
    };
    Measurement {
        key,
        value,
        unit: Some(metric.unit),
        unit_name: None,
        direction: Some(metric.direction),
        no_interval: interval.as_ref().err().cloned(),
        interval: interval.ok(),
        n_rows: Some(n_rows),
        evidence: evidence.filter(Evidence::is_finite),
    }
}
