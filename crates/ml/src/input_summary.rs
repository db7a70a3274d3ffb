//! How the raw training inputs are distributed: a dataset in, the summary of `model.json` out.
//!
//! One pass over at most [`MAX_VALUES`] values on the caller's thread, so that the bits depend on the data alone and a
//! dataset larger than memory costs no more than one that fits.

use trainyard_core::model::{Histogram, InputSummary, SummaryScope, ValueSummary};

use crate::data::{DataError, Dataset};

/// Values looked at. More would delay training for figures that hardly change.
const MAX_VALUES: usize = 1 << 22;

/// Features or channels that get a part of their own. It bounds the size of `model.json`.
const MAX_PARTS: usize = 128;

/// Bins of a histogram.
const MAX_BINS: usize = 16;

/// Values gathered at a time.
const BLOCK_VALUES: usize = 1 << 14;

/// Summarises the raw features of `rows`: of all of them, or of rows spread evenly where there are too many values.
pub fn summarise(rows: &Dataset) -> Result<InputSummary, DataError> {
    let row_len = rows.row_len().max(1);
    let (over, n_parts) = match rows.row_shape.as_slice() {
        [n_features] if *n_features <= MAX_PARTS => (SummaryScope::Feature, *n_features),
        [_, .., n_channels] if *n_channels <= MAX_PARTS => (SummaryScope::Channel, *n_channels),
        _ => (SummaryScope::All, 1),
    };
    let n_rows = rows.n_rows().min((MAX_VALUES / row_len).max(1));
    let chosen: Vec<u32> = (0..n_rows)
        .map(|idx| (idx as u64 * rows.n_rows() as u64 / n_rows as u64) as u32)
        .collect();
    let mut parts: Vec<Distribution> = (0..n_parts).map(|_| Distribution::new()).collect();
    let block_rows = (BLOCK_VALUES / row_len).max(1);
    let mut values = vec![0.0; block_rows.min(n_rows) * row_len];
    for block in chosen.chunks(block_rows) {
        let values = &mut values[..block.len() * row_len];
        rows.gather(block, values)?;
        match parts.as_mut_slice() {
            [part] => part.add(values.iter().copied()),
            parts => {
                // Part by part, so that one part's counts stay in the cache.
                for (idx, part) in parts.iter_mut().enumerate() {
                    part.add(values.iter().skip(idx).step_by(n_parts).copied());
                }
            }
        }
    }
    Ok(InputSummary {
        over,
        n_rows: n_rows as u64,
        parts: parts.iter().map(Distribution::summarise).collect(),
    })
}

/// Counts of values by their upper 16 bits (sign, exponent and seven bits of the mantissa), and their moments.
///
/// Such cells are fixed before any value is seen, are fine where values are small and coarse where they are large, and
/// keep whole numbers up to 256 apart: an outlier does not spoil them as it would cells of one width.
struct Distribution {
    counts: Vec<u32>,
    n: u64,
    /// The first value. Sums are of what values differ from it, so that large values lose no digits.
    origin: f64,
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
}

const N_CELLS: usize = 1 << 16;

