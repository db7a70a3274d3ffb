//! Numbers in, the bin of each out.

use crate::config::Binning;
use crate::figure::figure;

/// The edges of `binning` for these finite numbers, ascending: those that are written, or quantiles.
///
/// Quantiles are values of the column, rounded to five significant digits so that the name of a bin says exactly which
/// numbers are in it.
pub(super) fn edges(binning: &Binning, values: impl Iterator<Item = f64>) -> Vec<f64> {
    match binning {
        Binning::Edges(edges) => edges.clone(),
        Binning::Count(n_bins) => {
            let mut sorted: Vec<f64> = values.collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let n_bins = *n_bins as usize;
            let quantiles = (1..n_bins).filter_map(|k| sorted.get(k * sorted.len() / n_bins));
            let rounded = quantiles.filter_map(|value| figure(*value).parse::<f64>().ok());
            let mut edges: Vec<f64> = rounded.collect();
            edges.dedup();
            edges
        }
    }
}

/// Which bin holds `value`: 0 lies below the first edge, each other begins with its edge.
pub(super) fn bin_of(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|&edge| edge <= value)
}

/// `[20, 40)`; `(-inf, 0)` and `[40, inf)` at the ends.
pub(super) fn name(edges: &[f64], bin: usize) -> String {
    let lower = bin.checked_sub(1).and_then(|idx| edges.get(idx));
    match (lower, edges.get(bin)) {
        (None, Some(upper)) => format!("(-inf, {upper})"),
        (Some(lower), Some(upper)) => format!("[{lower}, {upper})"),
        (Some(lower), None) => format!("[{lower}, inf)"),
        (None, None) => "(-inf, inf)".to_owned(),
    }
}
