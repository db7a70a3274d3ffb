//! Cross-validation: labels, groups or an order of rows in, folds out.
//!
//! Without `shuffle` the folds are exactly scikit-learn 1.9's of the same name. With it they have the same sizes and
//! guarantees, drawn by our own generator: NumPy's stream is not reproduced.

mod group;
mod k_fold;
pub mod keys;
mod record;
mod stratified;
mod stratified_group;
mod time_series;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Stream};
pub use keys::KeyError;
pub use record::{CROSS_VALIDATION_FILE, CrossValidation, FoldRecord};

/// How rows are divided into folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldMethod {
    /// Blocks of rows of equal size.
    KFold,
    /// Each fold has the classes' shares of the whole.
    StratifiedKFold,
    /// All rows of a group are in one fold.
    GroupKFold,
    /// All rows of a group are in one fold, and each fold has about the classes' shares of the whole.
    StratifiedGroupKFold,
    /// Each fold is tested on the rows that follow those it is trained on.
    TimeSeriesSplit,
}

impl FoldMethod {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KFold => "k_fold",
            Self::StratifiedKFold => "stratified_k_fold",
            Self::GroupKFold => "group_k_fold",
            Self::StratifiedGroupKFold => "stratified_group_k_fold",
            Self::TimeSeriesSplit => "time_series_split",
        }
    }

    /// Whether the folds follow classes.
    pub const fn is_stratified(self) -> bool {
        matches!(self, Self::StratifiedKFold | Self::StratifiedGroupKFold)
    }

    /// Whether the folds follow groups.
    pub const fn is_grouped(self) -> bool {
        matches!(self, Self::GroupKFold | Self::StratifiedGroupKFold)
    }
}

/// What is to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splitter {
    /// How rows are divided.
    pub method: FoldMethod,
    /// Folds of one repeat, at least 2.
    pub n_splits: usize,
    /// How often the rows are divided anew; more than once makes sense only with a seed.
    pub n_repeats: usize,
    /// Seed of the shuffles; without one the folds are decided by the rows alone.
    pub seed: Option<u64>,
}

/// What is known of the rows to be divided.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows<'a> {
    /// How many there are.
    pub n_rows: usize,
    /// The class of each, for a classifier.
    pub labels: Option<&'a [u32]>,
    /// The group of each, numbered from 0 without gaps in the order of the groups' names; see [`keys::groups`].
    pub groups: Option<&'a [u32]>,
    /// The rows in the order of time; as they stand where it is absent. See [`keys::by_time`].
    pub order: Option<&'a [u32]>,
}

/// One fold. Both lists ascend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Counted from 0.
    pub repeat: usize,
    /// Counted from 0 within the repeat.
    pub fold: usize,
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

/// All folds of a cross-validation, repeat by repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    n_splits: usize,
    repeats: Vec<Division>,
    /// What a reader should know.
    pub notes: Vec<FoldNote>,
}

/// How one repeat divides the rows: small, since the folds' own lists take `n_splits` times the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Division {
    /// For each row, the fold that is tested on it.
    Partition(Vec<u32>),
    /// Rows in the order of time; the last `n_splits` blocks of `n_test` rows are tested.
    Chronological { order: Vec<u32>, n_test: usize },
}

/// Why rows cannot be divided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// There are fewer rows than folds.
    #[error(
        "{n_rows} rows are too few for `n_splits = {n_splits}`: write at most `n_splits = {n_rows}`"
    )]
    Rows {
        /// Rows that there are.
        n_rows: usize,
        /// Folds asked for.
        n_splits: usize,
    },
    /// There are fewer rows than blocks of time.
    #[error(
        "{n_rows} rows are too few for `n_splits = {n_splits}`: `time_series_split` needs one row more than folds"
    )]
    Blocks {
        /// Rows that there are.
        n_rows: usize,
        /// Folds asked for.
        n_splits: usize,
    },
    /// There are fewer groups than folds.
    #[error(
        "{n_groups} groups are too few for `n_splits = {n_splits}`: write at most `n_splits = {n_groups}`"
    )]
    Groups {
        /// Groups that there are.
        n_groups: usize,
        /// Folds asked for.
        n_splits: usize,
    },
    /// No class has as many rows as there are folds.
    #[error(
        "no class has {n_splits} rows, the largest has {n_largest}: write at most `n_splits = {n_largest}`, or `method = \"{instead}\"`"
    )]
    Classes {
        /// Rows of the largest class.
        n_largest: usize,
        /// Folds asked for.
        n_splits: usize,
        /// The method that does not stratify.
        instead: &'static str,
    },
    /// A fold would have nothing to test.
    #[error(
        "fold {} of {n_splits} would have no rows: write a smaller `n_splits`, or `method = \"group_k_fold\"`",
        fold + 1
    )]
    Empty {
        /// Counted from 0.
        fold: usize,
        /// Folds asked for.
        n_splits: usize,
    },
}

/// What a reader of a cross-validation should know; of a repeated one, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldNote {
    /// A class has fewer rows than there are folds, so that some folds are not tested on it.
    SmallClass {
        /// Its index.
        class: u32,
        /// Its rows.
        n_rows: usize,
    },
    /// A class is tested in a fold that is not trained on it.
    Unseen {
        /// Its index.
        class: u32,
        /// Counted from 0, over all repeats.
        fold_idx: usize,
    },
}

