//! The check run and the comment.

use trainyard_core::files;
use trainyard_core::gate::{BaselineRecord, Mark};
use trainyard_core::report::Report;
use trainyard_github::{CheckReport, Conclusion, GitHubError, Outcome, Place};
use trainyard_runner::{Annotation, Stage};

use super::reporter::{CHECK_FILE, Reporter, Started};
use crate::plan::comment_text;
use crate::role::Role;

/// Where people find what was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) comment_url: Option<String>,
    pub(crate) check_url: Option<String>,
}

impl Reporter<'_> {
    /// Opens the check run, so that a pull request shows it while the model trains.
    pub(crate) fn start(&self, model: &str) -> Result<Option<String>, GitHubError> {
        if self.plan.args.no_check || !self.link.may_write {
            return Ok(None);
        }
        let check = self.plan.check(model);
        let report = CheckReport {
            title: "In progress".to_owned(),
            summary: "The model is trained and scored; the verdict follows.".to_owned(),
            text: None,
            annotations: Vec::new(),
        };
        // A record stays where later runs find it until a new one takes its place.
        if *self.plan.role == Role::Baseline {
            let found = self.block_on(self.link.github.find_check(&check))?;
            if let Some(found) = found.filter(|found| found.status == "completed") {
                return Ok(found.html_url);
            }
        }
        let run = self.block_on(self.link.github.start_check(&check, &report))?;
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

    /// Completes the check run and writes the comment. `record` is kept with a branch's commit for later comparisons.
    pub(crate) fn finish(
        &self,
        stage: &mut Stage,
        model: &str,
        report: &Report<'_>,
        annotations: &[Annotation],
        record: Option<&BaselineRecord>,
        mark: &Mark,
    ) -> Written {
        let mut written = Written::default();
        if !self.link.may_write {
            return written;
        }
        if !self.plan.args.no_check {
            match self.write_checks(model, report, annotations, record, mark) {
                Ok(url) => written.check_url = url,
                Err(error) => warn(stage, &error),
            }
        }
        if let Some(place) = self.plan.place(model) {
            match self.write_comment(&place, report) {
                Ok(outcome) => {
                    if matches!(outcome, Outcome::Newer(_)) {
                        tracing::info!("the comment shows a newer run and is left alone");
                    }
                    written.comment_url = outcome.into_comment().map(|comment| comment.html_url);
                }
                Err(error) => warn(stage, &error),
            }
        }
        tracing::info!("{} calls of GitHub's API", self.link.github.n_calls());
        written
    }

    /// Completes the check of this run's role, and leaves the record in the one check that holds records.
    fn write_checks(
        &self,
        model: &str,
        report: &Report<'_>,
        annotations: &[Annotation],
        record: Option<&BaselineRecord>,
        mark: &Mark,
    ) -> Result<Option<String>, GitHubError> {
        let own_record = record.filter(|_| *self.plan.role == Role::Baseline);
        let encoded = |record: &BaselineRecord| record.encode().ok();
        let kept = match own_record {
            Some(record) => encoded(record),
            // What a fork computed says nothing to anybody else.
            None if self.plan.context.is_unverified() => None,
            None => mark.encode().ok(),
        };
        let said = self.plan.check_report(report, annotations, kept);
        let conclusion = self.plan.conclusion(report.verdict);
        let started = self.started(model).map(|started| started.id);
        let check = self.plan.check(model);
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
            // A run by hand fills a gap, and takes no record's place.
            if !(is_refresh && is_there) {
                self.block_on(github.complete_check(&check, None, conclusion, &said))?;
            }
        }
        Ok(run.html_url)
    }

    fn write_comment(&self, place: &Place, report: &Report<'_>) -> Result<Outcome, GitHubError> {
        let github = &self.link.github;
        let may_create = self.plan.may_create_comment(report.verdict);
        let (stamp, text) = (self.plan.stamp(), comment_text(report));
        self.block_on(github.upsert_comment(place, &stamp, &text, may_create))
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
