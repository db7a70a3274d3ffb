//! A verdict: one document for it, and one for each bound of each rule.

use serde_json::{Value, json};
use trainyard_core::gate::{Bound, Decision, RuleResult, Verdict};

use crate::circumstances::{Circumstances, Content};
use crate::document::{Document, Kind};
use crate::evaluation::{figures_of, metric_of};

impl Circumstances<'_> {
    /// The documents of a verdict.
    pub fn verdict(&self, verdict: &Verdict) -> Vec<Document> {
        let rules = verdict.rules.iter().map(|rule| self.rule(verdict, rule));
        let mut documents = vec![self.decision(verdict)];
        documents.extend(rules);
        documents
    }

    fn decision(&self, verdict: &Verdict) -> Document {
        let decided = |decision: Decision| {
            let rules = verdict.rules.iter();
            rules.filter(|rule| rule.decision == decision).count()
        };
        let baseline = verdict.baseline.as_ref();
        let overridden = verdict.overridden.as_ref();
        let content = Content {
            known: json!({
                "model": model_of(verdict),
                "evaluation": {
                    "digest": verdict.evaluation_digest,
                    "n_rows": verdict.n_rows,
                    "data_digest": verdict.data_digest,
                },
                "verdict": {
                    "decision": verdict.verdict,
                    "is_let_through": verdict.is_let_through(),
                    "is_verified": !self.context.is_unverified(),
                    "summary": verdict.summary,
                    "notes": verdict.notes,
                    "rules_digest": verdict.rules_digest,
                    "n_rules": verdict.rules.len(),
                    "n_passed": decided(Decision::Pass),
                    "n_warned": decided(Decision::Warn),
                    "n_failed": decided(Decision::Fail),
                    "n_inconclusive": decided(Decision::Inconclusive),
                    "n_skipped": decided(Decision::Skipped),
                    "missed_rules": verdict.missed_rules(),
                    "overridden_by": overridden.map(|person| &person.by),
                    "override_reason": overridden.map(|person| &person.reason),
                    "baseline_source": baseline.map(|baseline| &baseline.source),
                    "baseline_model_digest": baseline.map(|baseline| &baseline.model_digest),
                },
            }),
            outcome: Some(outcome(verdict.verdict, verdict.is_let_through())),
            ..Content::default()
        };
        self.document(Kind::Verdict, content)
    }

    fn rule(&self, verdict: &Verdict, rule: &RuleResult) -> Document {
        let RuleResult {
            rule_idx,
            bound,
            wanted,
            comparison,
            confidence,
            level,
            outcome: came_out,
            decision,
            reason,
            look: _,
            computation: _,
            holm: _,
        } = rule;
        let mut metric = metric_of(&comparison.key);
        if let Some(measured) = &comparison.measured {
            metric.extend(figures_of(measured));
        }
        let change = comparison.change.as_ref();
        let interval = change.and_then(|change| change.interval.as_ref());
        let (bound, limit) = named(bound);
        let content = Content {
            known: json!({
                "model": model_of(verdict),
                "evaluation": { "digest": verdict.evaluation_digest },
                "metric": metric,
                "rule": {
                    "idx": rule_idx,
                    "bound": bound,
                    "limit": limit,
                    "wanted": wanted,
                    "confidence": confidence,
                    "level": level,
                    "outcome": came_out,
                    "decision": decision,
                    "reason": reason,
                    "baseline_value": comparison.baseline.as_ref().map(|found| found.value),
                    "change": change.map(|change| change.value),
                    "change_lower": interval.map(|interval| interval.lower),
                    "change_upper": interval.map(|interval| interval.upper),
                },
            }),
            outcome: Some(outcome(*decision, decision.is_green())),
            ..Content::default()
        };
        self.document(Kind::Rule, content)
    }
}

fn model_of(verdict: &Verdict) -> Value {
    json!({ "name": verdict.model_name, "digest": verdict.model_digest })
}

/// Elastic's `event.outcome`.
const fn outcome(decision: Decision, is_let_through: bool) -> &'static str {
    match decision {
        _ if is_let_through => "success",
        Decision::Fail => "failure",
        _ => "unknown",
    }
}

/// A bound's key in the configuration, and its number.
const fn named(bound: &Bound) -> (&'static str, Option<f64>) {
    match *bound {
        Bound::Min(limit) => ("min", Some(limit)),
        Bound::Max(limit) => ("max", Some(limit)),
        Bound::MaxDrop(limit) => ("max_drop", Some(limit)),
        Bound::MaxDropPct(limit) => ("max_drop_pct", Some(limit)),
        Bound::MinGain(limit) => ("min_gain", Some(limit)),
        Bound::MinGainPct(limit) => ("min_gain_pct", Some(limit)),
        Bound::MaxNewErrors(limit) => ("max_new_errors", Some(limit as f64)),
        Bound::MustPass => ("must_pass", None),
    }
}
