//! What this run would write on GitHub, without asking GitHub anything.

use std::fmt::Write as _;

use trainyard_core::digest::Sha256Digest;
use trainyard_core::gate::{BaselineRecord, Decision, Mark, Verdict};
use trainyard_core::measurement::Measurement;
use trainyard_core::report::{COMMENT_LIMIT, Report};
use trainyard_github::{
    Check, CheckAnnotation, CheckLevel, CheckReport, Conclusion, ISSUE_MARKER_LIMIT, MARKER_LIMIT,
    Place, Stamp,
};
use trainyard_runner::{Annotation, Context, Level, path_in_repository};

use crate::inputs::{CommentMode, GitHubArgs};
use crate::role::{BASELINE_SUFFIX, Role, into};

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
    pub(crate) role: &'a Role,
    /// The default branch's `baseline_branches`.
    pub(crate) patterns: &'a [String],
}

impl Plan<'_> {
    pub(crate) fn head_sha(&self) -> &str {
        self.context.head_sha.as_deref().unwrap_or(UNKNOWN_COMMIT)
    }

    /// The check that this run opens and completes.
    pub(crate) fn check(&self, model: &str) -> Check {
        self.check_called(model, &self.role.suffix())
    }

    /// The pull request that is judged under this name, where one is: others may have the same head.
    pub(crate) fn change_number(&self) -> Option<u64> {
        let is_change = matches!(self.role, Role::Change { .. });
        self.context.pull_request.filter(|_| is_change)
    }

    /// The check of all legs of a matrix.
    pub(crate) fn joined_check(&self, key: &str) -> Check {
        Check {
            name: format!("trainyard{}", self.role.suffix()),
            external_id: format!("{key}:{}", self.run_and_attempt()),
            ..self.check("")
        }
    }

    /// The check that holds a record, where that is another one.
    pub(crate) fn baseline_check(&self, model: &str) -> Check {
        self.check_called(model, BASELINE_SUFFIX)
    }

    /// The check under which the change was judged that brought this commit in.
    pub(crate) fn change_check(&self, model: &str) -> Check {
        let into = match (self.role, &self.context.branch) {
            (Role::Change { into, .. }, _) => into.clone(),
            (Role::Baseline | Role::Branch, Some(branch)) => {
                into(branch, self.context, self.patterns)
            }
            _ => None,
        };
        let change = Role::Change {
            into,
            leaves_record: false,
        };
        self.check_called(model, &change.suffix())
    }

    fn check_called(&self, model: &str, suffix: &str) -> Check {
        let run = self.context.run.as_ref();
        Check {
            name: self.check_name(model) + suffix,
            head_sha: self.head_sha().to_owned(),
            details_url: run.and_then(|run| run.url.clone()),
            external_id: format!("{}:{}", self.key(model), self.run_and_attempt()),
        }
    }

    fn run_and_attempt(&self) -> String {
        let Stamp {
            run_id, attempt, ..
        } = self.stamp();
        format!("{run_id}.{attempt}")
    }

    /// `kept` stands at the end of the check's text: a record for later comparisons, or a mark.
    pub(crate) fn check_report(
        &self,
        report: &Report<'_>,
        annotations: &[Annotation],
        kept: Option<String>,
    ) -> CheckReport {
        CheckReport {
            title: report.title(),
            summary: report.markdown(CHECK_LIMIT),
            text: kept,
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

    /// The key of the issue that follows the verdict, where one is wanted. It is about what lies on the branch, so a pull request does
    /// not touch it.
    pub(crate) fn issue(&self, model: &str) -> Option<String> {
        let is_of_time = matches!(self.role, Role::Scheduled { .. });
        (self.args.issue_on_failure && is_of_time).then(|| self.key(model))
    }

    fn key(&self, model: &str) -> String {
        key(self.args.comment_key.as_deref().unwrap_or(model))
    }

    /// What an artifact of the model is called: no two models or keys share a name, and it holds no character that GitHub
    /// refuses.
    pub(crate) fn artifact(&self, model: &str) -> String {
        // A key that holds a tilde is told apart by a digest.
        let part = |text: &str| key(&text.replace('/', "~"));
        match &self.args.comment_key {
            Some(comment_key) => format!("trainyard-{}+{}", part(model), part(comment_key)),
            None => format!("trainyard-{}", part(model)),
        }
    }

    /// What the check's name begins with. Legs of a matrix with keys of their own have checks of their own.
    fn check_name(&self, model: &str) -> String {
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
            let record = record.filter(|_| *self.role == Role::Baseline);
            let kept = record.and_then(|record| record.encode().ok());
            let said = self.check_report(report, annotations, kept);
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
                    comment_text(report, 0)
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
        if let Some(key) = self.issue(model) {
            let _ = match report.verdict.is_let_through() {
                true => writeln!(text, "Would close the issue `{key}`, if one is open"),
                false => writeln!(text, "Would open or update the issue `{key}`"),
            };
        }
        text
    }
}

/// The report in a check that stays red by the verdict of another pull request with the same head.
pub(crate) fn outweighed(
    said: CheckReport,
    report: &Report<'_>,
    number: u64,
    decision: Decision,
) -> CheckReport {
    let word = decision.word();
    let note = format!(
        "> Pull request #{number} has the same head commit and is open, and its verdict is {word}: that keeps this check red. Fix or close #{number}, then run this job again.\n\n"
    );
    CheckReport {
        title: format!("Pull request #{number}: {word}; this one: {}", said.title),
        summary: format!("{note}{}", report.markdown(CHECK_LIMIT - note.len())),
        ..said
    }
}

/// What a check keeps at the end of its text: the marks of other pull requests with the same head, then its own.
pub(crate) fn marks_text<'m>(
    others: impl IntoIterator<Item = &'m Mark>,
    own: Option<&'m Mark>,
) -> Option<String> {
    let mut text = String::new();
    for line in others
        .into_iter()
        .chain(own)
        .filter_map(|mark| mark.encode().ok())
    {
        let _ = writeln!(text, "{line}");
    }
    (!text.is_empty()).then_some(text)
}

/// The report as a comment, with room for as many more characters.
pub(crate) fn comment_text(report: &Report<'_>, n_reserved: usize) -> String {
    report.markdown(COMMENT_LIMIT - MARKER_LIMIT - n_reserved)
}

/// The report as an issue.
pub(crate) fn issue_text(report: &Report<'_>) -> String {
    report.markdown(COMMENT_LIMIT - ISSUE_MARKER_LIMIT)
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

/// What a comment's marker may hold. Where something is replaced or cut off, a digest of the whole takes its place, so that
/// two keys never become one.
fn key(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    const DIGEST_CHARS: usize = 12;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let is_plain = text.chars().all(is_allowed)
        && text.len() <= MAX_CHARS
        && !text.contains("--")
        && !text.is_empty();
    if is_plain {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .filter(|c| is_allowed(*c) && *c != '-')
        .take(MAX_CHARS - DIGEST_CHARS - 1)
        .collect();
    let digest: String = Sha256Digest::of(text.as_bytes())
        .hex()
        .chars()
        .take(DIGEST_CHARS)
        .collect();
    format!("{kept}.{digest}")
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
        // These once shared one comment.
        let keys = ["猫", "犬", "a b", "a  b", "a-b", "a--b", ""].map(key);
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }
}
