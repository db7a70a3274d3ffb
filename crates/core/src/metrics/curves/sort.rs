//! Rows in the ascending order of one column of scores.
//!
//! A radix sort of order-preserving integer keys: time grows with the rows alone, and equal scores stay in the order of the rows.

use crate::metrics::rows::Scores;

/// Bits of the key that one pass sorts by.
const DIGIT_BITS: u32 = 11;
const N_DIGITS: usize = 1 << DIGIT_BITS;

/// Below this many rows, comparing is faster than counting.
const MIN_FOR_RADIX: usize = 4096;

/// A row, and its score as an integer that sorts alike.
pub(super) trait Keyed: Copy + Ord + Default + Send + Sync {
    /// Bits of the key.
    const N_BITS: u32;
    fn row(self) -> usize;
    fn is_tied_with(self, other: Self) -> bool;
    /// The key's bits from `shift` on, as many as a digit has.
    fn digit(self, shift: u32) -> usize;
}

/// The key in the upper half, the row in the lower.
impl Keyed for u64 {
    const N_BITS: u32 = 32;

    fn row(self) -> usize {
        (self & 0xffff_ffff) as usize
    }

    fn is_tied_with(self, other: Self) -> bool {
        self >> 32 == other >> 32
    }

    fn digit(self, shift: u32) -> usize {
        (self >> (32 + shift)) as usize & (N_DIGITS - 1)
    }
}

impl Keyed for (u64, u32) {
    const N_BITS: u32 = 64;

    fn row(self) -> usize {
        self.1 as usize
    }

    fn is_tied_with(self, other: Self) -> bool {
        self.0 == other.0
    }

    fn digit(self, shift: u32) -> usize {
        (self.0 >> shift) as usize & (N_DIGITS - 1)
    }
}

/// All rows, the lowest score first.
pub(super) enum Sorted {
    F32(Vec<u64>),
    F64(Vec<(u64, u32)>),
}

impl Sorted {
    /// By the scores of `class`.
    pub(super) fn of(scores: Scores<'_>, n_classes: usize, class: usize) -> Self {
        match scores {
            Scores::F32(scores) => {
                let column = scores.iter().skip(class).step_by(n_classes);
                let keyed = column
                    .enumerate()
                    .map(|(row, &score)| u64::from(key_f32(score)) << 32 | row as u64);
                Self::F32(sorted(keyed.collect()))
            }
            Scores::F64(scores) => {
                let column = scores.iter().skip(class).step_by(n_classes);
                let keyed = column
                    .enumerate()
                    .map(|(row, &score)| (key_f64(score), row as u32));
                Self::F64(sorted(keyed.collect()))
            }
        }
    }
}

/// Larger for a larger score, and equal for zeros of both signs.
fn key_f32(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    }
}

fn key_f64(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

fn sorted<K: Keyed>(mut rows: Vec<K>) -> Vec<K> {
    if rows.len() < MIN_FOR_RADIX {
        rows.sort_unstable();
        return rows;
    }
    let mut scratch = vec![K::default(); rows.len()];
    for shift in (0..K::N_BITS).step_by(DIGIT_BITS as usize) {
        let mut starts = [0_usize; N_DIGITS];
        for row in &rows {
            starts[row.digit(shift)] += 1;
        }
        // Exponents of probabilities, and the low bits of f64 that were f32, have one value for all.
        if starts.contains(&rows.len()) {
            continue;
        }
        let mut start = 0;
        for count in &mut starts {
            start += std::mem::replace(count, start);
        }
        for row in &rows {
            let place = &mut starts[row.digit(shift)];
            scratch[*place] = *row;
            *place += 1;
        }
        std::mem::swap(&mut rows, &mut scratch);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_scores_do() {
        let scores = [-1.0, -0.5, -0.0, 0.0, 1e-40, 0.25, 1.0];
        for pair in scores.windows(2) {
            let (left, right) = (key_f32(pair[0]), key_f32(pair[1]));
            assert_eq!(left.cmp(&right), pair[0].partial_cmp(&pair[1]).unwrap());
            let (left, right) = (key_f64(pair[0].into()), key_f64(pair[1].into()));
            assert_eq!(left.cmp(&right), pair[0].partial_cmp(&pair[1]).unwrap());
        }
    }

    #[test]
    fn radix_and_comparison_agree() {
        let scores: Vec<f64> = (0..20_000_u64)
            .map(|row| (row * 7919 % 4001) as f64 / 4001.0)
            .collect();
        let single: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
        let mut expected: Vec<usize> = (0..scores.len()).collect();
        expected.sort_by(|left, right| scores[*left].total_cmp(&scores[*right]));
        for sorted in [
            Sorted::of(Scores::F64(&scores), 1, 0),
            Sorted::of(Scores::F32(&single), 1, 0),
        ] {
            let rows: Vec<usize> = match sorted {
                Sorted::F32(rows) => rows.into_iter().map(Keyed::row).collect(),
                Sorted::F64(rows) => rows.into_iter().map(Keyed::row).collect(),
            };
            assert_eq!(rows, expected);
        }
    }
}
