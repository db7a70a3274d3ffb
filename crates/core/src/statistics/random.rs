//! Our own random draws for resampling: a seeded generator and an exact binomial sampler, so that an interval depends on the counts and
//! the seed, and on no library's version.

use super::special::stirling_error;

/// Below this mean the binomial distribution is inverted, which takes steps in proportion to the mean.
const MIN_REJECTION: f64 = 10.0;

/// xoshiro256++ of D. Blackman and S. Vigna (2021), ACM Transactions on Mathematical Software 47, article 36.
#[derive(Debug, Clone)]
pub(super) struct Random([u64; 4]);

impl Random {
    /// The draws of `seed`. The state is filled by SplitMix64, as its authors advise.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    const fn next(&mut self) -> u64 {
        let state = &mut self.0;
        let result = state[0]
            .wrapping_add(state[3])
            .rotate_left(23)
            .wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A number in [0, 1), in steps of 2⁻⁵³.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A draw of the Binomial(`n`, `p`) distribution.
    pub(super) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        if n == 0 || p <= 0.0 {
            0
        } else if n as f64 * p < MIN_REJECTION {
            self.by_inversion(n, p)
        } else {
            self.by_rejection(n as f64, p)
        }
    }

    /// Algorithm BINV of V. Kachitvichyanukul and B. Schmeiser (1988), Communications of the ACM 31, 216–222.
    fn by_inversion(&mut self, n: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        let first = (n as f64 * (-p).ln_1p()).exp();
        // What rounding leaves of the last probabilities is drawn again.
        loop {
            let mut probability = first;
            let mut left = self.uniform();
            for k in 0..=n {
                if left < probability {
                    return k;
                }
                left -= probability;
                probability *= odds * (n - k) as f64 / (k + 1) as f64;
                if probability < 1e-20 {
                    break;
                }
            }
        }
    }

    /// Algorithm BTRS of W. Hörmann (1993), "The generation of binomial random variates", Journal of Statistical Computation and
    /// Simulation 46, 101–110: transformed rejection with squeeze, for `n` `p` of 10 and more and `p` of at most one half.
    fn by_rejection(&mut self, n: f64, p: f64) -> u64 {
        let spread = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let centre = n * p + 0.5;
        let accepted_at_once = 0.92 - 4.2 / b;
        let odds = p / (1.0 - p);
        let alpha = (2.83 + 5.1 / b) * spread;
        let mode = ((n + 1.0) * p).floor();
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let distance = 0.5 - u.abs();
            let k = ((2.0 * a / distance + b) * u + centre).floor();
            if distance >= 0.07 && v <= accepted_at_once {
                return k as u64;
            }
            if !(0.0..=n).contains(&k) {
                continue;
            }
            let height = (v * alpha / (a / (distance * distance) + b)).ln();
            let bound = (mode + 0.5) * ((mode + 1.0) / (odds * (n - mode + 1.0))).ln()
                + (n + 1.0) * ((n - mode + 1.0) / (n - k + 1.0)).ln()
                + (k + 0.5) * (odds * (n - k + 1.0) / (k + 1.0)).ln()
                + tail(mode)
                + tail(n - mode)
                - tail(k)
                - tail(n - k);
            if height <= bound {
                return k as u64;
            }
        }
    }
}

/// ln k! less (k + 1/2) ln (k + 1) − (k + 1) + ln √2π.
fn tail(k: f64) -> f64 {
    stirling_error(k + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::binomial_cdf;

    /// Independent source: the reference C of the authors, `xoshiro256plusplus.c`, with the state 1, 2, 3, 4.
    #[test]
    fn the_generator_gives_the_published_numbers() {
        let mut random = Random([1, 2, 3, 4]);
        let found = [(); 4].map(|()| random.next());
        assert_eq!(
            found,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    /// Kolmogorov's distance between 20,000 draws and the exact distribution stays below its 0.1 % point, 1.95 / √20,000.
    #[test]
    fn binomial_draws_have_the_exact_distribution() {
        for (n, p) in [
            (1, 0.3),
            (7, 0.5),
            (40, 0.02),
            (40, 0.9),
            (25, 0.45),
            (300, 0.05),
            (1000, 0.5),
            (1000, 0.97),
            (10_000_000, 3e-7),
            (10_000_000, 0.2),
        ] {
            let mut random = Random::new(n);
            let mut draws: Vec<u64> = (0..20_000).map(|_| random.binomial(n, p)).collect();
            draws.sort_unstable();
            let mut largest = 0.0_f64;
            let mut n_done = 0;
            while n_done < draws.len() {
                let value = draws[n_done];
                n_done = draws.partition_point(|&draw| draw <= value);
                let share = n_done as f64 / draws.len() as f64;
                largest = largest.max((share - binomial_cdf(value, n, p)).abs());
            }
            assert!(largest < 1.95 / 20_000.0_f64.sqrt(), "{n} {p}: {largest}");
        }
    }
}
