//! Rows in the ascending order of one column of scores, a part of them at a time.
//!
//! Scores become integers that order alike. Their upper bits give each row a bucket, and rows go straight from the column to their place
//! in a bucket, which is small enough to be sorted in the cache: nothing but the rows of a part is held beside the scores.

/// Upper bits of a key that give the bucket.
const BUCKET_BITS: u32 = 16;
const N_BUCKETS: usize = 1 << BUCKET_BITS;

/// Below this many rows, comparing is faster than counting.
const MIN_FOR_BUCKETS: usize = 1 << 16;

/// More rows are sorted in parts, so that while one is walked over and another sorted, not all rows are held.
const MAX_IN_ONE_PART: usize = 1 << 20;
const MAX_PARTS: usize = 3;

/// A score as an integer that sorts alike, and a number of its row's.
pub(super) trait Keyed: Copy + Ord + Default + Send + Sync {
    type Score: Copy + Send + Sync;
    fn new(score: Self::Score, of_row: u32) -> Self;
    fn bucket(score: Self::Score) -> usize;
    fn of_row(self) -> u32;
    fn is_tied_with(self, other: Self) -> bool;
}

/// The key in the upper half, the row's number in the lower.
impl Keyed for u64 {
    type Score = f32;

    fn new(score: f32, of_row: u32) -> Self {
        Self::from(key_f32(score)) << 32 | Self::from(of_row)
    }

    fn bucket(score: f32) -> usize {
        (key_f32(score) >> (u32::BITS - BUCKET_BITS)) as usize
    }

    fn of_row(self) -> u32 {
        (self & 0xffff_ffff) as u32
    }

    fn is_tied_with(self, other: Self) -> bool {
        self >> 32 == other >> 32
    }
}

impl Keyed for (u64, u32) {
    type Score = f64;

    fn new(score: f64, of_row: u32) -> Self {
        (key_f64(score), of_row)
    }

    fn bucket(score: f64) -> usize {
        (key_f64(score) >> (u64::BITS - BUCKET_BITS)) as usize
    }

    fn of_row(self) -> u32 {
        self.1
    }

    fn is_tied_with(self, other: Self) -> bool {
        self.0 == other.0
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

/// Some rows of one class, the lowest score first.
pub(super) struct Part<K> {
    pub(super) class: usize,
    pub(super) rows: Vec<K>,
    /// Whether the class's highest scores are among them.
    pub(super) is_last: bool,
}

/// The parts of each of some classes, lowest scores first.
pub(super) struct Parts<'a, K: Keyed, R> {
    /// `[n_rows, n_classes]`.
    scores: &'a [K::Score],
    n_classes: usize,
    /// A number that goes with a row.
    of_row: R,
    classes: std::vec::IntoIter<usize>,
    rest: Option<Rest<K::Score>>,
}

/// What is still to come of a class.
struct Rest<S> {
    class: usize,
    column: Vec<S>,
    n_in_bucket: Vec<u32>,
    /// Where each part that is still to come ends.
    ends: std::vec::IntoIter<usize>,
    start: usize,
}

impl<'a, K: Keyed, R: Fn(usize) -> u32> Parts<'a, K, R> {
    pub(super) fn new(
        scores: &'a [K::Score],
        n_classes: usize,
        classes: Vec<usize>,
        of_row: R,
    ) -> Self {
        Self {
            scores,
            n_classes,
            of_row,
            classes: classes.into_iter(),
            rest: None,
        }
    }

    /// The next part, in the `room` of an earlier one.
    pub(super) fn next(&mut self, mut room: Vec<K>) -> Option<Part<K>> {
        room.clear();
        let rest = if let Some(rest) = self.rest.take() {
            rest
        } else {
            let class = self.classes.next()?;
            let column = self.scores.iter().skip(class).step_by(self.n_classes);
            if column.len() < MIN_FOR_BUCKETS {
                let rows = column.enumerate();
                room.extend(rows.map(|(row, &score)| K::new(score, (self.of_row)(row))));
                room.sort_unstable();
                return Some(Part {
                    class,
                    rows: room,
                    is_last: true,
                });
            }
            Rest::of::<K>(class, column.copied().collect())
        };
        Some(self.part_of(rest, room))
    }

