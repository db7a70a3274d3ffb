//! The report for a terminal or a plain log.

use std::fmt::Write as _;

use super::{Report, signed};
use crate::gate::figure;
use crate::verdict::{Decision, RuleResult};

pub(super) fn render(report: &Report<'_>, has_colour: bool) -> String {
    let verdict = report.verdict;
    let has_baseline = verdict.metrics.iter().any(|row| row.baseline.is_some());
    let mut table: Vec<Vec<String>> = Vec::new();
    let has_interval = verdict.metrics.iter().any(|row| row.interval.is_some());
    let mut header = vec!["metric", "value"];
    if has_interval {
        header.push("interval");
    }
    if has_baseline {
        header.extend(["baseline", "change"]);
    }
    header.extend(["rule", "verdict"]);
    table.push(header.into_iter().map(str::to_owned).collect());
    let mut decisions: Vec<Option<Decision>> = vec![None];
    let mut line = |cells: [String; 3], comparison: [String; 2], rule: Option<&RuleResult>| {
        let mut row: Vec<String> = cells.into_iter().collect();
        if !has_interval {
            row.truncate(2);
        }
        if has_baseline {
            row.extend(comparison);
        }
        row.push(rule.map(|rule| plain(&rule.wanted)).unwrap_or_default());
        row.push(
            rule.map(|rule| rule.decision.word().to_owned())
                .unwrap_or_default(),
        );
        table.push(row);
        decisions.push(rule.map(|rule| rule.decision));
    };
    for row in &verdict.metrics {
        let interval = row
            .interval
            .map(|i| super::interval_in_words(&i))
            .unwrap_or_default();
        let mut cells = [plain(&row.name), figure(row.value), interval];
        let mut comparison = row
            .baseline
            .map(|baseline| [figure(baseline), signed(row.value - baseline)])
            .unwrap_or_default();
        let mut rules = verdict.rules.iter().filter(|rule| rule.subject == row.name);
        line(cells, comparison, rules.next());
        for rule in rules {
            cells = Default::default();
            comparison = Default::default();
            line(cells, comparison, Some(rule));
        }
    }
    for rule in verdict
        .rules
        .iter()
        .filter(|rule| verdict.metrics.iter().all(|row| row.name != rule.subject))
    {
        let value = rule.measured.map_or_else(|| "absent".to_owned(), figure);
        line(
            [plain(&rule.subject), value, String::new()],
            Default::default(),
            Some(rule),
        );
    }
    let mut text = aligned(&table, &decisions, has_colour);
    text.push('\n');
    for rule in verdict
        .rules
        .iter()
        .filter(|rule| !matches!(rule.decision, Decision::Pass))
    {
        let _ = writeln!(
            text,
            "{}: {} {}: {}",
            rule.decision.word(),
            plain(&rule.subject),
            plain(&rule.wanted),
            plain(&rule.reason)
        );
    }
    for note in &verdict.notes {
        let _ = writeln!(text, "note: {}", plain(note));
    }
    let word = painted(verdict.verdict.word(), verdict.verdict, has_colour);
    let _ = writeln!(text, "verdict: {word} — {}", plain(&verdict.summary));
    text
}

/// One line without control characters, so that names from outside cannot steer the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn aligned(table: &[Vec<String>], decisions: &[Option<Decision>], has_colour: bool) -> String {
    let n_columns = table.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| {
            table
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (row, decision) in table.iter().zip(decisions) {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let is_last = column + 1 == n_columns;
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            match (is_last, decision) {
                (true, Some(decision)) => line.push_str(&painted(cell, *decision, has_colour)),
                _ => {
                    let _ = write!(line, "{cell}{padding}  ");
                }
            }
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn painted(word: &str, decision: Decision, has_colour: bool) -> String {
    if !has_colour {
        return word.to_owned();
    }
    let colour = match decision {
        Decision::Skipped => 2,
        Decision::Pass => 32,
        Decision::Warn | Decision::Inconclusive => 33,
        Decision::Fail => 31,
    };
    format!("\u{1b}[{colour}m{word}\u{1b}[0m")
}
