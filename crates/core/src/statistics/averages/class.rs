//! The counts of one class in a confusion matrix, and the proportion behind each metric of it.

use crate::statistics::Counts;
use crate::statistics::binomial::f1_of_jaccard;

/// What is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Precision,
    Recall,
    F1,
    Jaccard,
}

/// The counts of one class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    pub(super) index: usize,
    pub(super) n_right: f64,
    pub(super) n_labelled: f64,
    pub(super) n_predicted: f64,
}

impl Class {
    pub(super) fn of(counts: &Counts, index: usize) -> Self {
        Self {
            index,
            n_right: counts.n_right(index) as f64,
            n_labelled: counts.n_labelled(index) as f64,
            n_predicted: counts.n_predicted(index) as f64,
        }
    }

    pub(super) fn n_either(&self) -> f64 {
        self.n_labelled + self.n_predicted - self.n_right
    }
}

impl Part {
    /// Rows that the proportion behind this metric is of.
    pub(super) fn n(self, class: &Class) -> f64 {
        match self {
            Self::Precision => class.n_predicted,
            Self::Recall => class.n_labelled,
            Self::F1 | Self::Jaccard => class.n_either(),
        }
    }

    /// The proportion behind this metric; `None` for 0/0.
    pub(super) fn share(self, class: &Class) -> Option<f64> {
        let n = self.n(class);
        (n > 0.0).then(|| class.n_right / n)
    }

    /// The metric as a function of its proportion.
    pub(super) fn of_share(self, share: f64) -> f64 {
        match self {
            Self::F1 => f1_of_jaccard(share),
            Self::Precision | Self::Recall | Self::Jaccard => share,
        }
    }

    /// The derivative of [`Self::of_share`].
    pub(super) fn slope(self, share: f64) -> f64 {
        match self {
            Self::F1 => 2.0 / ((1.0 + share) * (1.0 + share)),
            Self::Precision | Self::Recall | Self::Jaccard => 1.0,
        }
    }
}
