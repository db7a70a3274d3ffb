//! What started a run. The only place that knows the names that CI systems give their events.
//!
//! Every CI system's words are parsed here, once, so that all other code matches on [`Event`] and a misspelt name
//! cannot silently change what is judged.

use std::fmt;

/// What started a run, in one vocabulary for all CI systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// No CI system: a person's machine.
    #[default]
    Local,
    /// A branch was pushed.
    Push,
    /// A tag was pushed.
    Tag,
    /// A release was created, edited or published.
    Release,
    /// A pull request, or a review of it: the run tests its merge commit, and a fork's token may not write.
    PullRequest,
    /// A pull request, in a run of the base branch with a token that may write.
    PullRequestTarget,
    /// A merge queue tests what the base branch is about to become.
    MergeGroup,
    /// Another run has ended.
    WorkflowRun,
    /// A check run was created, completed or requested again.
    CheckRun,
    /// A comment on an issue, pull request, commit, line or discussion, by the CI system's name for it. Such a run is of the
    /// default branch and not of what was commented on.
    Comment(String),
    /// A time of day.
    Schedule,
    /// A person or a script started the workflow by hand.
    WorkflowDispatch,
    /// Another system started the run over the API.
    RepositoryDispatch,
    /// Anything else, by the CI system's name for it.
    Other(String),
}

impl Event {
    /// An event of GitHub Actions. `is_tag` tells a pushed tag from a pushed branch, which have one name.
    pub(super) fn of_github(name: &str, is_tag: bool) -> Self {
        match name {
            "push" if is_tag => Self::Tag,
            "push" => Self::Push,
            "release" => Self::Release,
            "pull_request" | "pull_request_review" => Self::PullRequest,
            "pull_request_target" => Self::PullRequestTarget,
            "merge_group" => Self::MergeGroup,
            "workflow_run" => Self::WorkflowRun,
            "check_run" => Self::CheckRun,
            "issue_comment"
            | "commit_comment"
            | "pull_request_review_comment"
            | "discussion_comment" => Self::Comment(name.to_owned()),
            "schedule" => Self::Schedule,
            "workflow_dispatch" => Self::WorkflowDispatch,
            "repository_dispatch" => Self::RepositoryDispatch,
            other => Self::Other(other.to_owned()),
        }
    }

    /// An event of Travis CI, whose variables tell tags and pull requests apart.
    pub(super) fn of_travis(name: Option<&str>, is_tag: bool, is_pull_request: bool) -> Self {
        match name {
            _ if is_pull_request => Self::PullRequest,
            _ if is_tag => Self::Tag,
            Some("push") | None => Self::Push,
            Some("pull_request") => Self::PullRequest,
            Some("cron") => Self::Schedule,
            Some("api") => Self::RepositoryDispatch,
            Some(other) => Self::Other(other.to_owned()),
        }
    }

    /// A pipeline of GitLab CI, by `CI_PIPELINE_SOURCE`. Its variables tell merge requests apart: a pipeline that another
    /// one started has them too, and says nothing else of what started that.
    pub(super) fn of_gitlab(source: Option<&str>, is_tag: bool, is_merge_request: bool) -> Self {
        match source {
            _ if is_merge_request => Self::PullRequest,
            Some("merge_request_event" | "external_pull_request_event") => Self::PullRequest,
            Some("push") | None if is_tag => Self::Tag,
            Some("push") | None => Self::Push,
            Some("schedule") => Self::Schedule,
            Some("web") => Self::WorkflowDispatch,
            Some("api" | "trigger" | "pipeline") => Self::RepositoryDispatch,
            Some(other) => Self::Other(other.to_owned()),
        }
    }

    /// A build of Jenkins, which does not say what started the build of a branch.
    pub(super) const fn of_jenkins(is_tag: bool, is_pull_request: bool) -> Self {
        if is_pull_request {
            Self::PullRequest
        } else if is_tag {
            Self::Tag
        } else {
            Self::Push
        }
    }
}

