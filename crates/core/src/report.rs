//! One report value, rendered for every place where people read it. Figures and charts come from the same numbers.

mod chart;
mod html;
mod junit;
mod markdown;
mod mermaid;
mod terminal;

use crate::evaluation::Evaluation;
use crate::gate::{HistoryPoint, figure};
use crate::statistics::Interval;
use crate::verdict::{Decision, MetricRow, Verdict};

pub use chart::{confusion_matrix, learning_curve};
pub use html::evaluation_page;
pub use markdown::escape;

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
    /// The commit that was checked out, where it is not the one that the verdict names: GitHub's merge commit.
    pub tested_commit: Option<&'a str>,
    /// Headline values of earlier commits and of this one, the oldest first.
    pub history: &'a [HistoryPoint],
}

impl Report<'_> {
    /// The first line, without markup: verdict, model, headline metric and its change.
    pub fn title(&self) -> String {
        let model = shortened(self.verdict.model_name.as_deref().unwrap_or("model"));
        let headline = self
            .headline()
            .map(|row| format!(": {} {}", shortened(&row.name), with_change(row)))
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

    /// The report as JUnit XML, one test case per bound of a rule.
    pub fn junit(&self) -> String {
        junit::render(self)
    }

    /// The report as GitHub-flavoured Markdown of at most `max_chars` characters.
    ///
    /// What does not fit is left out, least important first, and named.
    pub fn markdown(&self, max_chars: usize) -> String {
        markdown::render(self, max_chars)
    }

    /// The report for a terminal; `has_colour` adds ANSI colours to words that stand for themselves.
    pub fn terminal(&self, has_colour: bool) -> String {
        terminal::render(self, has_colour)
    }

    /// The metric that stands in the title: that of the worst rule that is not met, else the [`headline_metric`].
    fn headline(&self) -> Option<&MetricRow> {
        let worst = self
            .verdict
            .rules
            .iter()
            .filter(|rule| rule.decision >= Decision::Warn)
            .max_by_key(|rule| rule.decision);
        worst
            .and_then(|rule| row_of(self.verdict, &rule.subject))
            .or_else(|| headline_metric(self.verdict))
    }
}

/// The metric that stands for the model from commit to commit: that of the first rule, else accuracy, else the first.
pub fn headline_metric(verdict: &Verdict) -> Option<&MetricRow> {
    let mut rules = verdict.rules.iter();
    rules
        .find_map(|rule| row_of(verdict, &rule.subject))
        .or_else(|| row_of(verdict, "accuracy"))
        .or_else(|| verdict.metrics.first())
}

fn row_of<'a>(verdict: &'a Verdict, metric: &str) -> Option<&'a MetricRow> {
    verdict.metrics.iter().find(|row| row.name == metric)
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
fn with_change(row: &MetricRow) -> String {
    match row.baseline {
        Some(baseline) => format!("{} ({})", figure(row.value), signed(row.value - baseline)),
        None => figure(row.value),
    }
}

/// An interval as people read it: both ends with as many decimals as show its width in two digits.
fn interval_in_words(interval: &Interval) -> String {
    let Interval { lower, upper, .. } = *interval;
    let width = upper - lower;
    if !(1e-9..1e9).contains(&width) {
        return format!("{} – {}", figure(lower), figure(upper));
    }
    let decimals = (1 - width.log10().floor() as i32).clamp(0, 12) as usize;
    format!("{lower:.decimals$} – {upper:.decimals$}")
}

/// A change with its sign in three significant digits, `±0` for none.
fn signed(change: f64) -> String {
    // Beyond six decimals a difference of two shares is rounding.
    let mut rounded = (change * 1e6).round() / 1e6;
    if rounded != 0.0 && rounded.abs() < 1e9 {
        let scale = 10_f64.powi(2 - rounded.abs().log10().floor() as i32);
        rounded = (rounded * scale).round() / scale;
    }
    match rounded {
        0.0 => "±0".to_owned(),
        change if change > 0.0 => format!("+{}", figure(change)),
        change => format!("−{}", figure(-change)),
    }
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
