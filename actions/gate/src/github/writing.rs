//! The check run, the comment and the issue.

use trainyard_core::files;
use trainyard_core::gate::{BaselineRecord, FreshRows, Looks, Mark};
use trainyard_core::report::Report;
use trainyard_github::{
    Check, CheckReport, CheckRun, Conclusion, GitHubError, IssueOutcome, IssueText, Outcome, Place,
    WORKFLOWS_APP,
};
use trainyard_runner::{Annotation, Stage};

use super::reporter::{CHECK_FILE, Reporter, Started};
use super::{fresh_rows, looks};
use crate::plan::{Plan, comment_text, issue_text, marks_text, outweighed};
use crate::role::Role;

/// Where people find what was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) comment_url: Option<String>,
    pub(crate) check_url: Option<String>,
    pub(crate) issue_url: Option<String>,
}

/// Pull requests with the same head that are asked whether they are open.
const MAX_ASKED: usize = 5;

/// What checks keep of a run.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    /// For later comparisons, where the run leaves a record.
    pub(crate) record: Option<&'a BaselineRecord>,
    /// Of the verdict.
    pub(crate) mark: &'a Mark,
    /// Whether the record takes the place of one of this commit whose predictions are gone.
    pub(crate) renews: bool,
    /// What other pull requests with this head left in the check; `None` where it was not read.
    pub(crate) others: Option<&'a [Mark]>,
    /// The models judged on these rows, this one included, where they are counted.
    pub(crate) looks: Option<&'a Looks>,
    /// The evidence of fresh rows, where rules accumulate it.
    pub(crate) fresh_rows: Option<&'a FreshRows>,
}

