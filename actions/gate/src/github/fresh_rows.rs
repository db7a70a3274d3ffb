//! The evidence of fresh rows that earlier runs left: in the record on a branch that leaves records, in a pull request's comment,
//! and in the checks of this run's name.

use trainyard_core::gate::{BaselineRecord, FreshRows};
use trainyard_github::{Check, GitHubError};

use super::reporter::Reporter;
use crate::role::Role;

impl Reporter<'_> {
    /// All that was found, the newest last.
    pub(crate) fn fresh_rows(
        &self,
        model: &str,
        record: Option<&BaselineRecord>,
    ) -> Result<Vec<FreshRows>, GitHubError> {
        let context = self.plan.context;
        if context.is_unverified() {
            return Ok(Vec::new());
        }
        let mut found: Vec<FreshRows> = record
            .and_then(|record| record.fresh_rows.clone())
            .into_iter()
            .collect();
        let check = self.plan.check(model);
        // Runs of an earlier commit left theirs there: before a push, or on a schedule since the record was made.
        let mut commits: Vec<&str> = Vec::new();
        match self.plan.role {
            Role::Change { .. } => commits.extend(context.before.as_deref()),
            Role::Scheduled { .. } => commits.extend(record.map(|record| record.commit.as_str())),
            _ => {}
        }
        commits.retain(|commit| *commit != check.head_sha);
        let mut texts = Vec::new();
        for commit in commits {
            let earlier = Check {
                head_sha: commit.to_owned(),
                ..check.clone()
            };
            texts.extend(self.own_text(&earlier, model)?);
        }
        if matches!(self.plan.role, Role::Change { .. })
            && let Some(place) = self.plan.place(model)
        {
            texts.extend(self.block_on(self.link.github.comment_texts(&place))?);
        }
        texts.extend(self.own_text(&check, model)?);
        found.extend(texts.iter().flat_map(|text| FreshRows::decode_all(text)));
        Ok(found)
    }
}

/// The lines of `text` that hold evidence.
pub(super) fn lines(text: &str) -> String {
    FreshRows::decode_all(text)
        .iter()
        .filter_map(|found| Some(found.encode().ok()? + "\n"))
        .collect()
}
