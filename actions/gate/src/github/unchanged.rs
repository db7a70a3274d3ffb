//! The verdict of an earlier commit, where nothing of the model has changed since.

use trainyard_core::error_chain::in_one_line;
use trainyard_core::gate::{BaselineRecord, Mark};
use trainyard_github::{CheckReport, CheckRun, Conclusion, GitHubError};

use super::checkout::merge_commit;
use super::reporter::Reporter;
use crate::plan::marks_text;
use crate::role::Role;
use crate::unchanged::{Files, Unchanged};

impl Reporter<'_> {
    /// The nearest usable record, where it is green and none of these files has changed since; or why the model is to be
    /// judged anew.
    pub(crate) fn unchanged_since(&self, model: &str, files: &Files) -> Result<Unchanged, String> {
        if !self.link.may_write || self.plan.context.is_unverified() {
            return Err("this run may not write the check".to_owned());
        }
        if self.plan.args.no_check {
            return Err("no check is to be written".to_owned());
        }
        let compared = self.baseline(model);
        let Some(record) = compared.record else {
            return Err("no earlier commit has a record that counts".to_owned());
        };
        if !record.decision.is_green() {
            return Err(format!(
                "the verdict of {} is {}",
                record.commit,
                record.decision.word()
            ));
        }
        if self.plan.role.may_leave_record() && !self.has_artifact_of(&record) {
            return Err(format!("the predictions of {} have expired", record.commit));
        }
        // An earlier run at this commit knew better.
        let check = self.plan.check(model);
        let found = self.block_on(self.link.github.find_check(&check));
        let found = found.map_err(|error| in_one_line(&error))?;
        let of_others = found
            .as_ref()
            .and_then(|found| found.text())
            .zip(self.plan.change_number());
        let mut of_others = of_others
            .into_iter()
            .flat_map(|(text, number)| Mark::of_others(Mark::decode_all(text), number));
        if found.as_ref().is_some_and(CheckRun::has_failed)
            || of_others.any(|mark| !mark.is_let_through())
        {
            return Err(format!("`{}` of this commit is red", check.name));
        }
        let measured = record
            .measured_commit
            .as_ref()
            .unwrap_or(&record.commit)
            .clone();
        let tested = merge_commit(self.plan.context);
        let tested = tested.unwrap_or_else(|| self.plan.head_sha().to_owned());
        let changed = self.block_on(self.link.github.changed_files(&measured, &tested));
        let changed = changed
            .map_err(|error| in_one_line(&error))?
            .ok_or_else(|| format!("too much has changed since {measured}"))?;
        if let Some(file) = files.touched(&changed) {
            return Err(format!("`{file}` has changed since {measured}"));
        }
        Ok(Unchanged {
            record: BaselineRecord {
                commit: self.plan.head_sha().to_owned(),
                measured_commit: Some(measured.clone()),
                tree_sha: compared.tree_sha,
                ..record
            },
            measured,
        })
    }

    /// Completes the check of this run's role by the earlier verdict, copies the record on where this run leaves one, and
    /// brings a comment up to date.
    pub(crate) fn write_unchanged(
        &self,
        model: &str,
        unchanged: &Unchanged,
    ) -> Result<(), GitHubError> {
        let github = &self.link.github;
        let (title, text) = unchanged.report();
        let said = |kept: Option<String>| CheckReport {
            title: title.clone(),
            summary: text.clone(),
            text: kept,
            annotations: Vec::new(),
        };
        let record = unchanged.record.encode().ok();
        let is_baseline = *self.plan.role == Role::Baseline;
        let kept = if is_baseline {
            record.clone()
        } else {
            marks_text(&[], Some(&unchanged.mark(self.plan.change_number())))
        };
        let conclusion = Conclusion::Success;
        let check = self.plan.check(model);
        let started = self.started(model).map(|started| started.id);
        self.block_on(github.complete_check(&check, started, conclusion, &said(kept)))?;
        let leaves_record = matches!(
            self.plan.role,
            Role::Change {
                leaves_record: true,
                ..
            }
        );
        if leaves_record {
            let check = self.plan.baseline_check(model);
            self.block_on(github.complete_check(&check, None, conclusion, &said(record)))?;
        }
        if let Some(place) = self.plan.place(model) {
            // Where the change touched the model before and no longer does.
            let text = unchanged.markdown();
            self.block_on(github.upsert_comment(&place, &self.plan.stamp(), &text, false))?;
        }
        Ok(())
    }
}
