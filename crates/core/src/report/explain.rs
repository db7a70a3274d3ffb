//! Each computation behind a verdict, written out so that a reviewer can check it by hand or with SciPy.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::explain_computation::{computation_steps, holm_step};
use super::step::Step;
use crate::digest::Sha256Digest;
use crate::figure::{count, percent};
use crate::gate::{
    Bound, Computation, Decision, GroupResult, HolmStep, Level, Outcome, RuleResult, Verdict,
};
use crate::measurement::{Evidence, Measurement, MetricKey};
use crate::metrics::catalog;
use crate::statistics::{Interval, IntervalMethod};

/// Why a verdict is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The decision.
    pub verdict: Decision,
    /// In a sentence or two.
    pub summary: String,
    /// Digest of the rules that judged.
    pub rules_digest: Sha256Digest,
    /// Each bound of each rule.
    pub rules: Vec<ExplainedRule>,
    /// Each group of rules, in words.
    pub groups: Vec<String>,
    /// How the verdict follows from the rules.
    pub conclusion: String,
}

/// One bound of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedRule {
    /// Index of the rule in `[[gate.rules]]`, from 0.
    pub rule_idx: usize,
    /// What it is about.
    pub key: MetricKey,
    /// What it asks for, in words.
    pub wanted: String,
    /// The computation, step by step.
    pub steps: Vec<Step>,
    /// The counts and figures behind a decision on a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computation: Option<Computation>,
    /// How Holm's procedure came to it, where the rule has a wildcard and a `confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holm: Option<HolmStep>,
    /// How the bound came out.
    pub outcome: Outcome,
    /// What that comes to.
    pub decision: Decision,
}

pub(super) fn explain(verdict: &Verdict) -> Explanation {
    Explanation {
        verdict: verdict.verdict,
        summary: verdict.summary.clone(),
        rules_digest: verdict.rules_digest.clone(),
        rules: verdict.rules.iter().map(explain_rule).collect(),
        groups: verdict.groups.iter().map(GroupResult::words).collect(),
        conclusion: conclusion(verdict),
    }
}

impl Explanation {
    /// The explanation for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for rule in &self.rules {
            let _ = writeln!(
                text,
                "[{}] {} {}: {}",
                rule.rule_idx,
                rule.key,
                rule.wanted,
                rule.outcome.word()
            );
            for step in &rule.steps {
                let _ = writeln!(text, "    {}: {}", step.what, step.computation);
                if let Some(check) = &step.check {
                    let _ = writeln!(text, "        check: {check}");
                }
            }
        }
        for group in &self.groups {
            let _ = writeln!(text, "group: {group}");
        }
        let _ = writeln!(text, "{}", self.conclusion);
        text.chars()
            .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
            .collect()
    }
}

fn conclusion(verdict: &Verdict) -> String {
    let worst = verdict
        .rules
        .iter()
        .filter(|rule| rule.decision == verdict.verdict)
        .map(|rule| format!("[{}] {}", rule.rule_idx, rule.key()))
        .collect::<Vec<_>>()
        .join(", ");
    let word = verdict.verdict.word();
    if worst.is_empty() {
        return format!("verdict: {word}: {}", verdict.reasons());
    }
    format!("verdict: {word}, the worst of all rules: {worst}")
}

