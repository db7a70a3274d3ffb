//! What a model is compared with: the record of an earlier commit.

use trainyard_core::figure::count;
use trainyard_core::gate::{Baseline, BaselineRecord, Mark};
use trainyard_github::{
    Found, GitHubError, PassedOver, Release, Search, SearchOutcome, Start, Tested, Wanted,
};
use trainyard_runner::Event;

use super::checkout::merge_commit;
use super::reporter::Reporter;
use crate::role::{ComparedWith, Role};

/// What a commit has in the check for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnRecord {
    /// No completed one.
    None,
    /// One whose predictions are gone.
    Expired,
    /// One that stays, or it is not known.
    There,
}

/// What a model is compared with, and what was learnt on the way.
pub(crate) struct Compared {
    pub(crate) baseline: Baseline,
    /// Whether the search for a record ended at its bound, so that an older one may exist.
    pub(crate) is_at_bound: bool,
    /// The record, which brings the history.
    pub(crate) record: Option<BaselineRecord>,
    pub(crate) notes: Vec<String>,
    /// What the commit itself has in the check for records.
    pub(crate) own_record: OwnRecord,
    /// The git tree of the tested commit, where it was read.
    pub(crate) tree_sha: Option<String>,
    /// What other pull requests with this head left in the check of this run's name; `None` where it was not read.
    pub(crate) other_marks: Option<Vec<Mark>>,
}

impl Compared {
    pub(crate) fn with(baseline: Baseline) -> Self {
        Self {
            baseline,
            is_at_bound: false,
            record: None,
            notes: Vec::new(),
            // Where it is not known, nothing is put in its place.
            own_record: OwnRecord::There,
            tree_sha: None,
            other_marks: None,
        }
    }
}

impl Reporter<'_> {
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
        let own = self.plan.check(model);
        let pull_request = self.plan.change_number();
        let wanted = Wanted {
            check_name: &name,
            app: app.as_deref(),
            // Another workflow may leave the records of the branch that a change enters.
            runs: context.workflow_file.as_deref().zip(branch),
            tested: Some(Tested {
                sha: &own.head_sha,
                check_name: pull_request.map(|_| own.name.as_str()),
            }),
        };
        let Search {
            outcome,
            passed_over,
            tree_sha,
            own_texts,
        } = match self.block_on(self.link.github.find_baseline(&start, wanted)) {
            Ok(search) => search,
            Err(error) => return Compared::with(Baseline::Unavailable(error.to_string())),
        };
        let is_own = |commit: &str| commit == self.plan.head_sha();
        let mut own_record = OwnRecord::None;
        if passed_over
            .iter()
            .any(|passed| is_own(&passed.commit) && !passed.is_running)
        {
            own_record = OwnRecord::There;
        }
        let mut record = None;
        let is_at_bound = matches!(outcome, SearchOutcome::NoneAmong(_));
        let baseline = match outcome {
            SearchOutcome::Found(found) => {
                let Found {
                    commit,
                    distance,
                    record: found,
                } = *found;
                if is_own(&commit) {
                    own_record = if self.has_predictions(&found) {
                        OwnRecord::There
                    } else {
                        OwnRecord::Expired
                    };
                }
                let parts = [
                    Some(format!("commit {}", short(&commit))),
                    found
                        .measured_commit
                        .as_ref()
                        .map(|measured| format!(" (unchanged since {})", short(measured))),
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
        let marks = |texts: Vec<String>| {
            texts
                .iter()
                .flat_map(|text| Mark::decode_all(text))
                .collect()
        };
        Compared {
            baseline,
            is_at_bound,
            record,
            notes: passed_over_note(&passed_over).into_iter().collect(),
            own_record,
            // The run before this one may have tested a merge commit.
            tree_sha: tree_sha.filter(|_| context.event != Event::WorkflowRun),
            other_marks: own_texts
                .zip(pull_request)
                .map(|(texts, number)| Mark::of_others(marks(texts), number)),
        }
    }

    /// Whether the predictions behind a record can still be fetched, where that is to be known: a run by time or by hand
    /// renews a record whose artifact has expired.
    fn has_predictions(&self, record: &BaselineRecord) -> bool {
        let may_refresh = matches!(self.plan.role, Role::Scheduled { may_refresh: true });
        !may_refresh || self.has_artifact_of(record)
    }

    /// Whether the predictions behind a record can still be fetched, as far as that can be asked.
    pub(super) fn has_artifact_of(&self, record: &BaselineRecord) -> bool {
        let Some(stored) = &record.predictions else {
            return true;
        };
        let asked = self
            .link
            .github
            .has_artifact(stored.run_id, &stored.artifact);
        self.block_on(asked).unwrap_or(true)
    }

    /// What a release tag is compared with: the release before it.
    fn release_before(&self, model: &str) -> Result<Option<Release>, GitHubError> {
        match &self.plan.context.tag {
            Some(tag) => {
                let head = self.plan.head_sha();
                self.block_on(self.link.github.release_before(tag, head, model))
            }
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

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