    fn part_of(&mut self, mut rest: Rest<K::Score>, mut rows: Vec<K>) -> Part<K> {
        let end = rest.ends.next().unwrap_or(N_BUCKETS);
        let buckets = rest.start..end;
        let n_buckets = buckets.len();
        let mut places = vec![0; n_buckets + 1];
        let mut n_in_part = 0;
        for (place, n) in places.iter_mut().zip(&rest.n_in_bucket[buckets.clone()]) {
            *place = n_in_part;
            n_in_part += n;
        }
        // Rows of other parts all go to one place behind: a branch would be guessed wrong too often.
        places[n_buckets] = n_in_part;
        rows.resize(n_in_part as usize + 1, K::default());
        for (row, &score) in rest.column.iter().enumerate() {
            let bucket = K::bucket(score).wrapping_sub(rest.start);
            let place = &mut places[bucket.min(n_buckets)];
            rows[*place as usize] = K::new(score, (self.of_row)(row));
            *place += u32::from(bucket < n_buckets);
        }
        rows.truncate(n_in_part as usize);
        let mut unsorted = rows.as_mut_slice();
        for n in &rest.n_in_bucket[buckets] {
            let (of_bucket, behind) = unsorted.split_at_mut(*n as usize);
            of_bucket.sort_unstable();
            unsorted = behind;
        }
        let part = Part {
            class: rest.class,
            rows,
            is_last: rest.ends.as_slice().is_empty(),
        };
        rest.start = end;
        self.rest = (!part.is_last).then_some(rest);
        part
    }
}

impl<S: Copy> Rest<S> {
    fn of<K: Keyed<Score = S>>(class: usize, column: Vec<S>) -> Self {
        let mut n_in_bucket = vec![0; N_BUCKETS];
        column
            .iter()
            .for_each(|score| n_in_bucket[K::bucket(*score)] += 1);
        let n_parts = if column.len() > MAX_IN_ONE_PART {
            MAX_PARTS
        } else {
            1
        };
        Self {
            ends: ends(&n_in_bucket, column.len(), n_parts).into_iter(),
            class,
            column,
            n_in_bucket,
            start: 0,
        }
    }
}

/// Where each of at most `n_parts` parts ends, of which none is empty.
fn ends(n_in_bucket: &[u32], n_rows: usize, n_parts: usize) -> Vec<usize> {
    let (mut ends, mut n_in_part) = (Vec::new(), 0);
    for (bucket, n) in n_in_bucket.iter().enumerate() {
        n_in_part += *n as usize;
        if ends.len() + 1 < n_parts && n_in_part >= n_rows / n_parts {
            ends.push(bucket + 1);
            n_in_part = 0;
        }
    }
    if n_in_part == 0 {
        ends.pop();
    }
    ends.push(n_in_bucket.len());
    ends
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

    /// The rows of all parts of one class of two, one after the other, and the number of parts.
    fn rows_of<K: Keyed>(scores: &[K::Score]) -> (Vec<usize>, usize) {
        let mut parts = Parts::<K, _>::new(scores, 2, vec![1], |row| row as u32);
        let (mut rows, mut n_parts, mut room) = (Vec::new(), 0, Vec::new());
        while let Some(part) = parts.next(room) {
            rows.extend(part.rows.iter().map(|row| row.of_row() as usize));
            n_parts += 1;
            room = part.rows;
            assert_eq!(part.is_last, rows.len() == scores.len() / 2);
        }
        (rows, n_parts)
    }

    #[test]
    fn rows_come_in_the_order_of_their_scores_however_many_there_are() {
        for (n_rows, expected_parts) in [
            (2_000, 1),
            (MIN_FOR_BUCKETS, 1),
            (MAX_IN_ONE_PART + 1, MAX_PARTS),
        ] {
            // The other class's scores are in between; there are ties, and scores below 0.
            let score = |place: usize| ((place / 2 * 7919) % 4001) as f64 / 4001.0 - 0.25;
            let scores: Vec<f64> = (0..2 * n_rows).map(score).collect();
            let single: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
            let mut expected: Vec<usize> = (0..n_rows).collect();
            let of_class = |row: &usize| scores[2 * row + 1];
            expected.sort_by(|left, right| of_class(left).total_cmp(&of_class(right)));
            for found in [rows_of::<(u64, u32)>(&scores), rows_of::<u64>(&single)] {
                assert_eq!(found, (expected.clone(), expected_parts));
            }
        }
        // All in one bucket, and all but one.
        let mut scores = vec![0.5_f32; 2 * MAX_IN_ONE_PART + 2];
        assert_eq!(rows_of::<u64>(&scores).1, 1);
        scores[7] = 0.1;
        let (rows, n_parts) = rows_of::<u64>(&scores);
        assert_eq!((rows[0], rows[1], n_parts), (3, 0, 1));
        scores[7] = 0.9;
        let (rows, n_parts) = rows_of::<u64>(&scores);
        assert_eq!((rows.last(), n_parts), (Some(&3), 2));
    }
}
