//! Several models in one report: the legs of a matrix.

use std::fmt::Write as _;

use super::markdown::icon;
use super::text::escape;
use super::unchanged::UnchangedSince;
use super::{Report, capitalised, change_of, shortened, values_of};
use crate::figure::count;
use crate::gate::{Decision, Verdict};

/// Room that a leg's own report gets at least; with less, only the table stands.
const MIN_LEG_CHARS: usize = 1_000;

/// One leg, and what became of it.
#[derive(Debug)]
pub struct Leg {
    /// What the leg is called.
    pub name: String,
    /// What became of it.
    pub outcome: LegOutcome,
}

/// What became of a leg.
#[derive(Debug)]
pub enum LegOutcome {
    /// It was judged.
    Judged(Box<Verdict>),
    /// An earlier verdict still holds.
    Unchanged(UnchangedSince),
    /// There is no verdict that counts, for this reason, a clause.
    Missing(String),
}

impl Leg {
    /// What it came to.
    pub const fn decision(&self) -> Decision {
        match &self.outcome {
            LegOutcome::Judged(verdict) => verdict.verdict,
            LegOutcome::Unchanged(since) => since.decision,
            LegOutcome::Missing(_) => Decision::Inconclusive,
        }
    }

    /// Whether the run may go on.
    pub const fn is_let_through(&self) -> bool {
        match &self.outcome {
            LegOutcome::Judged(verdict) => verdict.is_let_through(),
            LegOutcome::Unchanged(since) => since.decision.is_green(),
            LegOutcome::Missing(_) => false,
        }
    }

    /// The model that was judged, where there is a verdict.
    pub fn model(&self) -> Option<&str> {
        match &self.outcome {
            LegOutcome::Judged(verdict) => verdict.model_name.as_deref(),
            LegOutcome::Unchanged(since) => Some(&since.model_name),
            LegOutcome::Missing(_) => None,
        }
    }

    /// In a few words.
    pub fn words(&self) -> String {
        match &self.outcome {
            LegOutcome::Judged(verdict) => match &verdict.overridden {
                Some(found) => format!("{}, let through by {}", verdict.verdict.word(), found.by),
                None => verdict.verdict.word().to_owned(),
            },
            LegOutcome::Unchanged(since) => {
                format!(
                    "{}, unchanged since {}",
                    since.decision.word(),
                    since.measured
                )
            }
            LegOutcome::Missing(reason) => format!("no verdict: {reason}"),
        }
    }
}

/// The worst of all legs; where a person let one through, that of the others, and at best a warning.
pub fn joined_decision(legs: &[Leg]) -> Decision {
    let of_leg = |leg: &Leg| match leg.decision() {
        _ if leg.is_let_through() && !leg.decision().is_green() => Decision::Warn,
        decision => decision,
    };
    legs.iter()
        .map(of_leg)
        .max()
        .unwrap_or(Decision::Inconclusive)
}

/// The first line, without markup.
pub fn joined_title(legs: &[Leg]) -> String {
    let decision = joined_decision(legs);
    let n_red = legs.iter().filter(|leg| !leg.is_let_through()).count();
    let what = match (n_red, legs.len()) {
        (0, 1) => "1 model".to_owned(),
        (0, n_legs) => format!("all {n_legs} models"),
        (n_red, n_legs) => format!("{n_red} of {}", count(n_legs as u64, "model")),
    };
    let is_overridden = |leg: &&Leg| leg.is_let_through() && !leg.decision().is_green();
    let overridden = match legs.iter().filter(is_overridden).count() {
        0 => String::new(),
        n => format!(", {n} let through by a person"),
    };
    format!("{} · {what}{overridden}", capitalised(decision))
}

/// The legs as GitHub-flavoured Markdown of at most `max_chars` characters: a row each, then the report of each, the worst
/// first. `run_url` is where the run can be seen.
pub fn joined_markdown(legs: &[Leg], run_url: Option<&str>, max_chars: usize) -> String {
    let mut text = format!(
        "### {} {}\n\n| Model | Verdict | Metric | Baseline | This commit | Change |\n| :-- | :-- | :-- | --: | --: | --: |\n",
        icon(joined_decision(legs)),
        joined_title(legs)
    );
    let mut sorted: Vec<&Leg> = legs.iter().collect();
    sorted.sort_by_key(|leg| std::cmp::Reverse(leg.decision()));
    for leg in &sorted {
        text.push_str(&row(leg));
    }
    let missing = sorted.iter().filter_map(|leg| match &leg.outcome {
        LegOutcome::Missing(reason) => Some((leg, reason)),
        _ => None,
    });
    for (leg, reason) in missing {
        let _ = write!(
            text,
            "\n> [!CAUTION]\n> {}: no verdict, since {}\n",
            escape(&shortened(&leg.name)),
            escape(reason)
        );
    }
    let reports = sorted.iter().filter_map(|leg| match &leg.outcome {
        LegOutcome::Judged(verdict) => Some((leg, verdict)),
        _ => None,
    });
    let n_reports = reports.clone().count().max(1);
    let room = max_chars.saturating_sub(text.chars().count()) / n_reports;
    for (leg, verdict) in reports {
        let name = escape(&shortened(&leg.name));
        let frame = format!(
            "\n<details><summary>{} {name}</summary>\n\n\n</details>\n",
            icon(verdict.verdict)
        );
        let room = room.saturating_sub(frame.chars().count());
        if room < MIN_LEG_CHARS {
            let _ = writeln!(text, "\nThe report of {name} does not fit: see its job.");
            continue;
        }
        let report = Report {
            verdict,
            evaluation: None,
            run_url,
            artifact: None,
            tested_commit: None,
            history: &[],
        };
        text.push_str(&frame.replacen("\n\n\n", &format!("\n\n{}\n", report.markdown(room)), 1));
    }
    // Names of legs are the workflow's own, but their number has no bound.
    if text.chars().count() > max_chars {
        text = text.chars().take(max_chars).collect();
    }
    text
}

fn row(leg: &Leg) -> String {
    let name = escape(&shortened(&leg.name));
    let icon = icon(leg.decision());
    let verdict = match &leg.outcome {
        LegOutcome::Judged(verdict) => verdict,
        LegOutcome::Unchanged(since) => {
            return format!(
                "| {name} | {icon} {} | unchanged since {} | | | |\n",
                capitalised(since.decision),
                escape(since.measured.get(..7).unwrap_or(&since.measured))
            );
        }
        LegOutcome::Missing(_) => return format!("| {name} | {icon} No verdict | | | | |\n"),
    };
    let report = Report {
        verdict,
        evaluation: None,
        run_url: None,
        artifact: None,
        tested_commit: None,
        history: &[],
    };
    let Some(headline) = report.headline() else {
        return format!("| {name} | {icon} {} | | | | |\n", report.decision());
    };
    let (measured, baseline) = values_of(headline);
    format!(
        "| {name} | {icon} {} | {} | {} | {} | {} |\n",
        report.decision(),
        escape(&shortened(&headline.key.to_string())),
        baseline.unwrap_or_default(),
        measured.unwrap_or_default(),
        change_of(headline).unwrap_or_default()
    )
}
