//! The report for a terminal or a plain log.

use std::fmt::Write as _;

use super::{Report, change_of, values_of};
use crate::figure::{count, interval};
use crate::gate::{Decision, RuleResult};

pub(super) fn render(report: &Report<'_>, has_colour: bool) -> String {
    let verdict = report.verdict;
    let rows = report.rows();
    let has_baseline = rows.iter().any(|(row, _)| row.baseline.is_some());
    let interval_of = |row: &crate::gate::Comparison| {
        let found = row.measured.as_ref()?.interval?;
        Some(interval(&found))
    };
    let has_interval = rows.iter().any(|(row, _)| interval_of(row).is_some());
    let change = match verdict.shared_rows() {
        Some(counts) => format!("change on {}", count(counts.n_rows, "shared row")),
        None => "change".to_owned(),
    };
    let mut header = vec!["metric", "value"];
    if has_interval {
        header.push("interval");
    }
    if has_baseline {
        header.extend(["baseline", &change]);
    }
    header.extend(["rule", "verdict"]);
    let mut table: Vec<Vec<String>> = vec![header.into_iter().map(str::to_owned).collect()];
    let mut decisions: Vec<Option<Decision>> = vec![None];
    for (row, rules) in rows {
        let (measured, baseline) = values_of(row);
        let mut cells = vec![
            plain(&row.key.to_string()),
            measured.unwrap_or_else(|| "absent".to_owned()),
        ];
        if has_interval {
            cells.push(interval_of(row).unwrap_or_default());
        }
        if has_baseline {
            cells.extend([
                baseline.unwrap_or_default(),
                change_of(row).unwrap_or_default(),
            ]);
        }
        let rules: Vec<Option<&RuleResult>> = if rules.is_empty() {
            vec![None]
        } else {
            rules.into_iter().map(Some).collect()
        };
        for rule in rules {
            let mut line = cells.clone();
            line.push(rule.map(|rule| plain(&rule.wanted)).unwrap_or_default());
            line.push(rule.map(|rule| rule.word().to_owned()).unwrap_or_default());
            table.push(line);
            decisions.push(rule.map(|rule| rule.decision));
            // Further rules on the same metric do not repeat it.
            cells.iter_mut().for_each(String::clear);
        }
    }
    // Where nothing could be read, a header would stand alone.
    let mut text = if decisions.len() > 1 {
        aligned(&table, &decisions, has_colour) + "\n"
    } else {
        String::new()
    };
    for rule in verdict.rules.iter().filter(|rule| rule.is_explained()) {
        let _ = writeln!(
            text,
            "{}: {} {}: {}",
            rule.word(),
            plain(&rule.key().to_string()),
            plain(&rule.wanted),
            plain(&rule.reason)
        );
    }
    for group in &verdict.groups {
        let _ = writeln!(
            text,
            "{}: group: {}",
            group.decision.word(),
            plain(&group.words())
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
