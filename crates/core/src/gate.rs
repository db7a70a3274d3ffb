//! The gate: a scorecard, a baseline and rules in, a verdict out. No clock: the same files judge the same, whichever
//! stage asks.

mod case;
mod judge;
mod record;
mod rule;
mod scorecard;

pub use case::{Candidate, Case, Given};
pub use judge::figure;
pub use judge::{Baseline, Chain, judge};
pub use record::{
    BASELINE_FILE, BaselineRecord, HistoryPoint, MAX_RECORD_CHARS, RecordError, RecordedMetric,
};
pub use rule::{Level, MissingBaseline, Rule, RulesFrom, WhenUncertain};
pub use scorecard::{Measured, Scorecard, ScorecardError};

#[cfg(test)]
mod tests;
