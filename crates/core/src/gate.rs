//! The gate: a scorecard, a baseline and rules in, a verdict out. No file, no clock: the same inputs judge the same.

mod judge;
mod rule;
mod scorecard;

pub(crate) use judge::figure;
pub use judge::{Baseline, Chain, judge};
pub use rule::{Level, MissingBaseline, Rule, WhenUncertain};
pub use scorecard::{Measured, Scorecard, ScorecardError};

#[cfg(test)]
mod tests;
