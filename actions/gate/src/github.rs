//! The report on GitHub: the comment and the check run. Nothing here can change a verdict; what goes wrong is a warning
//! that names what to do.

use std::path::Path;

use serde::{Deserialize, Serialize};
use trainyard_core::config::JudgingConfig;
use trainyard_core::figure::count;
use trainyard_core::files;
use trainyard_core::gate::{Baseline, BaselineRecord, Mark, Override};
use trainyard_core::report::Report;
use trainyard_github::{
    CheckReport, Conclusion, Found, GitHub, GitHubError, Options, Outcome, PassedOver, Place, Pull,
    Release, RequestOf, Search, SearchOutcome, Start, Thread, WORKFLOWS_APP, Wanted,
};
use trainyard_runner::{Annotation, Context, Event, Provider, Stage, Trust, path_in_repository};

use crate::inputs::GitHubArgs;
use crate::plan::{Plan, comment_text};
use crate::role::{ComparedWith, Role};

/// Where `--start` leaves the check's number for the run that completes it.
const CHECK_FILE: &str = "check.json";

/// Where people find what was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) comment_url: Option<String>,
    pub(crate) check_url: Option<String>,
}

/// Whether an earlier step opened a check.
pub(crate) fn has_started(out: &Path) -> bool {
    files::is_there(&out.join(CHECK_FILE))
}

/// Why a file of the base branch cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the file is not there")]
    NotThere,
    #[error("{0}")]
    Other(String),
}

/// A check that was opened.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Started {
    id: u64,
    head_sha: String,
    external_id: String,
    /// The app that the token writes as.
    app: Option<String>,
}

/// A connection to GitHub.
pub(crate) struct Link {
    github: GitHub,
    runtime: tokio::runtime::Runtime,
    /// Whether the report is written there; a fork's token may only read.
    may_write: bool,
}

