//! The report as GitHub-flavoured Markdown: comment, check and job summary.

use std::fmt::Write as _;

use super::classes::{ClassRow, ClassTable, OutputTable};
use super::sections::{Section, fitted};
use super::text::{escape, escape_url, name, sentence};
use super::{Report, change_of, cut, flips, mermaid, values_of};
use crate::figure::{self, count, figure, percent};
use crate::gate::{
    ChangeScope, Comparison, Decision, Level, Outcome, RuleChange, RuleResult, Verdict, rule_health,
};
use crate::measurement::MetricKey;
use crate::row_set::{MatchedBy, RowMatch};

const NO_BREAK: &str = "\u{a0}";

pub(super) fn render(report: &Report<'_>, max_chars: usize) -> String {
    let sections = vec![
        Section {
            name: "headline",
            rank: 0,
            text: headline(report),
        },
        Section {
            name: "changes of rules",
            rank: 0,
            text: rule_changes(report),
        },
        Section {
            name: "notes",
            rank: 0,
            text: notes(report),
        },
        Section {
            name: "metrics",
            rank: 3,
            text: metrics_table(report, "This commit"),
        },
        Section {
            name: "reasons",
            rank: 1,
            text: reasons(report),
        },
        Section {
            name: "rows that changed",
            rank: 3,
            text: report
                .verdict
                .flips
                .as_ref()
                .map_or_else(String::new, flips::render),
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
            name: "outputs",
            rank: 5,
            text: outputs(report),
        },
        Section {
            name: "learning curve",
            rank: 6,
            text: mermaid::learning_curve(report),
        },
        Section {
            name: "reliability",
            rank: 7,
            text: report
                .evaluation
                .map_or_else(String::new, mermaid::reliability),
        },
        Section {
            name: "configuration",
            rank: 4,
            text: config_changes(report),
        },
        Section {
            name: "gate health",
            rank: 5,
            text: health(report),
        },
        Section {
            name: "provenance",
            rank: 4,
            text: provenance(report),
        },
        Section {
            name: "commits",
            rank: 2,
            text: closing(report),
        },
    ];
    fitted(
        sections,
        max_chars,
        "The report in the run's artifact has them.",
    )
}

/// The sign of a decision.
pub const fn icon(decision: Decision) -> &'static str {
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
    format!(
        "{}\n\n{}\n",
        heading(report, &model),
        boxed(verdict, &escape(&verdict.summary))
    )
}

/// A heading with the verdict, the headline metric and its change; `subject`, in Markdown, is what was judged.
pub(super) fn heading(report: &Report<'_>, subject: &str) -> String {
    let metric = report.headline().and_then(|row| {
        let value = figure(row.measured.as_ref()?.value);
        let change = change_of(row)
            .map(|change| format!(" ({change} against the baseline)"))
            .unwrap_or_default();
        let metric = name(&row.key.to_string());
        Some(format!(" — {metric} **{value}**{change}"))
    });
    format!(
        "### {} {} · {subject}{}",
        icon(report.verdict.verdict),
        report.decision(),
        metric.unwrap_or_default()
    )
}

/// The summary, in GitHub's box for what needs attention where it does.
pub(super) fn boxed(verdict: &Verdict, summary: &str) -> String {
    let kind = match verdict.verdict {
        _ if verdict.overridden.is_some() => "IMPORTANT",
        Decision::Fail | Decision::Inconclusive => "CAUTION",
        Decision::Warn => "WARNING",
        Decision::Pass | Decision::Skipped => return summary.to_owned(),
    };
    format!("> [!{kind}]\n> {summary}")
}

/// What the change does to its own judges, over whatever the verdict is.
fn rule_changes(report: &Report<'_>) -> String {
    let boxes = [
        (
            ChangeScope::Judges,
            "WARNING",
            "This change edits what judges it:",
        ),
        (
            ChangeScope::LaterJudges,
            "NOTE",
            "This change edits the rules that judge once it is merged:",
        ),
    ];
    let mut text = String::new();
    for (scope, kind, words) in boxes {
        let lines = diff(report, scope);
        if lines.is_empty() {
            continue;
        }
        let _ = write!(text, "> [!{kind}]\n> {words}\n>\n> ```diff\n");
        for line in lines {
            let _ = writeln!(text, "> {line}");
        }
        text.push_str("> ```\n");
    }
    text
}

/// What else the change does to the configuration.
fn config_changes(report: &Report<'_>) -> String {
    let lines = diff(report, ChangeScope::Model);
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "<details><summary>Configuration changes</summary>\n\n```diff\n{}\n```\n\n</details>\n",
        lines.join("\n")
    )
}

