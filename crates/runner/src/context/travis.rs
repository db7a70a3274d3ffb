//! Travis CI.

use std::path::PathBuf;

use super::{CiRun, Context, Event};
use crate::environment::Environment;

pub(super) fn context(environment: &Environment) -> Context {
    // "false" where the build is not of a pull request; whatever else it says, or the event does, the build is of one.
    let number = environment
        .get("TRAVIS_PULL_REQUEST")
        .filter(|number| *number != "false");
    let named_event = environment.get("TRAVIS_EVENT_TYPE");
    let is_pull_request =
        Event::of_travis(named_event, false, number.is_some()) == Event::PullRequest;
    let pull_request: Option<u64> = number.and_then(|number| number.parse().ok());
    let tag = environment.text("TRAVIS_TAG");
    let repository = environment.text("TRAVIS_REPO_SLUG");
    let head_repository = environment.get("TRAVIS_PULL_REQUEST_SLUG");
    let is_own = match (head_repository, &repository) {
        (Some(head), Some(own)) => head.eq_ignore_ascii_case(own),
        _ => false,
    };
    let tested_sha = environment.text("TRAVIS_COMMIT");
    // For a pull request this is the branch it wants to enter, for a tag the tag.
    let named_branch = environment.text("TRAVIS_BRANCH");
    let (branch, base_branch) = if is_pull_request {
        (environment.text("TRAVIS_PULL_REQUEST_BRANCH"), named_branch)
    } else {
        (named_branch.filter(|_| tag.is_none()), None)
    };
    Context {
        event: Event::of_travis(named_event, tag.is_some(), is_pull_request),
        head_sha: environment
            .text("TRAVIS_PULL_REQUEST_SHA")
            .filter(|_| is_pull_request)
            .or_else(|| tested_sha.clone()),
        tested_sha,
        branch,
        base_branch,
        tag: tag.filter(|_| !is_pull_request),
        pull_request,
        is_fork: is_pull_request && !is_own,
        head_repository: environment
            .text("TRAVIS_PULL_REQUEST_SLUG")
            .filter(|_| is_pull_request),
        repository,
        run: environment.text("TRAVIS_BUILD_ID").map(|id| CiRun {
            id,
            attempt: 1,
            url: environment.text("TRAVIS_BUILD_WEB_URL"),
        }),
        workspace: environment.get("TRAVIS_BUILD_DIR").map(PathBuf::from),
        ci_url: environment.get("TRAVIS_BUILD_WEB_URL").and_then(server_of),
        ..Context::default()
    }
}

/// `https://app.travis-ci.com` of the address of a build there.
fn server_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}"))
}