/// In the words of GitHub Actions where it has one, for messages.
impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Local => "local",
            Self::Push => "push",
            Self::Tag => "push of a tag",
            Self::Release => "release",
            Self::PullRequest => "pull_request",
            Self::PullRequestTarget => "pull_request_target",
            Self::MergeGroup => "merge_group",
            Self::WorkflowRun => "workflow_run",
            Self::CheckRun => "check_run",
            Self::Schedule => "schedule",
            Self::WorkflowDispatch => "workflow_dispatch",
            Self::RepositoryDispatch => "repository_dispatch",
            Self::Comment(name) | Self::Other(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_github_has_one_meaning() {
        use Event as E;
        for (name, is_tag, expected) in [
            ("push", false, E::Push),
            ("push", true, E::Tag),
            ("release", true, E::Release),
            ("pull_request", false, E::PullRequest),
            ("pull_request_review", false, E::PullRequest),
            ("pull_request_target", false, E::PullRequestTarget),
            ("merge_group", false, E::MergeGroup),
            ("workflow_run", false, E::WorkflowRun),
            ("check_run", false, E::CheckRun),
            ("schedule", false, E::Schedule),
            ("workflow_dispatch", false, E::WorkflowDispatch),
            ("workflow_dispatch", true, E::WorkflowDispatch),
            ("repository_dispatch", false, E::RepositoryDispatch),
            ("issues", false, E::Other("issues".to_owned())),
            ("Push", false, E::Other("Push".to_owned())),
        ] {
            assert_eq!(E::of_github(name, is_tag), expected, "{name}");
        }
    }

    #[test]
    fn whatever_is_commented_on_the_event_is_a_comment() {
        for name in [
            "issue_comment",
            "commit_comment",
            "pull_request_review_comment",
            "discussion_comment",
        ] {
            let event = Event::of_github(name, false);
            assert!(matches!(event, Event::Comment(_)), "{name}");
            assert_eq!(event.to_string(), name);
        }
    }

    #[test]
    fn travis_and_jenkins_use_the_same_events() {
        let travis = |name| Event::of_travis(name, false, false);
        assert_eq!(travis(Some("push")), Event::Push);
        assert_eq!(travis(Some("cron")), Event::Schedule);
        assert_eq!(travis(Some("api")), Event::RepositoryDispatch);
        assert_eq!(travis(Some("new")), Event::Other("new".to_owned()));
        assert_eq!(Event::of_travis(Some("push"), true, false), Event::Tag);
        assert_eq!(
            Event::of_travis(Some("pull_request"), false, true),
            Event::PullRequest
        );
        assert_eq!(Event::of_jenkins(false, false), Event::Push);
        assert_eq!(Event::of_jenkins(true, false), Event::Tag);
        assert_eq!(Event::of_jenkins(true, true), Event::PullRequest);
    }

    /// The values of `CI_PIPELINE_SOURCE` in GitLab's documentation, and what stands behind them.
    #[test]
    fn gitlabs_sources_are_the_same_events() {
        let gitlab = |source| Event::of_gitlab(Some(source), false, false);
        assert_eq!(gitlab("push"), Event::Push);
        assert_eq!(gitlab("schedule"), Event::Schedule);
        assert_eq!(gitlab("web"), Event::WorkflowDispatch);
        for source in ["api", "trigger", "pipeline"] {
            assert_eq!(gitlab(source), Event::RepositoryDispatch, "{source}");
        }
        for source in ["merge_request_event", "external_pull_request_event"] {
            assert_eq!(gitlab(source), Event::PullRequest, "{source}");
        }
        for source in ["parent_pipeline", "chat", "webide", "external"] {
            assert_eq!(gitlab(source), Event::Other(source.to_owned()));
        }
        assert_eq!(Event::of_gitlab(Some("push"), true, false), Event::Tag);
        assert_eq!(
            Event::of_gitlab(Some("parent_pipeline"), false, true),
            Event::PullRequest
        );
    }
}