/// The changes of what judges, or of the rest, as lines of a diff.
fn diff(report: &Report<'_>, scope: ChangeScope) -> Vec<String> {
    const MAX_LINES: usize = 60;
    let changes = report.verdict.rule_changes.iter();
    let mut lines: Vec<String> = changes
        .filter(|change| change.scope == scope)
        .flat_map(|RuleChange { before, after, .. }| [('-', before), ('+', after)])
        .filter_map(|(sign, line)| Some(format!("{sign} {}", in_code(line.as_ref()?))))
        .collect();
    let n_more = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    if n_more > 0 {
        lines.push(format!("and {}", count(n_more as u64, "more line")));
    }
    lines
}

/// Text for a block of code, which it must not end.
fn in_code(text: &str) -> String {
    cut(text, 200)
        .replace('`', "'")
        .replace(char::is_control, " ")
}

/// Which commits these are the results of, in sight without opening anything.
fn closing(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let short = |commit: &str| escape(commit.get(..7).unwrap_or(commit));
    let Some(commit) = &verdict.commit else {
        return String::new();
    };
    let tested = report
        .tested_commit
        .map(|tested| format!(", tested as {}", short(tested)))
        .unwrap_or_default();
    let against = verdict
        .baseline
        .as_ref()
        .map(|baseline| format!(" against {}", escape(&baseline.source)))
        .unwrap_or_default();
    let run = report
        .run_url
        .map(|url| format!(" · {}", escape_url(url)))
        .unwrap_or_default();
    format!("Results for {}{tested}{against}{run}\n", short(commit))
}

