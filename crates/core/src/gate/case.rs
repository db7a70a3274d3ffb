//! One case: rules in force, candidate, baseline, trust and override in; one verdict out.
//!
//! Property that must hold: turning one more row wrong never makes a rule greener.

use std::collections::BTreeMap;

use super::absent::{absent, too_few_rows};
use super::baseline::Baseline;
use super::bound::{Bound, judge_absolute};
use super::candidate::CandidateError;
use super::change::judge_change;
use super::decision::{Decision, Outcome};
use super::flips::Flips;
use super::fresh_rows::FreshEvidence;
use super::group;
use super::holm;
use super::judged::{Judged, compared, comparison_of, comparisons, weigh};
use super::keys::keys_of;
use super::looks::{Look, Looks};
use super::must_pass::MustPass;
use super::pair::Pair;
use super::row_notes::{note_on_groups, note_on_rows};
use super::row_rules;
use super::rule::{Level, Rule, RuleSequential};
use super::rules_in_force::{RulesInForce, RulesOrigin};
use super::scorecard::Scorecard;
use super::sequential::judge_fresh_rows;
use super::settings::OtherSettings;
use super::summary::summary;
use super::verdict::{
    BaselineReference, Comparison, Override, RuleChange, RuleResult, SCHEMA_VERSION, Verdict,
};
use super::wildcard;
use crate::config::EvaluateConfig;
use crate::error_chain::in_one_line;
use crate::measurement::MetricKey;

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
    /// `[evaluate]` of the configuration, where known: an evaluation by other settings is not what the rules are about.
    pub evaluate: Option<&'a EvaluateConfig>,
    /// The evidence of fresh rows, these included, for rules that accumulate it; without it, it begins with these rows.
    pub fresh_rows: Option<&'a FreshEvidence>,
    /// The rows that one of the two models predicts right and the other wrong, where known; they decide nothing.
    pub flips: Option<&'a Flips>,
    /// What else should be known, in sentences.
    pub notes: &'a [String],
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
        let settings = card.and_then(|card| card.settings.as_ref());
        let settings = OtherSettings::of(self.evaluate, settings);
        let mut results = card.map_or_else(Vec::new, |card| {
            let rules = gate.rules.iter().enumerate();
            rules
                .flat_map(|(idx, rule)| {
                    self.judge_rule(idx, rule, card, pair.as_ref(), settings.as_ref())
                })
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
            notes: self.notes(pair.as_ref(), settings.as_ref()),
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
        // A missed rule of level `info` changes nothing; alone, it is no reason for a pass either.
        let has_judged = results.iter().any(|result| {
            result.outcome.is_judged()
                && (result.level != Level::Info || result.outcome == Outcome::Holds)
        });
        if self.is_judgeable() && has_judged {
            worst
        } else if self.is_judgeable() {
            // Rules of level `info` that could not be judged, or are missed, change nothing, and prove nothing either.
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
        settings: Option<&OtherSettings<'_>>,
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
                    if let Some(reason) =
                        settings.and_then(|found| found.reason(&judged.comparison.key))
                    {
                        judged.outcome = Outcome::NotJudged;
                        judged.reason = reason;
                        // A value that is not there may be once it is measured anew.
                        judged.is_absent = false;
                    }
                }
                let look = look.as_ref().ok().copied().flatten();
                judged.into_iter().map(move |judged| RuleResult {
                    decision: weigh(rule, &judged),
                    rule_idx,
                    bound,
                    wanted: bound.wanted(rule.confidence, rule.direction()),
                    confidence: rule.confidence,
                    look,
                    computation: judged.computation,
                    holm: judged.holm,
                    level: rule.level,
                    outcome: judged.outcome,
                    comparison: judged.comparison,
                    reason: judged.reason,
                })
            })
            .collect()
    }

    /// The look at which `rule` is judged, where the configuration counts them; or why it is not known, as a clause.
    fn look(&self, rule: &Rule, card: &Scorecard) -> Result<Option<Look>, String> {
        // Fresh rows are not looked at again.
        let is_counted = self.rules.gate.sequential && rule.sequential.is_none();
        let (Some(confidence), true) = (rule.confidence, is_counted) else {
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
        holm::judge_many(&mut all, bound, level, keys, card, pair);
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
            let (outcome, reason) = row_rules::judge_listed(rule, self.must_pass, card);
            return Judged::of(comparison_of(key, card, pair), outcome, reason);
        }
        if let Bound::MaxNewErrors(most) = bound {
            let (outcome, reason) = match self.compared_with(pair) {
                Ok(pair) => row_rules::judge_new_errors(most, pair),
                Err(nothing) => nothing,
            };
            return Judged::of(comparison_of(key, card, pair), outcome, reason);
        }
        let Some(measured) = card.get(key).filter(|measured| measured.value.is_finite()) else {
            return Judged {
                comparison: Comparison::of_nothing(key.clone()),
                outcome: Outcome::NotJudged,
                reason: absent(key, card, pair.map(|pair| pair.old)),
                is_absent: card.get(key).is_none(),
                computation: None,
                holm: None,
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
            (None, Ok(pair)) => {
                let (mut outcome, mut reason, mut computation) =
                    judge_change(rule, bound, pair, &mut comparison);
                if let Some((RuleSequential::FreshRows, confidence)) =
                    rule.sequential.zip(rule.confidence)
                    && !pair.is_unchanged(key, bound)
                {
                    // These rows alone decide nothing.
                    if let Some(change) = &mut comparison.change {
                        change.interval = None;
                    }
                    (outcome, reason, computation) =
                        judge_fresh_rows(bound, confidence, pair, self.fresh_rows);
                }
                return Judged {
                    computation,
                    ..Judged::of(comparison, outcome, reason)
                };
            }
            (None, Err(nothing)) => nothing,
        };
        Judged::of(comparison, outcome, reason)
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

    fn notes(&self, pair: Option<&Pair<'_>>, settings: Option<&OtherSettings<'_>>) -> Vec<String> {
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
        match self.candidate {
            Err(CandidateError::Mismatch(mismatch)) => {
                notes.push(format!("Another model would be judged: {mismatch}."));
            }
            Err(error) => notes.push(format!(
                "The metrics could not be read: {}.",
                in_one_line(error)
            )),
            Ok(_) => {}
        }
        if let Baseline::Unavailable(reason) = self.baseline {
            notes.push(format!("The baseline could not be read: {reason}."));
        }
        notes.extend(settings.map(OtherSettings::note));
        notes.extend(pair.and_then(|pair| note_on_rows(pair, self.rules.gate)));
        notes.extend(pair.and_then(note_on_groups));
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
