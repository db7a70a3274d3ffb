//! The gate: a candidate, a baseline and rules in, one immutable verdict out. No clock: the same [`Case`] gives the same
//! [`Verdict`], whichever stage asks.

mod absent;
mod baseline;
mod baseline_place;
mod bound;
mod candidate;
mod case;
mod change;
mod change_interval;
mod computation;
mod decision;
mod definition;
mod expected;
mod flips;
mod fresh_rows;
mod group;
mod health;
mod holm;
mod judged;
mod keys;
mod looks;
mod mark;
mod must_pass;
mod pair;
mod reading;
mod record;
mod row_notes;
mod row_rules;
mod rule;
mod rule_changes;
mod rule_problems;
mod rules_in_force;
mod scorecard;
mod sequential;
mod settings;
mod shared_rows;
mod summary;
mod verdict;
mod wildcard;

pub use baseline::{Baseline, NO_BASELINE_FILE, NoBaseline, NoBaselineState};
pub use baseline_place::{BaselinePlace, BaselinePlaceError};
pub use bound::Bound;
pub use candidate::{Candidate, CandidateError};
pub use case::{Case, Trust};
pub use computation::{Computation, EProcessSet, HolmStep, PValueBound};
pub use decision::{Decision, Outcome};
pub use definition::MAX_RECORD_CHARS;
pub use expected::{Expected, Mismatch};
pub use flips::{ConfusionChange, Flip, FlippedClass, Flips};
pub use fresh_rows::{FRESH_ROWS_FILE, FreshEvidence, FreshRows, FreshSet, RowIds, RowIdsError};
pub use health::{RuleHealth, rule_health};
pub use keys::{compared_keys, paired_keys};
pub use looks::{KeptLooks, LOOKS_FILE, Look, Looks};
pub use mark::Mark;
pub use must_pass::{MUST_PASS_FILE, MustPass};
pub use reading::ReadingError;
pub use record::{BASELINE_FILE, BaselineRecord, HistoryPoint, PredictionsArtifact, RecordError};
pub use rule::{
    CompareRows, FoldScope, Level, MissingBaseline, OnMissing, Rule, RuleGroup, RuleSequential,
    RulesFrom, WhenUncertain,
};
pub use rule_changes::rule_changes;
pub use rules_in_force::{RULES_FILE, RulesInForce, RulesOrigin, StoredRules};
pub use scorecard::Scorecard;
pub use shared_rows::{PartialScores, SHARED_ROWS_FILE, SharedRows};
pub use verdict::{
    BaselineReference, ChangeScope, Comparison, GroupResult, Override, PairedComparison,
    RuleChange, RuleResult, SharedRowCounts, VERDICT_FILE, Verdict, VerdictError,
};

#[cfg(test)]
mod tests;