fn notes(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let overridden = verdict.overridden.as_ref().map(|found| {
        let is_this = verdict
            .commit
            .as_ref()
            .is_none_or(|commit| *commit == found.commit);
        let commit = match found.commit.get(..7) {
            Some(short) if !is_this => {
                format!("commit {}, which had the same content", escape(short))
            }
            _ => "this commit".to_owned(),
        };
        format!(
            "**Overridden by {}** for {commit}: {} ({})",
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

/// The metrics of every report, each with the rules on it; `values` is the title of the column of the candidate's.
pub(super) fn metrics_table(report: &Report<'_>, values: &str) -> String {
    let rows = report.rows();
    if rows.is_empty() {
        return String::new();
    }
    let has_baseline = rows.iter().any(|(row, _)| row.baseline.is_some());
    let confidence = rows.iter().find_map(|(row, _)| {
        let interval = row.measured.as_ref()?.interval.as_ref()?;
        Some(interval.confidence)
    });
    let mut columns = vec![("Metric".to_owned(), ":--")];
    if has_baseline {
        columns.push(("Baseline".to_owned(), "--:"));
    }
    columns.push((values.to_owned(), "--:"));
    if let Some(confidence) = confidence {
        columns.push((format!("{} % interval", percent(confidence)), ":-:"));
    }
    if has_baseline {
        let shared = report.verdict.baseline.as_ref();
        let shared = shared.and_then(|baseline| baseline.shared_rows);
        let title = match shared {
            Some(counts) => format!("Change on {}", count(counts.n_rows, "row")),
            None => "Change".to_owned(),
        };
        columns.push((title, "--:"));
    }
    columns.extend([("Rule".to_owned(), ":--"), ("Verdict".to_owned(), ":--")]);
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let (titles, aligns): (Vec<String>, Vec<&str>) = columns.into_iter().unzip();
    line(titles);
    line(aligns.into_iter().map(str::to_owned).collect());
    for (row, rules) in rows {
        // The interval of a rule with `confidence` is the one that decides, at the rule's own level.
        let by_rule: Vec<(&Comparison, Option<&RuleResult>)> = if rules.is_empty() {
            vec![(row, None)]
        } else {
            let rules = rules.iter();
            rules.map(|rule| (&rule.comparison, Some(*rule))).collect()
        };
        for (idx, (comparison, rule)) in by_rule.into_iter().enumerate() {
            let (measured, baseline) = values_of(comparison);
            // Further rules on the same metric do not repeat it.
            let once = |text: String| if idx == 0 { text } else { String::new() };
            let mut cells = vec![once(name(&row.key.to_string()))];
            if has_baseline {
                cells.push(once(baseline.unwrap_or_default()));
            }
            cells.push(once(measured.unwrap_or_else(|| "absent".to_owned())));
            if let Some(confidence) = confidence {
                cells.push(interval(comparison, confidence));
            }
            if has_baseline {
                cells.push(once(change(comparison)));
            }
            cells.push(rule.map(wanted).unwrap_or_default());
            cells.push(rule.map(decided).unwrap_or_default());
            line(cells);
        }
    }
    text
}

/// On one line, however narrow the table; its level where that is not the column's.
fn interval(row: &Comparison, confidence: f64) -> String {
    let interval = row.measured.as_ref().and_then(|measured| measured.interval);
    interval
        .map(|interval| {
            let words = figure::interval(&interval).replace(' ', NO_BREAK);
            let level = if interval.confidence == confidence {
                String::new()
            } else {
                format!(" ({} %)", percent(interval.confidence)).replace(' ', NO_BREAK)
            };
            words.replace('–', "–\u{2060}") + &level
        })
        .unwrap_or_default()
}

/// The change, and whether it is one for the better.
fn change(row: &Comparison) -> String {
    let Some(words) = change_of(row) else {
        return String::new();
    };
    let is_changed = !words.starts_with('±');
    let improvement = row.change.as_ref().filter(|_| is_changed);
    match improvement.map(|change| change.value > 0.0) {
        Some(true) => format!("{words}{NO_BREAK}better"),
        Some(false) => format!("{words}{NO_BREAK}worse"),
        None => words,
    }
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
    format!("{} {}", icon_of(rule), rule.word())
}

fn icon_of(rule: &RuleResult) -> &'static str {
    match (rule.level, rule.outcome) {
        (_, Outcome::Holds) => icon(Decision::Pass),
        (_, Outcome::Skipped) => icon(Decision::Skipped),
        (Level::Info, _) => "ℹ️",
        _ => icon(rule.decision),
    }
}

/// Why each rule that does not simply hold, or that accumulates evidence, came out as it did, whatever its level.
fn reasons(report: &Report<'_>) -> String {
    let noteworthy = report
        .verdict
        .rules
        .iter()
        .filter(|rule| rule.is_explained());
    let mut text = noteworthy.fold(String::new(), |mut text, rule| {
        let _ = writeln!(
            text,
            "- {} **{}** {}: {}",
            icon_of(rule),
            name(&rule.key().to_string()),
            escape(&rule.wanted),
            sentence(&rule.reason)
        );
        text
    });
    for group in &report.verdict.groups {
        let words = sentence(&group.words());
        let _ = writeln!(text, "- {} **Group**: {words}", icon(group.decision));
    }
    text
}

/// The worst change of a class, as an improvement: below 0 where one of its figures fell.
fn fall(row: &ClassRow<'_, Comparison>) -> f64 {
    let cells = row.cells.iter().flatten();
    let changes = cells.filter_map(|cell| cell.change.as_ref());
    changes.map(|change| change.value).fold(0.0, f64::min)
}

fn classes(report: &Report<'_>) -> String {
    let evaluation = report.evaluation;
    let confusion = evaluation.and_then(|evaluation| evaluation.confusion.as_ref());
    let labelled = evaluation.map_or(&[][..], |evaluation| &evaluation.classes);
    let mut table = ClassTable::of(&report.verdict.metrics, confusion, labelled);
    // The most fallen first; without a baseline the order stays.
    table
        .rows
        .sort_by(|one, other| fall(one).total_cmp(&fall(other)));
    if table.rows.is_empty() {
        return String::new();
    }
    let has_confused = table.rows.iter().any(|row| row.confused_with.is_some());
    let mut text = String::from("<details><summary>Per class</summary>\n\n");
    let mut line = |cells: Vec<String>| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let mut titles = vec!["Class".to_owned(), "Rows".to_owned()];
    titles.extend(table.metrics.iter().map(|metric| name(&titled(metric))));
    let mut aligns = vec![":--".to_owned()];
    aligns.extend(vec!["--:".to_owned(); titles.len() - 1]);
    if has_confused {
        titles.push("Most often confused with".to_owned());
        aligns.push(":--".to_owned());
    }
    line(titles);
    line(aligns);
    for row in &table.rows {
        let mut cells = vec![
            name(row.class),
            row.support.map(|n| n.to_string()).unwrap_or_default(),
        ];
        cells.extend(row.cells.iter().map(|cell| {
            let value = cell.and_then(super::value_and_change);
            value.map_or_else(|| "–".to_owned(), |value| value.replace(' ', NO_BREAK))
        }));
        if has_confused {
            let confused = row.confused_with;
            cells.push(
                confused
                    .map(|(class, n)| format!("{} ({n})", name(class)))
                    .unwrap_or_default(),
            );
        }
        line(cells);
    }
    text.push_str("\n</details>\n");
    text
}

/// Each of several outputs with its figures.
fn outputs(report: &Report<'_>) -> String {
    let table = OutputTable::of(&report.verdict.metrics);
    if table.rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("<details><summary>Per output</summary>\n\n| Output |");
    for metric in &table.metrics {
        let _ = write!(text, " {} |", name(&titled(metric)));
    }
    let _ = writeln!(text, "\n| :-- |{}", " --: |".repeat(table.metrics.len()));
    for (output, cells) in &table.rows {
        let _ = write!(text, "| {} |", name(output));
        for cell in cells {
            let value = cell.and_then(super::value_and_change);
            let value = value.map_or_else(|| "–".to_owned(), |value| value.replace(' ', NO_BREAK));
            let _ = write!(text, " {value} |");
        }
        text.push('\n');
    }
    text.push_str("\n</details>\n");
    text
}

/// How the rules behaved over the runs that are known.
fn health(report: &Report<'_>) -> String {
    let found = rule_health(report.history);
    if found.iter().all(|rule| rule.advice().is_none()) {
        return String::new();
    }
    let mut text = String::from(
        "<details><summary>Gate health</summary>\n\n| Rule | Runs | Red | Flips | |\n| :-- | --: | --: | --: | :-- |\n",
    );
    for rule in found {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            name(&rule.rule),
            rule.n_runs,
            rule.n_red,
            rule.n_flips,
            rule.advice().unwrap_or_default().replace('`', "")
        );
    }
    text.push_str("\n</details>\n");
    text
}

/// A metric's name as the title of a column: a word begins with a capital, a name of several stays as it is written.
fn titled(metric: &str) -> String {
    if metric.contains('_') {
        metric.to_owned()
    } else {
        capitalised(metric)
    }
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

fn provenance(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let mut rows: Vec<(&str, String)> = Vec::new();
    for (name, digest) in [
        ("Model", verdict.model_digest.as_ref()),
        ("Evaluation", verdict.evaluation_digest.as_ref()),
        ("Test data", verdict.data_digest.as_ref()),
        ("Rules", Some(&verdict.rules_digest)),
    ] {
        rows.extend(digest.map(|digest| (name, format!("`{}`", digest.short()))));
    }
    let n_rows = verdict.n_rows.map(|n_rows| n_rows.to_string());
    rows.extend(n_rows.map(|n_rows| ("Test rows", n_rows)));
    let commit = verdict.commit.as_deref().map(escape);
    rows.extend(commit.map(|commit| ("Commit", commit)));
    let tested = report.tested_commit;
    rows.extend(tested.map(|commit| ("Tested as", format!("{} (merged)", escape(commit)))));
    if let Some(baseline) = &verdict.baseline {
        let matched = match &baseline.rows {
            RowMatch::Same {
                matched_by: MatchedBy::RowId,
                ..
            } => ", same rows by `row_id`",
            RowMatch::Same {
                matched_by: MatchedBy::Position,
                ..
            } => ", same rows by position",
            RowMatch::Different { .. } => ", other rows",
            RowMatch::Unknown => "",
        };
        rows.push(("Baseline", format!("{}{matched}", escape(&baseline.source))));
        rows.extend(baseline.paired.as_ref().map(|paired| {
            let of_sets = MetricKey::overall("subset_accuracy");
            let what = if verdict.metrics.iter().any(|row| row.key == of_sets) {
                "subset accuracy"
            } else {
                "accuracy"
            };
            let text = format!(
                "{} gained, {} lost of {}; change of {what} {} to {} at {} % (Tango); smallest detectable change: about {}",
                count(paired.n_gained, "row"),
                paired.n_lost,
                paired.n_rows,
                figure::signed(paired.interval.lower),
                figure::signed(paired.interval.upper),
                percent(paired.interval.confidence),
                figure(paired.smallest_detectable)
            );
            ("Paired comparison", text)
        }));
    }
    rows.extend(verdict.overridden.as_ref().map(|found| {
        let by = format!("by {} for {}", name(&found.by), escape(&found.commit));
        ("Override", by)
    }));
    rows.extend(report.run_url.map(|url| ("Run", escape_url(url))));
    let page = report.artifact.zip(report.run_url);
    rows.extend(page.map(|(artifact, url)| {
        let artifacts = escape_url(&format!("{url}#artifacts"));
        (
            "Page",
            format!(
                "`evaluation/report.html` in the artifact {} of {artifacts}",
                name(artifact)
            ),
        )
    }));
    rows.push(("Trainyard", escape(&verdict.trainyard_version)));
    let mut text = String::from("<details><summary>Provenance</summary>\n\n| | |\n| :-- | :-- |\n");
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n</details>\n");
    text
}
