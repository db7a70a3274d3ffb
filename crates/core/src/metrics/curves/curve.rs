//! What is known of one class's curve, and which averages there are over the classes.

use crate::metrics::curve_points::Points;
use crate::metrics::estimate::Spread;
use crate::statistics::Roc;

/// Averages over classes.
#[derive(Debug, Clone, Copy)]
pub(in crate::metrics) enum Average {
    RocAuc,
    RocAucWeighted,
    RocAucOvo,
    Precision,
    PrecisionWeighted,
}

pub(super) const N_AVERAGES: usize = 5;

/// One class against the others.
#[derive(Debug)]
pub(in crate::metrics) struct Curve {
    /// Of a plain sample.
    pub(in crate::metrics) roc: Option<Roc>,
    pub(in crate::metrics) area: Spread,
    pub(in crate::metrics) precision: Spread,
    /// To be drawn; absent where there are too many classes.
    pub(in crate::metrics) points: Option<Points>,
}
