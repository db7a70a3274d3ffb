//! Who let a commit through.

use trainyard_core::gate::{BaselineRecord, Mark, Override};
use trainyard_github::{GitHubError, SearchOutcome, Start, Thread, WORKFLOWS_APP, Wanted};
use trainyard_runner::Event;

use super::reporter::Reporter;
use crate::role::Role;

impl Reporter<'_> {
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
            tested: None,
        };
        let search = self.block_on(github.find_baseline(&Start::At(head.to_owned()), wanted))?;
        Ok(match search.outcome {
            SearchOutcome::Found(found) => of_record(&found.record),
            SearchOutcome::NoneEver | SearchOutcome::NoneAmong(_) => None,
        })
    }
}

/// The pull request of a merge group's branch, `gh-readonly-queue/main/pr-7-0123…`.
fn queued_pull_request(branch: &str) -> Option<u64> {
    let (_, rest) = branch
        .strip_prefix("gh-readonly-queue/")?
        .rsplit_once("/pr-")?;
    rest.split('-').next()?.parse().ok()
}
