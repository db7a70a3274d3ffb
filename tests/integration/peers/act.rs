//! The example's workflow, word for word, run offline by act through our actions: a pull request, the same
//! again with its cache, a release tag with a registry to push to, and a model that its rules turn away.
#![cfg(unix)]

pub(super) mod project;
mod reports;

use serde_json::Value;

use self::project::Project;
use super::registry::Registry;

const TRAIN: &str = "Train";
const GATE: &str = "Judge by the rules in trainyard.toml";
const PUBLISH: &str = "Publish";
const KEEP: &str = "Keep model, evaluation and verdict";

/// One run of the workflow, as act logged it.
pub(super) struct Run {
    pub(super) is_green: bool,
    events: Vec<Value>,
    log: String,
}

impl Run {
    /// What act logged under `command` for the step, latest first.
    fn commands(&self, step: &str, command: &str) -> Vec<&Value> {
        let is_wanted = |event: &&Value| event["step"] == step && event["command"] == command;
        self.events.iter().rev().filter(is_wanted).collect()
    }

    #[track_caller]
    fn output(&self, step: &str, name: &str) -> &str {
        let outputs = self.commands(step, "set-output");
        let value = outputs
            .into_iter()
            .find(|event| event["name"] == name)
            .and_then(|event| event["arg"].as_str());
        value
            .unwrap_or_else(|| panic!("step `{step}` has no output `{name}`:\n{}", self.messages()))
    }

    #[track_caller]
    fn summary(&self, step: &str) -> &str {
        let summary = self
            .commands(step, "summary")
            .first()
            .and_then(|event| event["content"].as_str());
        summary.unwrap_or_else(|| panic!("step `{step}` wrote no summary:\n{}", self.messages()))
    }

    /// How the step ended; `None` where it did not run.
    fn result(&self, step: &str) -> Option<&str> {
        let is_result = |event: &&Value| event["step"] == step && event["stage"] == "Main";
        self.events
            .iter()
            .filter(is_result)
            .filter_map(|event| event["stepResult"].as_str())
            .next_back()
    }

    pub(super) fn messages(&self) -> String {
        let messages: Vec<_> = self
            .events
            .iter()
            .filter_map(|event| event["msg"].as_str())
            .collect();
        if messages.is_empty() {
            self.log.clone()
        } else {
            messages.join("\n")
        }
    }
}

#[test]
fn a_pull_request_is_judged_and_its_model_is_found_in_the_cache_the_next_time() {
    let project = Project::new("0.5", "registry.invalid");
    let first = project.pull_request();
    assert!(first.is_green, "{}", first.messages());
    assert_eq!(first.output(GATE, "verdict"), "pass");
    assert_eq!(project.artifact("verdict/verdict.json")["verdict"], "pass");
    let digest = first.output(TRAIN, "model-digest");
    assert_eq!(
        project.artifact("evaluation/evaluation.json")["model"]["digest"],
        digest
    );
    let summary = first.summary(GATE);
    assert!(summary.contains("accuracy"), "{summary}");
    assert_eq!(
        first.result(PUBLISH),
        None,
        "a pull request publishes nothing"
    );

    let second = project.pull_request();
    assert!(second.is_green, "{}", second.messages());
    assert_eq!(
        second.output("Look for this model in the cache", "cache-hit"),
        "true"
    );
    assert_eq!(second.output(TRAIN, "model-digest"), digest);
}

#[test]
fn a_release_tag_publishes_the_image_under_its_version() {
    let registry = Registry::start();
    let project = Project::new("0.5", &registry.address);
    let release = project.tag("v1.2.3");
    assert!(release.is_green, "{}", release.messages());
    assert_eq!(release.result(PUBLISH), Some("success"));
    let digest = release.output(PUBLISH, "digest");
    for tag in ["1.2.3", "1.2", "1", "latest"] {
        assert_eq!(registry.digest("acme/digits", tag), digest, "{tag}");
    }
    assert!(
        release.summary(PUBLISH).contains(digest),
        "{}",
        release.summary(PUBLISH)
    );
}

#[test]
fn a_model_below_its_rule_turns_the_run_red_and_is_not_published() {
    let project = Project::new("0.9999", "registry.invalid");
    let release = project.tag("v1.2.3");
    assert!(!release.is_green, "{}", release.messages());
    assert_eq!(release.result(GATE), Some("failure"));
    assert_eq!(
        release.output(GATE, "verdict"),
        "fail",
        "outputs are written before a red exit"
    );
    assert!(
        !release.commands(GATE, "error").is_empty(),
        "the missed rule is annotated"
    );
    assert_eq!(
        release.result(KEEP),
        Some("success"),
        "the report is kept all the same"
    );
    assert_eq!(project.artifact("verdict/verdict.json")["verdict"], "fail");
    assert_eq!(release.result(PUBLISH), None);
}

/// The README's workflow, which calls ours: a pull request is judged, one that was only edited is not, a tag publishes.
#[test]
fn the_readmes_workflow_is_one_line_that_calls_ours() {
    let registry = Registry::start();
    let project = Project::new("0.5", "registry.invalid");
    project.call_reusable(&registry.address);
    let side = |name: &str| serde_json::json!({"ref": name, "sha": "0".repeat(40), "repo": {"full_name": "acme/digits"}});
    let event = |action: &str| {
        serde_json::json!({
            "action": action, "number": 7,
            "pull_request": {"number": 7, "head": side("feature"), "base": side("main")},
        })
    };
    let run = project.act_on("caller.yml", "pull_request", &event("opened"));
    assert!(run.is_green, "{}", run.messages());
    assert_eq!(run.output("Judge by the rules", "verdict"), "pass");
    let run = project.act_on("caller.yml", "pull_request", &event("edited"));
    assert_eq!(run.result("Judge by the rules"), None, "{}", run.messages());
    let tag = serde_json::json!({"ref": "refs/tags/v1.2.3"});
    let release = project.act_on("caller.yml", "push", &tag);
    assert!(release.is_green, "{}", release.messages());
    let digest = release.output(PUBLISH, "digest");
    // The owner's capitals are not the image's.
    assert_eq!(registry.digest("acme/digits", "1.2.3"), digest);
}
