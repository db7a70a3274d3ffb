//! One case: rules in force, candidate, baseline, trust and override in; one verdict out.
//!
//! Property that must hold: turning one more row wrong never makes a rule greener.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::bound::{Bound, is_miss_proven, judge_absolute};
use super::candidate::CandidateError;
use super::change::{self, Basis, Pair, judge_change};
use super::decision::{Decision, Outcome};
use super::flips::Flips;
use super::group;
use super::looks::{Look, Looks};
use super::must_pass::MustPass;
use super::rule::{CompareRows, Level, OnMissing, Rule, WhenUncertain};
use super::scorecard::Scorecard;
use super::summary::summary;
use super::verdict::{
    BaselineReference, Comparison, Override, RuleChange, RuleResult, SCHEMA_VERSION, Verdict,
};
use super::wildcard;
use crate::config::GateConfig;
use crate::digest::Sha256Digest;
use crate::error_chain::in_one_line;
use crate::figure::count;
use crate::measurement::{Direction, Measurement, MetricKey};
use crate::row_set::RowMatch;
use crate::statistics;

/// Heading of a report on numbers that a fork computed.
const UNVERIFIED: &str = "A fork's run computed these numbers, and nothing here has verified them: they are for information only.";

/// Everything that decides a verdict.
#[derive(Debug)]
pub struct Case<'a> {
    /// The rules that judge.
    pub rules: RulesInForce<'a>,
    /// What is judged, or why it cannot be read.
    pub candidate: Result<&'a Scorecard, &'a CandidateError>,
    /// What it is compared with.
    pub baseline: &'a Baseline,
    /// Whether the numbers were computed by a run of the repository itself.
    pub trust: Trust,
    /// A person who let this commit through; counts only for a red verdict on a candidate that could be read.
    pub overridden: Option<&'a Override>,
    /// The model's name, where the candidate does not say one that may be used.
    pub model_name: Option<&'a str>,
    /// Commit that was checked out, when known.
    pub commit: Option<&'a str>,
    /// Version of Trainyard.
    pub trainyard_version: &'a str,
    /// What a change does to the rules that judge it.
    pub rule_changes: &'a [RuleChange],
    /// How the rows that rules list came out, by the file as the rule names it; or why that is not known, as a clause.
    pub must_pass: Option<&'a BTreeMap<String, Result<MustPass, String>>>,
    /// The models judged on these rows so far, this one included, or why they are not known: for `[gate] sequential`.
    pub looks: Result<Option<&'a Looks>, &'a str>,
    /// The rows that one of the two models predicts right and the other wrong, where known; they decide nothing.
    pub flips: Option<&'a Flips>,
    /// What else should be known, in sentences.
    pub notes: &'a [String],
}

/// The rules that judge, and whose they are.
#[derive(Debug, Clone)]
pub struct RulesInForce<'a> {
    /// Rules, and what a missing baseline comes to.
    pub gate: &'a GateConfig,
    /// Digest of the rules.
    pub digest: Sha256Digest,
    /// Whose they are.
    pub origin: RulesOrigin,
}

/// Whose rules judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesOrigin {
    /// Those of the commit that is judged.
    Own,
    /// Those of this base branch or commit.
    Base(String),
    /// Those of the commit that is judged, since the base branch could not be asked, for this reason: the case cannot be
    /// judged.
    Unread(String),
    /// There are none, since the configuration cannot be read, for this reason.
    Broken(String),
}

/// The gate's copy of the base branch's rules, in the folder of the verdict, where those judged.
pub const RULES_FILE: &str = "rules.json";

/// The base branch's rules, as the gate read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRules {
    /// The branch or commit.
    pub reference: String,
    /// Its `[gate]`.
    pub gate: GateConfig,
}

/// Whether the numbers can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// A run of the repository itself computed them.
    #[default]
    Verified,
    /// A fork's run computed them.
    Unverified,
}

