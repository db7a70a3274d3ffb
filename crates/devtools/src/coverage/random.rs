//! Seeded draws for the simulation.

use std::f64::consts::TAU;

/// SplitMix64 of Steele, Lea and Flood (2014), OOPSLA, 453–472.
pub(crate) struct Random(u64);

impl Random {
    /// Draws that `seed` and `stream` decide.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed);
        let start = random.next();
        let mut random = Self(start ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self(random.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A standard normal number, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// A number of Student's t distribution.
    pub(crate) fn student(&mut self, degrees_of_freedom: u32) -> f64 {
        let squares: f64 = (0..degrees_of_freedom).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / f64::from(degrees_of_freedom)).sqrt()
    }
}
