//! The report on GitHub: the comment and the check run. Nothing here can change a verdict; what goes wrong is a warning
//! that names what to do.

use std::path::Path;

use serde::{Deserialize, Serialize};
use trainyard_core::files;
use trainyard_core::gate::{BaselineRecord, Given};
use trainyard_core::report::{COMMENT_LIMIT, Report};
use trainyard_core::verdict::{Decision, Verdict};
use trainyard_github::{
    Check, CheckReport, CheckRun, Conclusion, Found, GitHub, GitHubError, MARKER_LIMIT, Outcome,
    Place, Retry, Stamp, Start,
};
use trainyard_runner::{Context, Provider, Stage};

use crate::inputs::{CommentMode, GitHubArgs};

/// Where `--start` leaves the check's number for the run that completes it.
const CHECK_FILE: &str = "check.json";

/// GitHub's limit of a check's summary, in characters; its text has the same.
const CHECK_LIMIT: usize = 65_535;

/// Where people find what was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) comment_url: Option<String>,
    pub(crate) check_url: Option<String>,
}

/// What was found out about the baseline.
#[derive(Debug)]
pub(crate) enum LookedUp {
    /// Nobody looked.
    Nothing,
    Found {
        found: Box<Found>,
        /// In words.
        source: String,
    },
    Absent(String),
    Unknown(String),
}

impl LookedUp {
    pub(crate) fn given(&self) -> Given<'_> {
        match self {
            Self::Nothing => Given::Nothing,
            Self::Found { found, source } => Given::Record(&found.record, source),
            Self::Absent(reason) => Given::Absent(reason),
            Self::Unknown(reason) => Given::Unknown(reason),
        }
    }

    pub(crate) fn record(&self) -> Option<&BaselineRecord> {
        match self {
            Self::Found { found, .. } => Some(&found.record),
            _ => None,
        }
    }
}

/// A check that was opened.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Started {
    id: u64,
    head_sha: String,
    external_id: String,
}

