//! How many models were judged on the same rows before: kept in the checks and the comment of a pull request, and in the record
//! of a branch that has records.

use trainyard_core::gate::{BaselineRecord, Looks};
use trainyard_github::{Check, GitHubError};

use super::reporter::Reporter;
use crate::role::Role;

impl Reporter<'_> {
    /// The models judged before this one; `None` where there were none.
    pub(crate) fn looks(
        &self,
        model: &str,
        record: Option<&BaselineRecord>,
    ) -> Result<Option<Looks>, GitHubError> {
        let context = self.plan.context;
        if context.is_unverified() {
            return Ok(None);
        }
        if !matches!(self.plan.role, Role::Change { .. }) {
            return Ok(record.and_then(BaselineRecord::looks));
        }
        let check = self.plan.check(model);
        let mut texts = Vec::new();
        // A force-push leaves the older commits' checks behind; the comment carries the count on.
        if let Some(place) = self.plan.place(model) {
            texts.extend(self.block_on(self.link.github.comment_texts(&place))?);
        }
        texts.extend(self.own_text(&check, model)?);
        if let Some(before) = &context.before {
            let earlier = Check {
                head_sha: before.clone(),
                ..check
            };
            texts.extend(self.own_text(&earlier, model)?);
        }
        let found = texts.iter().flat_map(|text| Looks::decode_all(text));
        Ok(found.reduce(|all, looks| {
            // Of other rows than the newest: the one that counts more.
            let joined = looks.clone().after(&all);
            if looks.rows_digest == all.rows_digest || looks.n() > all.n() {
                joined
            } else {
                all
            }
        }))
    }

    /// The text of the check, where this app wrote it.
    pub(super) fn own_text(
        &self,
        check: &Check,
        model: &str,
    ) -> Result<Option<String>, GitHubError> {
        let found = self.block_on(self.link.github.find_check(check))?;
        Ok(found
            .filter(|found| self.is_own(found, model))
            .and_then(|found| found.text().map(str::to_owned)))
    }
}

/// The lines of `text` that count looks.
pub(super) fn lines(text: &str) -> String {
    Looks::decode_all(text)
        .iter()
        .filter_map(|looks| Some(looks.encode().ok()? + "\n"))
        .collect()
}
