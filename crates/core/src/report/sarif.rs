//! The report as SARIF 2.1.0, which code-scanning tools and editors show on the lines of the configuration.
//!
//! OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use serde_json::{Value, json};

use super::Report;
use crate::gate::{Decision, Level, Outcome, RuleResult};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// `config` is the configuration's path as the repository has it, where the rules are its; `line` is where the rule with an index
/// stands in it.
pub(super) fn render(
    report: &Report<'_>,
    config: Option<&str>,
    line: impl Fn(usize) -> Option<usize>,
) -> Value {
    let verdict = report.verdict;
    let rules = verdict.rules.iter().map(|rule| {
        json!({
            "id": id(rule),
            "shortDescription": { "text": format!("{} {}", rule.key(), rule.wanted) },
            "defaultConfiguration": { "level": match rule.level {
                Level::Fail => "error",
                Level::Warn => "warning",
                Level::Info => "note",
            } },
        })
    });
    let results = verdict.rules.iter().enumerate().map(|(idx, rule)| {
        let mut result = json!({
            "ruleId": id(rule),
            "ruleIndex": idx,
            "kind": kind(rule),
            "level": level(rule),
            "message": { "text": format!("{} {}: {}", rule.key(), rule.wanted, rule.reason) },
            "partialFingerprints": { "trainyardRule/v1": format!("{} {:?}", rule.key(), rule.bound) },
        });
        if let Some(path) = config {
            let mut place = json!({ "artifactLocation": { "uri": path } });
            if let Some(line) = line(rule.rule_idx) {
                place["region"] = json!({ "startLine": line });
            }
            result["locations"] = json!([{ "physicalLocation": place }]);
        }
        result
    });
    let mut results: Vec<Value> = results.collect();
    let is_explained = verdict
        .rules
        .iter()
        .any(|rule| rule.decision >= verdict.verdict);
    if !verdict.verdict.is_green() && !is_explained {
        // Red for a reason that is not a rule's.
        results.push(json!({
            "ruleId": "verdict",
            "kind": "fail",
            "level": "error",
            "message": { "text": verdict.reasons() },
        }));
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Trainyard",
                "version": verdict.trainyard_version,
                "rules": rules.collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    })
}

/// Stable from run to run as long as the rule stays.
fn id(rule: &RuleResult) -> String {
    format!("gate/{}/{}", rule.rule_idx, rule.key().metric)
}

fn kind(rule: &RuleResult) -> &'static str {
    match rule.outcome {
        Outcome::Holds => "pass",
        Outcome::Missed => "fail",
        Outcome::Uncertain | Outcome::NotJudged => "open",
        Outcome::Skipped => "notApplicable",
    }
}

/// By the standard, every kind but `fail` has the level `none`.
fn level(rule: &RuleResult) -> &'static str {
    match (rule.outcome, rule.decision) {
        (Outcome::Missed, Decision::Fail | Decision::Inconclusive) => "error",
        (Outcome::Missed, Decision::Warn) => "warning",
        (Outcome::Missed, _) => "note",
        _ => "none",
    }
}
