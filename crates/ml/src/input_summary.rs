//! How the raw training inputs are distributed: a dataset in, the summary of `model.json` out.
//!
//! One pass over at most [`MAX_VALUES`] values on the caller's thread, so that the bits depend on the data alone and a
//! dataset larger than memory costs no more than one that fits.

use trainyard_core::model::{Histogram, InputSummary, RowSummary, SummaryScope, ValueSummary};

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
    // Columns of a table have nothing in common that a mean over them would say.
    let has_rows = over != SummaryScope::Feature;
    let mut of_rows = Vec::with_capacity(if has_rows { n_rows } else { 0 });
    let block_rows = (BLOCK_VALUES / row_len).max(1);
    let mut values = vec![0.0; block_rows.min(n_rows) * row_len];
    for block in chosen.chunks(block_rows) {
        let values = &mut values[..block.len() * row_len];
        rows.gather(block, values)?;
        if has_rows {
            of_rows.extend(values.chunks_exact(row_len).filter_map(RowSummary::of_row));
        }
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
    let of_rows = has_rows.then(|| RowSummary {
        mean: summary_of(of_rows.iter().map(|(mean, _)| *mean as f32)),
        contrast: summary_of(of_rows.iter().map(|(_, contrast)| *contrast as f32)),
    });
    Ok(InputSummary {
        over,
        n_rows: n_rows as u64,
        parts: parts.iter().map(Distribution::summarise).collect(),
        rows: of_rows,
    })
}

/// How these values are distributed.
pub(crate) fn summary_of(values: impl Iterator<Item = f32>) -> ValueSummary {
    let mut distribution = Distribution::new();
    distribution.add(values);
    distribution.summarise()
}

/// Counts of values by the upper 16 bits (sign, exponent and seven bits of the mantissa) of how far they lie from a typical value, and
/// their moments.
///
/// Such cells are fine near that value and coarse far from it, and keep whole numbers up to 256 from it apart: an outlier does not
/// spoil them as it would cells of one width, and neither does an offset such as that of years.
struct Distribution {
    counts: Vec<u32>,
    n: u64,
    /// The median of the values that were added first. Cells and sums are of what values differ from it, so that large values lose no
    /// digits.
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
        // Minus zero is zero.
        let values = values
            .filter(|value| value.is_finite())
            .map(|value| value + 0.0);
        if self.n == 0 {
            let mut first: Vec<f32> = values.collect();
            if first.is_empty() {
                return;
            }
            let middle = first.len() / 2;
            // A copy: sums depend on the order of the values.
            let mut sorted = first.clone();
            self.origin = f64::from(*sorted.select_nth_unstable_by(middle, f32::total_cmp).1);
            self.add_finite(first.drain(..));
        } else {
            self.add_finite(values);
        }
    }

    fn add_finite(&mut self, values: impl Iterator<Item = f32>) {
        for value in values {
            self.n += 1;
            let difference = f64::from(value) - self.origin;
            self.counts[cell_of(difference)] += 1;
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
                edges.push(self.origin + f64::from(lower_end(cell)));
                counts.push(0);
            }
            let last = counts.len() - 1;
            counts[last] += u64::from(count);
        }
        Histogram { edges, counts }
    }
}

/// The cell of a difference of two finite values; cells ascend with the differences.
const fn cell_of(difference: f64) -> usize {
    /// Bits of a mantissa that `f32` does not have. They are rounded down, so that no difference leaves its cell.
    const SURPLUS: u64 = (1 << 29) - 1;
    let bits = difference.to_bits();
    let down = if bits >> 63 == 0 {
        bits
    } else {
        bits + SURPLUS
    };
    // Twice the largest value is in the last cell.
    let cut = (f64::from_bits(down & !SURPLUS) as f32).clamp(f32::MIN, f32::MAX);
    let bits = cut.to_bits();
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
        assert_eq!(summary.rows, None);
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

    /// Such as years: cells around zero would hold all of them.
    #[test]
    fn values_far_from_zero_are_told_apart() {
        let years: Vec<f32> = (0..1600).map(|idx| 2000.0 + (idx % 16) as f32).collect();
        let summary = summarise(&dataset(&[1], Features::F32(years), 1600)).unwrap();
        let histogram = &summary.parts[0].histogram;
        assert_eq!(histogram.counts, [100; 16]);
        for (edge, year) in histogram.edges.iter().zip(2001..) {
            assert!(
                f64::from(year - 1) < *edge && *edge <= f64::from(year),
                "{edge} {year}"
            );
        }
        // Of both signs, with an outlier, and with more digits than a difference of `f32` has.
        let mut values = noise(5000, 3);
        values
            .iter_mut()
            .for_each(|value| *value = *value * 1e-3 - 0.3);
        values.extend([f32::MAX, f32::MIN]);
        let n_rows = values.len();
        let summary = summarise(&dataset(&[1], Features::F32(values.clone()), n_rows)).unwrap();
        let histogram = &summary.parts[0].histogram;
        assert_eq!(histogram.counts.len(), MAX_BINS);
        for (bin, count) in histogram.counts.iter().enumerate() {
            let is_inside = |value: &&f32| histogram.bin_of(f64::from(**value)) == bin;
            assert_eq!(*count, values.iter().filter(is_inside).count() as u64);
        }
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
        // Brightness and contrast of each image, over both channels.
        let rows = summary.rows.unwrap();
        assert_eq!((rows.mean.n, rows.contrast.n), (100, 100));
        let of_channels = f64::midpoint(grey.mean, white.mean);
        assert!((rows.mean.mean - of_channels).abs() < 1e-4, "{rows:?}");
        assert!(rows.contrast.min > 100.0, "{rows:?}");
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
            let cells = [pair[0], pair[1]].map(|value| cell_of(f64::from(value)));
            assert!(cells[0] <= cells[1], "{pair:?}");
        }
        for value in values {
            assert!(lower_end(cell_of(f64::from(value))) <= value, "{value}");
        }
        for whole in 0..256_u16 {
            assert_eq!(lower_end(cell_of(f64::from(whole))), f32::from(whole));
        }
    }
}
