//! Deployments on GitHub: one a job, with its states.

use serde_json::{Value, json};
use trainyard_github::{DeploymentState, NewDeployment};

use super::{Repository, block_on};

const NEW: NewDeployment<'_> = NewDeployment {
    sha: "b1b2",
    environment: "production",
    payload: Value::Null,
};

fn deployments(repository: &Repository) -> Vec<Value> {
    repository.state()["deployments"]
        .as_array()
        .unwrap()
        .clone()
}

fn states(deployment: &Value) -> Vec<&str> {
    let statuses = deployment["statuses"].as_array().unwrap();
    statuses
        .iter()
        .map(|status| status["state"].as_str().unwrap())
        .collect()
}

/// GitHub would merge the default branch into the commit's, or refuse because this very job is not green yet.
#[test]
fn a_deployment_is_made_as_it_is_with_its_states() {
    let repository = Repository {
        name: "deployment-made",
    };
    let github = repository.checked();
    let new = NewDeployment {
        payload: json!({ "model_digest": "sha256:1" }),
        ..NEW
    };
    let made = block_on(github.begin_deployment(&new)).unwrap();
    let long = "x".repeat(500);
    for (state, text) in [
        (DeploymentState::InProgress, "rolling out"),
        (DeploymentState::Failure, long.as_str()),
    ] {
        let url = Some("https://digits.example.org");
        block_on(github.set_deployment_state(
            &made,
            state,
            text,
            Some("https://ci.example.org/1"),
            url,
        ))
        .unwrap();
    }
    let all = deployments(&repository);
    assert_eq!(all.len(), 1);
    let deployment = &all[0]["deployment"];
    assert_eq!(
        (&deployment["ref"], &deployment["environment"]),
        (&json!("b1b2"), &json!("production"))
    );
    assert_eq!(deployment["payload"]["model_digest"], "sha256:1");
    assert_eq!(states(&all[0]), ["in_progress", "failure"]);
    let description = all[0]["statuses"][1]["description"].as_str().unwrap();
    assert!(
        description.chars().count() == 140 && description.ends_with('…'),
        "{description}"
    );
}

/// A job with `environment:` has one by GitHub; a second one would show the environment twice.
#[test]
fn the_deployment_of_a_job_is_taken_and_those_of_others_are_left() {
    let repository = Repository {
        name: "deployment-of-a-job",
    };
    let of = |login: &str, task: &str, sha: &str, environment: &str| json!({ "login": login, "task": task, "ref": sha, "environment": environment });
    let bot = "github-actions[bot]";
    repository.prepare(&json!({ "deployments": [
        of(bot, "deploy", "b1b2", "production"),
        of("argocd[bot]", "deploy", "b1b2", "production"),
        of(bot, "deploy:trainyard", "b1b2", "production"),
        of(bot, "deploy", "b1b2", "staging"),
        of(bot, "deploy", "c3c4", "production"),
    ] }));
    let github = repository.checked();
    let taken = block_on(github.begin_deployment(&NEW)).unwrap();
    assert_eq!(taken.id, 1);
    block_on(github.set_deployment_state(&taken, DeploymentState::Success, "it runs", None, None))
        .unwrap();
    let all = deployments(&repository);
    assert_eq!((all.len(), states(&all[0])), (5, vec!["success"]));
}
