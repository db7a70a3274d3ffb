//! Our own random numbers: Philox4x32-10, so that weights depend on the seed and on nothing else.
//!
//! J. Salmon, M. Moraes, R. Dror, D. Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", SC '11.
//! The generator is a function of a counter, so each use has a stream of its own: initial weights of one layer, the
//! order of one epoch, the dropout of one step. No draw depends on how many were made elsewhere, which makes a resumed
//! run equal to an uninterrupted one.

/// What a stream of numbers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights; the index counts parameters.
    Weights = 1,
    /// The order of rows; the index is the epoch.
    Shuffle = 2,
    /// Dropout; the index counts optimiser steps and layers.
    Dropout = 3,
    /// The validation split; the index is the class.
    Split = 4,
    /// Rows kept by `max_train_rows` and `max_test_rows`; the index is the class.
    Sample = 5,
    /// Shuffled folds of cross-validation; the index is the repeat, and the part the class in stratified folds.
    Folds = 6,
}

/// A stream of random numbers, decided by seed, purpose and index.
///
/// Key: the seed's low and high half. Counter: block number (two words), index, purpose.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    n_used: usize,
}

impl Stream {
    /// The stream for one use.
    pub const fn new(seed: u64, purpose: Purpose, index: u32) -> Self {
        let key = [seed as u32, (seed >> 32) as u32];
        Self {
            key,
            counter: [0, 0, index, purpose as u32],
            block: [0; 4],
            n_used: 4,
        }
    }

    /// One of many streams for the same use, such as one for each row of a batch: `part` offsets the block number.
    pub const fn part(seed: u64, purpose: Purpose, index: u32, part: u32) -> Self {
        let mut stream = Self::new(seed, purpose, index);
        stream.counter[1] = part;
        stream
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.n_used == 4 {
            self.block = philox4x32(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.counter[1] = self.counter[1].wrapping_add(u32::from(self.counter[0] == 0));
            self.n_used = 0;
        }
        self.n_used += 1;
        self.block[self.n_used - 1]
    }

    /// Uniform in [0, 1), in steps of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform below `bound`, without bias (D. Lemire, 2019, "Fast random integer generation in an interval").
    pub fn below(&mut self, bound: u32) -> u32 {
        let mut product = u64::from(self.next_u32()) * u64::from(bound);
        if (product as u32) < bound {
            let least = bound.wrapping_neg() % bound.max(1);
            while (product as u32) < least {
                product = u64::from(self.next_u32()) * u64::from(bound);
            }
        }
        (product >> 32) as u32
    }

    /// Puts `items` in a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// Ten rounds of Philox over one counter.
const fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let mut round = 0;
    while round < 10 {
        let low = 0xD251_1F53_u64 * counter[0] as u64;
        let high = 0xCD9E_8D57_u64 * counter[2] as u64;
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
        round += 1;
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: the known-answer file `kat_vectors` of Random123, by the paper's authors.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_do_not_depend_on_each_other() {
        let draws = |seed, purpose, index| {
            let mut stream = Stream::new(seed, purpose, index);
            [0; 6].map(|_| stream.next_u32())
        };
        let base = draws(1, Purpose::Weights, 0);
        assert_eq!(base, draws(1, Purpose::Weights, 0));
        for other in [
            draws(2, Purpose::Weights, 0),
            draws(1, Purpose::Shuffle, 0),
            draws(1, Purpose::Weights, 1),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_shuffle_keeps_all_items_and_uniforms_stay_below_one() {
        let mut items: Vec<u32> = (0..1000).collect();
        let mut stream = Stream::new(7, Purpose::Shuffle, 3);
        stream.shuffle(&mut items);
        assert_ne!(items[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
        let mean = (0..10_000)
            .map(|_| f64::from(stream.uniform()))
            .sum::<f64>()
            / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&stream.uniform()) && stream.below(7) < 7));
    }
}
