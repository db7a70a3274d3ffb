//! GitHub Actions: its variables, and the event file for what the variables do not tell.

use std::path::{Path, PathBuf};

use trainyard_core::files;

use super::payload::{CheckRun, Issue, Payload, PullRequest, Repository, WorkflowRun};
use super::{CiRun, Comment, Context, ContextError, Event, Workflow};
use crate::environment::Environment;

/// The login that Dependabot starts runs as.
const DEPENDABOT: &str = "dependabot[bot]";

pub(super) fn context(
    environment: &Environment,
    server_url: &str,
) -> Result<Context, ContextError> {
    let path = environment
        .get("GITHUB_EVENT_PATH")
        .ok_or(ContextError::NoEventFile)?;
    let payload: Payload = files::read_json(Path::new(path), "event of GitHub Actions")
        .map_err(ContextError::EventFile)?;

    let tested_sha = environment.text("GITHUB_SHA");
    let repository = environment.text("GITHUB_REPOSITORY").or_else(|| {
        let repository = payload.repository.as_ref();
        repository.and_then(|repository| repository.full_name.clone())
    });
    let (branch, tag) = split_ref(environment.get("GITHUB_REF"));
    // Without a name it is not an event that we know.
    let name = environment.get("GITHUB_EVENT_NAME").unwrap_or("unknown");
    let mut context = Context {
        event: Event::of_github(name, tag.is_some()),
        head_sha: tested_sha.clone(),
        tested_sha,
        branch,
        tag,
        run: run(environment, server_url, repository.as_deref()),
        repository,
        workspace: environment.get("GITHUB_WORKSPACE").map(PathBuf::from),
        workflow_file: environment
            .get("GITHUB_WORKFLOW_REF")
            .and_then(workflow_file),
        workflow: Some(Workflow::from_environment(environment)),
        ..Context::default()
    };
    let Payload {
        pull_request,
        workflow_run,
        merge_group,
        check_run,
        issue,
        repository: own,
        before,
        comment,
    } = payload;
    context.comment = comment.map(|comment| Comment {
        id: comment.id,
        body: comment.body,
        author: comment.user.and_then(|user| user.login),
        // A comment on a line of a pull request names a commit too, and is not on it.
        commit: comment.commit_id.filter(|_| name == "commit_comment"),
    });
    context.before = before.filter(|sha| sha.contains(|digit| digit != '0'));
    if let Some(pull_request) = pull_request {
        take_pull_request(&mut context, pull_request, own.as_ref());
    } else if let Some(workflow_run) = workflow_run {
        take_workflow_run(&mut context, workflow_run, own.as_ref());
    } else if let Some(merge_group) = merge_group {
        context.head_sha = Some(merge_group.head_sha);
        context.base_sha = Some(merge_group.base_sha);
        context.branch = Some(branch_name(&merge_group.head_ref));
        context.base_branch = Some(branch_name(&merge_group.base_ref));
    } else if let Some(check_run) = check_run {
        take_check_run(&mut context, check_run);
    } else if let Some(number) = issue.and_then(commented_pull_request) {
        // The payload names no commit of it: who reports asks GitHub.
        context.pull_request = Some(number);
    } else if is_about_a_pull_request(&context) {
        // The payload does not say whose it is, so it is not taken for ours.
        context.branch = environment.text("GITHUB_HEAD_REF");
        context.base_branch = environment.text("GITHUB_BASE_REF");
        context.is_fork = true;
    }
    // On a re-run the token stays that of the one who started it.
    let starter = environment.get("GITHUB_ACTOR");
    context.is_dependabot |= context.event == Event::PullRequest && starter == Some(DEPENDABOT);
    context.default_branch = own.and_then(|repository| repository.default_branch);
    Ok(context)
}

fn commented_pull_request(issue: Issue) -> Option<u64> {
    issue.pull_request.map(|_| issue.number)
}