fn explain_rule(rule: &RuleResult) -> ExplainedRule {
    let mut steps = Vec::new();
    let comparison = &rule.comparison;
    if let Some(measured) = &comparison.measured {
        steps.push(value(measured));
        let is_of_value = matches!(rule.bound, Bound::Min(_) | Bound::Max(_));
        if let Some(interval) = measured.interval.filter(|_| is_of_value) {
            steps.push(interval_step("interval", measured, &interval));
        }
    }
    if let Some(baseline) = comparison
        .baseline
        .as_ref()
        .filter(|_| rule.bound.compares())
    {
        steps.push(Step::new("baseline", format!("{}", baseline.value)));
    }
    if let Some(change) = comparison.change.as_ref().filter(|_| rule.bound.compares()) {
        steps.push(Step::new(
            "improvement, positive is better",
            format!("{}", change.value),
        ));
        if let Some(interval) = &change.interval {
            steps.push(interval_step(
                "interval of the improvement",
                change,
                interval,
            ));
        }
        if let Some(computation) = &rule.computation {
            steps.extend(computation_steps(computation));
        }
    }
    if let Some(confidence) = rule.confidence {
        steps.push(Step::new(
            "level",
            format!(
                "confidence {confidence} is two-sided; one end decides, so the nominal error is (1 − {confidence}) / 2 = {} %",
                percent((1.0 - confidence) / 2.0)
            ),
        ));
    }
    steps.extend(rule.holm.as_ref().map(holm_step));
    steps.push(Step::new(
        "bound",
        format!("{}: {}", rule.reason, rule.outcome.word()),
    ));
    let weight = match rule.level {
        Level::Fail => "fail",
        Level::Warn => "warn",
        Level::Info => "info",
    };
    steps.push(Step::new(
        "decision",
        format!(
            "{} at level `{weight}` comes to {}",
            rule.outcome.word(),
            rule.decision.word()
        ),
    ));
    ExplainedRule {
        rule_idx: rule.rule_idx,
        key: rule.key().clone(),
        wanted: rule.wanted.clone(),
        steps,
        computation: rule.computation.clone(),
        holm: rule.holm.clone(),
        outcome: rule.outcome,
        decision: rule.decision,
    }
}

/// The value from what it was computed from.
fn value(measured: &Measurement) -> Step {
    let value = measured.value;
    let rows = measured
        .n_rows
        .map(|n| {
            let counted = catalog::counted(&measured.key.metric);
            format!(", {} behind it", count(n, counted))
        })
        .unwrap_or_default();
    let computation = match &measured.evidence {
        Some(Evidence::Proportion { n_successes, n }) => format!("{n_successes} / {n} = {value}"),
        Some(Evidence::F1 {
            n_true_positives,
            n,
        }) => format!(
            "2 TP / (2 TP + FP + FN) = {} / {} = {value}",
            2 * n_true_positives,
            n + n_true_positives
        ),
        Some(Evidence::Mean(moments)) => format!("the mean of {} values = {value}", moments.n),
        Some(Evidence::RootMean(moments)) => {
            format!(
                "the square root of the mean of {} values, {} = {value}",
                moments.n, moments.mean
            )
        }
        _ => format!("{value}{rows}, as the evaluation says"),
    };
    Step::new("value", computation)
}

fn interval_step(what: &str, of: &Measurement, interval: &Interval) -> Step {
    let Interval {
        lower,
        upper,
        confidence,
        method,
    } = *interval;
    let ends = format!("{lower} to {upper} at {} %", percent(confidence));
    let (how, check) = match (&of.evidence, method) {
        (Some(Evidence::Proportion { n_successes, n }), IntervalMethod::ClopperPearson) => (
            format!(
                "Clopper–Pearson: the {tail} % quantile of Beta({n_successes}, {}) and the {} % quantile of Beta({}, {})",
                n - n_successes + 1,
                percent(f64::midpoint(1.0, confidence)),
                n_successes + 1,
                n - n_successes,
                tail = percent((1.0 - confidence) / 2.0),
            ),
            Some(format!(
                "scipy.stats.binomtest({n_successes}, {n}).proportion_ci({confidence})"
            )),
        ),
        (
            Some(Evidence::F1 {
                n_true_positives,
                n,
            }),
            _,
        ) => (
            format!(
                "Clopper–Pearson of J = TP / (TP + FP + FN) = {n_true_positives} / {n}, each end mapped by 2J / (1 + J)"
            ),
            Some(format!(
                "[2*j/(1+j) for j in scipy.stats.binomtest({n_true_positives}, {n}).proportion_ci({confidence})]"
            )),
        ),
        (Some(Evidence::Mean(moments) | Evidence::RootMean(moments)), _) => (
            format!(
                "t with {} degrees of freedom, corrected for skewness (Hall 1992): n = {}, mean = {}, variance = {}, skewness = {}",
                moments.n.saturating_sub(1),
                moments.n,
                moments.mean,
                moments.variance,
                moments.skewness
            ),
            Some(format!(
                "scipy.stats.t.interval({confidence}, {}, {}, ({}/{})**.5)  # without the correction",
                moments.n.saturating_sub(1),
                moments.mean,
                moments.variance,
                moments.n
            )),
        ),
        (_, method) => (method.words().to_owned(), None),
    };
    Step::new(what, format!("{ends}, by {how}")).checked_by(check)
}
