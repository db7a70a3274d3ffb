//! The report as GitHub-flavoured Markdown: comment, check and job summary.

use std::fmt::Write as _;

use super::{Report, cut, mermaid, shortened, signed};
use crate::gate::{Level, figure};
use crate::verdict::{Decision, MetricRow, RuleResult};

const NO_BREAK: &str = "\u{a0}";

/// A part of the report; the highest `rank` is left out first.
struct Section {
    name: &'static str,
    rank: usize,
    text: String,
}

pub(super) fn render(report: &Report<'_>, max_chars: usize) -> String {
    let mut sections = vec![
        Section {
            name: "headline",
            rank: 0,
            text: headline(report),
        },
        Section {
            name: "notes",
            rank: 0,
            text: notes(report),
        },
        Section {
            name: "metrics",
            rank: 3,
            text: metrics_table(report),
        },
        Section {
            name: "reasons",
            rank: 1,
            text: reasons(report),
        },
        Section {
            name: "history",
            rank: 7,
            text: mermaid::history(report),
        },
        Section {
            name: "classes",
            rank: 5,
            text: classes(report),
        },
        Section {
            name: "learning curve",
            rank: 6,
            text: mermaid::learning_curve(report),
        },
        Section {
            name: "provenance",
            rank: 4,
            text: provenance(report),
        },
    ];
    sections.retain(|section| !section.text.is_empty());
    let mut left_out: Vec<&str> = Vec::new();
    loop {
        let text = joined(&sections, &left_out);
        if text.chars().count() <= max_chars {
            return text;
        }
        let least = sections
            .iter()
            .enumerate()
            .max_by_key(|(_, section)| section.rank)
            .map(|(idx, _)| idx);
        match least.filter(|_| sections.len() > 1) {
            Some(idx) => left_out.push(sections.remove(idx).name),
            None => return text.chars().take(max_chars).collect(),
        }
    }
}

fn joined(sections: &[Section], left_out: &[&str]) -> String {
    let mut text = sections
        .iter()
        .map(|section| section.text.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    if !left_out.is_empty() {
        let _ = writeln!(
            text,
            "\n_Left out for want of space: {}. The report file has them._",
            left_out.join(", ")
        );
    }
    text
}

/// A name from outside, made harmless and as short as a table bears.
fn name(text: &str) -> String {
    escape(&shortened(text))
}

/// A sentence that may hold text from outside, made harmless and no longer than a reader bears.
fn sentence(text: &str) -> String {
    const MAX_CHARS: usize = 2_000;
    escape(&cut(text, MAX_CHARS))
}

/// Text from outside, made harmless: no markup, no table cell border, no HTML, no mention, one line.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~'
            | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Neither `:emoji:` nor an address that links itself; a colon before a space is prose.
            ':' if characters.peek().is_some_and(|next| !next.is_whitespace()) => {
                escaped.push_str("\\:");
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A word joiner keeps `@name` from being a mention.
            '@' => escaped.push_str("@\u{2060}"),
            c if c.is_control() || is_direction_mark(c) => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    // An address that links itself without a scheme.
    escaped.replace("www.", "www\u{2060}.")
}

const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

const fn icon(decision: Decision) -> &'static str {
    match decision {
        Decision::Skipped => "➖",
        Decision::Pass => "✅",
        Decision::Warn => "⚠️",
        Decision::Inconclusive => "❔",
        Decision::Fail => "❌",
    }
}

fn headline(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let model = name(verdict.model_name.as_deref().unwrap_or("model"));
    let metric = report
        .headline()
        .map(|row| {
            format!(
                " — {} **{}**{}",
                name(&row.name),
                figure(row.value),
                change_in_words(row)
            )
        })
        .unwrap_or_default();
    format!(
        "### {} {} · {model}{metric}\n\n{}\n",
        icon(verdict.verdict),
        report.decision(),
        escape(&verdict.summary)
    )
}

fn change_in_words(row: &MetricRow) -> String {
    match row.baseline {
        Some(baseline) => format!(" ({} against the baseline)", signed(row.value - baseline)),
        None => String::new(),
    }
}

