//! What this run would write on GitHub, without asking GitHub anything.

use std::fmt::Write as _;

use trainyard_core::gate::{BaselineRecord, Decision, Verdict};
use trainyard_core::measurement::Measurement;
use trainyard_core::report::{COMMENT_LIMIT, Report};
use trainyard_github::{
    Check, CheckAnnotation, CheckLevel, CheckReport, Conclusion, MARKER_LIMIT, Place, Stamp,
};
use trainyard_runner::{Annotation, Context, Level, path_in_repository};

use crate::inputs::{CommentMode, GitHubArgs};

/// GitHub's limit of a check's summary, in characters; its text has the same.
const CHECK_LIMIT: usize = 65_535;

/// GitHub takes 64 KB, which is too long to read.
const MAX_REMARK_CHARS: usize = 4_000;

/// What stands on GitHub in a dry run without a commit.
const UNKNOWN_COMMIT: &str = "unknown commit";

/// Names and places of what is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) context: &'a Context,
    pub(crate) args: &'a GitHubArgs,
}

impl Plan<'_> {
    pub(crate) fn head_sha(&self) -> &str {
        self.context.head_sha.as_deref().unwrap_or(UNKNOWN_COMMIT)
    }

    pub(crate) fn check(&self, model: &str) -> Check {
        let name = self.check_name(model);
        let run = self.context.run.as_ref();
        let Stamp {
            run_id, attempt, ..
        } = self.stamp();
        Check {
            // Never the name that a branch protection requires.
            name: if self.context.is_unverified() {
                format!("{name} (fork, unverified)")
            } else {
                name
            },
            head_sha: self.head_sha().to_owned(),
            details_url: run.and_then(|run| run.url.clone()),
            external_id: format!("{}:{run_id}.{attempt}", self.key(model)),
        }
    }

    /// `record` is kept with a branch's commit for later comparisons.
    pub(crate) fn check_report(
        &self,
        report: &Report<'_>,
        annotations: &[Annotation],
        record: Option<&BaselineRecord>,
    ) -> CheckReport {
        // Only what a branch's own run measured may be compared with later.
        let record = record.filter(|_| self.context.is_of_branch());
        CheckReport {
            title: report.title(),
            summary: report.markdown(CHECK_LIMIT),
            text: record.and_then(|record| record.encode().ok()),
            annotations: annotations
                .iter()
                .filter_map(|annotation| self.check_annotation(annotation))
                .collect(),
        }
    }

    /// A check has room for remarks on lines alone.
    fn check_annotation(&self, annotation: &Annotation) -> Option<CheckAnnotation> {
        let (path, line) = annotation.place()?;
        Some(CheckAnnotation {
            path: path_in_repository(self.context.workspace.as_deref(), path),
            start_line: line,
            end_line: line,
            annotation_level: match annotation.level() {
                Level::Error => CheckLevel::Failure,
                Level::Warning => CheckLevel::Warning,
                Level::Notice => CheckLevel::Notice,
            },
            title: annotation.title_text().unwrap_or_default().to_owned(),
            message: annotation
                .message()
                .chars()
                .take(MAX_REMARK_CHARS)
                .collect(),
        })
    }

    /// What a fork computed proves nothing, so it is never green.
    pub(crate) fn conclusion(&self, verdict: &Verdict) -> Conclusion {
        match verdict.verdict {
            Decision::Pass | Decision::Warn if self.context.is_unverified() => Conclusion::Neutral,
            Decision::Pass | Decision::Warn => Conclusion::Success,
            _ if verdict.overridden.is_some() && !self.context.is_unverified() => {
                Conclusion::Success
            }
            // What could not be judged is never green either.
            Decision::Fail | Decision::Inconclusive | Decision::Skipped => Conclusion::Failure,
        }
    }

    /// Where the comment belongs, if one is wanted. A fork's numbers do not get one.
    pub(crate) fn place(&self, model: &str) -> Option<Place> {
        let is_wanted = self.args.comment != CommentMode::Never && !self.context.is_unverified();
        Some(Place {
            pull_request: self.context.pull_request.filter(|_| is_wanted)?,
            key: self.key(model),
        })
    }

    fn key(&self, model: &str) -> String {
        key(self.args.comment_key.as_deref().unwrap_or(model))
    }

    /// The check's name on the repository's own commits. Legs of a matrix with keys of their own have checks of their own.
    pub(crate) fn check_name(&self, model: &str) -> String {
        match &self.args.comment_key {
            Some(key) => format!("trainyard / {model} / {key}"),
            None => format!("trainyard / {model}"),
        }
    }

    pub(crate) fn may_create_comment(&self, verdict: &Verdict) -> bool {
        match self.args.comment {
            CommentMode::Always => true,
            CommentMode::Changes => has_changed(verdict),
            CommentMode::Failures => !verdict.verdict.is_green(),
            CommentMode::Never => false,
        }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let run = self.context.run.as_ref();
        Stamp {
            run_id: run.and_then(|run| run.id.parse().ok()).unwrap_or_default(),
            attempt: run.map_or(1, |run| run.attempt),
            head_sha: self.head_sha().to_owned(),
        }
    }

    /// What would be written, for people.
    pub(crate) fn dry_run(
        &self,
        model: &str,
        report: &Report<'_>,
        annotations: &[Annotation],
        record: Option<&BaselineRecord>,
    ) -> String {
        let mut text = String::new();
        if !self.args.no_check {
            let check = self.check(model);
            let said = self.check_report(report, annotations, record);
            let conclusion = self.conclusion(report.verdict).word();
            let _ = writeln!(
                text,
                "Would write the check run `{}` on {}: {conclusion}\n  {}",
                check.name, check.head_sha, said.title
            );
            for remark in &said.annotations {
                let _ = writeln!(
                    text,
                    "  {}:{}: {}",
                    remark.path, remark.start_line, remark.message
                );
            }
            let _ = match &said.text {
                Some(record) => writeln!(text, "  with a record of {} characters", record.len()),
                None => writeln!(text, "  with no record for later comparisons"),
            };
        }
        match self.place(model) {
            Some(place) if self.may_create_comment(report.verdict) => {
                let _ = writeln!(
                    text,
                    "Would write the comment `{}` on pull request {}:\n\n{}",
                    place.key,
                    place.pull_request,
                    comment_text(report)
                );
            }
            Some(place) => {
                let _ = writeln!(
                    text,
                    "Would bring the comment `{}` on pull request {} up to date, and make none",
                    place.key, place.pull_request
                );
            }
            None => text.push_str("Would write no comment\n"),
        }
        text
    }
}

pub(crate) fn comment_text(report: &Report<'_>) -> String {
    report.markdown(COMMENT_LIMIT - MARKER_LIMIT)
}

/// Whether there is something to see: a rule that does not simply hold, another value than the baseline's, or no
/// baseline at all.
fn has_changed(verdict: &Verdict) -> bool {
    verdict.verdict != Decision::Pass
        || verdict.headline().any(|row| {
            let value = |measured: &Option<Measurement>| measured.as_ref().map(|m| m.value);
            value(&row.measured) != value(&row.baseline)
        })
}

/// What a comment's marker may hold.
fn key(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/') {
            c
        } else {
            '-'
        }
    };
    text.chars()
        .map(allowed)
        .take(MAX_CHARS)
        .collect::<String>()
        .replace("--", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_end_a_comment_or_hold_a_space() {
        assert_eq!(key("digits/linux"), "digits/linux");
        let hostile = key("--> <b>@all\n ");
        assert!(
            !hostile.contains("-->") && !hostile.contains(' '),
            "{hostile}"
        );
        assert_eq!(key(&"x".repeat(500)).len(), 80);
    }
}
