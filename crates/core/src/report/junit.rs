//! The report as JUnit XML, which Jenkins and most CI systems show.

use std::fmt::Write as _;

use super::Report;
use crate::gate::{Decision, Outcome};

pub(super) fn render(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let count = |decision| {
        let rules = verdict.rules.iter();
        rules.filter(|rule| rule.decision == decision).count()
    };
    let n_not_held = verdict
        .rules
        .iter()
        .filter(|rule| rule.decision == Decision::Pass && rule.outcome != Outcome::Holds)
        .count();
    // A verdict that no rule explains, such as one without rules, is a case of its own.
    let needs_own_case = !verdict.verdict.is_green()
        && verdict
            .rules
            .iter()
            .all(|rule| rule.decision < verdict.verdict);
    let suite = escape(verdict.model_name.as_deref().unwrap_or("model"));
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites>\n  <testsuite name=\"trainyard / {suite}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        verdict.rules.len() + usize::from(needs_own_case),
        count(Decision::Fail),
        count(Decision::Inconclusive) + usize::from(needs_own_case),
        count(Decision::Skipped) + n_not_held,
    );
    for rule in &verdict.rules {
        let name = escape(&format!("{}: {}", rule.key(), rule.wanted));
        let reason = escape(&rule.reason);
        let _ = write!(text, "    <testcase classname=\"{suite}\" name=\"{name}\">");
        match rule.decision {
            Decision::Pass if rule.outcome == Outcome::Holds => {}
            // A rule for information, or one that lets doubt pass: JUnit has no word for that, and "passed" is not true.
            Decision::Pass => {
                let word = rule.outcome.word();
                let _ = write!(text, "<skipped message=\"{word}: {reason}\"/>");
            }
            Decision::Warn => {
                let word = rule.outcome.word();
                let _ = write!(text, "<system-out>warning, {word}: {reason}</system-out>");
            }
            Decision::Skipped => {
                let _ = write!(text, "<skipped message=\"{reason}\"/>");
            }
            Decision::Inconclusive => {
                let _ = write!(text, "<error type=\"inconclusive\" message=\"{reason}\"/>");
            }
            Decision::Fail => {
                let _ = write!(text, "<failure type=\"missed\" message=\"{reason}\"/>");
            }
        }
        text.push_str("</testcase>\n");
    }
    if needs_own_case {
        let message = escape(&format!("{} {}", verdict.summary, verdict.notes.join(" ")));
        let _ = writeln!(
            text,
            "    <testcase classname=\"{suite}\" name=\"verdict\"><error type=\"{}\" message=\"{message}\"/></testcase>",
            verdict.verdict.word()
        );
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Text for XML 1.0: markup escaped, characters that XML cannot hold replaced.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}
