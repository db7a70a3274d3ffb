//! Weak segments: parts of the rows, by their further columns, on which the model is worse than on the rest.
//!
//! Segments are searched for in one half of the rows and tested on the other: what the search picks out looks worse than it is, and the
//! rows of the other half do not know of the search. They inform; no rule judges them.

mod tree;

use self::tree::{Coded, Losses, Segment, grow};
use crate::config::ColumnConfig;
use crate::evaluation::{WeakSegment, WeakSegments};
use crate::measurement::MetricKey;
use crate::metrics::{MetricError, Scoring, quantile_of};
use crate::scored_rows::{Labels, ScoredRows};
use crate::statistics::{Moments, fisher_greater, holm, interval_of_group_sums, smallest_level};

/// The largest p-value that is told from 1: beyond one half there is no interval to ask.
const LARGEST: f64 = 0.499;

/// Segments that are reported at most: a tree of depth 3 has no more.
const MAX_SEGMENTS: usize = 8;

/// Searches the further columns of `rows` for segments of at least `min_rows` rows in either half, and tests them.
///
/// Columns that are metrics (`columns`) are results of the model, and not searched. The loss of a row is whether it is predicted wrong,
/// or how far the prediction is off. Reported is what is worse than the rest of the tested half by Holm's procedure over all segments
/// tested, at the one-sided level 1 − confidence: by Fisher's exact test of right and wrong rows, else, and with weights or groups, by the
/// skewness-corrected t of the difference of means. `None` where there is nothing to search: no further columns, too few rows, or ranked
/// rows.
pub fn weak_segments(
    rows: &ScoredRows,
    columns: &[ColumnConfig],
    min_rows: u64,
    scoring: &Scoring,
) -> Result<Option<WeakSegments>, MetricError> {
    if scoring.ranking_k.is_some() || (rows.n_rows() as u64) < 4 * min_rows {
        return Ok(None);
    }
    let is_metric = |name: &str| {
        quantile_of(name).is_some() || columns.iter().any(|column| column.name == name)
    };
    if rows.columns.keys().all(|name| is_metric(name)) {
        return Ok(None);
    }
    let (searched, tested) = halves(rows);
    let coded: Vec<Coded<'_>> = rows
        .columns
        .iter()
        .filter(|(name, _)| !is_metric(name))
        .filter_map(|(name, column)| Coded::of(name, column, &searched))
        .collect();
    if coded.is_empty() {
        return Ok(None);
    }
    let losses = losses(rows);
    let n_searched = searched.len() as u64;
    let weights = rows.weights.as_deref();
    let of_rows = Losses {
        losses: &losses,
        weights,
    };
    let candidates = grow(&coded, of_rows, searched, min_rows);
    let inside = |segment: &Segment| -> Vec<usize> {
        let of_segment = tested.iter().copied();
        of_segment
            .filter(|&row| segment.holds(&coded, row))
            .collect()
    };
    let candidates: Vec<(Segment, Vec<usize>)> = candidates
        .into_iter()
        .map(|segment| {
            let rows = inside(&segment);
            (segment, rows)
        })
        .filter(|(_, rows)| {
            let n = rows.len() as u64;
            n >= min_rows && tested.len() as u64 - n >= min_rows
        })
        .collect();
    let tests: Vec<Test> = candidates
        .iter()
        .map(|(_, inside)| Test::of(rows, &losses, &tested, inside))
        .collect();
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_value).collect();
    let metric = match &rows.labels {
        Labels::Class(_) => "accuracy",
        Labels::Sets(_) => "subset_accuracy",
        Labels::Value(_) | Labels::Values(_) => "mae",
    };
    let mut segments = Vec::new();
    for (((segment, inside), test), p_value) in candidates.iter().zip(&tests).zip(holm(&p_values)) {
        if p_value > 1.0 - scoring.confidence {
            continue;
        }
        let measured = rows.gather_measured(inside).measure(scoring)?;
        let key = MetricKey::overall(metric);
        let mut found = measured.measurements.into_iter();
        let Some(found) = found.find(|found| found.key == key) else {
            continue;
        };
        let figure = |loss: f64| {
            if metric == "mae" { loss } else { 1.0 - loss }
        };
        segments.push((
            test.difference,
            WeakSegment {
                name: segment.name(&coded),
                n_rows: inside.len() as u64,
                value: found.value,
                interval: found.interval,
                rest: figure(test.rest),
                p_value,
            },
        ));
    }
    segments.sort_by(|left, right| right.0.total_cmp(&left.0));
    segments.truncate(MAX_SEGMENTS);
    Ok(Some(WeakSegments {
        metric: metric.to_owned(),
        min_rows,
        n_searched,
        n_rows: tested.len() as u64,
        n_tested: tests.len() as u64,
        segments: segments.into_iter().map(|(_, segment)| segment).collect(),
    }))
}

