//! How far what this run computes, or is given, may be trusted.

use super::{Context, Event};

/// Whose code computed the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The repository's own.
    Own,
    /// A fork's, in this run: its token may not write, and its numbers prove nothing.
    Fork,
    /// A fork's or Dependabot's, in an earlier run whose artifact this one was given: this run's token may write, so every
    /// file of the artifact is read as hostile.
    UnverifiedArtifact,
}

impl Context {
    /// Whose code computed what is judged.
    pub const fn trust(&self) -> Trust {
        match self.event {
            Event::WorkflowRun if self.is_fork || self.is_dependabot => Trust::UnverifiedArtifact,
            _ if self.is_fork => Trust::Fork,
            // A run that Dependabot started is one of the repository's own code, whatever its token may write.
            _ => Trust::Own,
        }
    }

    /// Whether what was computed proves nothing: by a fork's code, or where it has not been reviewed yet.
    pub const fn is_unverified(&self) -> bool {
        !matches!(self.trust(), Trust::Own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_repositorys_own_run_is_trusted() {
        let trust = |event, is_fork, is_dependabot| {
            let context = Context {
                event,
                is_fork,
                is_dependabot,
                ..Context::default()
            };
            assert_eq!(context.is_unverified(), context.trust() != Trust::Own);
            context.trust()
        };
        assert_eq!(trust(Event::PullRequest, false, false), Trust::Own);
        assert_eq!(trust(Event::WorkflowRun, false, false), Trust::Own);
        assert_eq!(trust(Event::PullRequest, true, false), Trust::Fork);
        assert_eq!(trust(Event::PullRequest, false, true), Trust::Own);
        assert_eq!(trust(Event::PullRequestTarget, true, false), Trust::Fork);
        for (is_fork, is_dependabot) in [(true, false), (false, true)] {
            let found = trust(Event::WorkflowRun, is_fork, is_dependabot);
            assert_eq!(found, Trust::UnverifiedArtifact);
        }
    }
}
