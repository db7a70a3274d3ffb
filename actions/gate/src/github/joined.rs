//! One comment and one check for all legs of a matrix.

use trainyard_core::gate::Decision;
use trainyard_github::{CheckReport, Conclusion, GitHubError, Place};

use super::reporter::Reporter;
use super::writing::Written;
use crate::inputs::CommentMode;

/// Key of the comment: no model's name holds a slash.
const KEY: &str = "trainyard/joined";

impl Reporter<'_> {
    /// Writes the joined report: the check `trainyard`, with what this kind of run adds to its name, and the comment.
    pub(crate) fn write_joined(
        &self,
        title: &str,
        text: &str,
        decision: Decision,
        models: &[&str],
    ) -> Result<Written, GitHubError> {
        let mut written = Written::default();
        if !self.link.may_write {
            return Ok(written);
        }
        let github = &self.link.github;
        if !self.plan.args.no_check {
            let mut said = CheckReport {
                title: title.to_owned(),
                summary: text.to_owned(),
                text: None,
                annotations: Vec::new(),
            };
            let mut conclusion = Conclusion::Failure;
            if decision.is_green() {
                // A leg's check may be red by the verdict of another pull request with this head.
                let failed = self.block_on(github.failed_checks(self.plan.head_sha()))?;
                match failed.into_iter().find(|name| self.is_of_leg(name, models)) {
                    Some(name) => {
                        said.title = format!("Fail · the check `{name}` of this commit is red");
                        said.summary = format!("{}\n\n{text}", said.title);
                    }
                    None => conclusion = Conclusion::Success,
                }
            }
            let check = self.plan.joined_check(KEY);
            let run = self.block_on(github.complete_check(&check, None, conclusion, &said))?;
            written.check_url = run.html_url;
        }
        let args = self.plan.args;
        let is_wanted = args.comment != CommentMode::Never;
        if let Some(number) = self.plan.context.pull_request.filter(|_| is_wanted) {
            let place = Place {
                pull_request: number,
                key: KEY.to_owned(),
            };
            let may_create = match args.comment {
                CommentMode::Always | CommentMode::Changes => true,
                CommentMode::Failures => !decision.is_green(),
                CommentMode::Never => false,
            };
            let stamp = self.plan.stamp();
            let outcome = github.upsert_comment(&place, &stamp, text, may_create);
            let comment = self.block_on(outcome)?.into_comment();
            written.comment_url = comment.map(|comment| comment.html_url);
        }
        Ok(written)
    }

    /// Whether a check is that of a leg of this run, whichever key it has.
    fn is_of_leg(&self, name: &str, models: &[&str]) -> bool {
        let suffix = self.plan.role.suffix();
        models.iter().any(|model| {
            let rest = name.strip_prefix(&format!("trainyard / {model}"));
            rest.is_some_and(|rest| {
                rest == suffix
                    || rest.starts_with(" / ") && rest.ends_with(&suffix) && !suffix.is_empty()
                    || rest.starts_with(" / ") && suffix.is_empty() && !rest.ends_with(')')
            })
        })
    }
}