/// The rows that are searched and those that are tested: by a hash of the group, else of the row's id, else of its position, so that a
/// row is on the same side whatever the order of the rows, and rows of one group are on one side.
fn halves(rows: &ScoredRows) -> (Vec<usize>, Vec<usize>) {
    let ids = rows.groups.as_deref().or(rows.row_ids.as_deref());
    (0..rows.n_rows()).partition(|&row| {
        let hash = match ids {
            Some(ids) => hash(ids[row].as_bytes()),
            None => hash(&(row as u64).to_le_bytes()),
        };
        hash >> 63 == 0
    })
}

/// FNV-1a with the finaliser of MurmurHash3: even on every bit, and not meant to withstand an attack.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

fn losses(rows: &ScoredRows) -> Vec<f64> {
    match (&rows.labels, &rows.predicted) {
        (Labels::Class(_), Labels::Class(_)) | (Labels::Sets(_), Labels::Sets(_)) => {
            let is_wrong = |row: usize| rows.is_right(row) != Some(true);
            (0..rows.n_rows())
                .map(|row| f64::from(u8::from(is_wrong(row))))
                .collect()
        }
        // The mean over the outputs, as the metric has it.
        (Labels::Values(labels), Labels::Values(predicted)) => {
            let rows = labels.rows().zip(predicted.rows());
            rows.map(|(labels, predicted)| {
                let errors = labels.iter().zip(predicted);
                let sum: f64 = errors
                    .map(|(label, predicted)| (label - predicted).abs())
                    .sum();
                sum / labels.len() as f64
            })
            .collect()
        }
        (Labels::Value(labels), Labels::Value(predicted)) => {
            let rows = labels.iter().zip(predicted);
            rows.map(|(label, predicted)| (label - predicted).abs())
                .collect()
        }
        _ => unreachable!("labels and predictions are read for one task"),
    }
}

/// How much worse a segment is than the rest of the tested rows.
struct Test {
    /// Mean loss of the rest.
    rest: f64,
    /// Mean loss of the segment less that of the rest.
    difference: f64,
    /// One-sided.
    p_value: f64,
}

impl Test {
    /// Of the rows `inside` among those `tested`; both are ascending.
    fn of(rows: &ScoredRows, losses: &[f64], tested: &[usize], inside: &[usize]) -> Self {
        let weight = |row: usize| rows.weights.as_ref().map_or(1.0, |weights| weights[row]);
        let mut is_inside = vec![false; tested.len()];
        let mut next = inside.iter().peekable();
        for (place, row) in tested.iter().enumerate() {
            is_inside[place] = next.next_if_eq(&row).is_some();
        }
        let (mut masses, mut sums) = ([0.0; 2], [0.0; 2]);
        for (&row, &is_inside) in tested.iter().zip(&is_inside) {
            masses[usize::from(is_inside)] += weight(row);
            sums[usize::from(is_inside)] += weight(row) * losses[row];
        }
        let means = [sums[0] / masses[0], sums[1] / masses[1]];
        let difference = means[1] - means[0];
        let is_plain = rows.weights.is_none() && rows.groups.is_none();
        let p_value = if !difference.is_finite() {
            // All weights of one side are 0.
            1.0
        } else if is_plain && matches!(rows.labels, Labels::Class(_) | Labels::Sets(_)) {
            let n_wrong = (sums[0] + sums[1]) as u64;
            fisher_greater(
                sums[1] as u64,
                inside.len() as u64,
                n_wrong,
                tested.len() as u64,
            )
        } else {
            // By how much each group of rows moves the difference of means.
            let mut of_group: std::collections::BTreeMap<GroupKey<'_>, f64> = [].into();
            for (&row, &is_inside) in tested.iter().zip(&is_inside) {
                let side = usize::from(is_inside);
                let influence = weight(row) * (losses[row] - means[side]) / masses[side];
                let group = match &rows.groups {
                    Some(groups) => GroupKey::Named(&groups[row]),
                    None => GroupKey::Row(row),
                };
                *of_group.entry(group).or_default() +=
                    if is_inside { influence } else { -influence };
            }
            let n_groups = of_group.len() as f64;
            let moments = Moments::of(of_group.into_values().map(|sum| sum * n_groups));
            let rejects_at = |level: f64| {
                let interval = interval_of_group_sums(difference, &moments, 1.0 - 2.0 * level);
                interval.is_ok_and(|interval| interval.lower > 0.0)
            };
            if rejects_at(LARGEST) {
                smallest_level(|level| level >= LARGEST || rejects_at(level))
            } else {
                1.0
            }
        };
        Self {
            rest: means[0],
            difference,
            p_value,
        }
    }
}

/// Rows that belong together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey<'a> {
    Named(&'a str),
    Row(usize),
}

#[cfg(test)]
mod tests;
