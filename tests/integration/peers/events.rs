//! GitHub's own examples of webhook events, which npm's `@octokit/webhooks-examples` holds, through our parser.

use serde_json::Value;
use trainyard_runner::{Context, Environment};

/// Where `cargo xtask test` has put the examples.
fn examples_of_events() -> String {
    std::env::var("TRAINYARD_GITHUB_WEBHOOKS").expect(
        "npm's package `@octokit/webhooks-examples` is not there: run `cargo xtask test`, which installs it (it needs \
         Node 20 or newer with npm), or leave out what needs peers with `cargo xtask test --no-peers`",
    )
}

/// Commit, pull request, tag and whether a fork's, as the payload itself says them.
fn told_by(event: &str, payload: &Value) -> (Option<String>, Option<u64>, Option<String>, bool) {
    let text = |pointer: &str| {
        payload
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let only = |pointer: &str| {
        let all = payload.pointer(pointer).and_then(Value::as_array);
        all.filter(|all| all.len() == 1)
            .and_then(|all| all[0]["number"].as_u64())
    };
    let own = text("/repository/full_name");
    match event {
        "pull_request" => (
            text("/pull_request/head/sha"),
            payload["number"].as_u64(),
            None,
            text("/pull_request/head/repo/full_name") != own,
        ),
        "workflow_run" => (
            text("/workflow_run/head_sha"),
            // A run of a push is not one of the branch's pull request.
            only("/workflow_run/pull_requests")
                .filter(|_| text("/workflow_run/event").as_deref() == Some("pull_request")),
            None,
            text("/workflow_run/head_repository/full_name") != own,
        ),
        "check_run" => (
            text("/check_run/head_sha"),
            only("/check_run/pull_requests"),
            None,
            text("/check_run/check_suite/head_branch").is_none(),
        ),
        "merge_group" => (text("/merge_group/head_sha"), None, None, false),
        "release" => (Some("c".repeat(40)), None, text("/release/tag_name"), false),
        _ => {
            let tag =
                text("/ref").and_then(|name| name.strip_prefix("refs/tags/").map(str::to_owned));
            (Some("c".repeat(40)), None, tag, false)
        }
    }
}

#[test]
fn githubs_own_examples_of_events_give_commit_pull_request_and_tag() {
    let examples = std::fs::read_to_string(examples_of_events()).unwrap();
    let examples: Vec<Value> = serde_json::from_str(&examples).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.json");
    let mut n_checked = std::collections::BTreeMap::new();
    for event in [
        "pull_request",
        "push",
        "release",
        "workflow_run",
        "merge_group",
        "check_run",
    ] {
        let of_event = examples
            .iter()
            .find(|example| example["name"] == event)
            .unwrap();
        for payload in of_event["examples"].as_array().unwrap() {
            std::fs::write(&path, payload.to_string()).unwrap();
            let reference = match event {
                "release" => format!(
                    "refs/tags/{}",
                    payload["release"]["tag_name"].as_str().unwrap()
                ),
                "push" => payload["ref"].as_str().unwrap().to_owned(),
                "pull_request" => "refs/pull/1/merge".to_owned(),
                _ => "refs/heads/main".to_owned(),
            };
            let variables = [
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_EVENT_NAME", event),
                ("GITHUB_EVENT_PATH", path.to_str().unwrap()),
                ("GITHUB_REF", &reference),
                ("GITHUB_SHA", &"c".repeat(40)),
            ];
            let environment: Environment = variables.into_iter().collect();
            let context = Context::from_environment(&environment).unwrap();
            let found = (
                context.head_sha,
                context.pull_request,
                context.tag,
                context.is_fork,
            );
            assert_eq!(
                found,
                told_by(event, payload),
                "{event}: {}",
                payload["action"]
            );
            assert!(context.repository.is_some());
            *n_checked.entry(event).or_insert(0) += 1;
        }
    }
    let n_checked: Vec<_> = n_checked.into_values().collect();
    assert_eq!(n_checked, [9, 2, 29, 7, 13, 5]);
}
