//! The percentile bootstrap over rows, for callers that do not use the closed forms yet.

use super::{Interval, IntervalMethod};

/// The percentile interval of bootstrap `samples`, which are sorted in place; `None` when there are none.
///
/// B. Efron (1979), Annals of Statistics 7, 1–26; percentiles are interpolated linearly, as NumPy does.
pub fn percentile_interval(samples: &mut [f64], confidence: f64) -> Option<Interval> {
    samples.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let lower = percentile(samples, tail)?;
    let upper = percentile(samples, 1.0 - tail)?;
    Some(Interval {
        lower,
        upper,
        confidence,
        method: IntervalMethod::Bootstrap,
    })
}

fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    Some(below + (above - below) * position.fract())
}

/// A small generator for resampling: SplitMix64 of Steele, Lea and Flood (2014), OOPSLA, 453–472.
#[derive(Debug, Clone)]
pub struct Resampler(u64);

impl Resampler {
    /// A generator whose draws are decided by `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, by Lemire's multiply-and-shift; its bias, below `bound / 2^64`, does not matter here.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    /// Independent source: `numpy.percentile([0..=10], [2.5, 97.5])`.
    #[test]
    fn percentiles_match_numpy() {
        let mut samples: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        let interval = percentile_interval(&mut samples, 0.95).unwrap();
        close(interval.lower, 0.25);
        close(interval.upper, 9.75);
        assert!(percentile_interval(&mut [], 0.95).is_none());
    }

    /// Independent source: the first outputs of SplitMix64 with seed 1234567, as published with Vigna's C code.
    #[test]
    fn the_resampler_is_splitmix64() {
        let mut resampler = Resampler::new(1_234_567);
        assert_eq!(resampler.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(resampler.next_u64(), 3_203_168_211_198_807_973);
    }
}