fn take_pull_request(context: &mut Context, pull_request: PullRequest, own: Option<&Repository>) {
    let PullRequest { number, head, base } = pull_request;
    context.is_fork = is_foreign(head.repo.as_ref(), &[base.repo.as_ref(), own], context);
    context.head_repository = head.repo.and_then(|repository| repository.full_name);
    context.pull_request = Some(number);
    context.head_sha = Some(head.sha);
    context.base_sha = Some(base.sha);
    context.branch = Some(head.branch);
    context.base_branch = Some(base.branch);
    context.tag = None;
}

fn take_workflow_run(context: &mut Context, run: WorkflowRun, own: Option<&Repository>) {
    context.is_fork = is_foreign(run.head_repository.as_ref(), &[own], context);
    context.head_repository = run.head_repository.and_then(|found| found.full_name);
    context.is_dependabot = run.actor.and_then(|user| user.login).as_deref() == Some(DEPENDABOT);
    // A run by hand on a branch that has a pull request is not a run of the pull request.
    let is_of_pull_request = run
        .event
        .is_none_or(|name| Event::of_github(&name, false) == Event::PullRequest);
    context.pull_request = match run.pull_requests.as_slice() {
        [only] if is_of_pull_request => Some(only.number),
        _ => None,
    };
    context.head_sha = Some(run.head_sha);
    context.branch = run.head_branch;
    context.tag = None;
}

fn take_check_run(context: &mut Context, check_run: CheckRun) {
    context.pull_request = match check_run.pull_requests.as_slice() {
        [only] => Some(only.number),
        _ => None,
    };
    context.head_sha = Some(check_run.head_sha);
    context.branch = check_run.check_suite.and_then(|suite| suite.head_branch);
    context.is_fork = context.branch.is_none();
    context.tag = None;
}

/// Whether the commit comes from another repository than the first of `own` that has a name. Names of
/// repositories know no case.
fn is_foreign(head: Option<&Repository>, own: &[Option<&Repository>], context: &Context) -> bool {
    let name = |repository: &Repository| repository.full_name.clone();
    let own = own
        .iter()
        .find_map(|repository| repository.and_then(name))
        .or_else(|| context.repository.clone());
    match (head.and_then(name), own) {
        (Some(head), Some(own)) => !head.eq_ignore_ascii_case(&own),
        _ => true,
    }
}

fn is_about_a_pull_request(context: &Context) -> bool {
    matches!(
        context.event,
        Event::PullRequest | Event::PullRequestTarget | Event::WorkflowRun
    )
}

fn run(environment: &Environment, server_url: &str, repository: Option<&str>) -> Option<CiRun> {
    let id = environment.text("GITHUB_RUN_ID")?;
    let attempt = environment
        .get("GITHUB_RUN_ATTEMPT")
        .and_then(|attempt| attempt.parse().ok())
        .unwrap_or(1);
    let url = repository.map(|repository| {
        format!("{server_url}/{repository}/actions/runs/{id}/attempts/{attempt}")
    });
    Some(CiRun { id, attempt, url })
}

/// The name of the file in `owner/name/.github/workflows/ci.yml@refs/heads/main`.
fn workflow_file(reference: &str) -> Option<String> {
    let (path, _) = reference.split_once('@')?;
    let (_, file) = path.rsplit_once('/')?;
    Some(file.to_owned())
}

/// The branch or the tag of a full ref name; a pull request's `refs/pull/7/merge` is neither.
fn split_ref(full: Option<&str>) -> (Option<String>, Option<String>) {
    let strip = |prefix| full.and_then(|full: &str| full.strip_prefix(prefix));
    (
        strip("refs/heads/").map(str::to_owned),
        strip("refs/tags/").map(str::to_owned),
    )
}

fn branch_name(reference: &str) -> String {
    reference
        .strip_prefix("refs/heads/")
        .unwrap_or(reference)
        .to_owned()
}
