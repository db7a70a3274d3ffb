//! Under which name a run judges a commit, what it compares it with, and whether it leaves a record.
//!
//! One name has one meaning: a check that a branch protection requires is written by pull requests and merge groups
//! alone, and a record for later comparisons by runs of the branches that they enter. So whatever else is run on the same
//! commit, by hand, on a schedule, for a feature branch or a tag, can neither turn the required check green nor become a
//! baseline.

use trainyard_core::pattern;
use trainyard_runner::{Context, Event};

/// The role of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A pull request or a merge group, judged as the change of the branch that it enters.
    Change {
        /// The branch as a check's name calls it; `None` for the default branch.
        into: Option<String>,
        /// Whether the commit is about to become that branch's, and the branch leaves records.
        leaves_record: bool,
    },
    /// A push to a branch whose commits later ones are compared with.
    Baseline,
    /// A push to any other branch.
    Branch,
    /// A tag or a release.
    Release,
    /// A run by time, by hand or by another system.
    Scheduled {
        /// Whether it may take the place of a push whose record is missing: the tip of a branch that leaves records.
        may_refresh: bool,
    },
    /// What a fork computed.
    Fork,
}

/// Where the search for a baseline begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ComparedWith {
    /// The commit that the change is based on.
    Base,
    /// The commit that the branch was at before.
    Before,
    /// Where the branch left the default branch.
    MergeBase,
    /// The release before, else the commit before.
    ReleaseBefore,
    /// The commit's own record.
    Itself,
}

impl Role {
    /// Whether [`Self::of`] depends on `baseline_branches`, which are to be read from the default branch.
    pub(crate) fn needs_patterns(context: &Context) -> bool {
        let is_default = |branch: &Option<String>| *branch == context.default_branch;
        match context.event {
            _ if context.is_unverified() || context.tag.is_some() => false,
            Event::Push | Event::Schedule | Event::WorkflowDispatch | Event::RepositoryDispatch => {
                !is_default(&context.branch)
            }
            _ => context.base_branch.is_some() && !is_default(&context.base_branch),
        }
    }

    /// The role of the run of `context`; `patterns` are the default branch's `baseline_branches`.
    pub(crate) fn of(context: &Context, patterns: &[String]) -> Self {
        let is_default = |branch: &str| context.default_branch.as_deref() == Some(branch);
        let leaves_record =
            |branch: &str| is_default(branch) || pattern_of(branch, patterns).is_some();
        let branch = context.branch.as_deref();
        match &context.event {
            _ if context.is_unverified() => Self::Fork,
            Event::Tag | Event::Release => Self::Release,
            _ if context.tag.is_some() => Self::Release,
            Event::Schedule | Event::WorkflowDispatch | Event::RepositoryDispatch => {
                Self::Scheduled {
                    // What another system starts is about a model that it chose.
                    may_refresh: context.event != Event::RepositoryDispatch
                        && branch.is_some_and(leaves_record),
                }
            }
            event => match (&context.base_branch, event) {
                (Some(base), _) => Self::Change {
                    into: into(base, context, patterns),
                    leaves_record: *event == Event::MergeGroup && leaves_record(base),
                },
                (None, Event::Push) if branch.is_some_and(leaves_record) => Self::Baseline,
                (None, Event::Push | Event::Local) => Self::Branch,
                // A run after another one, or of an event that is about no commit.
                (None, _) => Self::Scheduled { may_refresh: false },
            },
        }
    }

    /// Whether a run of this kind may leave a record.
    pub(crate) const fn may_leave_record(&self) -> bool {
        match self {
            Self::Baseline => true,
            Self::Change { leaves_record, .. } => *leaves_record,
            Self::Scheduled { may_refresh } => *may_refresh,
            Self::Branch | Self::Release | Self::Fork => false,
        }
    }

    /// What the check's name ends with.
    pub(crate) fn suffix(&self) -> String {
        match self {
            Self::Change { into: None, .. } => String::new(),
            Self::Change {
                into: Some(branch), ..
            } => format!(" (into {branch})"),
            Self::Baseline => BASELINE_SUFFIX.to_owned(),
            Self::Branch => " (branch)".to_owned(),
            Self::Release => " (release)".to_owned(),
            Self::Scheduled { .. } => " (scheduled)".to_owned(),
            // Never the name that a branch protection requires.
            Self::Fork => " (fork, unverified)".to_owned(),
        }
    }

    /// Whether a pull request into `branch` is judged under the same name.
    pub(crate) fn is_of_change_into(&self, branch: &str, context: &Context) -> bool {
        match self {
            Self::Change { into: None, .. } => context.default_branch.as_deref() == Some(branch),
            Self::Change {
                into: Some(into), ..
            } => into == branch || pattern::matches(into, branch),
            _ => false,
        }
    }

    /// Where the search for a baseline begins.
    pub(crate) fn compared_with(&self, context: &Context) -> ComparedWith {
        match self {
            Self::Change { .. } | Self::Fork => ComparedWith::Base,
            Self::Baseline => ComparedWith::Before,
            Self::Branch => ComparedWith::MergeBase,
            Self::Release => ComparedWith::ReleaseBefore,
            Self::Scheduled { .. } if context.is_default_branch() => ComparedWith::Itself,
            Self::Scheduled { .. } => ComparedWith::MergeBase,
        }
    }
}

/// What a change of `branch` calls it; `None` for the default branch.
pub(crate) fn into(branch: &str, context: &Context, patterns: &[String]) -> Option<String> {
    let is_default = context.default_branch.as_deref() == Some(branch);
    (!is_default).then(|| pattern_of(branch, patterns).unwrap_or(branch).to_owned())
}