impl Case<'_> {
    /// Judges. What cannot be read or computed makes the verdict inconclusive; nothing makes it an error.
    pub fn judge(&self) -> Verdict {
        let gate = self.rules.gate;
        let card = self.candidate.ok();
        let pair = match (card, self.baseline) {
            (
                Some(new),
                Baseline::Ready {
                    card: old, shared, ..
                },
            ) => Some(Pair::new(new, old, shared.as_ref(), gate)),
            _ => None,
        };
        let mut results = card.map_or_else(Vec::new, |card| {
            let rules = gate.rules.iter().enumerate();
            rules
                .flat_map(|(idx, rule)| self.judge_rule(idx, rule, card, pair.as_ref()))
                .collect()
        });
        let groups = if card.is_some() {
            group::decide(gate, &mut results)
        } else {
            Vec::new()
        };
        let verdict = self.decide(&results);
        Verdict {
            schema_version: SCHEMA_VERSION,
            verdict,
            summary: self.summary(verdict, &results),
            model_name: self.model_name(),
            model_digest: card.and_then(|card| card.model_digest.clone()),
            evaluation_digest: card.map(|card| card.source_digest.clone()),
            rules_digest: self.rules.digest.clone(),
            data_digest: card.and_then(|card| card.data_digest.clone()),
            n_rows: card.and_then(Scorecard::n_rows),
            rules: results,
            groups,
            metrics: card.map_or_else(Vec::new, |card| comparisons(card, pair.as_ref())),
            baseline: self.baseline_reference(pair.as_ref()),
            flips: self.flips.filter(|_| pair.is_some()).cloned(),
            rule_changes: self.rule_changes.to_vec(),
            notes: self.notes(pair.as_ref()),
            // Where nothing was measured, there is nothing to let through.
            overridden: self
                .overridden
                .filter(|_| card.is_some() && !verdict.is_green())
                .cloned(),
            files: Vec::new(),
            trainyard_version: self.trainyard_version.to_owned(),
            commit: self.commit.map(str::to_owned),
        }
    }

    /// Whether the case can be judged at all, whatever the rules say.
    fn is_judgeable(&self) -> bool {
        self.candidate.is_ok()
            && !self.rules.gate.rules.is_empty()
            && !matches!(
                self.rules.origin,
                RulesOrigin::Unread(_) | RulesOrigin::Broken(_)
            )
    }

    /// The worst of all rules. A comparison that was skipped leaves a warning at best.
    fn decide(&self, results: &[RuleResult]) -> Decision {
        let worst = results
            .iter()
            .map(|result| match (result.decision, result.level) {
                (Decision::Skipped, Level::Info) => Decision::Pass,
                (Decision::Skipped, _) => Decision::Warn,
                (decision, _) => decision,
            })
            .max()
            .unwrap_or(Decision::Inconclusive);
        let has_judged = results.iter().any(|result| result.outcome.is_judged());
        if self.is_judgeable() && has_judged {
            worst
        } else if self.is_judgeable() {
            // Rules of level `info` that could not be judged change nothing, and prove nothing either.
            worst.max(Decision::Warn)
        } else {
            worst.max(Decision::Inconclusive)
        }
    }

    fn summary(&self, verdict: Decision, results: &[RuleResult]) -> String {
        match self.rules.origin {
            RulesOrigin::Unread(_) => {
                return "The base branch's rules could not be read, so nothing was judged."
                    .to_owned();
            }
            RulesOrigin::Broken(_) => {
                return "The configuration cannot be read, so nothing was judged.".to_owned();
            }
            RulesOrigin::Own | RulesOrigin::Base(_) => {}
        }
        if !self.is_judgeable() {
            return "The model could not be judged.".to_owned();
        }
        summary(verdict, results, self.not_compared())
    }

    /// Why comparing rules are skipped, where they are.
    fn not_compared(&self) -> Option<&str> {
        match self.baseline {
            Baseline::NeverRecorded(reason) | Baseline::NotConfigured(reason) => Some(reason),
            Baseline::Ready { .. } | Baseline::Unavailable(_) => None,
        }
    }

    fn model_name(&self) -> Option<String> {
        let own = self.candidate.ok().and_then(|card| card.model_name.clone());
        let given = self.model_name.map(str::to_owned);
        match self.trust {
            Trust::Verified => own.or(given),
            // A fork must not choose what its report is called.
            Trust::Unverified => given,
        }
    }

    fn judge_rule(
        &self,
        rule_idx: usize,
        rule: &Rule,
        card: &Scorecard,
        pair: Option<&Pair<'_>>,
    ) -> Vec<RuleResult> {
        let keys = keys_of(rule, card, pair.map(|pair| pair.old));
        let look = self.look(rule, card);
        let applied = match &look {
            Ok(Some(look)) => &look.applied(rule),
            _ => rule,
        };
        let bounds = rule.bounds().into_iter();
        bounds
            .flat_map(|bound| {
                let mut judged = if keys.is_empty() {
                    vec![Judged::none_matched(rule)]
                } else {
                    self.judge_keys(applied, bound, &keys, card, pair)
                };
                for judged in &mut judged {
                    match &look {
                        Ok(Some(look)) if judged.outcome.is_judged() => {
                            judged.reason += &look.words();
                        }
                        Ok(_) => {}
                        Err(reason) => {
                            judged.outcome = Outcome::NotJudged;
                            judged.reason.clone_from(reason);
                        }
                    }
                }
                let look = look.as_ref().ok().copied().flatten();
                judged.into_iter().map(move |judged| RuleResult {
                    rule_idx,
                    bound,
                    wanted: bound.wanted(rule.confidence, rule.direction()),
                    confidence: rule.confidence,
                    look,
                    level: rule.level,
                    outcome: judged.outcome,
                    decision: weigh(rule, &judged),
                    comparison: judged.comparison,
                    reason: judged.reason,
                })
            })
            .collect()
    }

    /// The look at which `rule` is judged, where the configuration counts them; or why it is not known, as a clause.
    fn look(&self, rule: &Rule, card: &Scorecard) -> Result<Option<Look>, String> {
        let (Some(confidence), true) = (rule.confidence, self.rules.gate.sequential) else {
            return Ok(None);
        };
        let unknown = |reason: &str| {
            format!("how many models were judged on these rows before is not known: {reason}")
        };
        let alone = Looks::of(card)
            .ok_or_else(|| unknown("neither is it known which rows and which model these are"))?;
        let looks = match self.looks {
            Ok(Some(looks)) if looks.rows_digest == alone.rows_digest => alone.after(looks),
            Ok(_) => alone,
            Err(reason) => return Err(unknown(reason)),
        };
        Ok(Some(looks.look(confidence)))
    }

    /// Each of `keys` by one bound. Where a wildcard's rule asks for confidence, a miss must be proven over all of them.
    fn judge_keys(
        &self,
        rule: &Rule,
        bound: Bound,
        keys: &[MetricKey],
        card: &Scorecard,
        pair: Option<&Pair<'_>>,
    ) -> Vec<Judged> {
        let judge = |key: &MetricKey| self.judge_bound(rule, bound, key, card, pair);
        let mut all: Vec<Judged> = keys.iter().map(judge).collect();
        let Some(level) = rule.confidence.filter(|_| rule.is_wildcard()) else {
            return all;
        };
        let open: Vec<usize> = (0..all.len())
            .filter(|&idx| all[idx].outcome.is_judged())
            .collect();
        let alpha = (1.0 - level) / 2.0;
        let is_missed_at = |idx: usize, alpha: f64| {
            let measured = card.get(&keys[idx]);
            let is_missed = measured.and_then(|measured| {
                let confidence = 1.0 - 2.0 * alpha;
                if confidence <= 0.0 {
                    return Some(true);
                }
                if bound.compares() {
                    change::is_miss_proven(bound, pair?, measured, confidence)
                } else {
                    is_miss_proven(bound, measured, card.confusion.as_ref(), confidence)
                }
            });
            is_missed == Some(true)
        };
        let tests: Vec<_> = open
            .iter()
            .map(|&idx| move |alpha: f64| is_missed_at(idx, alpha))
            .collect();
        let tests: Vec<&dyn Fn(f64) -> bool> = tests.iter().map(|test| test as _).collect();
        let is_proven = statistics::holm_by_level(alpha, &tests);
        for (idx, is_proven) in open.iter().zip(is_proven) {
            let judged = &mut all[*idx];
            if judged.outcome == Outcome::Holds {
                continue;
            }
            judged.outcome = if is_proven {
                Outcome::Missed
            } else {
                Outcome::Uncertain
            };
            judged.reason += &wildcard::reason(is_proven, open.len(), level);
        }
        all
    }

    fn judge_bound(
        &self,
        rule: &Rule,
        bound: Bound,
        key: &MetricKey,
        card: &Scorecard,
        pair: Option<&Pair<'_>>,
    ) -> Judged {
        if bound == Bound::MustPass {
            return self.judge_listed(rule, key, card, pair);
        }
        if let Bound::MaxNewErrors(most) = bound {
            return self.judge_new_errors(most, key, card, pair);
        }
        let Some(measured) = card.get(key).filter(|measured| measured.value.is_finite()) else {
            return Judged {
                comparison: Comparison::of_nothing(key.clone()),
                outcome: Outcome::NotJudged,
                reason: absent(key, card),
                is_absent: card.get(key).is_none(),
            };
        };
        let mut comparison = compared(measured, rule.direction(), pair);
        let n_rows = match pair.filter(|_| bound.compares()) {
            Some(pair) => pair.n_rows(&measured.key).or(measured.n_rows),
            None => measured.n_rows,
        };
        if let Some(mut reason) = too_few_rows(rule, n_rows) {
            if bound.compares() && pair.is_some_and(|pair| pair.counts().is_some()) {
                reason.push_str(", of those that both were scored on");
            }
            return Judged::of(comparison, Outcome::NotJudged, reason);
        }
        let absolute = match bound {
            Bound::Min(min) => Some((min, true)),
            Bound::Max(max) => Some((max, false)),
            _ => None,
        };
        let (outcome, reason) = match (absolute, self.compared_with(pair)) {
            (Some((bound, is_min)), _) => {
                let mut judged = measured.clone();
                let judgement = judge_absolute(
                    rule.confidence,
                    bound,
                    is_min,
                    &mut judged,
                    card.confusion.as_ref(),
                );
                comparison.measured = Some(judged);
                judgement
            }
            (None, Ok(pair)) => judge_change(rule, bound, pair, &mut comparison),
            (None, Err(nothing)) => nothing,
        };
        Judged::of(comparison, outcome, reason)
    }

    /// The rows of a list.
    fn judge_listed(
        &self,
        rule: &Rule,
        key: &MetricKey,
        card: &Scorecard,
        pair: Option<&Pair<'_>>,
    ) -> Judged {
        let file = rule.must_pass.as_ref();
        let file = file.map_or_else(String::new, |file| file.display().to_string());
        let (outcome, reason) = match self.must_pass.and_then(|found| found.get(&file)) {
            Some(Ok(found)) if card.predictions_digest.as_ref() == Some(&found.predictions) => {
                found.judge()
            }
            Some(Err(reason)) => (Outcome::NotJudged, format!("`{file}`: {reason}")),
            Some(Ok(_)) | None => (
                Outcome::NotJudged,
                format!("`{file}`: the predictions of this model are not at hand"),
            ),
        };
        Judged::of(comparison_of(key, card, pair), outcome, reason)
    }

    /// Rows that the baseline predicts right and the candidate wrong, against the most that a rule allows.
    fn judge_new_errors(
        &self,
        most: u64,
        key: &MetricKey,
        card: &Scorecard,
        pair: Option<&Pair<'_>>,
    ) -> Judged {
        let (outcome, reason) = match self.compared_with(pair) {
            Ok(pair) => pair.judge_new_errors(most),
            Err(nothing) => nothing,
        };
        Judged::of(comparison_of(key, card, pair), outcome, reason)
    }

    /// What is compared, or what a comparison comes to where there is nothing to compare with.
    fn compared_with<'p>(
        &self,
        pair: Option<&'p Pair<'p>>,
    ) -> Result<&'p Pair<'p>, (Outcome, String)> {
        match (self.baseline, pair) {
            (Baseline::Ready { .. }, Some(pair)) => Ok(pair),
            (Baseline::Ready { .. } | Baseline::Unavailable(_), _) => Err((
                Outcome::NotJudged,
                "the baseline could not be read".to_owned(),
            )),
            (Baseline::NeverRecorded(reason) | Baseline::NotConfigured(reason), _) => {
                Err((Outcome::Skipped, format!("not judged: {reason}")))
            }
        }
    }

    fn baseline_reference(&self, pair: Option<&Pair<'_>>) -> Option<BaselineReference> {
        /// The level of the paired comparison in the provenance, whatever levels rules ask for.
        const SHOWN_CONFIDENCE: f64 = 0.95;
        let (Baseline::Ready { source, card, .. }, Some(pair)) = (self.baseline, pair) else {
            return None;
        };
        Some(BaselineReference {
            source: source.clone(),
            model_digest: card.model_digest.clone(),
            rows: pair.rows.clone(),
            shared_rows: pair.counts(),
            has_same_predictions: pair.has_same_predictions(),
            paired: pair.paired(SHOWN_CONFIDENCE),
        })
    }

    fn notes(&self, pair: Option<&Pair<'_>>) -> Vec<String> {
        let mut notes = Vec::new();
        if self.trust == Trust::Unverified {
            notes.push(UNVERIFIED.to_owned());
        }
        match &self.rules.origin {
            RulesOrigin::Own => {}
            RulesOrigin::Base(reference) => {
                notes.push(format!("Judged by the rules of {reference}."));
            }
            RulesOrigin::Unread(reason) => notes.push(format!(
                "The rules of the base branch, which judge a change, could not be read: {reason}."
            )),
            // Whatever else is missing follows from it.
            RulesOrigin::Broken(reason) => {
                notes.push(reason.clone());
                return notes;
            }
        }
        if self.rules.gate.rules.is_empty() {
            notes.push(
                "There are no rules, so nothing was judged: add `[[gate.rules]]` to the configuration."
                    .to_owned(),
            );
        }
        if let Err(error) = self.candidate {
            notes.push(format!(
                "The metrics could not be read: {}.",
                in_one_line(error)
            ));
        }
        if let Baseline::Unavailable(reason) = self.baseline {
            notes.push(format!("The baseline could not be read: {reason}."));
        }
        notes.extend(pair.and_then(|pair| note_on_rows(pair, self.rules.gate)));
        if let Ok(card) = self.candidate {
            notes.extend(wildcard::note(&self.rules.gate.rules, card));
        }
        notes.extend(
            self.candidate
                .iter()
                .flat_map(|card| card.notes.iter().cloned()),
        );
        notes.extend(self.notes.iter().cloned());
        notes
    }
}

