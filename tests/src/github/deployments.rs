//! The deployments of a repository with their statuses, and the rules that GitHub has for them.

use serde_json::{Value, json};

use super::Parameters;
use super::shapes;
use super::state::{Answer, not_found, page};

/// GitHub's documented limit of a status's description, in characters.
const MAX_DESCRIPTION: usize = 140;

/// The deployments of one repository, the newest last.
#[derive(Default)]
pub(super) struct Deployments(Vec<(Value, Vec<Value>)>);

fn invalid(words: &str) -> (u16, String) {
    (422, format!("Validation Failed: {words}"))
}

impl Deployments {
    /// Each deployment with the states that it went through.
    pub(super) fn describe(&self) -> Value {
        let of = |(deployment, statuses): &(Value, Vec<Value>)| json!({ "deployment": deployment, "statuses": statuses });
        self.0.iter().map(of).collect()
    }

    /// `{"deployments": [{"login", "task", "ref", "environment"}]}`.
    pub(super) fn prepare(&mut self, full_name: &str, instruction: &Value) {
        for wanted in instruction["deployments"].as_array().into_iter().flatten() {
            let author = wanted["login"].as_str().unwrap_or_default();
            let made = shapes::deployment(full_name, self.0.len() as u64 + 1, author, wanted);
            self.0.push((made, Vec::new()));
        }
    }

    /// The newest first, by commit and environment.
    pub(super) fn list(&self, parameters: &Parameters) -> Value {
        let fits = |deployment: &&Value| {
            ["sha", "environment"].iter().all(|key| {
                let wanted = parameters.get(*key);
                wanted.is_none_or(|wanted| deployment[*key] == **wanted)
            })
        };
        let found = self.0.iter().rev().map(|(deployment, _)| deployment);
        page(found.filter(fits).cloned().collect(), parameters)
    }

    /// As GitHub decides: without a list of contexts, every status of the commit must be green, and the job that deploys is not yet; with
    /// `auto_merge` left at its default, the default branch is merged instead.
    pub(super) fn create(&mut self, full_name: &str, body: &Value, author: &str) -> Answer {
        if body["required_contexts"]
            .as_array()
            .is_none_or(|all| !all.is_empty())
        {
            return Err((
                409,
                "Conflict: Commit status checks failed for the commit.".to_owned(),
            ));
        }
        if body["auto_merge"] != json!(false) {
            return Ok((
                202,
                json!({ "message": "Auto-merged main into the branch on deployment." }),
            ));
        }
        let made = shapes::deployment(full_name, self.0.len() as u64 + 1, author, body);
        self.0.push((made.clone(), Vec::new()));
        Ok((201, made))
    }

    pub(super) fn add_status(
        &mut self,
        full_name: &str,
        id: &str,
        body: &Value,
        author: &str,
    ) -> Answer {
        let length = body["description"]
            .as_str()
            .map_or(0, |text| text.chars().count());
        if length > MAX_DESCRIPTION {
            return Err(invalid(
                "description is too long (maximum is 140 characters)",
            ));
        }
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let found = self
            .0
            .iter_mut()
            .find(|(deployment, _)| deployment["id"] == id);
        let (deployment, statuses) = found.ok_or_else(not_found)?;
        let made = shapes::deployment_status(
            full_name,
            deployment,
            statuses.len() as u64 + 1,
            author,
            body,
        );
        statuses.push(made.clone());
        Ok((201, made))
    }
}
