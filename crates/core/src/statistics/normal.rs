//! The normal distribution and its quantiles.

use std::f64::consts::TAU;

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

/// P(X ≤ `x`) of the standard normal distribution; accurate to about 1e-15, not relative to a small tail.
///
/// G. Marsaglia (2004), "Evaluating the normal distribution", Journal of Statistical Software 11(4).
pub(super) fn normal_cdf(x: f64) -> f64 {
    // Beyond, the tail is below 1e-17.
    if x.abs() > 8.5 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut divisor) = (x, x, 1.0);
    loop {
        divisor += 2.0;
        term *= x * x / divisor;
        let next = sum + term;
        if next == sum {
            break;
        }
        sum = next;
    }
    0.5 + sum * (-0.5 * x * x).exp() / TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    /// Independent source: SciPy 1.17 `scipy.stats.norm.ppf`.
    #[test]
    fn normal_quantiles_match_scipy() {
        close(normal_quantile(0.975), 1.959_963_984_540_054);
        close(normal_quantile(0.995), 2.575_829_303_548_900_4);
        close(normal_quantile(0.025), -1.959_963_984_540_054);
        close(normal_quantile(1e-12), -7.034_483_825_301_131);
        assert_eq!(normal_quantile(0.5), 0.0);
    }

    /// Independent source: SciPy 1.17 `scipy.stats.norm.cdf`.
    #[test]
    fn the_normal_distribution_matches_scipy() {
        close(normal_cdf(-1.959_963_984_540_054), 0.025);
        close(normal_cdf(0.3), 0.617_911_422_188_952_7);
        close(normal_cdf(-4.0), 3.167_124_183_311_986e-5);
        assert_eq!((normal_cdf(0.0), normal_cdf(9.0)), (0.5, 1.0));
        assert!(normal_cdf(-9.0) == 0.0 && normal_cdf(-8.4).abs() < 1e-14);
    }
}