impl Splitter {
    /// Divides `rows`. Labels are needed to stratify and groups to keep them together.
    ///
    /// # Errors
    ///
    /// Where there are too few rows, rows of each class or groups.
    pub fn split(&self, rows: &Rows<'_>) -> Result<Folds, FoldError> {
        let repeats = (0..self.n_repeats).map(|repeat| self.divide(rows, repeat));
        let mut folds = Folds {
            n_splits: self.n_splits,
            repeats: repeats.collect::<Result<_, _>>()?,
            notes: Vec::new(),
        };
        if let Some(labels) = rows.labels {
            folds.notes = self.notes(labels, &folds);
        }
        Ok(folds)
    }

    fn divide(&self, rows: &Rows<'_>, repeat: usize) -> Result<Division, FoldError> {
        let Self {
            method,
            n_splits,
            seed,
            ..
        } = *self;
        let shuffles = seed.map(|seed| Shuffles { seed, repeat });
        let n_rows = rows.n_rows;
        if n_rows < n_splits {
            return Err(FoldError::Rows { n_rows, n_splits });
        }
        let labels = || rows.labels.expect("a stratified method comes with labels");
        let groups = || rows.groups.expect("a grouped method comes with groups");
        let fold_of = match method {
            FoldMethod::KFold => k_fold::assign(n_rows, n_splits, shuffles),
            FoldMethod::StratifiedKFold => stratified::assign(labels(), n_splits, shuffles)?,
            FoldMethod::GroupKFold => group::assign(groups(), n_splits, shuffles)?,
            FoldMethod::StratifiedGroupKFold => {
                stratified_group::assign(labels(), groups(), n_splits, shuffles)?
            }
            FoldMethod::TimeSeriesSplit => {
                return Ok(Division::Chronological {
                    order: rows
                        .order
                        .map_or_else(|| (0..n_rows as u32).collect(), <[u32]>::to_vec),
                    n_test: time_series::n_test(n_rows, n_splits)?,
                });
            }
        };
        Ok(Division::Partition(fold_of))
    }

    fn notes(&self, labels: &[u32], folds: &Folds) -> Vec<FoldNote> {
        let counts = counts(labels);
        let small = counts
            .iter()
            .enumerate()
            .filter(|(_, n_rows)| **n_rows > 0 && **n_rows < self.n_splits)
            .map(|(class, n_rows)| FoldNote::SmallClass {
                class: class as u32,
                n_rows: *n_rows,
            });
        let mut notes: Vec<FoldNote> = small.filter(|_| self.method.is_stratified()).collect();
        for (fold_idx, fold) in folds.iter().enumerate() {
            let mut is_trained = vec![false; counts.len()];
            fold.train
                .iter()
                .for_each(|&row| is_trained[labels[row] as usize] = true);
            let tested: std::collections::BTreeSet<u32> =
                fold.test.iter().map(|&row| labels[row]).collect();
            let unseen = tested
                .into_iter()
                .filter(|class| !is_trained[*class as usize]);
            notes.extend(unseen.map(|class| FoldNote::Unseen { class, fold_idx }));
        }
        notes
    }
}

impl Folds {
    /// How many there are, over all repeats.
    pub const fn len(&self) -> usize {
        self.repeats.len() * self.n_splits
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All folds, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = Fold> + '_ {
        (0..self.len()).map(|fold_idx| self.get(fold_idx))
    }

    /// The fold at `fold_idx = repeat * n_splits + fold`.
    ///
    /// # Panics
    ///
    /// Where there is no such fold.
    pub fn get(&self, fold_idx: usize) -> Fold {
        let (repeat, fold) = (fold_idx / self.n_splits, fold_idx % self.n_splits);
        let (train, test) = match &self.repeats[repeat] {
            Division::Partition(fold_of) => {
                (0..fold_of.len()).partition(|&row| fold_of[row] as usize != fold)
            }
            Division::Chronological { order, n_test } => {
                let start = order.len() - (self.n_splits - fold) * n_test;
                let ascending = |rows: &[u32]| {
                    let mut rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
                    rows.sort_unstable();
                    rows
                };
                (
                    ascending(&order[..start]),
                    ascending(&order[start..start + n_test]),
                )
            }
        };
        Fold {
            repeat,
            fold,
            train,
            test,
        }
    }
}

/// Where the shuffles of one repeat come from.
#[derive(Debug, Clone, Copy)]
struct Shuffles {
    seed: u64,
    repeat: usize,
}

impl Shuffles {
    /// A stream for one `part` of the rows, such as a class.
    const fn stream(self, part: u32) -> Stream {
        Stream::part(self.seed, Purpose::Folds, self.repeat as u32, part)
    }
}

/// How often each number occurs.
fn counts(numbers: &[u32]) -> Vec<usize> {
    let n_numbers = numbers.iter().max().map_or(0, |max| *max as usize + 1);
    let mut counts = vec![0; n_numbers];
    numbers
        .iter()
        .for_each(|&number| counts[number as usize] += 1);
    counts
}

/// Whether any class can be in each of the folds; scikit-learn raises there too.
fn check_classes(
    labels: &[u32],
    n_splits: usize,
    instead: FoldMethod,
) -> Result<Vec<usize>, FoldError> {
    let counts = counts(labels);
    let n_largest = counts.iter().copied().max().unwrap_or(0);
    if n_largest < n_splits {
        return Err(FoldError::Classes {
            n_largest,
            n_splits,
            instead: instead.name(),
        });
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