fn notes(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let overridden = verdict.overridden.as_ref().map(|found| {
        format!(
            "**Overridden by {}** for this commit: {} ({})",
            name(&found.by),
            escape(&found.reason),
            escape_url(&found.url)
        )
    });
    overridden
        .into_iter()
        .chain(verdict.notes.iter().map(|note| sentence(note)))
        .fold(String::new(), |mut text, note| {
            let _ = writeln!(text, "> {note}\n");
            text
        })
}

fn metrics_table(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    if verdict.metrics.is_empty() && verdict.rules.is_empty() {
        return String::new();
    }
    let has_baseline = verdict.metrics.iter().any(|row| row.baseline.is_some());
    let has_interval = verdict.metrics.iter().any(|row| row.interval.is_some());
    let mut text = String::from("| Metric |");
    let mut rule = String::from("\n| :-- |");
    let mut column = |title: &str, align: &str| {
        let _ = write!(text, " {title} |");
        let _ = write!(rule, " {align} |");
    };
    if has_baseline {
        column("Baseline", "--:");
    }
    column("This commit", "--:");
    if has_interval {
        let confidence = verdict
            .metrics
            .iter()
            .find_map(|row| row.interval)
            .map_or(0.95, |i| i.confidence);
        column(&format!("{} % interval", figure(confidence * 100.0)), ":-:");
    }
    if has_baseline {
        column("Change", "--:");
    }
    column("Rule", ":--");
    column("Verdict", ":--");
    text.push_str(&rule);
    text.push('\n');
    for row in &verdict.metrics {
        let rules: Vec<&RuleResult> = verdict
            .rules
            .iter()
            .filter(|rule| rule.subject == row.name)
            .collect();
        let _ = write!(text, "| {} |", name(&row.name));
        if has_baseline {
            let _ = write!(text, " {} |", row.baseline.map(figure).unwrap_or_default());
        }
        let _ = write!(text, " {} |", figure(row.value));
        if has_interval {
            // On one line, however narrow the table.
            let interval = row.interval.map(|i| {
                let words = super::interval_in_words(&i).replace(' ', NO_BREAK);
                words.replace('–', "–\u{2060}")
            });
            let _ = write!(text, " {} |", interval.unwrap_or_default());
        }
        if has_baseline {
            let _ = write!(
                text,
                " {} |",
                row.baseline.map(|old| change(row, old)).unwrap_or_default()
            );
        }
        let _ = writeln!(
            text,
            " {} | {} |",
            cells(&rules, wanted),
            cells(&rules, decided)
        );
    }
    // Rules on metrics that are not in the list: of single classes, or absent.
    for rule in verdict
        .rules
        .iter()
        .filter(|rule| verdict.metrics.iter().all(|row| row.name != rule.subject))
    {
        let _ = write!(text, "| {} |", name(&rule.subject));
        let blank = |text: &mut String, is_there| text.push_str(if is_there { " |" } else { "" });
        blank(&mut text, has_baseline);
        let _ = write!(
            text,
            " {} |",
            rule.measured.map_or_else(|| "absent".to_owned(), figure)
        );
        blank(&mut text, has_interval);
        blank(&mut text, has_baseline);
        let _ = writeln!(text, " {} | {} |", wanted(rule), decided(rule));
    }
    text
}

fn change(row: &MetricRow, baseline: f64) -> String {
    let arrow = match row.improvement {
        Some(improvement) if improvement > 1e-6 => "\u{a0}better",
        Some(improvement) if improvement < -1e-6 => "\u{a0}worse",
        _ => "",
    };
    format!("{}{arrow}", signed(row.value - baseline))
}

fn cells(rules: &[&RuleResult], cell: fn(&RuleResult) -> String) -> String {
    rules
        .iter()
        .map(|rule| cell(rule))
        .collect::<Vec<_>>()
        .join("<br>")
}

fn wanted(rule: &RuleResult) -> String {
    let level = match rule.level {
        Level::Fail => "",
        Level::Warn => " (warning)",
        Level::Info => " (information)",
    };
    format!("{}{level}", escape(&rule.wanted))
}

fn decided(rule: &RuleResult) -> String {
    let word = if is_only_seen(rule) {
        "missed"
    } else {
        rule.decision.word()
    };
    format!("{} {word}", icon_of(rule))
}

/// Whether it is a rule for information that does not hold.
fn is_only_seen(rule: &RuleResult) -> bool {
    rule.decision == Decision::Pass && rule.is_missed
}