fn pattern_of<'p>(branch: &str, patterns: &'p [String]) -> Option<&'p str> {
    let found = patterns
        .iter()
        .find(|found| pattern::matches(found, branch));
    found.map(String::as_str)
}

/// What the name of the only check with a record ends with.
pub(crate) const BASELINE_SUFFIX: &str = " (baseline)";

#[cfg(test)]
mod tests {
    use super::*;

    fn context(event: Event, branch: Option<&str>, base: Option<&str>) -> Context {
        Context {
            event,
            branch: branch.map(str::to_owned),
            base_branch: base.map(str::to_owned),
            default_branch: Some("main".to_owned()),
            ..Context::default()
        }
    }

    /// The table of the design, and what lies between its rows.
    #[test]
    #[expect(clippy::large_stack_arrays, reason = "a table of cases")]
    fn one_name_has_one_meaning() {
        use ComparedWith as C;
        use Event as E;
        let tagged = Context {
            tag: Some("v1".to_owned()),
            ..context(E::Tag, None, None)
        };
        let dispatched_on_tag = Context {
            event: E::WorkflowDispatch,
            ..tagged.clone()
        };
        let fork = |event, base| Context {
            is_fork: true,
            ..context(event, Some("main"), base)
        };
        let dependabot = |event| Context {
            is_dependabot: true,
            ..context(event, Some("dependabot/pip"), Some("main"))
        };
        let own = |event, branch, base| context(event, Some(branch), base);
        for (context, suffix, compared_with, leaves_record) in [
            (
                own(E::PullRequest, "change", Some("main")),
                "",
                C::Base,
                false,
            ),
            (
                own(E::PullRequest, "change", Some("release/2")),
                " (into release/*)",
                C::Base,
                false,
            ),
            (
                own(E::PullRequest, "change", Some("lenient")),
                " (into lenient)",
                C::Base,
                false,
            ),
            (
                own(E::PullRequestTarget, "change", Some("main")),
                "",
                C::Base,
                false,
            ),
            (
                own(E::WorkflowRun, "change", Some("main")),
                "",
                C::Base,
                false,
            ),
            (
                own(E::MergeGroup, "gh-readonly-queue/main/pr-7-a", Some("main")),
                "",
                C::Base,
                true,
            ),
            (
                own(E::MergeGroup, "q", Some("release/2")),
                " (into release/*)",
                C::Base,
                true,
            ),
            (
                own(E::MergeGroup, "q", Some("lenient")),
                " (into lenient)",
                C::Base,
                false,
            ),
            (own(E::Push, "main", None), " (baseline)", C::Before, true),
            (
                own(E::Push, "release/2", None),
                " (baseline)",
                C::Before,
                true,
            ),
            (
                own(E::Push, "release/2/x", None),
                " (branch)",
                C::MergeBase,
                false,
            ),
            (
                own(E::Push, "change", None),
                " (branch)",
                C::MergeBase,
                false,
            ),
            (tagged, " (release)", C::ReleaseBefore, false),
            (dispatched_on_tag, " (release)", C::ReleaseBefore, false),
            (
                own(E::Schedule, "main", None),
                " (scheduled)",
                C::Itself,
                false,
            ),
            (
                own(E::WorkflowDispatch, "main", None),
                " (scheduled)",
                C::Itself,
                false,
            ),
            (
                own(E::WorkflowDispatch, "change", None),
                " (scheduled)",
                C::MergeBase,
                false,
            ),
            (
                own(E::RepositoryDispatch, "main", None),
                " (scheduled)",
                C::Itself,
                false,
            ),
            (
                own(E::WorkflowRun, "main", None),
                " (scheduled)",
                C::Itself,
                false,
            ),
            (
                own(E::Other("issues".to_owned()), "main", None),
                " (scheduled)",
                C::Itself,
                false,
            ),
            (
                fork(E::PullRequest, Some("main")),
                " (fork, unverified)",
                C::Base,
                false,
            ),
            (
                fork(E::WorkflowRun, None),
                " (fork, unverified)",
                C::Base,
                false,
            ),
            (dependabot(E::PullRequest), "", C::Base, false),
            (
                dependabot(E::WorkflowRun),
                " (fork, unverified)",
                C::Base,
                false,
            ),
        ] {
            let role = Role::of(&context, &["release/*".to_owned()]);
            assert_eq!(role.suffix(), suffix, "{context:?}");
            assert_eq!(role.compared_with(&context), compared_with, "{context:?}");
            let found = matches!(
                role,
                Role::Baseline
                    | Role::Change {
                        leaves_record: true,
                        ..
                    }
            );
            assert_eq!(found, leaves_record, "{context:?}");
        }
    }

    #[test]
    fn patterns_are_read_only_where_they_decide() {
        for (branch, base, expected) in [
            (Some("main"), None, false),
            (Some("change"), None, true),
            (Some("change"), Some("main"), false),
            (Some("change"), Some("release/2"), true),
        ] {
            let event = if base.is_some() {
                Event::PullRequest
            } else {
                Event::Push
            };
            let context = context(event, branch, base);
            assert_eq!(
                Role::needs_patterns(&context),
                expected,
                "{branch:?} {base:?}"
            );
            // Where they are not asked for, they make no difference.
            if !expected {
                let with = Role::of(&context, &["**".to_owned()]);
                assert_eq!(with, Role::of(&context, &[]));
            }
        }
    }
}