/// What `rule` judges.
fn keys_of(rule: &Rule, card: &Scorecard, old: Option<&Scorecard>) -> Vec<MetricKey> {
    // New errors are rows, whatever model predicted them.
    if rule.is_wildcard() {
        wildcard::keys(rule, card, old)
    } else {
        vec![card.judged_key(&rule.key())]
    }
}

/// The keys whose change must be compared row by row for the rules to be judged.
pub fn paired_keys(gate: &GateConfig, card: &Scorecard, old: &Scorecard) -> Vec<MetricKey> {
    let is_paired = |rule: &&Rule| {
        let bounds = rule.bounds();
        rule.confidence.is_some()
            && bounds
                .into_iter()
                .any(|bound| bound.compares() && !matches!(bound, Bound::MaxNewErrors(_)))
    };
    let rules = gate.rules.iter().filter(is_paired);
    let mut keys: Vec<MetricKey> = rules
        .flat_map(|rule| keys_of(rule, card, Some(old)))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// One key by one bound.
struct Judged {
    comparison: Comparison,
    outcome: Outcome,
    /// Why, as a clause.
    reason: String,
    /// Whether there is no value to judge.
    is_absent: bool,
}

impl Judged {
    const fn of(comparison: Comparison, outcome: Outcome, reason: String) -> Self {
        Self {
            comparison,
            outcome,
            reason,
            is_absent: false,
        }
    }

    /// Nothing is there that the rule's wildcard stands for.
    fn none_matched(rule: &Rule) -> Self {
        let key = rule.key();
        Self {
            reason: format!("nothing matches `{key}`"),
            comparison: Comparison::of_nothing(key),
            outcome: Outcome::NotJudged,
            is_absent: true,
        }
    }
}

/// What was measured of `key`, if anything, beside the baseline's.
fn comparison_of(key: &MetricKey, card: &Scorecard, pair: Option<&Pair<'_>>) -> Comparison {
    match card.get(key) {
        Some(measured) => compared(measured, None, pair),
        None => Comparison::of_nothing(key.clone()),
    }
}

/// `measured` beside the baseline's.
fn compared(
    measured: &Measurement,
    direction: Option<Direction>,
    pair: Option<&Pair<'_>>,
) -> Comparison {
    match pair {
        Some(pair) => pair.compare(measured, direction),
        None => Comparison {
            key: measured.key.clone(),
            measured: Some(measured.without_evidence()),
            baseline: None,
            change: None,
        },
    }
}

/// Every metric of the candidate beside the baseline's, those of all rows first.
fn comparisons(card: &Scorecard, pair: Option<&Pair<'_>>) -> Vec<Comparison> {
    let (overall, parts): (Vec<_>, Vec<_>) = card
        .measurements
        .iter()
        .filter(|measured| measured.value.is_finite())
        .partition(|measured| measured.key.is_overall());
    let all = overall.into_iter().chain(parts);
    all.map(|measured| compared(measured, None, pair)).collect()
}

/// What should be known about the rows of the two.
fn note_on_rows(pair: &Pair<'_>, gate: &GateConfig) -> Option<String> {
    if pair.has_same_predictions() {
        return Some("The baseline has the same predictions, so nothing has changed.".to_owned());
    }
    match &pair.rows {
        RowMatch::Different { reason } => Some(match &pair.basis {
            Basis::Shared(shared) => {
                let parts = [
                    (shared.n_new, "new"),
                    (shared.n_lost(), "of the baseline gone or relabelled"),
                ];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter(|(n_rows, _)| *n_rows > 0)
                    .map(|(n_rows, what)| format!("{} {what}", is_or_are(n_rows)))
                    .collect();
                let beside = match parts.as_slice() {
                    [] => String::new(),
                    parts => format!("; {}", parts.join(", ")),
                };
                format!(
                    "Changes are those on the {} that both were scored on{beside}.",
                    count(shared.n_rows, "row")
                )
            }
            Basis::Unpaired => format!(
                "The baseline was scored on other rows ({reason}), so changes are those of two samples: whether the rows got harder or the model got worse cannot be told apart."
            ),
            // Where no rule compares, nobody looked for the rows.
            Basis::None(_) if !gate.rules.iter().any(Rule::compares) => {
                format!("The baseline was scored on other rows ({reason}), so no change is shown.")
            }
            Basis::None(reason) if gate.compare_rows != CompareRows::Same => {
                format!("No change can be judged: {reason}.")
            }
            Basis::None(_) | Basis::Same | Basis::Unknown => format!(
                "The baseline was scored on other rows ({reason}), so no change can be judged: set `compare_rows = \"common\"` under `[gate]` for rows with a `row_id`, or score the baseline's model on today's rows."
            ),
        }),
        RowMatch::Unknown => Some(
            "It is not known whether the baseline was scored on the same rows: the files do not say."
                .to_owned(),
        ),
        RowMatch::Same { added, removed, .. } => {
            let changed = [(added, "added"), (removed, "removed")];
            let parts: Vec<String> = changed
                .into_iter()
                .filter(|(columns, _)| !columns.is_empty())
                .map(|(columns, what)| {
                    format!("Columns {what} since the baseline: {}.", columns.join(", "))
                })
                .collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        }
    }
}

fn is_or_are(n_rows: u64) -> String {
    match n_rows {
        1 => "1 is".to_owned(),
        n_rows => format!("{n_rows} are"),
    }
}

/// Only rules of level `fail` can fail the gate or make it inconclusive.
fn weigh(rule: &Rule, judged: &Judged) -> Decision {
    let decision = match judged.outcome {
        _ if judged.is_absent => match rule.on_missing {
            OnMissing::Inconclusive => Decision::Inconclusive,
            OnMissing::Warn => Decision::Warn,
            OnMissing::Fail => Decision::Fail,
        },
        Outcome::Holds => Decision::Pass,
        Outcome::Missed => Decision::Fail,
        Outcome::NotJudged => Decision::Inconclusive,
        Outcome::Skipped => Decision::Skipped,
        Outcome::Uncertain => match rule.when_uncertain.unwrap_or_default() {
            WhenUncertain::Warn => Decision::Warn,
            WhenUncertain::Fail => Decision::Fail,
            WhenUncertain::Pass => Decision::Pass,
        },
    };
    let heaviest = match rule.level {
        Level::Fail => Decision::Fail,
        Level::Warn => Decision::Warn,
        Level::Info => Decision::Pass,
    };
    decision.min(heaviest)
}

/// Why the card has no measurement with `key`.
fn absent(key: &MetricKey, card: &Scorecard) -> String {
    // Names may be of another tool, and many.
    const MAX_NAMES: usize = 20;
    const MAX_CHARS: usize = 80;
    if let Some(reason) = card.why_undefined(key) {
        return format!("`{key}` has no value: {reason}");
    }
    let names: Vec<String> = card
        .measurements
        .iter()
        .filter(|found| found.key.class.is_some() == key.class.is_some())
        .map(|found| found.key.to_string())
        .filter(|name| name.chars().count() <= MAX_CHARS)
        .collect();
    let wanted = key.to_string();
    let distance = |name: &String| strsim::damerau_levenshtein(name, &wanted);
    match names.iter().min_by_key(|name| distance(name)) {
        Some(nearest) if distance(nearest) <= 3 => {
            format!("there is no metric `{wanted}`; did you mean `{nearest}`?")
        }
        Some(_) => {
            let n_more = card.measurements.len() - names.len().min(MAX_NAMES);
            let more = if n_more > 0 {
                format!(" and {n_more} more")
            } else {
                String::new()
            };
            let shown = names[..names.len().min(MAX_NAMES)].join(", ");
            format!("there is no metric `{wanted}`; there are {shown}{more}")
        }
        None => format!("there is no metric `{wanted}`"),
    }
}

fn too_few_rows(rule: &Rule, n_rows: Option<u64>) -> Option<String> {
    let min_rows = rule.min_rows?;
    match n_rows {
        Some(n_rows) if n_rows >= min_rows => None,
        Some(n_rows) => Some(format!(
            "{} behind it, fewer than the {min_rows} that the rule asks for",
            count(n_rows, "row")
        )),
        None => Some(format!(
            "the number of rows behind it is not known, but the rule asks for {min_rows}"
        )),
    }
}