impl Distribution {
    fn new() -> Self {
        Self {
            counts: vec![0; N_CELLS],
            n: 0,
            origin: 0.0,
            sum: 0.0,
            squares: 0.0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }

    fn add(&mut self, values: impl Iterator<Item = f32>) {
        for value in values {
            if !value.is_finite() {
                continue;
            }
            // Minus zero is zero.
            let value = value + 0.0;
            if self.n == 0 {
                self.origin = f64::from(value);
            }
            self.n += 1;
            self.counts[cell_of(value)] += 1;
            let difference = f64::from(value) - self.origin;
            self.sum += difference;
            self.squares += difference * difference;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    fn summarise(&self) -> ValueSummary {
        if self.n == 0 {
            return ValueSummary {
                name: None,
                n: 0,
                mean: 0.0,
                std: 0.0,
                min: 0.0,
                max: 0.0,
                histogram: Histogram {
                    edges: Vec::new(),
                    counts: vec![0],
                },
            };
        }
        let n = self.n as f64;
        let mean = self.sum / n;
        let variance = (self.squares / n - mean * mean).max(0.0);
        ValueSummary {
            name: None,
            n: self.n,
            mean: self.origin + mean,
            std: variance.sqrt(),
            min: f64::from(self.min),
            max: f64::from(self.max),
            histogram: self.histogram(),
        }
    }

    /// Neighbouring cells joined into at most [`MAX_BINS`] bins of about equally many values. A cell that holds more
    /// than its share, such as the background of images, is a bin, and the others share what is left.
    fn histogram(&self) -> Histogram {
        let (mut edges, mut counts) = (Vec::new(), vec![0_u64]);
        let mut n_left = self.n;
        for (cell, &count) in self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let n_bins_left = (MAX_BINS - edges.len()) as u64;
            let last = counts.len() - 1;
            let has_enough = counts[last] * n_bins_left >= n_left;
            if counts[last] > 0 && n_bins_left > 1 && has_enough {
                n_left -= counts[last];
                edges.push(f64::from(lower_end(cell)));
                counts.push(0);
            }
            let last = counts.len() - 1;
            counts[last] += u64::from(count);
        }
        Histogram { edges, counts }
    }
}

/// The cell of a finite value other than minus zero; cells ascend with the values.
const fn cell_of(value: f32) -> usize {
    let bits = value.to_bits();
    let ascending = if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    };
    (ascending >> 16) as usize
}

/// The smallest value of a cell.
const fn lower_end(cell: usize) -> f32 {
    let ascending = (cell as u32) << 16;
    f32::from_bits(if ascending >> 31 == 1 {
        ascending & !(1 << 31)
    } else {
        !ascending
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{Features, Labels};
    use crate::kernels::noise;

    /// Parts of no values.
    pub(crate) fn empty_parts(n_parts: usize) -> Vec<ValueSummary> {
        vec![Distribution::new().summarise(); n_parts]
    }

    pub(crate) fn dataset(row_shape: &[usize], features: Features, n_rows: usize) -> Dataset {
        Dataset {
            row_shape: row_shape.to_vec(),
            features: Arc::new(features),
            selection: None,
            labels: Labels::Value(vec![0.0; n_rows]),
            weights: None,
            row_ids: None,
            fill: None,
            keys: std::collections::BTreeMap::new(),
            columns: None,
            description: Vec::new(),
            warnings: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Worked out in f64, value by value.
    fn expected(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
        let squares = values
            .iter()
            .map(|value| (f64::from(*value) - mean).powi(2));
        (mean, (squares.sum::<f64>() / n).sqrt())
    }

    #[test]
    fn each_feature_of_a_table_has_its_own_figures() {
        let n_rows = 5000;
        let mut table = noise(2 * n_rows, 7);
        // Far from zero, where a naive variance would lose every digit.
        table.chunks_mut(2).for_each(|row| row[1] += 1.0e6);
        let summary = summarise(&dataset(&[2], Features::F32(table.clone()), n_rows)).unwrap();
        assert_eq!(
            (summary.over, summary.n_rows),
            (SummaryScope::Feature, 5000)
        );
        for (idx, part) in summary.parts.iter().enumerate() {
            let column: Vec<f32> = table.chunks(2).map(|row| row[idx]).collect();
            let (mean, std) = expected(&column);
            assert!(
                (part.mean - mean).abs() < 1e-9 * mean.abs().max(1.0),
                "{part:?}"
            );
            assert!((part.std - std).abs() < 1e-6 * std, "{part:?} {std}");
            let counts = &part.histogram.counts;
            for (bin, count) in counts.iter().enumerate() {
                let is_inside = |value: &&f32| part.histogram.bin_of(f64::from(**value)) == bin;
                assert_eq!(*count, column.iter().filter(is_inside).count() as u64);
            }
        }
        // Neither empty nor lopsided: no bin holds more than twice its share.
        let counts = &summary.parts[0].histogram.counts;
        assert!(counts.len() == MAX_BINS && counts.iter().all(|count| (1..625).contains(count)));
    }

    #[test]
    fn images_are_summarised_by_channel_and_their_background_is_a_bin() {
        let pixels: Vec<u8> = (0..100 * 9 * 2)
            .map(|idx| match (idx % 2, idx / 2 % 5) {
                (0, 0..4) => 0,
                (0, _) => (idx / 10 % 200) as u8 + 20,
                _ => 255,
            })
            .collect();
        let summary = summarise(&dataset(&[3, 3, 2], Features::U8(pixels), 100)).unwrap();
        assert_eq!(summary.over, SummaryScope::Channel);
        let [grey, white] = &summary.parts[..] else {
            panic!("two channels")
        };
        assert_eq!((grey.n, grey.histogram.counts[0]), (900, 720));
        assert!(grey.histogram.counts.len() > 8, "{grey:?}");
        assert_eq!((white.mean, white.std, white.min), (255.0, 0.0, 255.0));
        assert_eq!(white.histogram.counts, [900]);
    }

    #[test]
    fn many_values_are_sampled_evenly_and_many_features_pooled() {
        let row_len = 200;
        let n_rows = 2 * MAX_VALUES / row_len;
        // The second half of the rows differs, as in a file sorted by class.
        let half = n_rows / 2 * row_len;
        let pixels: Vec<u8> = (0..n_rows * row_len)
            .map(|idx| u8::from(idx >= half))
            .collect();
        let summary = summarise(&dataset(&[row_len], Features::U8(pixels), n_rows)).unwrap();
        assert_eq!((summary.over, summary.parts.len()), (SummaryScope::All, 1));
        assert_eq!(summary.n_rows, (MAX_VALUES / row_len) as u64);
        assert!((summary.parts[0].mean - 0.5).abs() < 1e-3);
    }

    #[test]
    fn values_that_are_not_finite_are_not_counted() {
        let values = vec![f32::NAN, 1.0, f32::INFINITY, -0.0, f32::NEG_INFINITY];
        let summary = summarise(&dataset(&[1], Features::F32(values), 5)).unwrap();
        let part = &summary.parts[0];
        assert_eq!((part.n, part.min, part.max), (2, 0.0, 1.0));
        let nothing = summarise(&dataset(&[1], Features::F32(vec![f32::NAN]), 1)).unwrap();
        assert_eq!((nothing.parts[0].n, nothing.parts[0].mean), (0, 0.0));
    }

    #[test]
    fn cells_ascend_and_begin_where_they_say() {
        let values = [
            -3.0e38, -256.0, -1.5, -1.0e-40, 0.0, 1.0e-40, 0.5, 255.0, 256.0, 3.0e38,
        ];
        for pair in values.windows(2) {
            assert!(cell_of(pair[0]) <= cell_of(pair[1]), "{pair:?}");
        }
        for value in values {
            assert!(lower_end(cell_of(value)) <= value, "{value}");
        }
        for whole in 0..256_u16 {
            assert_eq!(lower_end(cell_of(f32::from(whole))), f32::from(whole));
        }
    }
}
