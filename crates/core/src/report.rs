//! One report value, rendered for every place where people read it. Figures and charts come from the same numbers.
//!
//! A report renders keys and numbers; it decides nothing, and joins by key, never by words.

mod assessment;
mod badge;
mod chart;
mod classes;
mod curve_charts;
mod explain;
mod explain_computation;
mod flips;
mod html;
mod joined;
mod junit;
mod markdown;
mod mermaid;
mod model_card;
mod model_index;
mod open_metrics;
mod parts;
mod release;
mod release_notes;
mod sarif;
mod sections;
mod step;
mod terminal;
mod text;
mod unchanged;
mod verdict_page;
mod yaml;

use crate::evaluation::Evaluation;
use crate::figure::{aligned, change, figure};
use crate::gate::{Comparison, Decision, HistoryPoint, RuleResult, Verdict};
use crate::measurement::MetricKey;
use crate::metrics::catalog;

pub use assessment::{ASSESSMENT_VARIABLE, AssessedMetric, Assessment};
pub use chart::{confusion_matrix, fold_chart, learning_curve};
pub use curve_charts::{precision_recall_chart, reliability_chart, roc_chart};
pub use explain::{ExplainedRule, Explanation};
pub use html::evaluation_page;
pub use joined::{Leg, LegOutcome, joined_decision, joined_markdown, joined_title};
pub use markdown::icon as decision_icon;
pub use mermaid::reliability as reliability_markdown;
pub use model_card::{MODEL_CARD_FILE, model_card};
pub use open_metrics::open_metrics;
pub use parts::{FoldFigures, SliceRow, SliceTable};
pub use release::Release;
pub use release_notes::{RELEASE_NOTES_FILE, release_notes};
pub use step::Step;
pub use text::escape;
pub use unchanged::{UNCHANGED_FILE, UnchangedSince, unchanged_report};

/// GitHub's limit of a comment, in characters.
pub const COMMENT_LIMIT: usize = 65_536;

/// A verdict and the evaluation behind it, ready to be rendered.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What the gate decided.
    pub verdict: &'a Verdict,
    /// What it judged, for the details; absent when only metrics were at hand.
    pub evaluation: Option<&'a Evaluation>,
    /// Where the run can be seen.
    pub run_url: Option<&'a str>,
    /// The artifact in which the workflow keeps the evaluation's page.
    pub artifact: Option<&'a str>,
    /// The commit that was checked out, where it is not the one that the verdict names: GitHub's merge commit.
    pub tested_commit: Option<&'a str>,
    /// The runs before this one and itself, the oldest first.
    pub history: &'a [HistoryPoint],
}

impl<'a> Report<'a> {
    /// The first line, without markup: verdict, model, headline metric and its change.
    pub fn title(&self) -> String {
        let model = shortened(self.verdict.model_name.as_deref().unwrap_or("model"));
        let headline = self
            .headline()
            .and_then(|row| {
                let value = value_and_change(row)?;
                Some(format!(": {} {value}", shortened(&row.key.to_string())))
            })
            .unwrap_or_default();
        format!("{} · {model}{headline}", self.decision())
    }

    /// The verdict in a word or two.
    fn decision(&self) -> String {
        let word = capitalised(self.verdict.verdict);
        match &self.verdict.overridden {
            Some(_) => format!("{word}, overridden"),
            None => word.to_owned(),
        }
    }

    /// The headline metric as JSON for a badge by shields.io.
    pub fn badge(&self) -> serde_json::Value {
        badge::render(self)
    }

    /// The report as JUnit XML, one test case per bound of a rule.
    pub fn junit(&self) -> String {
        junit::render(self)
    }

    /// The report as SARIF 2.1.0. `config` is the configuration's path as the repository has it, where the rules are its, and
    /// `line` the line of the rule with an index.
    pub fn sarif(
        &self,
        config: Option<&str>,
        line: impl Fn(usize) -> Option<usize>,
    ) -> serde_json::Value {
        sarif::render(self, config, line)
    }

    /// How each rule came out, computation by computation, so that it can be checked by hand.
    pub fn explanation(&self) -> Explanation {
        explain::explain(self.verdict)
    }

    /// The report as GitHub-flavoured Markdown of at most `max_chars` characters.
    ///
    /// What does not fit is omitted, least important first, and named.
    pub fn markdown(&self, max_chars: usize) -> String {
        markdown::render(self, max_chars)
    }

    /// The report as one self-contained page.
    pub fn page(&self) -> Result<String, minijinja::Error> {
        verdict_page::render(self)
    }

