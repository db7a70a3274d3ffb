//! GitLab CI: its predefined variables.
//!
//! A pipeline of a merge request has no `CI_COMMIT_BRANCH`. Where it tests the merged result, `CI_COMMIT_SHA` is a merge
//! commit of GitLab's and `CI_MERGE_REQUEST_SOURCE_BRANCH_SHA` the commit that people wrote; else the latter is empty.
//! A project that mirrors a repository of GitHub gets that one's pull requests, under names of their own.

use std::path::PathBuf;

use super::{CiRun, Context, Event};
use crate::environment::Environment;

pub(super) fn context(environment: &Environment) -> Context {
    let is_set = |name| environment.get(name).is_some();
    let event = Event::of_gitlab(
        environment.get("CI_PIPELINE_SOURCE"),
        is_set("CI_COMMIT_TAG"),
        is_set("CI_MERGE_REQUEST_IID") || is_set("CI_EXTERNAL_PULL_REQUEST_IID"),
    );
    let tested_sha = environment.text("CI_COMMIT_SHA");
    let context = Context {
        head_sha: tested_sha.clone(),
        tested_sha,
        branch: environment.text("CI_COMMIT_BRANCH"),
        tag: environment.text("CI_COMMIT_TAG"),
        repository: environment.text("CI_PROJECT_PATH"),
        server_url: environment.text("CI_SERVER_URL").unwrap_or_default(),
        run: environment.text("CI_JOB_ID").map(|id| CiRun {
            id,
            attempt: 1,
            url: environment.text("CI_JOB_URL"),
        }),
        workspace: environment.get("CI_PROJECT_DIR").map(PathBuf::from),
        default_branch: environment.text("CI_DEFAULT_BRANCH"),
        ci_url: environment.text("CI_SERVER_URL"),
        ..Context::default()
    };
    match event {
        Event::PullRequest => Request::of(environment).into_context(context),
        // Such a pipeline of a branch is about its newest commit, and says nothing of the one before.
        Event::Push => Context {
            event,
            before: environment
                .text("CI_COMMIT_BEFORE_SHA")
                .filter(|sha| sha.contains(|digit| digit != '0')),
            ..context
        },
        event => Context { event, ..context },
    }
}

/// A merge request of GitLab, or a pull request of the repository that a project mirrors.
struct Request {
    number: Option<u64>,
    /// Where the pipeline does not say it, the tested commit is the head.
    head_sha: Option<String>,
    base_sha: Option<String>,
    branch: Option<String>,
    base_branch: Option<String>,
    head_repository: Option<String>,
    base_repository: Option<String>,
    /// Whether the repositories are GitHub's.
    is_mirrored: bool,
}

impl Request {
    fn of(environment: &Environment) -> Self {
        let number = |name| environment.get(name).and_then(|number| number.parse().ok());
        let text = |name| environment.text(name);
        if environment.get("CI_EXTERNAL_PULL_REQUEST_IID").is_some() {
            return Self {
                number: number("CI_EXTERNAL_PULL_REQUEST_IID"),
                head_sha: text("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA"),
                base_sha: text("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA"),
                branch: text("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME"),
                base_branch: text("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME"),
                head_repository: text("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY"),
                base_repository: text("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY"),
                is_mirrored: true,
            };
        }
        Self {
            number: number("CI_MERGE_REQUEST_IID"),
            head_sha: text("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"),
            base_sha: text("CI_MERGE_REQUEST_TARGET_BRANCH_SHA")
                .or_else(|| text("CI_MERGE_REQUEST_DIFF_BASE_SHA")),
            branch: text("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
            base_branch: text("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
            head_repository: text("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"),
            base_repository: text("CI_MERGE_REQUEST_PROJECT_PATH"),
            is_mirrored: false,
        }
    }

    fn into_context(self, context: Context) -> Context {
        let is_own = match (&self.head_repository, &self.base_repository) {
            (Some(head), Some(base)) => head.eq_ignore_ascii_case(base),
            _ => false,
        };
        Context {
            event: Event::PullRequest,
            head_sha: self.head_sha.or(context.head_sha),
            base_sha: self.base_sha,
            branch: self.branch,
            base_branch: self.base_branch,
            tag: None,
            pull_request: self.number,
            is_fork: !is_own,
            head_repository: self.head_repository,
            // A fork's pipeline runs in the fork's project, unless a member starts it in this one.
            repository: self.base_repository.or(context.repository),
            server_url: if self.is_mirrored {
                String::new()
            } else {
                context.server_url
            },
            ..context
        }
    }
}