/// GitHub, and what this run is called there.
pub(crate) struct Reporter<'a> {
    github: GitHub,
    context: &'a Context,
    args: &'a GitHubArgs,
    head_sha: String,
    run_id: u64,
    attempt: u32,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Reporter<'a> {
    /// `None` where nothing is to be written: outside of GitHub Actions, without a token, or where a fork's token may
    /// not write.
    pub(crate) fn new(context: &'a Context, args: &'a GitHubArgs) -> Option<Self> {
        if context.provider != Provider::GitHubActions {
            return None;
        }
        let (Some(token), Some(repository), Some(head_sha)) =
            (&args.token, &context.repository, &context.head_sha)
        else {
            tracing::info!("no token: the report is in the job summary and in `comment.md` alone");
            return None;
        };
        if context.is_fork && context.event_name.as_deref() == Some("pull_request") {
            tracing::info!(
                "a pull request of a fork has a read-only token: the report is in the job summary and in `comment.md` alone"
            );
            return None;
        }
        let run = context.run.as_ref()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .inspect_err(|error| tracing::warn!("nothing is written on GitHub: {error}"))
            .ok()?;
        let connected = {
            let _guard = runtime.enter();
            GitHub::connect(&context.api_url, repository, token, Retry::default())
        };
        let github = connected
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok()?;
        Some(Self {
            github,
            context,
            args,
            head_sha: head_sha.clone(),
            run_id: run.id.parse().unwrap_or_default(),
            attempt: run.attempt,
            runtime,
        })
    }

    /// Opens the check run, so that a pull request shows it while the model trains.
    pub(crate) fn start(&self, model: &str, out: &Path) -> Result<Option<String>, GitHubError> {
        if self.args.no_check {
            return Ok(None);
        }
        let check = self.check(model);
        let report = CheckReport {
            title: "In progress".to_owned(),
            summary: "The model is trained and scored; the verdict follows.".to_owned(),
            text: None,
            annotations: Vec::new(),
        };
        let run = self
            .runtime
            .block_on(self.github.start_check(&check, &report))?;
        let started = Started {
            id: run.id,
            head_sha: check.head_sha,
            external_id: check.external_id,
        };
        if let Err(error) = files::write_json(&out.join(CHECK_FILE), &started) {
            // The run that completes it makes a new one.
            tracing::warn!("{error}");
        }
        Ok(run.html_url)
    }

    /// The record that the model is compared with.
    pub(crate) fn baseline(&self, model: &str) -> LookedUp {
        let Some(start) = self.start_of_baseline() else {
            return LookedUp::Absent("nothing says which commit comes before this one".to_owned());
        };
        let name = check_name(model);
        match self
            .runtime
            .block_on(self.github.find_baseline(&start, &name))
        {
            Ok(Some(found)) => {
                let short: String = found.commit.chars().take(7).collect();
                let source = match found.distance {
                    0 => format!("commit {short}"),
                    1 => format!("commit {short}, one commit further back"),
                    n => format!("commit {short}, {n} commits further back"),
                };
                LookedUp::Found {
                    found: Box::new(found),
                    source,
                }
            }
            Ok(None) => LookedUp::Absent(format!(
                "no commit before this one has a record in the check `{name}`; the first run on the base branch leaves one"
            )),
            Err(error) => LookedUp::Unknown(error.to_string()),
        }
    }

    /// The commit before the change: the merge commit's first parent already holds what is new on the base branch.
    fn start_of_baseline(&self) -> Option<Start> {
        let context = self.context;
        let tested = context.tested_sha.clone();
        let is_merge_commit = tested.is_some() && tested.as_ref() != Some(&self.head_sha);
        match context.event_name.as_deref() {
            Some("pull_request") if is_merge_commit => tested.map(Start::Before),
            Some("merge_group") => context.base_sha.clone().map(Start::At),
            _ if context.pull_request.is_some() => Some(Start::MergeBase {
                base_branch: context.base_branch.clone()?,
                head: self.head_sha.clone(),
            }),
            _ => Some(Start::Before(self.head_sha.clone())),
        }
    }

    /// Completes the check run and writes the comment. `record` is kept with a branch's commit for later comparisons.
    pub(crate) fn finish(
        &self,
        stage: &mut Stage,
        model: &str,
        out: &Path,
        report: &Report<'_>,
        record: Option<&BaselineRecord>,
    ) -> Written {
        let mut written = Written::default();
        if !self.args.no_check {
            match self.complete_check(model, out, report, record) {
                Ok(run) => written.check_url = run.html_url,
                Err(error) => warn(stage, &error),
            }
        }
        if let Some(pull_request) = self.commented() {
            match self.write_comment(pull_request, model, report) {
                Ok(outcome) => {
                    if matches!(outcome, Outcome::Newer(_)) {
                        tracing::info!("the comment shows a newer run and is left alone");
                    }
                    written.comment_url = outcome.into_comment().map(|comment| comment.html_url);
                }
                Err(error) => warn(stage, &error),
            }
        }
        tracing::info!("{} calls of GitHub's API", self.github.n_calls());
        written
    }

    fn complete_check(
        &self,
        model: &str,
        out: &Path,
        report: &Report<'_>,
        record: Option<&BaselineRecord>,
    ) -> Result<CheckRun, GitHubError> {
        let check = self.check(model);
        let started: Option<Started> = files::read_json(&out.join(CHECK_FILE), "check").ok();
        let started = started.filter(|started| {
            started.head_sha == check.head_sha && started.external_id == check.external_id
        });
        // Only what a branch's own run measured may be compared with later.
        let is_of_branch = self.context.pull_request.is_none() && !self.context.is_fork;
        let record = record
            .filter(|_| is_of_branch)
            .and_then(|record| record.encode().ok());
        let report_of_check = CheckReport {
            title: report.title(),
            summary: report.markdown(CHECK_LIMIT),
            text: record,
            annotations: Vec::new(),
        };
        let conclusion = self.conclusion(report.verdict.verdict);
        let id = started.map(|started| started.id);
        self.runtime.block_on(
            self.github
                .complete_check(&check, id, conclusion, &report_of_check),
        )
    }

    fn write_comment(
        &self,
        pull_request: u64,
        model: &str,
        report: &Report<'_>,
    ) -> Result<Outcome, GitHubError> {
        let place = Place {
            pull_request,
            key: key(self.args.comment_key.as_deref().unwrap_or(model)),
        };
        let stamp = Stamp {
            run_id: self.run_id,
            attempt: self.attempt,
            head_sha: self.head_sha.clone(),
        };
        let text = report.markdown(COMMENT_LIMIT - MARKER_LIMIT);
        let may_create = match self.args.comment {
            CommentMode::Always => true,
            CommentMode::Changes => has_changed(report.verdict),
            CommentMode::Failures => !report.verdict.verdict.is_green(),
            CommentMode::Never => false,
        };
        self.runtime.block_on(async {
            let token = self.args.token.as_deref().unwrap_or_default();
            let author = self.github.author_of(token).await?;
            let author = author.as_deref();
            self.github
                .upsert_comment(&place, author, &stamp, &text, may_create)
                .await
        })
    }

    /// The pull request that is to have a comment. A fork's numbers are no matter for one.
    fn commented(&self) -> Option<u64> {
        let is_wanted = self.args.comment != CommentMode::Never && !self.context.is_fork;
        self.context.pull_request.filter(|_| is_wanted)
    }

    /// What a fork computed proves nothing, so it is never green.
    const fn conclusion(&self, decision: Decision) -> Conclusion {
        match decision {
            Decision::Pass | Decision::Warn if self.context.is_fork => Conclusion::Neutral,
            Decision::Pass | Decision::Warn => Conclusion::Success,
            // What could not be judged is never green either.
            Decision::Fail | Decision::Inconclusive | Decision::Skipped => Conclusion::Failure,
        }
    }

    fn check(&self, model: &str) -> Check {
        let run = self.context.run.as_ref();
        let name = check_name(model);
        Check {
            // Never the name that a branch protection requires.
            name: if self.context.is_fork {
                format!("{name} (fork, unverified)")
            } else {
                name
            },
            head_sha: self.head_sha.clone(),
            details_url: run.and_then(|run| run.url.clone()),
            external_id: format!("{}:{}.{}", key(model), self.run_id, self.attempt),
        }
    }
}

/// Whether there is something to see: a rule that does not simply hold, another value than the baseline's, or no
/// baseline at all.
fn has_changed(verdict: &Verdict) -> bool {
    let is_other = |value: f64, baseline: Option<f64>| baseline != Some(value);
    verdict.verdict != Decision::Pass
        || verdict
            .metrics
            .iter()
            .any(|row| is_other(row.value, row.baseline))
}

fn check_name(model: &str) -> String {
    format!("trainyard / {model}")
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

/// Says in the log and beside the job that something was not written.
pub(crate) fn warn(stage: &mut Stage, error: &GitHubError) {
    tracing::warn!("{error}");
    if stage.annotator.is_github_actions() {
        let annotation = trainyard_runner::Annotation::warning(error.to_string());
        stage.annotate(vec![annotation.title("The report is not on GitHub")]);
    }
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