fn icon_of(rule: &RuleResult) -> &'static str {
    if is_only_seen(rule) {
        "ℹ️"
    } else {
        icon(rule.decision)
    }
}

/// Why each rule that did not simply pass came out as it did; also what `info` rules missed.
fn reasons(report: &Report<'_>) -> String {
    let noteworthy = report
        .verdict
        .rules
        .iter()
        .filter(|rule| rule.decision != Decision::Pass || rule.is_missed);
    noteworthy.fold(String::new(), |mut text, rule| {
        let _ = writeln!(
            text,
            "- {} **{}** {}: {}",
            icon_of(rule),
            name(&rule.subject),
            escape(&rule.wanted),
            sentence(&rule.reason)
        );
        text
    })
}

fn classes(report: &Report<'_>) -> String {
    let Some(evaluation) = report
        .evaluation
        .filter(|evaluation| !evaluation.per_class.is_empty())
    else {
        return String::new();
    };
    let mut text = String::from(
        "<details><summary>Each class</summary>\n\n| Class | Rows | Precision | Recall | F1 | Most often taken for |\n| :-- | --: | --: | --: | --: | :-- |\n",
    );
    for (class_idx, class) in evaluation.per_class.iter().enumerate() {
        let value = |estimate: Option<crate::metrics::Estimate>| {
            estimate.map_or("–".to_owned(), |e| figure(e.value))
        };
        let mistaken = evaluation.confusion.as_ref().and_then(|confusion| {
            let row = confusion.counts.get(class_idx)?;
            let others = row
                .iter()
                .enumerate()
                .filter(|(other, n)| *other != class_idx && **n > 0);
            let (other, n) = others.max_by_key(|(other, n)| (**n, std::cmp::Reverse(*other)))?;
            Some(format!("{} ({n})", name(confusion.classes.get(other)?)))
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            name(&class.class),
            class.support,
            value(class.precision),
            value(class.recall),
            value(class.f1),
            mistaken.unwrap_or_default()
        );
    }
    text.push_str("\n</details>\n");
    text
}

fn provenance(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let mut rows: Vec<(&str, String)> = Vec::new();
    let mut digest = |name, digest: Option<&crate::digest::Sha256Digest>| {
        rows.extend(digest.map(|digest| (name, format!("`{}`", digest.short()))));
    };
    digest("Model", verdict.model_digest.as_ref());
    digest("Evaluation", verdict.evaluation_digest.as_ref());
    digest(
        "Test data",
        report.evaluation.map(|evaluation| &evaluation.data.digest),
    );
    digest("Rules", Some(&verdict.rules_digest));
    rows.extend(
        verdict
            .n_rows
            .map(|n_rows| ("Test rows", n_rows.to_string())),
    );
    rows.extend(
        verdict
            .commit
            .as_ref()
            .map(|commit| ("Commit", escape(commit))),
    );
    rows.extend(
        report
            .tested_commit
            .map(|commit| ("Tested as", format!("{} (merged)", escape(commit)))),
    );
    if let Some(baseline) = &verdict.baseline {
        rows.push(("Baseline", escape(&baseline.source)));
        if let Some(paired) = &baseline.paired {
            let text = format!(
                "{} rows gained, {} lost of {} (McNemar p = {:.3}; these rows can show about {})",
                paired.n_gained,
                paired.n_lost,
                paired.n_rows,
                paired.p_value,
                super::signed(paired.detectable).trim_start_matches('+')
            );
            rows.push(("Row by row", text));
        }
    }
    rows.extend(verdict.overridden.as_ref().map(|found| {
        let by = format!("by {} for {}", name(&found.by), escape(&found.commit));
        ("Override", by)
    }));
    rows.extend(report.run_url.map(|url| ("Run", escape_url(url))));
    rows.push(("Trainyard", escape(&verdict.trainyard_version)));
    let mut text =
        String::from("<details><summary>Where this comes from</summary>\n\n| | |\n| :-- | :-- |\n");
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n</details>\n");
    text
}

/// An address as an autolink, refused when it could break out of one.
fn escape_url(url: &str) -> String {
    let is_plain = url.starts_with("https://") || url.starts_with("http://");
    if is_plain
        && !url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>|\"`".contains(c))
    {
        format!("<{url}>")
    } else {
        escape(url)
    }
}