    /// The report for a terminal; `has_colour` adds ANSI colours to words that stand for themselves.
    pub fn terminal(&self, has_colour: bool) -> String {
        terminal::render(self, has_colour)
    }

    /// The comparison that stands in the title: that of the worst rule that does not hold, else the [`headline_metric`].
    fn headline(&self) -> Option<&Comparison> {
        let not_met =
            self.verdict.rules.iter().filter(|rule| {
                rule.decision >= Decision::Warn && rule.comparison.measured.is_some()
            });
        // The first of the worst.
        let worst = not_met.min_by_key(|rule| std::cmp::Reverse(rule.decision));
        worst
            .map(|rule| &rule.comparison)
            .or_else(|| headline_metric(self.verdict))
    }

    /// The rows of the table of metrics: every metric of all rows that is not a detail or that a rule names, then every other key that a
    /// rule names; each with the rules on it.
    fn rows(&self) -> Vec<(&'a Comparison, Vec<&'a RuleResult>)> {
        let verdict = self.verdict;
        let rules_on = |key: &MetricKey| {
            let rules = verdict.rules.iter();
            rules.filter(|rule| rule.key() == key).collect::<Vec<_>>()
        };
        let mut rows: Vec<(&Comparison, Vec<&RuleResult>)> = verdict
            .headline()
            .map(|row| (row, rules_on(&row.key)))
            .filter(|(row, rules)| !rules.is_empty() || catalog::is_headline(&row.key.metric))
            .collect();
        for rule in &verdict.rules {
            if rows.iter().all(|(row, _)| row.key != *rule.key()) {
                // Intervals of the table are all at one level, whatever level a rule asks for.
                let measured = verdict.metrics.iter().find(|row| row.key == *rule.key());
                rows.push((measured.unwrap_or(&rule.comparison), rules_on(rule.key())));
            }
        }
        rows
    }
}

/// The metric that stands for the model from commit to commit: that of the first rule, else accuracy or subset accuracy, else the first.
pub fn headline_metric(verdict: &Verdict) -> Option<&Comparison> {
    let of = |metric: &str| verdict.headline().find(|row| row.key.metric == metric);
    let mut rules = verdict.rules.iter().filter(|rule| rule.key().is_overall());
    rules
        .find_map(|rule| of(&rule.key().metric))
        .or_else(|| of("accuracy"))
        .or_else(|| of("subset_accuracy"))
        .or_else(|| verdict.headline().next())
}

/// A name as long as a heading bears, in one line.
fn shortened(name: &str) -> String {
    const MAX_CHARS: usize = 80;
    cut(name, MAX_CHARS).replace(char::is_control, " ")
}

/// The beginning of a text, with a sign where there was more.
fn cut(text: &str, max_chars: usize) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(max_chars).collect();
    if characters.next().is_some() {
        format!("{start}…")
    } else {
        start
    }
}

/// `0.9861`, or `0.9861 (+0.0012)` with a baseline.
fn value_and_change(row: &Comparison) -> Option<String> {
    let value = row.measured.as_ref()?.value;
    Some(match change_of(row) {
        Some(change) => format!("{} ({change})", figure(value)),
        None => figure(value),
    })
}

/// The change from the baseline, with its sign; where it was computed on other rows than the two values, that one.
fn change_of(row: &Comparison) -> Option<String> {
    let (measured, baseline) = (row.measured.as_ref()?, row.baseline.as_ref()?);
    let Some(direction) = measured.direction else {
        return Some(change(measured.value, baseline.value));
    };
    // Values of other rows are no change.
    let improvement = row.change.as_ref()?;
    if direction.improvement(measured.value, baseline.value) == improvement.value {
        return Some(change(measured.value, baseline.value));
    }
    Some(change(direction.improvement(improvement.value, 0.0), 0.0))
}

/// The values of a row, the candidate's and the baseline's, with the same decimals.
fn values_of(row: &Comparison) -> (Option<String>, Option<String>) {
    let value = |measured: &Option<crate::measurement::Measurement>| {
        measured.as_ref().map(|measured| measured.value)
    };
    let (measured, baseline) = (value(&row.measured), value(&row.baseline));
    let both: Vec<f64> = [measured, baseline].into_iter().flatten().collect();
    let mut texts = aligned(&both).into_iter();
    (
        measured.and_then(|_| texts.next()),
        baseline.and_then(|_| texts.next()),
    )
}

fn capitalised(decision: Decision) -> &'static str {
    match decision {
        Decision::Skipped => "Skipped",
        Decision::Pass => "Pass",
        Decision::Warn => "Warning",
        Decision::Inconclusive => "Inconclusive",
        Decision::Fail => "Fail",
    }
}

#[cfg(test)]
mod tests;