impl Reporter<'_> {
    /// Opens the check run, so that a pull request shows it while the model trains.
    pub(crate) fn start(&self, model: &str) -> Result<Option<String>, GitHubError> {
        if self.plan.args.no_check || !self.link.may_write {
            return Ok(None);
        }
        let check = self.plan.check(model);
        let github = &self.link.github;
        let mut found = self.block_on(github.find_check(&check))?;
        // A record stays where later runs find it until a new one takes its place.
        if *self.plan.role == Role::Baseline
            && let Some(found) = found.take_if(|found| found.status == "completed")
        {
            return Ok(found.html_url);
        }
        let text = found.as_ref().and_then(|found| found.text());
        let of_others = self.plan.change_number().zip(text);
        let others = of_others.map_or_else(Vec::new, |(number, text)| {
            Mark::of_others(Mark::decode_all(text), number)
        });
        let report = CheckReport {
            title: "In progress".to_owned(),
            summary: "The model is trained and scored; the verdict follows.".to_owned(),
            text: with_lines(
                marks_text(&others, None),
                text.map(|text| looks::lines(text) + &fresh_rows::lines(text))
                    .as_deref(),
            ),
            annotations: Vec::new(),
        };
        let run = self.block_on(github.start_check(&check, found.as_ref(), &report))?;
        let started = Started {
            id: run.id,
            head_sha: check.head_sha,
            external_id: check.external_id,
            app: run.app().map(str::to_owned),
        };
        if let Err(error) = files::write_json(&self.out.join(CHECK_FILE), &started) {
            // The run that completes it makes a new one.
            tracing::warn!("{error}");
        }
        Ok(run.html_url)
    }

    /// Completes every check of ours on the commit that is open, where the configuration does not tell their names.
    pub(crate) fn complete_open_checks(&self, stage: &mut Stage, report: &Report<'_>) {
        if self.plan.args.no_check || !self.link.may_write {
            return;
        }
        let said = self.plan.check_report(report, &[], None);
        let done = self.block_on(self.link.github.complete_open_checks(
            self.plan.head_sha(),
            "trainyard / ",
            Conclusion::Failure,
            &said,
        ));
        if let Err(error) = done {
            warn(stage, &error);
        }
    }

    /// Completes the check run and writes the comment.
    pub(crate) fn finish(
        &self,
        stage: &mut Stage,
        model: &str,
        report: &Report<'_>,
        annotations: &[Annotation],
        kept: Kept<'_>,
    ) -> Written {
        let mut written = Written::default();
        if !self.link.may_write {
            return written;
        }
        if !self.plan.args.no_check {
            match self.write_checks(model, report, annotations, kept) {
                Ok(url) => written.check_url = url,
                Err(error) => warn(stage, &error),
            }
        }
        if let Some(place) = self.plan.place(model) {
            match self.write_comment(&place, report, kept) {
                Ok(outcome) => {
                    if matches!(outcome, Outcome::Newer(_)) {
                        tracing::info!("the comment shows a newer run and is left alone");
                    }
                    written.comment_url = outcome.into_comment().map(|comment| comment.html_url);
                }
                Err(error) => warn(stage, &error),
            }
        }
        if let Some(key) = self.plan.issue(model) {
            match self.write_issue(&key, report) {
                Ok(outcome) => {
                    written.issue_url = outcome.into_issue().map(|issue| issue.html_url);
                }
                Err(error) => warn(stage, &error),
            }
        }
        tracing::info!("{} calls of GitHub's API", self.link.github.n_calls());
        written
    }

    /// Opens or updates the issue with the key, or closes it.
    fn write_issue(&self, key: &str, report: &Report<'_>) -> Result<IssueOutcome, GitHubError> {
        let github = &self.link.github;
        let (title, body) = (report.title(), issue_text(report));
        let said = IssueText {
            key,
            title: &title,
            body: &body,
        };
        if report.verdict.is_let_through() {
            self.block_on(github.close_issue(&said))
        } else {
            self.block_on(github.open_issue(&said))
        }
    }

    /// Completes the check of this run's role, and leaves the record in the one check that holds records.
    fn write_checks(
        &self,
        model: &str,
        report: &Report<'_>,
        annotations: &[Annotation],
        kept: Kept<'_>,
    ) -> Result<Option<String>, GitHubError> {
        let Kept { record, mark, .. } = kept;
        let check = self.plan.check(model);
        let others = self.others(&check, model, kept)?;
        let own_record = record.filter(|_| *self.plan.role == Role::Baseline);
        let encoded = |record: &BaselineRecord| record.encode().ok();
        let text = match own_record {
            Some(record) => encoded(record),
            // What a fork computed says nothing to anybody else.
            None if self.plan.context.is_unverified() => None,
            None => with_lines(marks_text(&others, Some(mark)), lines(kept).as_deref()),
        };
        let mut said = self.plan.check_report(report, annotations, text);
        let own_conclusion = self.plan.conclusion(report.verdict);
        let mut conclusion = own_conclusion;
        let red = others.iter().find(|mark| !mark.is_let_through());
        let red = red.and_then(|mark| Some((mark.pull_request?, mark.decision)));
        if let Some((number, decision)) = red.filter(|_| own_conclusion == Conclusion::Success) {
            said = outweighed(said, report, number, decision);
            conclusion = Conclusion::Failure;
        }
        let started = self.started(model).map(|started| started.id);
        let github = &self.link.github;
        let run = self.block_on(github.complete_check(&check, started, conclusion, &said))?;
        if own_record.is_none() && record.is_some() {
            let said = self
                .plan
                .check_report(report, annotations, record.and_then(encoded));
            let check = self.plan.baseline_check(model);
            let is_refresh = matches!(self.plan.role, Role::Scheduled { .. });
            let found = self.block_on(github.find_check(&check))?;
            let is_there = found.is_some_and(|found| found.status == "completed");
            // A run by hand fills a gap, and takes no record's place but that of one whose artifact has expired.
            if !(is_refresh && is_there) || kept.renews {
                self.block_on(github.complete_check(&check, None, own_conclusion, &said))?;
            }
        }
        Ok(run.html_url)
    }

    /// The marks of other open pull requests with this head that are judged under the same name: the worse verdict stands.
    fn others(&self, check: &Check, model: &str, kept: Kept<'_>) -> Result<Vec<Mark>, GitHubError> {
        let Some(number) = self.plan.change_number() else {
            return Ok(Vec::new());
        };
        let mut marks = match kept.others {
            Some(marks) => marks.to_vec(),
            None => self.marks_of_others(check, model, number)?,
        };
        let mut n_asked = 0;
        marks.retain(|mark| {
            n_asked += 1;
            n_asked > MAX_ASKED || self.is_current(mark)
        });
        Ok(marks)
    }

    /// What other pull requests left in the check.
    fn marks_of_others(
        &self,
        check: &Check,
        model: &str,
        number: u64,
    ) -> Result<Vec<Mark>, GitHubError> {
        let found = self.block_on(self.link.github.find_check(check))?;
        let found = found.filter(|found| self.is_own(found, model));
        let marks = found
            .as_ref()
            .and_then(|found| found.text())
            .map(Mark::decode_all);
        Ok(Mark::of_others(marks.unwrap_or_default(), number))
    }

    /// Whether this app wrote the check.
    pub(super) fn is_own(&self, found: &CheckRun, model: &str) -> bool {
        let app = self.started(model).and_then(|started| started.app);
        found.app() == Some(app.as_deref().unwrap_or(WORKFLOWS_APP))
    }

    /// Whether the pull request of the mark is open, with this head and a base of the same name. Where that cannot be
    /// asked, it counts as one that is.
    fn is_current(&self, mark: &Mark) -> bool {
        let Plan { context, role, .. } = self.plan;
        let Some(number) = mark.pull_request else {
            return false;
        };
        match self.block_on(self.link.github.pull_request(number)) {
            Ok(pull) => {
                pull.is_open()
                    && pull.head.sha == self.plan.head_sha()
                    && role.is_of_change_into(&pull.base.branch, context)
            }
            Err(error) if error.status() == Some(404) => false,
            Err(error) => {
                tracing::warn!("{error}");
                true
            }
        }
    }

    fn write_comment(
        &self,
        place: &Place,
        report: &Report<'_>,
        kept: Kept<'_>,
    ) -> Result<Outcome, GitHubError> {
        let github = &self.link.github;
        let may_create = self.plan.may_create_comment(report.verdict);
        let stamp = self.plan.stamp();
        let text = match lines(kept) {
            Some(lines) => format!("{}\n\n{lines}", comment_text(report, lines.len() + 2)),
            None => comment_text(report, 0),
        };
        self.block_on(github.upsert_comment(place, &stamp, &text, may_create))
    }
}

/// What later runs go on from, a line each: the evidence of fresh rows and the count of looks.
fn lines(kept: Kept<'_>) -> Option<String> {
    let evidence = kept.fresh_rows.and_then(|found| found.encode().ok());
    let looks = kept.looks.and_then(|looks| looks.encode().ok());
    let lines: Vec<String> = evidence.into_iter().chain(looks).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A check's text with the lines that later runs go on from.
fn with_lines(text: Option<String>, lines: Option<&str>) -> Option<String> {
    match (text, lines.filter(|lines| !lines.is_empty())) {
        (Some(text), Some(lines)) => Some(format!("{text}{lines}\n")),
        (None, Some(lines)) => Some(format!("{lines}\n")),
        (text, None) => text,
    }
}

/// Says in the log and beside the job that something was not written.
pub(crate) fn warn(stage: &mut Stage, error: &GitHubError) {
    tracing::warn!("{error}");
    if stage.annotator.is_github_actions() {
        let annotation = Annotation::warning(error.to_string());
        stage.annotate(vec![annotation.title("The report is not on GitHub")]);
    }
}
