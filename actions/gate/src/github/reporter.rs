//! A connection and what the run is called there.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};
use trainyard_core::config::JudgingConfig;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::files;

use super::link::{Link, ReadError};
use crate::plan::Plan;

/// Where `--start` leaves the check's number for the run that completes it.
pub(super) const CHECK_FILE: &str = "check.json";

/// Whether an earlier step opened a check.
pub(crate) fn has_started(out: &Path) -> bool {
    files::is_there(&out.join(CHECK_FILE))
}

/// A check that was opened.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Started {
    pub(super) id: u64,
    pub(super) head_sha: String,
    pub(super) external_id: String,
    /// The app that the token writes as.
    pub(super) app: Option<String>,
}

/// GitHub, and what this run is called there.
pub(crate) struct Reporter<'a> {
    pub(super) link: Link,
    pub(super) plan: Plan<'a>,
    pub(super) out: &'a Path,
}

impl<'a> Reporter<'a> {
    pub(crate) const fn new(link: Link, plan: Plan<'a>, out: &'a Path) -> Self {
        Self { link, plan, out }
    }

    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.link.block_on(work)
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

    /// Writes an artifact of a workflow run to `file`; the problem in one line where it cannot be had.
    pub(crate) fn artifact(&self, run_id: u64, name: &str, file: &mut File) -> Result<(), String> {
        let fetched = self.link.github.artifact(run_id, name, file);
        self.block_on(fetched).map_err(|error| in_one_line(&error))
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

    /// The check that `--start` opened for this run.
    pub(super) fn started(&self, model: &str) -> Option<Started> {
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
}