impl Link {
    /// `None` where nothing is to be asked or written: outside of GitHub Actions, or without a token.
    pub(crate) fn open(context: &Context, args: &GitHubArgs) -> Option<Self> {
        if context.provider != Provider::GitHubActions || args.dry_run {
            return None;
        }
        let (Some(token), Some(repository), Some(_), Some(_)) = (
            &args.token,
            &context.repository,
            &context.head_sha,
            &context.run,
        ) else {
            tracing::info!("no token: the report is in the job summary and in `comment.md` alone");
            return None;
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .inspect_err(|error| tracing::warn!("nothing is written on GitHub: {error}"))
            .ok()?;
        let connected = {
            let _guard = runtime.enter();
            let mut options = Options::default();
            options.client.ca.clone_from(&args.ca);
            options.graphql_url = Some(context.graphql_url.clone());
            GitHub::connect(&context.api_url, repository, token, &options)
        };
        let github = connected
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok()?;
        let may_write = context.trust() != Trust::Fork;
        if !may_write {
            tracing::info!(
                "a pull request of a fork has a read-only token: the report is in the job summary and in `comment.md` alone"
            );
        }
        Some(Self {
            github,
            runtime,
            may_write,
        })
    }

    pub(crate) const fn github(&self) -> &GitHub {
        &self.github
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The patterns of the branches that leave records, which only the default branch's configuration says. Where it cannot
    /// be read there are none, so that no other branch leaves one.
    pub(crate) fn baseline_branches(&self, context: &Context, path: &Path) -> Vec<String> {
        let Some(branch) = &context.default_branch else {
            return Vec::new();
        };
        match self.config(context, path, branch) {
            Ok(config) => config.gate.baseline_branches,
            Err(ReadError::NotThere) => Vec::new(),
            Err(ReadError::Other(reason)) => {
                tracing::warn!(
                    "`[gate] baseline_branches` of `{branch}` could not be read, so only `{branch}` leaves records: {reason}"
                );
                Vec::new()
            }
        }
    }

    /// A file as a branch or commit has it.
    fn file(&self, context: &Context, path: &Path, reference: &str) -> Result<String, ReadError> {
        let path = path_in_repository(context.workspace.as_deref(), path);
        let text = self.runtime.block_on(self.github.file(&path, reference));
        text.map_err(|error| match error.status() {
            Some(404) => ReadError::NotThere,
            _ => ReadError::Other(error.to_string()),
        })
    }

    /// The configuration as a branch or commit has it.
    fn config(
        &self,
        context: &Context,
        path: &Path,
        reference: &str,
    ) -> Result<JudgingConfig, ReadError> {
        let text = self.file(context, path, reference)?;
        let named = format!("{reference}:{}", path.display());
        JudgingConfig::parse(&text, Path::new(&named))
            .map_err(|error| ReadError::Other(error.to_string()))
    }

    /// Learns what the event does not say: the pull request of a fork's run, and its base. `false` where nothing is to be written: the pull request has moved on or no longer exists.
    pub(crate) fn complete(&self, context: &mut Context) -> Result<bool, GitHubError> {
        let number = context.pull_request;
        match (&context.event, number) {
            (Event::PullRequestTarget, Some(number))
                if checked_out(context) != context.head_sha =>
            {
                tracing::warn!(
                    "the commit of pull request {number} is not checked out, so nothing is written for it; use the event `pull_request`"
                );
                Ok(false)
            }
            // Such a run has the default branch checked out, unless it says otherwise.
            (Event::CheckRun, _) if checked_out(context) != context.head_sha => {
                tracing::warn!(
                    "the commit of the check run is not checked out, so nothing is written for it"
                );
                Ok(false)
            }
            (Event::WorkflowRun | Event::CheckRun, Some(number)) if !context.is_unverified() => {
                let pull = self.runtime.block_on(self.github.pull_request(number))?;
                take_base(context, pull);
                Ok(true)
            }
            (Event::WorkflowRun, _) if context.is_unverified() => {
                let asked = context
                    .head_repository
                    .as_ref()
                    .zip(context.branch.as_ref())
                    .zip(context.head_sha.as_ref());
                // A deleted repository has no pull request to report on.
                let found = match asked {
                    Some(((repository, branch), sha)) => self
                        .runtime
                        .block_on(self.github.request_of(repository, branch, sha))?,
                    None => RequestOf::Nothing,
                };
                match found {
                    RequestOf::Head(pull) => {
                        take_base(context, pull);
                        Ok(true)
                    }
                    RequestOf::Outdated(pull) => {
                        tracing::info!(
                            "pull request {} has a newer commit, {}, by now: nothing is written for this one",
                            pull.number,
                            pull.head.sha
                        );
                        Ok(false)
                    }
                    RequestOf::Nothing => {
                        tracing::info!(
                            "no open pull request has this commit: nothing is written for it"
                        );
                        Ok(false)
                    }
                }
            }
            _ => Ok(true),
        }
    }
}

/// GitHub's merge commit of a pull request, where that was tested in the place of the head.
pub(crate) fn merge_commit(context: &Context) -> Option<String> {
    if context.event != Event::PullRequest {
        return None;
    }
    let tested = checked_out(context).or_else(|| context.tested_sha.clone());
    tested.filter(|tested| context.head_sha.as_ref() != Some(tested))
}

/// The same, where the workspace shows that it was tested.
pub(crate) fn tested_merge_commit(context: &Context) -> Option<String> {
    merge_commit(context).filter(|merge| checked_out(context).as_ref() == Some(merge))
}

/// Whether the workspace holds what the event checks out by itself, as far as it shows.
pub(crate) fn has_own_checkout(context: &Context) -> bool {
    let found = checked_out(context);
    found.is_none() || found == context.tested_sha
}

/// The commit in the workspace: with `ref`, `actions/checkout` leaves another than the one that the event is about.
fn checked_out(context: &Context) -> Option<String> {
    let git = context.workspace.as_ref()?.join(".git");
    let head = files::read_text(&git.join("HEAD")).ok()?;
    // A checkout of a branch names it, and the branch's file holds the commit.
    let sha = match head.trim().strip_prefix("ref: ") {
        Some(reference) => files::read_text(&git.join(reference)).ok()?,
        None => head,
    };
    let sha = sha.trim();
    let is_sha = sha.len() >= 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sha.then(|| sha.to_owned())
}

fn take_base(context: &mut Context, pull: Pull) {
    context.pull_request = Some(pull.number);
    context.base_sha = Some(pull.base.sha);
    context.base_branch = Some(pull.base.branch);
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// The pull request of a merge group's branch, `gh-readonly-queue/main/pr-7-0123…`.
fn queued_pull_request(branch: &str) -> Option<u64> {
    let (_, rest) = branch
        .strip_prefix("gh-readonly-queue/")?
        .rsplit_once("/pr-")?;
    rest.split('-').next()?.parse().ok()
}

/// Which nearer commits were not compared with, and why.
fn passed_over_note(passed_over: &[PassedOver]) -> Option<String> {
    const N_NAMED: usize = 3;
    if passed_over.is_empty() {
        return None;
    }
    let named = passed_over.iter().take(N_NAMED);
    let named: Vec<String> = named
        .map(|passed| format!("{} ({})", short(&passed.commit), passed.reason))
        .collect();
    let more = match passed_over.len().saturating_sub(N_NAMED) {
        0 => String::new(),
        n_more => format!(" and {}", count(n_more as u64, "more commit")),
    };
    Some(format!("Not compared with {}{more}.", named.join(", ")))
}

/// What a model is compared with, and what was learnt on the way.
pub(crate) struct Compared {
    pub(crate) baseline: Baseline,
    /// The record, which brings the history.
    pub(crate) record: Option<BaselineRecord>,
    pub(crate) notes: Vec<String>,
    /// Whether the commit itself has a completed check for records.
    pub(crate) has_own_record: bool,
    /// The git tree of the tested commit, where it was read.
    pub(crate) tree_sha: Option<String>,
}

impl Compared {
    pub(crate) fn with(baseline: Baseline) -> Self {
        Self {
            baseline,
            record: None,
            notes: Vec::new(),
            // Where it is not known, nothing is put in its place.
            has_own_record: true,
            tree_sha: None,
        }
    }
}

/// GitHub, and what this run is called there.
pub(crate) struct Reporter<'a> {
    link: Link,
    plan: Plan<'a>,
    out: &'a Path,
}

impl<'a> Reporter<'a> {
    pub(crate) const fn new(link: Link, plan: Plan<'a>, out: &'a Path) -> Self {
        Self { link, plan, out }
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.link.block_on(work)
    }

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

    /// The check that `--start` opened for this run.
    fn started(&self, model: &str) -> Option<Started> {
        // A fork's artifact may hold such a file, and name another check in it.
        if self.plan.context.is_unverified() {
            return None;
        }
        let check = self.plan.check(model);
        let started: Started = files::read_json(&self.out.join(CHECK_FILE), "check").ok()?;
        let is_ours =
            started.head_sha == check.head_sha && started.external_id == check.external_id;
        is_ours.then_some(started)
    }

    /// What the model is compared with.
    pub(crate) fn baseline(&self, model: &str) -> Compared {
        let release = match self.release_before(model) {
            Ok(release) => release,
            Err(error) => return Compared::with(Baseline::Unavailable(error.to_string())),
        };
        let start = match &release {
            Some(release) => Some(Start::At(release.commit.clone())),
            None => self.start_of_baseline(),
        };
        let Some(start) = start else {
            let reason = "nothing says which commit comes before this one";
            return Compared::with(Baseline::NotConfigured(reason.to_owned()));
        };
        let name = self.plan.baseline_check(model).name;
        let app = self.started(model).and_then(|started| started.app);
        let context = self.plan.context;
        let is_baseline = *self.plan.role == Role::Baseline;
        let branch = context.branch.as_deref().filter(|_| is_baseline);
        let wanted = Wanted {
            check_name: &name,
            app: app.as_deref(),
            // Another workflow may leave the records of the branch that a change enters.
            runs: context.workflow_file.as_deref().zip(branch),
        };
        let Search {
            outcome,
            passed_over,
            tree_sha,
        } = match self.block_on(self.link.github.find_baseline(&start, wanted)) {
            Ok(search) => search,
            Err(error) => return Compared::with(Baseline::Unavailable(error.to_string())),
        };
        let is_own = |commit: &str| commit == self.plan.head_sha();
        let mut has_own_record = passed_over.iter().any(|passed| is_own(&passed.commit));
        let mut record = None;
        let baseline = match outcome {
            SearchOutcome::Found(found) => {
                let Found {
                    commit,
                    distance,
                    record: found,
                } = *found;
                has_own_record |= is_own(&commit);
                let parts = [
                    Some(format!("commit {}", short(&commit))),
                    release.map(|release| format!(" of release {}", release.tag)),
                    (distance > 0)
                        .then(|| format!(", {} further back", count(distance as u64, "commit"))),
                    found
                        .overridden
                        .as_ref()
                        .map(|overridden| format!(", let through by {}", overridden.by)),
                ];
                let source: String = parts.into_iter().flatten().collect();
                let baseline = Baseline::of_record(&found, source);
                record = Some(found);
                baseline
            }
            SearchOutcome::NoneAmong(n_commits) => Baseline::Unavailable(format!(
                "none of the {n_commits} commits before this one has a record in the check `{name}`, and the search ended there; set `[gate] on_missing_baseline = \"absolute-only\"` until a run on the base branch has left one"
            )),
            SearchOutcome::NoneEver => Baseline::NeverRecorded(match passed_over.first() {
                None => format!(
                    "no commit before this one has a record in the check `{name}`; the first run on a push to the base branch leaves one, where its token has `checks: write`"
                ),
                Some(nearest) => format!(
                    "no commit before this one has a record that counts in the check `{name}`: of {}, {}",
                    short(&nearest.commit),
                    nearest.reason
                ),
            }),
        };
        Compared {
            baseline,
            record,
            notes: passed_over_note(&passed_over).into_iter().collect(),
            has_own_record,
            tree_sha,
        }
    }

    /// What a release tag is compared with: the release before it.
    fn release_before(&self, model: &str) -> Result<Option<Release>, GitHubError> {
        match &self.plan.context.tag {
            Some(tag) => self.block_on(self.link.github.release_before(tag, model)),
            None => Ok(None),
        }
    }

    /// The commit before the change: the merge commit's first parent already holds what is new on the base branch.
    fn start_of_baseline(&self) -> Option<Start> {
        let context = self.plan.context;
        let head = self.plan.head_sha().to_owned();
        let merge_base = |branch: &Option<String>| {
            Some(Start::MergeBase {
                base_branch: branch.clone()?,
                head: head.clone(),
            })
        };
        match self.plan.role.compared_with(context) {
            ComparedWith::Base => match (merge_commit(context), &context.event) {
                (Some(merge_commit), _) => Some(Start::Before(merge_commit)),
                (None, Event::MergeGroup) => context.base_sha.clone().map(Start::At),
                (None, _) => merge_base(&context.base_branch),
            },
            ComparedWith::Before => Some(Start::Push {
                head,
                before: context.before.clone(),
            }),
            ComparedWith::MergeBase => merge_base(&context.default_branch),
            // A first release.
            ComparedWith::ReleaseBefore => Some(Start::Before(head)),
            ComparedWith::Itself => Some(Start::At(head)),
        }
    }

    /// A file as a branch or commit has it.
    pub(crate) fn base_file(&self, path: &Path, reference: &str) -> Result<String, ReadError> {
        self.link.file(self.plan.context, path, reference)
    }

    /// The configuration as a branch or commit has it.
    pub(crate) fn base_config(
        &self,
        path: &Path,
        reference: &str,
    ) -> Result<JudgingConfig, ReadError> {
        self.link.config(self.plan.context, path, reference)
    }

    /// Who let this commit through, where a person did: in a comment, or for the same content under another commit.
    pub(crate) fn find_override(
        &self,
        model: &str,
        mark: &Mark,
        record: Option<&BaselineRecord>,
    ) -> Result<Option<Override>, GitHubError> {
        let context = self.plan.context;
        let head = self.plan.head_sha();
        let github = &self.link.github;
        if context.is_unverified() {
            return Ok(None);
        }
        let thread = context
            .pull_request
            .map_or(Thread::Commit, Thread::PullRequest);
        if let Some(found) = self.block_on(github.find_override(thread, head))? {
            return Ok(Some(found));
        }
        if context.pull_request.is_some() {
            return Ok(None);
        }
        let pulls = match context.branch.as_deref().and_then(queued_pull_request) {
            Some(number) if context.event == Event::MergeGroup => {
                vec![self.block_on(github.pull_request(number))?]
            }
            _ => self.block_on(github.pulls_of(head))?,
        };
        // What brought the commit in was judged under the name of a change.
        let name = self.plan.change_check(model).name;
        let followed =
            self.block_on(github.followed_override(&pulls, &name, WORKFLOWS_APP, mark))?;
        if followed.is_some() {
            return Ok(followed);
        }
        let of_record =
            |record: &BaselineRecord| Mark::of_record(record).override_for(mark).cloned();
        if let Some(found) = record.and_then(of_record) {
            return Ok(Some(found));
        }
        // A release is compared with the one before, but its commit has a record of its own.
        if *self.plan.role != Role::Release {
            return Ok(None);
        }
        let name = self.plan.baseline_check(model).name;
        let wanted = Wanted {
            check_name: &name,
            app: None,
            runs: None,
        };
        let search = self.block_on(github.find_baseline(&Start::At(head.to_owned()), wanted))?;
        Ok(match search.outcome {
            SearchOutcome::Found(found) => of_record(&found.record),
            SearchOutcome::NoneEver | SearchOutcome::NoneAmong(_) => None,
        })
    }

    /// The model's name in the configuration of the base branch, or of the default branch.
    pub(crate) fn name_on_base(&self, path: &Path) -> Option<String> {
        let context = self.plan.context;
        let branch = context
            .base_branch
            .as_ref()
            .or(context.default_branch.as_ref())?;
        self.base_config(path, branch).ok()?.model_name
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
