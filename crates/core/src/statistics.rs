//! Intervals and tests: counts or samples in, estimates with their uncertainty out. All in f64.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Two-sided level, such as 0.95.
    pub confidence: f64,
    /// How it was found.
    pub method: IntervalMethod,
}

/// How an interval was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Wilson's score interval of a proportion.
    Wilson,
    /// Percentiles of a seeded bootstrap over rows.
    Bootstrap,
    /// Bonett and Price's adjusted Wald interval of a difference of paired proportions.
    BonettPrice,
}

/// Wilson's score interval for `n_successes` of `n`; `None` when `n` is zero.
///
/// E. B. Wilson (1927), Journal of the American Statistical Association 22, 209–212.
pub fn wilson(n_successes: u64, n: u64, confidence: f64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let (successes, total) = (n_successes as f64, n as f64);
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let share = successes / total;
    let denominator = 1.0 + z * z / total;
    let centre = (share + z * z / (2.0 * total)) / denominator;
    let half =
        z / denominator * (share * (1.0 - share) / total + z * z / (4.0 * total * total)).sqrt();
    let lower = if n_successes == 0 {
        0.0
    } else {
        (centre - half).max(0.0)
    };
    let upper = if n_successes >= n {
        1.0
    } else {
        (centre + half).min(1.0)
    };
    Some(Interval {
        lower,
        upper,
        confidence,
        method: IntervalMethod::Wilson,
    })
}

/// The interval of `(n_gained - n_lost) / n` for rows judged right by one of two models alone; `None` when `n` is zero.
///
/// D. G. Bonett and R. M. Price (2012), Journal of Educational and Behavioral Statistics 37, 479–488.
pub fn paired_difference(n_gained: u64, n_lost: u64, n: u64, confidence: f64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let total = n as f64 + 2.0;
    let (gained, lost) = (
        (n_gained as f64 + 1.0) / total,
        (n_lost as f64 + 1.0) / total,
    );
    let difference = gained - lost;
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let half = z * ((gained + lost - difference * difference) / total).sqrt();
    Some(Interval {
        lower: (difference - half).max(-1.0),
        upper: (difference + half).min(1.0),
        confidence,
        method: IntervalMethod::BonettPrice,
    })
}

/// The two-sided p-value of the exact McNemar test for two discordant counts.
///
/// Q. McNemar (1947), Psychometrika 12, 153–157; the exact form is a binomial test with probability one half.
pub fn mcnemar_exact(n_gained: u64, n_lost: u64) -> f64 {
    let n = n_gained + n_lost;
    let fewer = n_gained.min(n_lost);
    // The terms C(n, i) / 2^n are summed by their logarithms, so that no count is too large.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for i in 0..=fewer {
        tail += log_term.exp();
        log_term += ((n - i) as f64).ln() - ((i + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

/// The quantile of the standard normal distribution, for `probability` in (0, 1); accurate to about 1e-16.
///
/// M. J. Wichura (1988), algorithm AS 241, Applied Statistics 37, 477–484.
#[expect(
    clippy::excessive_precision,
    reason = "the coefficients stand as published"
)]
pub fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_608_0,
        133.141_667_891_784_377_45,
        1_971.590_950_306_551_442_7,
        13_731.693_765_509_461_125,
        45_921.953_931_549_871_457,
        67_265.770_927_008_700_853,
        33_430.575_583_588_128_105,
        2_509.080_928_730_122_672_7,
    ];
    const B: [f64; 8] = [
        1.0,
        42.313_330_701_600_911_252,
        687.187_007_492_057_908_30,
        5_394.196_021_424_751_107_7,
        21_213.794_301_586_595_867,
        39_307.895_800_092_710_610,
        28_729.085_735_721_942_674,
        5_226.495_278_852_854_561_0,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_90,
        5.769_497_221_460_691_405_50,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        0.241_780_725_177_450_611_770,
        0.022_723_844_989_269_184_583_3,
        7.745_450_142_783_414_076_40e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_40,
        0.689_767_334_985_100_004_550,
        0.148_103_976_427_480_074_590,
        0.015_198_666_563_616_457_196_6,
        5.475_938_084_995_344_946_00e-4,
        1.050_750_071_644_416_843_24e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_103_777_20,
        5.463_784_911_164_114_369_90,
        1.784_826_539_917_291_335_80,
        0.296_560_571_828_504_891_230,
        0.026_532_189_526_576_123_093_0,
        0.001_242_660_947_388_078_438_60,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        0.599_832_206_555_887_937_690,
        0.136_929_880_922_735_805_310,
        0.014_875_361_290_850_614_852_5,
        7.868_691_311_456_132_591_00e-4,
        1.846_318_317_510_054_681_80e-5,
        1.421_511_758_316_445_888_70e-7,
        2.044_263_103_389_939_785_64e-15,
    ];
    let polynomial =
        |coefficients: &[f64; 8], x: f64| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
    let q = probability - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    let tail = if q < 0.0 {
        probability
    } else {
        1.0 - probability
    };
    let r = (-tail.ln()).sqrt();
    let magnitude = if r <= 5.0 {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - 5.0) / polynomial(&F, r - 5.0)
    };
    magnitude.copysign(q)
}

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

    fn close(left: f64, right: f64) {
        assert!(
            (left - right).abs() <= 1e-12 * right.abs().max(1.0),
            "{left} is not {right}"
        );
    }

    /// Independent source: SciPy 1.17 `scipy.stats.norm.ppf`.
    #[test]
    fn normal_quantiles_match_scipy() {
        close(normal_quantile(0.975), 1.959_963_984_540_054);
        close(normal_quantile(0.995), 2.575_829_303_548_900_4);
        close(normal_quantile(0.025), -1.959_963_984_540_054);
        close(normal_quantile(1e-12), -7.034_483_825_301_131);
        assert_eq!(normal_quantile(0.5), 0.0);
    }

    /// Independent source: SciPy 1.17 `binomtest(k, n).proportion_ci(0.95, method="wilson")`.
    #[test]
    fn wilson_matches_scipy() {
        let interval = wilson(9_850, 10_000, 0.95).unwrap();
        close(interval.lower, 0.982_424_564_069_563_4);
        close(interval.upper, 0.987_202_957_510_880_4);
        assert_eq!(wilson(0, 5, 0.95).unwrap().lower, 0.0);
        assert_eq!(wilson(5, 5, 0.95).unwrap().upper, 1.0);
        assert!(wilson(0, 0, 0.95).is_none());
    }

    /// Independent source: SciPy 1.17 `binomtest(k, n, 0.5).pvalue`.
    #[test]
    fn mcnemar_matches_scipys_binomial_test() {
        close(mcnemar_exact(5, 15), 0.041_389_465_332_031_25);
        close(mcnemar_exact(15, 5), 0.041_389_465_332_031_25);
        close(mcnemar_exact(7, 7), 1.0);
        close(mcnemar_exact(0, 0), 1.0);
        assert!(mcnemar_exact(0, 100_000) < 1e-300);
    }

    /// Worked by hand from the paper's formula: n = 100, 10 gained and 4 lost.
    #[test]
    fn paired_difference_matches_a_hand_calculation() {
        let interval = paired_difference(10, 4, 100, 0.95).unwrap();
        let (gained, lost): (f64, f64) = (11.0 / 102.0, 5.0 / 102.0);
        let half =
            1.959_963_984_540_054 * ((gained + lost - (gained - lost).powi(2)) / 102.0).sqrt();
        close(interval.lower, gained - lost - half);
        close(interval.upper, gained - lost + half);
    }

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
