//! The gate: a candidate, a baseline and rules in, one immutable verdict out. No clock: the same [`Case`] gives the same
//! [`Verdict`], whichever stage asks.

mod baseline;
mod bound;
mod candidate;
mod case;
mod change;
mod decision;
mod definition;
mod flips;
mod group;
mod health;
mod looks;
mod mark;
mod must_pass;
mod reading;
mod record;
mod rule;
mod rule_changes;
mod scorecard;
mod shared_rows;
mod summary;
mod verdict;
mod wildcard;

pub use baseline::{Baseline, NO_BASELINE_FILE, NoBaseline, NoBaselineState};
pub use bound::Bound;
pub use candidate::{Candidate, CandidateError};
pub use case::{Case, RULES_FILE, RulesInForce, RulesOrigin, StoredRules, Trust, paired_keys};
pub use decision::{Decision, Outcome};
pub use definition::MAX_RECORD_CHARS;
pub use flips::{ConfusionChange, Flip, FlippedClass, Flips};
pub use health::{RuleHealth, rule_health};
pub use looks::{KeptLooks, LOOKS_FILE, Look, Looks};
pub use mark::Mark;
pub use must_pass::{MUST_PASS_FILE, MustPass};
pub use reading::ReadingError;
pub use record::{BASELINE_FILE, BaselineRecord, HistoryPoint, PredictionsArtifact, RecordError};
pub use rule::{
    CompareRows, FoldScope, Level, MissingBaseline, OnMissing, Rule, RuleGroup, RulesFrom,
    WhenUncertain,
};
pub use rule_changes::rule_changes;
pub use scorecard::Scorecard;
pub use shared_rows::{PartialScores, SHARED_ROWS_FILE, SharedRows};
pub use verdict::{
    BaselineReference, ChangeScope, Comparison, GroupResult, Override, PairedComparison,
    RuleChange, RuleResult, SharedRowCounts, VERDICT_FILE, Verdict, VerdictError,
};

#[cfg(test)]
mod tests;
