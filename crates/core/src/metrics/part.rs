//! Precision, recall and the like of one class, as what a row adds to a numerator and a denominator.

/// A metric of one class as a ratio: what a row adds to numerator and denominator depends on whether it is labelled as the class and
/// whether it is predicted as it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    Precision,
    Recall,
    /// F-beta, with β.
    F(f64),
    Jaccard,
    Specificity,
}

impl Part {
    /// What one row adds to numerator and denominator.
    pub(super) fn terms(self, is_labelled: bool, is_predicted: bool) -> (f64, f64) {
        let is = |is_so| if is_so { 1.0 } else { 0.0 };
        let is_right = is(is_labelled && is_predicted);
        match self {
            Self::Precision => (is_right, is(is_predicted)),
            Self::Recall => (is_right, is(is_labelled)),
            Self::F(beta) => {
                let squared = beta * beta;
                let denominator = squared * is(is_labelled) + is(is_predicted);
                ((1.0 + squared) * is_right, denominator)
            }
            Self::Jaccard => (is_right, is(is_labelled || is_predicted)),
            Self::Specificity => (is(!is_labelled && !is_predicted), is(!is_labelled)),
        }
    }

    /// Why a class without such rows has no value.
    pub(super) const fn without_rows(self) -> &'static str {
        match self {
            Self::Precision => "never predicted",
            Self::Recall => "no labelled rows",
            Self::F(_) | Self::Jaccard => "no labelled and no predicted rows",
            Self::Specificity => "no rows of other classes",
        }
    }
}
