//! Jenkins: the variables of its git plugin and of multibranch pipelines.
//!
//! In a multibranch build of a pull request `GIT_COMMIT` is its head only with the strategy "The current pull
//! request revision"; with "Merging …" it is a local commit that GitHub does not know.

use std::path::PathBuf;

use super::{CiRun, Context, Event, split_repository_url};
use crate::environment::Environment;

pub(super) fn context(environment: &Environment) -> Context {
    let change = environment.get("CHANGE_ID");
    let pull_request: Option<u64> = change.and_then(|number| number.parse().ok());
    let tag = environment.text("TAG_NAME").filter(|_| change.is_none());
    // Of a pull request, CHANGE_URL names the repository that it wants to enter, GIT_URL maybe the fork.
    let (server_url, repository) = ["CHANGE_URL", "GIT_URL", "GIT_URL_1"]
        .iter()
        .find_map(|name| environment.get(name).and_then(split_repository_url))
        .unzip();
    let branch = if change.is_some() {
        environment.text("CHANGE_BRANCH")
    } else if tag.is_some() {
        None
    } else {
        environment
            .text("BRANCH_NAME")
            .or_else(|| environment.get("GIT_BRANCH").and_then(local_branch))
    };
    let is_primary = environment.is_true("BRANCH_IS_PRIMARY");
    Context {
        event: Event::of_jenkins(tag.is_some(), change.is_some()),
        head_sha: environment.text("GIT_COMMIT"),
        tested_sha: environment.text("GIT_COMMIT"),
        default_branch: branch.clone().filter(|_| is_primary),
        branch,
        base_branch: environment.text("CHANGE_TARGET"),
        tag,
        pull_request,
        // Set to the fork's owner, and only for forks. A change whose number is none, as another host's may be, is not
        // known to follow that rule.
        is_fork: environment.get("CHANGE_FORK").is_some()
            || (change.is_some() && pull_request.is_none()),
        repository,
        server_url: server_url.unwrap_or_default(),
        run: environment
            .text("BUILD_TAG")
            .or_else(|| environment.text("BUILD_ID"))
            .map(|id| CiRun {
                id,
                attempt: 1,
                url: environment.text("BUILD_URL"),
            }),
        workspace: environment.get("WORKSPACE").map(PathBuf::from),
        ci_url: environment.text("JENKINS_URL"),
        ..Context::default()
    }
}

/// `origin/feature/x` is the branch `feature/x`; `detached` is a commit without one.
fn local_branch(remote_branch: &str) -> Option<String> {
    let name = remote_branch
        .strip_prefix("refs/remotes/")
        .unwrap_or(remote_branch);
    let name = name.strip_prefix("origin/").unwrap_or(name);
    (name != "detached").then(|| name.to_owned())
}
