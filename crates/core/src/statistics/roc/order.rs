//! Rows of both classes in the order of their scores, and the walk over groups of equal ones.

/// Why labels and scores have no ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoc {
    /// No row has the positive label.
    #[error("no positive rows")]
    NoPositives,
    /// Every row has it.
    #[error("no negative rows")]
    NoNegatives,
    /// A score is NaN or infinite.
    #[error("some scores are not finite")]
    NotFinite,
}

/// Bits of a digit of the radix sort.
const DIGIT_BITS: u32 = 11;
const N_DIGITS: usize = 64_usize.div_ceil(DIGIT_BITS as usize);
const N_BUCKETS: usize = 1 << DIGIT_BITS;

/// Below so many rows, filling the buckets costs more than comparing.
const MIN_RADIX: usize = 4096;

/// What is sorted by a key: the key alone, or with the row it belongs to.
pub(super) trait Keyed: Copy + Default {
    fn key(&self) -> u64;
}

impl Keyed for u64 {
    fn key(&self) -> u64 {
        *self
    }
}

impl Keyed for (u64, usize) {
    fn key(&self) -> u64 {
        self.0
    }
}

/// A number whose unsigned order is the order of the scores; `None` for one that is not finite. Both zeros have the same.
pub(super) fn key(score: f64) -> Option<u64> {
    if !score.is_finite() {
        return None;
    }
    // Adding zero makes -0.0 into 0.0.
    let bits = (score + 0.0).to_bits();
    let is_negative = bits >> 63 == 1;
    Some(bits ^ if is_negative { u64::MAX } else { 1 << 63 })
}

/// Both classes, each sorted.
pub(super) struct Order<T> {
    pub(super) positives: Vec<T>,
    pub(super) negatives: Vec<T>,
}

impl<T: Keyed> Order<T> {
    pub(super) fn of(positives: Vec<T>, negatives: Vec<T>) -> Result<Self, NoRoc> {
        if positives.is_empty() {
            return Err(NoRoc::NoPositives);
        }
        if negatives.is_empty() {
            return Err(NoRoc::NoNegatives);
        }
        Ok(Self {
            positives: sorted(positives),
            negatives: sorted(negatives),
        })
    }

    /// Rows of each class.
    pub(super) fn sizes(&self) -> (u64, u64) {
        (self.positives.len() as u64, self.negatives.len() as u64)
    }
}

/// The groups of rows with equal scores, from the lowest.
pub(super) struct Ties<'a, T> {
    order: &'a Order<T>,
    positive: usize,
    negative: usize,
}

impl<'a, T: Keyed> Ties<'a, T> {
    pub(super) const fn of(order: &'a Order<T>) -> Self {
        Self {
            order,
            positive: 0,
            negative: 0,
        }
    }
}

/// The rows with one score: from and up to which of the sorted rows of each class.
pub(super) struct Tie {
    pub(super) positives: (usize, usize),
    pub(super) negatives: (usize, usize),
}

impl Tie {
    pub(super) const fn n_positives(&self) -> u64 {
        (self.positives.1 - self.positives.0) as u64
    }

    pub(super) const fn n_negatives(&self) -> u64 {
        (self.negatives.1 - self.negatives.0) as u64
    }

    /// Twice the number of negatives below, ties counted half.
    pub(super) const fn of_positive(&self) -> u64 {
        (self.negatives.0 + self.negatives.1) as u64
    }

    /// Twice the number of positives above, ties counted half.
    pub(super) const fn of_negative<T>(&self, order: &Order<T>) -> u64 {
        (2 * order.positives.len() - self.positives.0 - self.positives.1) as u64
    }

    /// Positives and negatives with this score or a higher one.
    pub(super) const fn n_at_or_above<T>(&self, order: &Order<T>) -> (u64, u64) {
        (
            (order.positives.len() - self.positives.0) as u64,
            (order.negatives.len() - self.negatives.0) as u64,
        )
    }
}

impl<T: Keyed> Iterator for Ties<'_, T> {
    type Item = Tie;

    fn next(&mut self) -> Option<Tie> {
        let Order {
            positives,
            negatives,
        } = self.order;
        let from = (self.positive, self.negative);
        let key = match (positives.get(from.0), negatives.get(from.1)) {
            (None, None) => return None,
            (Some(positive), None) => positive.key(),
            (None, Some(negative)) => negative.key(),
            (Some(positive), Some(negative)) => positive.key().min(negative.key()),
        };
        while positives
            .get(self.positive)
            .is_some_and(|positive| positive.key() == key)
        {
            self.positive += 1;
        }
        while negatives
            .get(self.negative)
            .is_some_and(|negative| negative.key() == key)
        {
            self.negative += 1;
        }
        Some(Tie {
            positives: (from.0, self.positive),
            negatives: (from.1, self.negative),
        })
    }
}

/// Sorts from the lowest digit to the highest. Digits that all keys share cost nothing: of scores that were f32, the lowest two.
fn sorted<T: Keyed>(mut items: Vec<T>) -> Vec<T> {
    if items.len() < MIN_RADIX {
        items.sort_unstable_by_key(Keyed::key);
        return items;
    }
    let digit = |item: &T, index: usize| {
        (item.key() >> (DIGIT_BITS as usize * index)) as usize & (N_BUCKETS - 1)
    };
    let mut counts = vec![[0_usize; N_BUCKETS]; N_DIGITS];
    for item in &items {
        for (index, counts) in counts.iter_mut().enumerate() {
            counts[digit(item, index)] += 1;
        }
    }
    let mut scratch = vec![T::default(); items.len()];
    for (index, counts) in counts.iter_mut().enumerate() {
        if counts.contains(&items.len()) {
            continue;
        }
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for item in &items {
            let position = &mut counts[digit(item, index)];
            scratch[*position] = *item;
            *position += 1;
        }
        std::mem::swap(&mut items, &mut scratch);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_the_scores() {
        let scores = [
            f64::MIN,
            -1.5,
            -1.0,
            -1e-300,
            0.0,
            5e-324,
            0.1,
            1.0,
            f64::MAX,
        ];
        let keys: Vec<u64> = scores.iter().map(|&score| key(score).unwrap()).collect();
        assert!(keys.is_sorted_by(|left, right| left < right));
        assert_eq!(key(-0.0), key(0.0));
        assert_eq!((key(f64::NAN), key(f64::NEG_INFINITY)), (None, None));
    }

    #[test]
    fn the_radix_sort_sorts() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state
        };
        let wide: Vec<u64> = (0..10_000).map(|_| next()).collect();
        // As few digits as scores that were f32 have.
        let narrow: Vec<u64> = wide.iter().map(|key| key >> 40 << 29).collect();
        for keys in [wide, narrow, vec![7; 5000]] {
            let mut expected = keys.clone();
            expected.sort_unstable();
            assert_eq!(sorted(keys.clone()), expected);
            let rows: Vec<(u64, usize)> = keys.into_iter().zip(0..).collect();
            assert!(sorted(rows).iter().map(Keyed::key).eq(expected));
        }
    }
}
